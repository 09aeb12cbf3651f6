"""What a run folder holds, counted, and the lines that tell it."""

from __future__ import annotations

import shlex

import msgspec

from validation.contract.base import Record
from validation.contract.lines import (
    CalibrationResult,
    CaseResult,
    MutantResult,
    PropertyResult,
    ResultLine,
    SuiteResult,
)
from validation.run import results


class Summary(Record, frozen=True, kw_only=True):
    """Denominators of a run; ``overhead_share`` is the share of the time outside measured calls."""

    out: str
    run_id: str
    planned: int
    ran: int
    passed: int
    failed: int
    skipped: int
    missing: int
    overhead_share: float | None


def case_passed(result: CaseResult) -> bool:
    """Whether a case was measured and every comparison of it is within its tolerance."""
    if result.measurement is None:
        return False
    equivalence = result.measurement.equivalence
    if equivalence is None:
        return True
    comparisons = (
        equivalence.candidate_vs_oracle,
        equivalence.candidate_vs_reference,
        equivalence.reference_vs_oracle,
    )
    return all(found is None or found.passed for found in comparisons)


def line_passed(line: ResultLine) -> bool:
    """Whether what the line reports is as it should be; the gate's criteria are another matter."""
    if isinstance(line, CaseResult):
        return case_passed(line)
    if isinstance(line, CalibrationResult):
        return all(check.passed for check in line.checks)
    if isinstance(line, PropertyResult):
        return line.passed
    if isinstance(line, MutantResult):
        return line.verdict != "ACCEPT" and line.expected_criterion in line.rejected_by
    if isinstance(line, SuiteResult):
        return line.failed == 0 and line.passed > 0
    raise TypeError(f"expected a result line, got {type(line).__name__}")


def is_skipped(line: ResultLine) -> bool:
    """Whether the line says that its case was not run at all."""
    return (
        isinstance(line, CaseResult)
        and line.failure is not None
        and line.failure.reason in ("skipped_memory", "not_available")
    )


def summarise(folder: results.RunFolder) -> Summary:
    """Count what a run folder holds."""
    lines = folder.lines()
    planned = {item.key for item in folder.manifest.planned}
    passed = sum(line_passed(line) for line in lines)
    skipped = sum(is_skipped(line) for line in lines)
    timed = [line for line in lines if isinstance(line, (CaseResult, PropertyResult)) and line.wall_s is not None]
    wall_s = sum(line.wall_s or 0.0 for line in timed)
    return Summary(
        out=str(folder.path),
        run_id=folder.manifest.run_id,
        planned=len(planned),
        ran=len(lines) - skipped,
        passed=passed,
        failed=len(lines) - passed - skipped,
        skipped=skipped,
        missing=len(planned - {line.key for line in lines}),
        overhead_share=1.0 - sum(line.measured_s for line in timed) / wall_s if wall_s else None,
    )


def one_line(summary: Summary) -> str:
    """Tell the denominators of a run in one line, and the command that judges it."""
    share = "" if summary.overhead_share is None else f", {100 * summary.overhead_share:.0f} % outside measured calls"
    return (
        f"planned {summary.planned}, ran {summary.ran}, passed {summary.passed}, failed {summary.failed}, "
        f"skipped {summary.skipped}, missing {summary.missing}{share}; "
        f"judge it with: python -m reports gate {shlex.quote(summary.out)}"
    )


def as_json(summary: Summary) -> str:
    """Tell the same as one JSON object."""
    return msgspec.json.encode({"event": "end", **msgspec.to_builtins(summary)}).decode()
