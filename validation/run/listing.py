"""The cases of a sweep with what they are predicted to take, before anything runs."""

from __future__ import annotations

import msgspec

from validation.child.timing import LONG_CALL_S, SLOW_CALL_S
from validation.contract.cases import Law, Sweep, schedule
from validation.contract.errors import NothingRanError
from validation.kernels.registry import Kernels
from validation.measure import parts
from validation.plan.items import CaseItem, Item, MutantItem, PropertyItem, SuiteItem, plan_items
from validation.run import lanes
from validation.run.declaration import sweep_of
from validation.run.options import Options, judged_candidate, kernels_of
from validation.subject import package, scans

# Measured on two cores, rough: a child with its inputs and first call, and what else a line may be.
CHILD_S = 0.7
LINE_S = {PropertyItem: 4.0, SuiteItem: 180.0, MutantItem: 7.0}
# How much less work takes that goes side by side, on two lanes and two cores.
SIDE_BY_SIDE = 1.5


def predicted_time_s(item: Item, sweep: Sweep, law: Law, *, shared: bool = False) -> float:
    """Predict how long an item takes, roughly: its children, and the calls of the reference.

    The candidate's steady calls are not counted; how fast they are is what the run finds out.

    Parameters
    ----------
    item : Item
    sweep : Sweep
    law : Law
        What a call of the reference takes.
    shared : bool
        Whether an earlier item made the outputs of reference and oracle.
    """
    if not isinstance(item, CaseItem):
        return LINE_S[type(item)]
    case, protocol = item.planned.case, sweep.protocol
    start_s, call_s = law.start_s(), law.predict_s(case)
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


def needed_bytes(item: CaseItem, kernels: Kernels) -> int:
    """Predict what the hungriest process of an item takes; 0 where that is not known."""
    kernel = kernels[item.planned.case.kernel]
    names = [item.candidate, kernel.reference.name] + ([kernel.oracle.name] if kernel.oracle else [])
    return max(kernel.needed_bytes(item.planned.case, name) or 0 for name in names)


def lines(options: Options, *, as_json: bool) -> list[str]:
    """List a sweep: one line per case and candidate, and a total.

    Raises
    ------
    NothingRanError
        If no case matches the filters.
    """
    kernels = kernels_of(options)
    if any(kernel.subject for kernel in kernels):
        package.find(options.package)
    takes_scan = any(kernel.takes_scan for kernel in kernels)
    chosen = sweep_of(options, kernels, scans.peek(options.data, options.reading) if takes_scan else None)
    if not chosen.cases:
        raise NothingRanError(f"no case of the sweep {chosen.name} matches the filters")
    laws = {kernel.name: kernel.law() for kernel in kernels}
    first: Law = next(iter(laws.values()))
    items = plan_items(chosen, judged_candidate(options.candidate, kernels), kernels)
    judged = {found.case_id for found in chosen.judged}
    listed: list[str] = []
    times_s: dict[str, float] = {}
    alone_s: dict[str, float] = {}
    met: set[str] = set()
    for item in items:
        if not isinstance(item, CaseItem):
            times_s[item.key], alone_s[item.key] = predicted_time_s(item, chosen, first), 0.0
            listed.append(msgspec.json.encode({"key": item.key}).decode() if as_json else item.key)
            continue
        case, law = item.planned.case, laws[item.planned.case.kernel]
        need = needed_bytes(item, kernels)
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
        marks += ["judged"] if case.case_id in judged else []
        listed.append(f"{case.case_id}  {item.candidate}  {need / 2**30:.1f} GiB  {time_s:.0f} s  {', '.join(marks)}")
    if not as_json:
        alone, shared = lanes.apart(items, None, kernels)
        beside_s = sum(times_s[item.key] - alone_s[item.key] for group in shared for item in group)
        total_s = sum(times_s[item.key] for group in alone for item in group)
        total_s += sum(alone_s[item.key] for group in shared for item in group) + beside_s / SIDE_BY_SIDE
        listed.append(f"{len(listed)} lines, about {total_s / 60:.0f} min")
    return listed
