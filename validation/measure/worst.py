"""The part of a result that holds its worst element: reference, candidate and difference, kept as a file."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.cases import Case
from validation.contract.lines import CaseResult
from validation.contract.measurements import Comparison, Equivalence
from validation.measure.bench import ORACLE, Bench, CaseFailed

PATCHES = "patches"
# Wrong patches of a run that are kept; more of them would say the same.
KEPT_FAILURES = 20


def judged(equivalence: Equivalence) -> Comparison:
    """Give the comparison that decides: with the reference, or with the oracle where the loop is left out."""
    found = equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle
    if found is None:
        raise ValueError("an equivalence holds a comparison with the reference or with the oracle")
    return found


def file_stem(case: Case, candidate: str) -> str:
    """Name of the files of a case's worst part, without suffix."""
    return f"{case.case_id}-{re.sub(r'[^A-Za-z0-9_.]', '_', candidate)}"


def _cut(bench: Bench, case: Case, name: str, comparison: Comparison) -> NDArray[Any] | None:
    """Cut the part that holds the worst element: two axes; ``None`` where there is nothing to draw."""
    tree = bench.output(case, name).tree
    if comparison.worst_index is None or comparison.path not in tree.paths:
        return None
    array = tree.arrays[tree.paths.index(comparison.path)]
    if array.dtype.kind not in "biufc":
        return None
    return bench.kernel(case).picture(case, array, comparison.worst_index)


def save(
    bench: Bench, case: Case, candidate: str, comparison: Comparison, out: Path
) -> tuple[Path, dict[str, NDArray[Any]]] | None:
    """Save the worst part as ``.npz``: what was expected as ``reference``, candidate, oracle, difference, and where.

    Parameters
    ----------
    bench : Bench
        Makes the outputs, or has them.
    case : Case
    candidate : str
    comparison : Comparison
        Says where the worst element is, and against what.
    out : Path

    Returns
    -------
    Path, dict
        The file and its arrays; ``None`` where there is nothing to draw.
    """
    names = {"reference": comparison.expected, "candidate": candidate}
    if bench.kernel(case).oracle is not None:
        names["oracle"] = ORACLE
    cut = {role: _cut(bench, case, name, comparison) for role, name in names.items()}
    found = {role: part for role, part in cut.items() if part is not None}
    if len(found) < len(names):
        return None
    kind = np.result_type(found["candidate"].dtype, np.float64)
    found["difference"] = found["candidate"].astype(kind) - found["reference"].astype(kind)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{file_stem(case, candidate)}.npz"
    arrays: dict[str, Any] = {**found, "worst_index": np.array(comparison.worst_index)}
    np.savez(path, **arrays)
    return path, found


class WorstPatches:
    """Keeps, while a run goes on, the patches that its report shows: the first wrong ones, and the worst right one.

    They are pictures and decide nothing; where they cannot be written, the run goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failures = 0
        self._error = 0.0
        self._kept: Path | None = None

    def consider(self, bench: Bench, line: CaseResult) -> None:
        """Keep the patch of a line if it is among them; the line's outputs must still be there."""
        equivalence = line.measurement.equivalence if line.measurement else None
        if equivalence is None or line.role != "candidate":
            return
        comparison = judged(equivalence)
        with contextlib.suppress(OSError, CaseFailed):
            if not comparison.passed:
                if self._failures < KEPT_FAILURES:
                    save(bench, line.case, line.candidate, comparison, self.folder)
                    self._failures += 1
            elif (comparison.max_abs_error or 0.0) > self._error:
                saved = save(bench, line.case, line.candidate, comparison, self.folder)
                if saved is not None:
                    if self._kept is not None:
                        self._kept.unlink(missing_ok=True)
                    self._kept, self._error = saved[0], comparison.max_abs_error or 0.0
