"""The cases of a sweep with what they are predicted to take, before anything runs."""

from __future__ import annotations

from typing import Any

import msgspec

from validation.child.timing import LONG_CALL_S, SLOW_CALL_S
from validation.contract.errors import NothingRanError
from validation.kernels.patches.catalogue import expand
from validation.kernels.patches.law import ReferenceLaw
from validation.kernels.patches.workloads import predicted_bytes
from validation.measure import parts
from validation.measure.bench import ORACLE, REFERENCE
from validation.plan.items import CaseItem, Item, MutantItem, ProbeItem, SuiteItem, plan_items
from validation.plan.sweeps import Sweep, schedule, select
from validation.run import lanes
from validation.run.provenance import find_ptycho
from validation.subject import scans

# Measured on two cores, rough: a child with its inputs and first call, and what else a line may be.
CHILD_S = 0.7
LINE_S = {ProbeItem: 4.0, SuiteItem: 180.0, MutantItem: 7.0}
# How much less work takes that goes side by side, on two lanes and two cores.
SIDE_BY_SIDE = 1.5


def predicted_time_s(item: Item, sweep: Sweep, law: ReferenceLaw, *, shared: bool = False) -> float:
    """Predict how long an item takes, roughly: its children, and the calls of the reference.

    The candidate's steady calls are not counted; how fast they are is what the run finds out.

    Parameters
    ----------
    item : Item
    sweep : Sweep
    law : ReferenceLaw
        What a call of the reference takes.
    shared : bool
        Whether an earlier item made the outputs of reference and oracle.
    """
    if not isinstance(item, CaseItem):
        return LINE_S[type(item)]
    case, protocol = item.planned.case, sweep.protocol
    start_s, call_s = law.fit()[0], law.predict_s(case)
    warm_s = call_s - start_s
    total_s = 0.0
    if "equivalence" in item.checks:
        compared = law.reason_to_leave_out(item.planned) is None
        total_s += CHILD_S if shared else 2 * CHILD_S + (call_s if compared else 0.0)
    if "time" in item.checks:
        calls = 1 if warm_s >= LONG_CALL_S else 1 + protocol.discarded
        calls += 1 if warm_s >= SLOW_CALL_S else protocol.samples
        timed = law.times_reference(item.planned)
        shape = schedule(item.planned, protocol, with_reference=timed)
        total_s += shape.blocks * shape.references * (CHILD_S + start_s + calls * warm_s)
        total_s += shape.blocks * shape.pairs * 2 * CHILD_S
    if "memory" in item.checks:
        timelines = 0 if item.planned.context else 1  # of either arm
        total_s += (protocol.memory_pairs + timelines) * (CHILD_S + start_s + warm_s)
    return total_s


def lines(
    *,
    sweep: str,
    data: str | None,
    reading: tuple[str, ...],
    ptycho: str | None,
    candidate: str,
    seed: int,
    as_json: bool,
    **filters: Any,
) -> list[str]:
    """List a sweep: one line per case and candidate, and a total.

    Raises
    ------
    NothingRanError
        If no case matches the filters.
    """
    find_ptycho(ptycho)
    chosen = select(expand(sweep, scans.peek(data, reading), seed), **filters)
    if not chosen.cases:
        raise NothingRanError(f"no case of the sweep {chosen.name} matches the filters")
    law = ReferenceLaw()
    items = plan_items(chosen, candidate)
    listed: list[str] = []
    times_s: dict[str, float] = {}
    alone_s: dict[str, float] = {}
    met: set[str] = set()
    for item in items:
        if not isinstance(item, CaseItem):
            times_s[item.key], alone_s[item.key] = predicted_time_s(item, chosen, law), 0.0
            listed.append(msgspec.json.encode({"key": item.key}).decode() if as_json else item.key)
            continue
        case = item.planned.case
        need = max(predicted_bytes(case, name) for name in (item.candidate, REFERENCE, ORACLE))
        time_s = predicted_time_s(item, chosen, law, shared=case.case_id in met)
        met.add(case.case_id)
        times_s[item.key] = time_s
        apart = tuple(check for check in item.checks if check in parts.alone())
        alone_s[item.key] = predicted_time_s(parts.only(item, apart), chosen, law)
        if as_json:
            fields = {"candidate": item.candidate, "checks": item.checks, "optional": item.planned.optional}
            predicted = {"predicted_bytes": need, "predicted_time_s": round(time_s, 1)}
            listed.append(msgspec.json.encode({**msgspec.to_builtins(case), **fields, **predicted}).decode())
            continue
        marks = [*item.checks, *(name for name in ("context", "optional") if getattr(item.planned, name))]
        if case.case_id == chosen.reference_case_id:
            marks.append("reference case")
        listed.append(f"{case.case_id}  {item.candidate}  {need / 2**30:.1f} GiB  {time_s:.0f} s  {', '.join(marks)}")
    if not as_json:
        alone, shared = lanes.apart(items, None)
        beside_s = sum(times_s[item.key] - alone_s[item.key] for group in shared for item in group)
        total_s = sum(times_s[item.key] for group in alone for item in group)
        total_s += sum(alone_s[item.key] for group in shared for item in group) + beside_s / SIDE_BY_SIDE
        total = f"{len(listed)} lines, about {total_s / 60:.0f} min"
        listed.append(total)
    return listed
