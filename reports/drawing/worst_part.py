"""The worst part of a result as a picture: reference, candidate and difference."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import msgspec

from reports.drawing.figure import Plot, drawing, short, to_svg
from reports.drawing.rows import CaseRow, case_row
from reports.reading.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Folder in that of the run where worst parts are kept.
WORST = "patches"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The worst part of a result: arrays (rows, columns) of reference and candidate."""

    case_id: str
    candidate: str
    reference: Any
    actual: Any


def _by_error(run: Run) -> list[CaseRow]:
    """Rows of the cases, those first whose worst part tells most: what failed, then by error."""
    order = {"failed": 0, "passed": 1, "skipped": 2}
    rows = [case_row(line) for line in run.cases]
    return sorted(rows, key=lambda row: (order[row.state], -(row.max_abs_error or 0.0)))


def keep_command(run: Run, folder: str) -> str | None:
    """Command that keeps the part that `read_part` looks for first; ``None`` where no compared output differs."""
    compared = (row for row in _by_error(run) if row.max_abs_error is not None and row.role == "candidate")
    row = next((row for row in compared if row.state == "failed" or row.max_abs_error), None)
    if row is None:
        return None
    candidate = "" if row.candidate == run.manifest.candidate else f" --candidate {shlex.quote(row.candidate)}"
    where = shlex.quote(folder)
    return (
        f"python -m validation reproduce {shlex.quote(row.case_id)} --from {where}{candidate} "
        f"--out {shlex.quote(f'{folder}/{WORST}')}"
    )


def read_part(run: Run, folder: Path) -> Part | None:
    """Read the worst part that ``validation reproduce --out DIR/patches`` left, of the worst case that has one.

    Files that cannot be read are passed over: a picture decides nothing.
    """
    import re

    import numpy as np

    for row in _by_error(run):
        name = f"{row.case_id}-{re.sub(r'[^A-Za-z0-9_.]', '_', row.candidate)}.npz"
        path = folder / WORST / name
        if Path(name).name != name or not path.is_file():
            continue
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                reference, actual = arrays["reference"], arrays["candidate"]
        except (OSError, ValueError, KeyError, BadZipFile):
            continue
        is_number = reference.dtype.kind in "biufc" and actual.dtype.kind in "biufc"
        if is_number and reference.ndim == 2 and reference.shape == actual.shape and reference.size:
            return Part(case_id=row.case_id, candidate=row.candidate, reference=reference, actual=actual)
    return None


def worst_part(part: Part) -> Plot:
    """Draw magnitudes of reference, candidate and difference, each with its scale."""
    import numpy as np

    # Memory that was never written may hold anything: magnitudes that single precision cannot.
    reference, actual = part.reference.astype(np.complex128), part.actual.astype(np.complex128)
    difference: NDArray[Any] = np.abs(actual - reference)

    def largest(values: NDArray[Any]) -> float:
        finite = values[np.isfinite(values)]
        return float(finite.max(initial=0.0)) or 1.0

    top = largest(np.abs(reference))
    panels = (
        ("reference", np.abs(reference), top),
        (short(part.candidate, 20), np.abs(actual), top),
        ("difference", difference, largest(difference)),
    )
    with drawing(2.6, columns=3) as (figure, all_axes):
        for axes, (title, values, limit) in zip(all_axes, panels, strict=True):
            image = axes.imshow(values, vmin=0.0, vmax=limit, cmap="cividis", interpolation="nearest")
            axes.set_title(f"|{title}|")
            axes.set_xlabel("column")
            bar = figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.9)
            bar.ax.tick_params(labelsize=7)
            bar.ax.locator_params(nbins=3)
        all_axes[0].set_ylabel("row")
        svg = to_svg(figure, "worst")
    # An element that is no number is worse than any difference.
    at = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
    row, column = (int(index) for index in np.unravel_index(at, difference.shape))
    unfinished = int(np.sum(~np.isfinite(difference)))
    blank = f" {unfinished} of {difference.size} elements are NaN or Inf and stay blank." if unfinished else ""
    return Plot(
        name="worst",
        title="Worst part",
        caption=f"Magnitudes at {part.case_id}, in units of the result. The difference has a scale of its own.{blank}",
        description=f"Reference, candidate and difference of {difference.shape[0]} x {difference.shape[1]} elements "
        f"at {part.case_id}; the largest difference, {float(difference[row, column]):.3g}, is at row {row}, "
        f"column {column}.{blank}",
        svg=svg,
        wide=True,
    )
