"""What is probed, and what a probe finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.child.watch import complete
from validation.contract.records import Case, Record
from validation.kernels.patches import workloads
from validation.kernels.patches.workloads import Arguments


class Found(Record, frozen=True, kw_only=True):
    """Whether a property holds, the figure that says so, and its limit."""

    passed: bool
    figure: float | None
    limit: float | None
    detail: str


class Subject(Record, frozen=True, kw_only=True):
    """What is probed: a function at a case. ``name`` is what `validation.kernels.registry` calls it."""

    function: Any
    name: str
    case: Case
    scan_path: str

    def result(self, arguments: Arguments) -> NDArray[Any]:
        """Call the function; the result lies where the function left it."""
        return complete(self.function(**arguments))

    def call(self, arguments: Arguments) -> NDArray[Any]:
        """Call the function, and copy the result."""
        return self.result(arguments).copy()

    def arguments(self) -> Arguments:
        """Make the case's arguments anew."""
        return workloads.build(self.case, self.scan_path)

    def others(self, arguments: Arguments, number: int) -> Arguments:
        """Make other arguments of the same size; the same number gives the same ones."""
        return workloads.fresh(self.case, arguments, workloads.generator(self.case, f"other inputs {number}"))


def within(figure: float, limit: float, detail: str) -> Found:
    """Find that a figure is at most its limit, or that it is not."""
    return Found(passed=bool(figure <= limit), figure=float(figure), limit=limit, detail=detail)


def same_bits(one: NDArray[Any], two: NDArray[Any], detail: str) -> Found:
    """Find that two arrays have the same shape, dtype and bits, or how many bytes differ."""
    if one.shape != two.shape or one.dtype != two.dtype:
        return Found(passed=False, figure=None, limit=0.0, detail=f"{detail}: {one.shape} became {two.shape}")
    raw = [np.ascontiguousarray(each).view(np.uint8) for each in (one, two)]
    return within(float(np.count_nonzero(raw[0] != raw[1])), 0.0, f"{detail}: bytes that differ")


def refuse_shape(found: NDArray[Any], expected: tuple[int, ...]) -> Found | None:
    """Find that a result has another shape; ``None`` if it has not."""
    if found.shape == expected:
        return None
    return Found(passed=False, figure=None, limit=None, detail=f"expected shape {expected}, got {found.shape}")
