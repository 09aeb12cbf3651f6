"""Results as a flat table: one row for each case and candidate."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from statistics import median
from typing import Any, Literal

from validation.contract.errors import UsageError
from validation.contract.lines import CaseResult
from validation.contract.measurements import ArmMemory, ArmTiming, Comparison
from validation.run.results import RunFolder
from validation.run.summary import case_passed

Format = Literal["csv", "parquet"]


def _comparison(prefix: str, found: Comparison | None) -> dict[str, Any]:
    names = ("passed", "max_abs_error", "max_ulp", "identical_share", "nan_count", "inf_count")
    return {f"{prefix}_{name}": None if found is None else getattr(found, name) for name in names}


def _medians(arms: tuple[ArmTiming, ...]) -> tuple[float | None, float | None]:
    """Give the median of the first calls and of the steady samples over all processes, seconds."""
    if not arms:
        return None, None
    return median(arm.first_call_s for arm in arms), median(s for arm in arms for s in arm.samples_s)


def _peaks(prefix: str, arms: list[ArmMemory]) -> dict[str, Any]:
    """Worst increment over the baseline and worst absolute peak over all pairs, bytes."""
    return {
        f"{prefix}_increment_bytes": max((arm.peak_bytes - arm.baseline_bytes for arm in arms), default=None),
        f"{prefix}_peak_bytes": max((arm.peak_bytes for arm in arms), default=None),
    }


def row(line: CaseResult) -> dict[str, Any]:
    """Flatten one result; what was not measured is ``None``. Raw samples stay in ``results.jsonl``."""
    found = line.measurement
    equivalence = found.equivalence if found else None
    timing = found.timing if found else None
    memory = found.memory if found else None
    reference_first, reference_time = _medians(timing.reference_arms if timing else ())
    candidate_first, candidate_time = _medians(timing.candidate_arms if timing else ())
    return {
        "case_id": line.case.case_id,
        "kernel": line.case.kernel,
        **line.case.params,
        "seed": line.case.seed,
        "work": line.case.work,
        "run_id": line.run_id,
        "started_at": line.started_at,
        "candidate": line.candidate,
        "role": line.role,
        "passed": case_passed(line),
        "failure": line.failure.reason if line.failure else None,
        "failure_message": line.failure.message if line.failure else None,
        **_comparison("candidate_vs_oracle", equivalence.candidate_vs_oracle if equivalence else None),
        **_comparison("candidate_vs_reference", equivalence.candidate_vs_reference if equivalence else None),
        **_comparison("reference_vs_oracle", equivalence.reference_vs_oracle if equivalence else None),
        "reference_first_call_s": reference_first,
        "candidate_first_call_s": candidate_first,
        "reference_time_s": reference_time,
        "candidate_time_s": candidate_time,
        **_peaks("reference", [pair.reference for pair in memory.pairs] if memory else []),
        **_peaks("candidate", [pair.candidate for pair in memory.pairs] if memory else []),
        "wall_s": line.wall_s,
        "measured_s": line.measured_s,
        "commit": line.provenance.commit,
        "dirty": line.provenance.dirty,
        "kernel_digest": line.provenance.kernel_digest,
        "machine": line.provenance.machine.fingerprint,
    }


def export(folder: RunFolder, form: Format, target: Path) -> int:
    """Write the cases of a run as a table, and return their number.

    Raises
    ------
    UsageError
        If the run has no case yet, the file cannot be written, or pyarrow is missing for parquet.
    """
    rows = [row(line) for line in folder.lines() if isinstance(line, CaseResult)]
    if not rows:
        raise UsageError(f"{folder.path} holds no case yet; there is nothing to export")
    part = target.with_name(target.name + ".part")
    try:
        if form == "csv":
            text = io.StringIO(newline="")
            # Kernels have parameters of their own.
            writer = csv.DictWriter(text, list(dict.fromkeys(name for each in rows for name in each)))
            writer.writeheader()
            writer.writerows(rows)
            part.write_text(text.getvalue(), newline="")
        else:
            _write_parquet(rows, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None
    return len(rows)


def _write_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    import pandas as pd

    try:
        pd.DataFrame(rows).to_parquet(path, index=False)
    except ImportError:
        raise UsageError("--format parquet needs the package pyarrow; install it or take --format csv") from None
