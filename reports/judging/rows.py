"""The table of cases as rows of plain values, before any HTML."""

from __future__ import annotations

import msgspec

from reports.judging.criterion import comparison_fault, comparisons, line_passed, was_skipped
from reports.judging.statistics import can_be_shown, speedup
from reports.reading.records import CaseResult, Run


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; ``None`` where nothing was measured."""

    case_id: str
    candidate: str
    role: str
    kernel: str
    N: int
    gridsize: int
    batch: int
    dtype: str
    pattern: str
    state: str
    max_abs_error: float | None
    max_ulp: int | None
    identical_share: float | None
    speedup: float | None
    cold_speedup: float | None
    peak_ratio: float | None
    note: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Cells of the row after the case id, as they are shown; empty where nothing was measured."""

        def shown(value: float | None, form: str) -> str:
            return "" if value is None else form % value

        sign = {"passed": "✓", "failed": "✗", "skipped": "○"}[self.state]
        share = None if self.identical_share is None else 100.0 * self.identical_share
        return (
            f"{sign} {self.state}",
            f"{self.candidate} (peer)" if self.role == "peer" else self.candidate,
            str(self.N),
            str(self.gridsize),
            str(self.batch),
            self.dtype,
            self.pattern,
            shown(self.max_abs_error, "%.2g"),
            shown(self.max_ulp, "%d"),
            shown(share, "%.4g"),
            shown(self.speedup, "%.3g"),
            shown(self.cold_speedup, "%.3g"),
            shown(self.peak_ratio, "%.3g"),
            self.note,
        )


def _peak_ratio(line: CaseResult) -> float | None:
    memory = line.measurement.memory if line.measurement else None
    if memory is None:
        return None
    ratios = [
        (pair.candidate.peak_bytes - pair.candidate.baseline_bytes)
        / (pair.reference.peak_bytes - pair.reference.baseline_bytes)
        for pair in memory.pairs
        if pair.reference.peak_bytes > pair.reference.baseline_bytes
    ]
    return max(ratios, default=None)


def case_row(line: CaseResult) -> CaseRow:
    """Row of one line."""
    timing = line.measurement.timing if line.measurement else None
    if timing is not None and not can_be_shown(timing):
        timing = None
    equivalence = line.measurement.equivalence if line.measurement else None
    found = (equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle) if equivalence else None
    faults = [
        f"{item.actual} against {item.expected} {fault}"
        for item in comparisons(line)
        if (fault := comparison_fault(item, item.atol))
    ]
    if line.failure is not None:
        note = f"{line.failure.reason}: {' '.join(line.failure.message.split())}"
    else:
        note = "; ".join(faults) or (equivalence.reference_left_out or "" if equivalence else "")
    state = "skipped" if was_skipped(line) else "passed" if line_passed(line) else "failed"
    return CaseRow(
        case_id=line.case.case_id,
        candidate=line.candidate,
        role=line.role,
        kernel=line.case.kernel,
        N=line.case.N,
        gridsize=line.case.gridsize,
        batch=line.case.batch,
        dtype=line.case.dtype,
        pattern=line.case.pattern,
        state=state,
        max_abs_error=found.max_abs_error if found else None,
        max_ulp=found.max_ulp if found else None,
        identical_share=found.identical_share if found else None,
        speedup=speedup(timing, "warm").median if timing else None,
        cold_speedup=speedup(timing, "cold").median if timing else None,
        peak_ratio=_peak_ratio(line),
        note=note[:300],
    )


def case_rows(run: Run) -> list[CaseRow]:
    """Rows of all cases; what failed comes first, peers last."""
    rows = [case_row(line) for line in run.cases]
    order = {"failed": 0, "skipped": 1, "passed": 2}
    return sorted(rows, key=lambda row: (order[row.state], row.role == "peer"))
