"""What a property is checked of, and what the check finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.base import Record
from validation.contract.cases import Case
from validation.contract.kernel import Arguments, Kernel, generator
from validation.outputs.tree import Tree, complete


class Found(Record, frozen=True, kw_only=True):
    """Whether a property holds, the figure that says so, and its limit."""

    passed: bool
    figure: float | None
    limit: float | None
    detail: str


# Gives the result of the case in fresh processes, one for each number of threads; or why there is none.
Afresh = Callable[[tuple[int, ...]], "list[Tree] | str"]


def apply(function: Callable[..., Any], arguments: Arguments) -> Any:
    """Call a function with arguments by name, or in order."""
    return function(**arguments) if isinstance(arguments, dict) else function(*arguments)


class Tested:
    """An implementation at a case.

    Parameters
    ----------
    function : callable
    kernel : Kernel
    case : Case
    data : str or None
        Path of the scan, where the kernel takes one.
    afresh : callable
        Gives the result of the case in fresh processes, by their number of threads.
    may_share : bool
        Whether a result may share memory with an input, as that of the reference does.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kernel: Kernel,
        case: Case,
        data: str | None,
        afresh: Afresh,
        may_share: bool = False,
    ) -> None:
        self.function = function
        self.kernel = kernel
        self.case = case
        self.data = data
        self.afresh = afresh
        self.may_share = may_share

    def result(self, arguments: Arguments) -> Tree:
        """Call the function; the result lies where the function left it."""
        return complete(apply(self.function, arguments))

    def copied(self, arguments: Arguments) -> Tree:
        """Call the function, and copy the result."""
        return copy_of(self.result(arguments))

    def call(self, arguments: Arguments) -> NDArray[Any]:
        """Call a function whose result is one array, and copy that."""
        return self.result(arguments).array.copy()

    def arguments(self) -> Any:
        """Make the case's arguments anew."""
        return self.kernel.inputs(self.case, self.data)

    def others(self, arguments: Arguments, number: int) -> Any:
        """Make other arguments of the same size; the same number gives the same ones."""
        rng = generator(self.case, f"other inputs {number}")
        return self.kernel.fresh(self.case, arguments, rng, self.data)


def copy_of(tree: Tree) -> Tree:
    """Copy the arrays of a result."""
    return tree._replace(arrays=tuple(array.copy() for array in tree.arrays))


def within(figure: float, limit: float, detail: str) -> Found:
    """Find that a figure is at most its limit, or that it is not."""
    return Found(passed=bool(figure <= limit), figure=float(figure), limit=limit, detail=detail)


def refused(detail: str) -> Found:
    """Find that a property does not hold."""
    return Found(passed=False, figure=None, limit=None, detail=detail)


def same_bits(one: NDArray[Any], two: NDArray[Any], detail: str) -> Found:
    """Find that two arrays have the same shape, dtype and bits, or how many bytes differ."""
    if one.shape != two.shape or one.dtype != two.dtype:
        return Found(passed=False, figure=None, limit=0.0, detail=f"{detail}: {one.shape} became {two.shape}")
    raw = [np.frombuffer(np.ascontiguousarray(each).tobytes(), np.uint8) for each in (one, two)]
    return within(float(np.count_nonzero(raw[0] != raw[1])), 0.0, f"{detail}: bytes that differ")


def same_tree(one: Tree, two: Tree, detail: str) -> Found:
    """Find that two results have the same structure and bits, or where they differ first."""
    if one.skeleton != two.skeleton or one.paths != two.paths:
        return Found(passed=False, figure=None, limit=0.0, detail=f"{detail}: another structure")
    found = within(0.0, 0.0, f"{detail}: bytes that differ")
    for path, left, right in zip(one.paths, one.arrays, two.arrays, strict=True):
        found = same_bits(left, right, f"{detail}{f' at {path}' if path else ''}")
        if not found.passed:
            return found
    return found


def refuse_shape(found: NDArray[Any], expected: tuple[int, ...]) -> Found | None:
    """Find that a result has another shape; ``None`` if it has not."""
    return None if found.shape == expected else refused(f"expected shape {expected}, got {found.shape}")
