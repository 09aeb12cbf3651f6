"""Measures one candidate at one case: its outputs, times and peaks, as far as they are asked for.

Every arm runs in a child of its own. Reference and oracle outputs of a case are made once and serve all
candidates.
"""

from __future__ import annotations

import msgspec

from validation.contract.cases import Case, Check, PlannedCase
from validation.contract.measurements import Comparison, Equivalence, Failure, Measurement
from validation.measure.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.measure.peaks import measure_memory
from validation.measure.times import measure_timing
from validation.outputs.compare import compare


def _compare(bench: Bench, case: Case, expected: str, actual: str) -> Comparison:
    kernel = bench.kernel(case)
    found = compare(
        bench.output(case, expected).tree,
        bench.output(case, actual).tree,
        expected_name=expected,
        actual_name=actual,
        atol=kernel.atol,
        rtol=kernel.rtol,
        scale=kernel.scale(case, bench.scan_path),
        require_going=bench.require_going,
    )
    refused = found.difference
    if found.expected_dtype != found.actual_dtype or found.expected_shape != found.actual_shape:
        at = f" at {found.path}" if found.path else ""
        refused = (
            f"{actual} must give {found.expected_dtype} of shape {found.expected_shape}{at} like {expected}, "
            f"got {found.actual_dtype} of shape {found.actual_shape}"
        )
    if refused is not None:
        raise CaseFailed(Failure(reason="wrong_output", message=refused, arm=actual))
    return found


def compare_outputs(bench: Bench, case: Case, candidate: str) -> Equivalence:
    """Compare candidate, reference and oracle, pairwise; the same bits are compared with the oracle once."""
    to_reference = _compare(bench, case, REFERENCE, candidate)
    if bench.kernel(case).oracle is None:
        return Equivalence(candidate_vs_oracle=None, candidate_vs_reference=to_reference, reference_vs_oracle=None)
    to_oracle = _compare(bench, case, ORACLE, candidate)
    return Equivalence(
        candidate_vs_oracle=to_oracle,
        candidate_vs_reference=to_reference,
        reference_vs_oracle=msgspec.structs.replace(to_oracle, actual=REFERENCE)
        if to_reference.identical_share == 1.0
        else _compare(bench, case, ORACLE, REFERENCE),
    )


def measure_equivalence(bench: Bench, planned: PlannedCase, candidate: str) -> Equivalence:
    """Compare outputs pairwise; without the reference where its loop is left out on purpose."""
    left_out = bench.law(planned.case).reason_to_leave_out(planned)
    if left_out is None:
        return compare_outputs(bench, planned.case, candidate)
    return Equivalence(
        candidate_vs_oracle=_compare(bench, planned.case, ORACLE, candidate),
        candidate_vs_reference=None,
        reference_vs_oracle=None,
        reference_left_out=left_out,
    )


def measure(bench: Bench, planned: PlannedCase, candidate: str, checks: tuple[Check, ...]) -> Measurement:
    """Measure what is asked of a case.

    Raises
    ------
    CaseFailed
        If one of its tasks gave no reply.
    """
    return Measurement(
        equivalence=measure_equivalence(bench, planned, candidate) if "equivalence" in checks else None,
        timing=measure_timing(bench, planned, candidate) if "time" in checks else None,
        memory=measure_memory(bench, planned, candidate) if "memory" in checks else None,
    )
