"""The cases of a sweep with what they are predicted to take, before anything runs."""

from __future__ import annotations

from typing import Any

import msgspec

from validation import scans
from validation.catalogue import expand
from validation.errors import NothingRanError
from validation.law import ReferenceLaw
from validation.measure import ORACLE, REFERENCE
from validation.plan import CaseItem, plan_items
from validation.provenance import find_ptycho
from validation.sweeps import Sweep, select
from validation.workloads import predicted_bytes

# Start of a child, tracing and the first call's compilation, measured on two cores; a rough figure.
CHILD_S = 2.5


def predicted_time_s(item: CaseItem, sweep: Sweep, law: ReferenceLaw) -> float:
    """Predict how long an item takes, roughly: its children, and the calls of the reference.

    The candidate's steady calls are not counted; how fast they are is what the run finds out.
    """
    case, protocol = item.planned.case, sweep.protocol
    call_s = law.predict_s(case)
    total_s = 0.0
    if "equivalence" in item.checks:
        left_out = law.reason_to_leave_out(case, item.planned.checks) is not None
        total_s += CHILD_S + (0.0 if left_out else call_s)
    if "time" in item.checks:
        calls = 2 if call_s > 10.0 else 1 + protocol.discarded + protocol.samples
        total_s += protocol.replicates * (4 * CHILD_S + calls * call_s)
    if "memory" in item.checks:
        total_s += protocol.memory_pairs * (2 * CHILD_S + call_s) + 2 * CHILD_S + call_s
    return total_s


def lines(
    *, sweep: str, data: str | None, ptycho: str | None, candidate: str, seed: int, as_json: bool, **filters: Any
) -> list[str]:
    """List a sweep: one line per case and candidate, and a total.

    Raises
    ------
    NothingRanError
        If no case matches the filters.
    """
    find_ptycho(ptycho)
    chosen = select(expand(sweep, scans.peek(data), seed), **filters)
    if not chosen.cases:
        raise NothingRanError(f"no case of the sweep {chosen.name} matches the filters")
    law = ReferenceLaw()
    listed, total_s = [], 0.0
    for item in plan_items(chosen, candidate):
        if not isinstance(item, CaseItem):
            total_s += CHILD_S
            listed.append(msgspec.json.encode({"key": item.key}).decode() if as_json else item.key)
            continue
        case = item.planned.case
        need = max(predicted_bytes(case, name) for name in (item.candidate, REFERENCE, ORACLE))
        time_s = predicted_time_s(item, chosen, law)
        total_s += time_s
        if as_json:
            fields = {"candidate": item.candidate, "checks": item.checks, "optional": item.planned.optional}
            predicted = {"predicted_bytes": need, "predicted_time_s": round(time_s, 1)}
            listed.append(msgspec.json.encode({**msgspec.to_builtins(case), **fields, **predicted}).decode())
            continue
        marks = [*item.checks, *(["optional"] if item.planned.optional else [])]
        if case.case_id == chosen.reference_case_id:
            marks.append("reference case")
        listed.append(f"{case.case_id}  {item.candidate}  {need / 2**30:.1f} GiB  {time_s:.0f} s  {', '.join(marks)}")
    if not as_json:
        listed.append(f"{len(listed)} lines, about {total_s / 60:.0f} min")
    return listed
