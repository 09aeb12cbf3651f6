"""The patch that holds an output's worst element: reference, candidate and difference, kept as a file."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.records import Case, CaseResult, Comparison, Equivalence
from validation.measure.bench import ORACLE, Bench, CaseFailed

PATCHES = "patches"
# Wrong patches of a run that are kept; more of them would say the same.
KEPT_FAILURES = 20


def judged(equivalence: Equivalence) -> Comparison:
    """Give the comparison that decides: with the reference, or with the oracle where the loop is left out."""
    return equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle


def file_stem(case: Case, candidate: str) -> str:
    """Name of the files of a case's worst patch, without suffix."""
    return f"{case.case_id}-{re.sub(r'[^A-Za-z0-9_.]', '_', candidate)}"


def _cut(case: Case, array: NDArray[Any], index: tuple[int, ...]) -> NDArray[Any]:
    """Cut the patch (or the canvas) that holds the worst element: two axes."""
    if case.kernel == "reassembly":
        return np.asarray(array[:, :, 0])
    return np.asarray(array[index[0], :, :, index[3]])


def save(
    bench: Bench, case: Case, candidate: str, comparison: Comparison, out: Path
) -> tuple[Path, dict[str, NDArray[Any]]] | None:
    """Save the worst patch as ``.npz``: what was expected as ``reference``, candidate, oracle, difference, and where.

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
        The file and its arrays; ``None`` where the output has no element.
    """
    if comparison.worst_index is None:
        return None
    names = {"reference": comparison.expected, "candidate": candidate, "oracle": ORACLE}
    cut = {role: _cut(case, bench.output(case, name).values, comparison.worst_index) for role, name in names.items()}
    cut["difference"] = cut["candidate"] - cut["reference"]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{file_stem(case, candidate)}.npz"
    arrays: dict[str, Any] = {**cut, "worst_index": np.array(comparison.worst_index)}
    np.savez(path, **arrays)
    return path, cut


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
