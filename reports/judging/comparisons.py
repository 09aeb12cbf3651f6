"""Whether comparisons hold by their figures, and timed or metered calls gave what they had to. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from reports.judging.policy import Tolerance
from validation.contract.lines import CaseResult
from validation.contract.measurements import ArmMemory, ArmTiming, Audit, Comparison

Arm = Literal["reference", "candidate"]
# What is said of a difference in structure is cut after so many characters.
SHOWN = 200


def comparison_fault(found: Comparison, promised: Tolerance | None = None) -> str | None:
    """Say why a comparison does not hold; ``None`` if it does.

    The writer's ``passed`` is not enough: its figures must bear it out, and its tolerance must not exceed the promised
    one. Without one it is held to its own.
    """
    atol, rtol = (promised.atol, promised.rtol) if promised else (found.atol, found.rtol)
    if found.atol > atol:
        return f"was judged by a tolerance of {found.atol:g} where {atol:g} is promised"
    if found.rtol > rtol:
        return f"was judged by a relative tolerance of {found.rtol:g} where {rtol:g} is promised"
    if not 0.0 < found.scale < math.inf:
        return f"was judged in units of {found.scale:g}, which is no scale"
    fault = _difference(found)
    return f"{fault}, at {found.path}" if fault is not None and found.path else fault


def _difference(found: Comparison) -> str | None:
    """Say what differs by more than a comparison allows."""
    if found.difference is not None:
        return f"differs: {' '.join(found.difference.split())[:SHOWN]}"
    if found.expected_shape != found.actual_shape:
        return f"has shape {found.actual_shape} where {found.expected_shape} is expected"
    if found.expected_dtype != found.actual_dtype:
        return f"has dtype {found.actual_dtype} where {found.expected_dtype} is expected"
    if found.nan_count or found.inf_count:
        return f"holds {found.nan_count} NaN and {found.inf_count} Inf"
    error = found.worst_share if found.rtol > 0.0 else found.max_abs_error
    if error is None:
        return "has no largest error on record" if found.elements else None
    if found.rtol > 0.0:
        allowed = Tolerance(found.atol, found.rtol)
        if not error <= 1.0:
            return f"differs by {error:.3g} times what is allowed ({allowed})"
    elif not (math.isfinite(error) and error <= found.atol):
        of_scale = "" if found.scale == 1.0 else f" of {found.scale:.3g}"
        return f"differs by {error:.3g}{of_scale} where {found.atol:g} is allowed"
    return None if found.passed else "did not pass the comparison of the run"


class Size(NamedTuple):
    """How large a difference is: the figure that is told, and its threshold.

    With a relative tolerance the figure is the largest share that a difference takes of what it may be (``is_share``).
    """

    value: float
    threshold: float
    is_share: bool = False

    @property
    def share(self) -> float:
        """The figure as a share of the threshold."""
        if self.threshold:
            return self.value / self.threshold
        return math.inf if self.value else 0.0

    @property
    def margin(self) -> float | None:
        """Distance to the threshold, as a share of it."""
        return (self.threshold - self.value) / self.threshold if self.threshold else None

    def __str__(self) -> str:
        return f"{self.value:.2g} of what is allowed" if self.is_share else f"{self.value:.2g}"


def size(found: Comparison, promised: Tolerance) -> Size:
    """Say how large the difference of a comparison is; nothing where it has no figure."""
    if found.rtol > 0.0:
        return Size(found.worst_share or 0.0, 1.0, is_share=True)
    return Size(found.max_abs_error or 0.0, promised.atol)


def comparisons(line: CaseResult) -> tuple[Comparison, ...]:
    """All comparisons of a case."""
    equivalence = line.measurement.equivalence if line.measurement else None
    if equivalence is None:
        return ()
    found = (equivalence.candidate_vs_reference, equivalence.candidate_vs_oracle, equivalence.reference_vs_oracle)
    return tuple(comparison for comparison in found if comparison is not None)


def decisive(line: CaseResult) -> Comparison | None:
    """Comparison of the candidate that decides: with the reference, or with the oracle where that was left out."""
    equivalence = line.measurement.equivalence if line.measurement else None
    return (equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle) if equivalence else None


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


def wrong(line: CaseResult, promised: Tolerance) -> tuple[str, Audit] | None:
    """Say what is wrong with the worst result of the candidate's audited calls at a case."""
    found = [
        (fault, audit)
        for which, audit in audited(line)
        if which == "candidate" and (fault := comparison_fault(audit.comparison, promised)) is not None
    ]
    return max(found, key=lambda each: size(each[1].comparison, promised).share, default=None)


def audit_faults(arms: Sequence[ArmTiming | ArmMemory], promised: Tolerance) -> list[str]:
    """Say why figures are no evidence: calls whose results nobody checked, or whose results were wrong.

    Without an oracle the reference is the only truth, and nobody checks it.
    """
    faults = []
    arms = [arm for arm in arms if promised.has_oracle or arm.implementation != "reference"]
    unchecked = sum(not arm.audits for arm in arms)
    if unchecked:
        faults.append(f"{unchecked} of {len(arms)} processes whose results were not checked")
    failed = sum(any(comparison_fault(audit.comparison, promised) for audit in arm.audits) for arm in arms)
    if failed:
        faults.append(f"{failed} of {len(arms)} processes with a wrong result in a call that was drawn")
    return faults
