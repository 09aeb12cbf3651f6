"""The table of cases as rows of plain values, before any HTML."""

from __future__ import annotations

import msgspec

from reports.drawing.parameters import columns
from reports.judging.comparisons import comparison_fault, comparisons, decisive
from reports.judging.criterion import line_passed, was_skipped
from reports.judging.statistics import can_be_shown, speedup
from reports.reading.run import Run
from validation.contract.cases import Scalar
from validation.contract.lines import CaseResult


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; ``None`` where nothing was measured.

    ``parameters`` holds those that are shown, in the order of the columns; ``None`` where the kernel has no such one.
    """

    case_id: str
    candidate: str
    role: str
    parameters: tuple[Scalar | None, ...]
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
            *("" if value is None else str(value) for value in self.parameters),
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


def case_row(line: CaseResult, names: tuple[str, ...] = ()) -> CaseRow:
    """Row of one line, with the parameters of these names."""
    timing = line.measurement.timing if line.measurement else None
    if timing is not None and not can_be_shown(timing):
        timing = None
    equivalence = line.measurement.equivalence if line.measurement else None
    found = decisive(line)
    faults = [
        f"{item.actual} against {item.expected} {fault}"
        for item in comparisons(line)
        if (fault := comparison_fault(item))
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
        parameters=tuple(line.case.params.get(name) for name in names),
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
    names = tuple(one.name for one in columns(run.manifest))
    rows = [case_row(line, names) for line in run.cases]
    order = {"failed": 0, "skipped": 1, "passed": 2}
    return sorted(rows, key=lambda row: (order[row.state], row.role == "peer"))
