"""Results as a table: a row for each case and candidate, with every figure. `reports.frame` is its public name."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reports.judging.criterion import line_passed
from reports.judging.statistics import can_be_shown, speedup
from reports.judging.times import Part
from reports.reading.reader import read_run
from validation.contract.lines import CaseResult
from validation.contract.measurements import ArmMemory, ArmTiming, Comparison, Timing

if TYPE_CHECKING:
    import pandas as pd

_COMPARED = ("passed", "max_abs_error", "worst_share", "max_ulp", "identical_share", "nan_count", "inf_count")


def _comparison(prefix: str, found: Comparison | None) -> dict[str, Any]:
    return {f"{prefix}_{name}": None if found is None else getattr(found, name) for name in _COMPARED}


def _medians(prefix: str, arms: tuple[ArmTiming, ...]) -> dict[str, float | None]:
    """Give the median of the first calls and of the steady samples over all processes of an arm, seconds."""
    samples = [sample for arm in arms for sample in arm.samples_s]
    return {
        f"{prefix}_first_call_s": median(arm.first_call_s for arm in arms) if arms else None,
        f"{prefix}_time_s": median(samples) if samples else None,
    }


def _speedups(timing: Timing | None) -> dict[str, float | None]:
    """Give the ratios of times, each with the bounds that are judged; nothing where an arm was not timed."""
    found: dict[str, float | None] = {}
    parts: dict[str, Part] = {"speedup": "warm", "cold_speedup": "cold"}
    for name, part in parts.items():
        figures = speedup(timing, part) if timing is not None and can_be_shown(timing) else None
        found |= {
            name: figures.median if figures else None,
            f"{name}_lower": figures.judged_lower if figures else None,
            f"{name}_upper": figures.judged_upper if figures else None,
        }
    return found


def _peaks(prefix: str, arms: list[ArmMemory]) -> dict[str, int | None]:
    """Worst increment over the baseline and worst absolute peak over all pairs, bytes."""
    return {
        f"{prefix}_increment_bytes": max((arm.peak_bytes - arm.baseline_bytes for arm in arms), default=None),
        f"{prefix}_peak_bytes": max((arm.peak_bytes for arm in arms), default=None),
    }


def figures(line: CaseResult) -> dict[str, Any]:
    """Flatten one result; what was not measured is ``None``. Parameters that have the name of a figure get a prefix."""
    found = line.measurement
    equivalence, timing, memory = (found.equivalence, found.timing, found.memory) if found else (None, None, None)
    head = {"case_id": line.case.case_id, "kernel": line.case.kernel}
    rest = {
        "seed": line.case.seed,
        "work": line.case.work,
        "run_id": line.run_id,
        "started_at": line.started_at,
        "candidate": line.candidate,
        "role": line.role,
        "passed": line_passed(line),
        "failure": line.failure.reason if line.failure else None,
        "failure_message": line.failure.message if line.failure else None,
        **_comparison("candidate_vs_oracle", equivalence.candidate_vs_oracle if equivalence else None),
        **_comparison("candidate_vs_reference", equivalence.candidate_vs_reference if equivalence else None),
        **_comparison("reference_vs_oracle", equivalence.reference_vs_oracle if equivalence else None),
        **_medians("reference", timing.reference_arms if timing else ()),
        **_medians("candidate", timing.candidate_arms if timing else ()),
        **_speedups(timing),
        **_peaks("reference", [pair.reference for pair in memory.pairs] if memory else []),
        **_peaks("candidate", [pair.candidate for pair in memory.pairs] if memory else []),
        "wall_s": line.wall_s,
        "measured_s": line.measured_s,
        "commit": line.provenance.commit,
        "dirty": line.provenance.dirty,
        "kernel_digest": line.provenance.kernel_digest,
        "machine": line.provenance.machine.fingerprint,
    }
    params = {
        f"param_{name}" if name in head or name in rest else name: value for name, value in line.case.params.items()
    }
    return head | params | rest


def frame(folder: str | Path, machine: str | None = None) -> pd.DataFrame:
    """Read a run folder as a table; `reports.frame` tells the rest."""
    import pandas as pd

    found = pd.DataFrame([figures(line) for line in read_run(folder, machine).cases])
    # A column without a value can be compared and averaged like one that has some.
    return found.astype({name: float for name in found.columns if found[name].isna().all()})
