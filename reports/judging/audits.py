"""Whether the calls that were timed or metered gave what they had to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from reports.judging.criterion import comparison_fault
from reports.reading.records import ArmMemory, ArmTiming, Audit, CaseResult

Arm = Literal["reference", "candidate"]


def audited(line: CaseResult) -> Iterator[tuple[Arm, Audit]]:
    """Every audit of a case, with the arm that it is of."""
    measurement = line.measurement
    arms: list[tuple[Arm, ArmTiming | ArmMemory]] = []
    if measurement is not None and measurement.timing is not None:
        arms += (("reference", arm) for arm in measurement.timing.references)
        arms += (("candidate", arm) for arm in measurement.timing.candidates)
    if measurement is not None and measurement.memory is not None:
        for pair in measurement.memory.pairs:
            arms += (("reference", pair.reference), ("candidate", pair.candidate))
    return ((which, audit) for which, arm in arms for audit in arm.audits)


def wrong(line: CaseResult, atol: float) -> tuple[str, Audit] | None:
    """Say what is wrong with the worst result of the candidate's audited calls at a case."""
    found = [
        (fault, audit)
        for which, audit in audited(line)
        if which == "candidate" and (fault := comparison_fault(audit.comparison, atol)) is not None
    ]
    return max(found, key=lambda each: each[1].comparison.max_abs_error or 0.0, default=None)


def audit_faults(arms: Sequence[ArmTiming | ArmMemory], atol: float) -> list[str]:
    """Say why figures are no evidence: calls whose results nobody checked, or whose results were wrong."""
    faults = []
    unchecked = sum(not arm.audits for arm in arms)
    if unchecked:
        faults.append(f"{unchecked} of {len(arms)} processes whose results were not checked")
    failed = sum(any(comparison_fault(audit.comparison, atol) for audit in arm.audits) for arm in arms)
    if failed:
        faults.append(f"{failed} of {len(arms)} processes with a wrong result in a call that was drawn")
    return faults
