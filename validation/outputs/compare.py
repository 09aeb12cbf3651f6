"""How far a result is from the expected one: array by array, and in words where its structure differs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from validation.contract.measurements import Comparison
from validation.outputs.elements import EXACTLY, Found, Rule, look_at, not_finite
from validation.outputs.matching import NOTHING, Pair, Place, pairs, told
from validation.outputs.tree import Tree


def compare(
    expected: Tree,
    actual: Tree,
    *,
    expected_name: str,
    actual_name: str,
    atol: float,
    rtol: float = 0.0,
    scale: float = 1.0,
    require_going: Callable[[], None] = lambda: None,
) -> Comparison:
    """Compare two results.

    Parameters
    ----------
    expected, actual : Tree
        Their arrays may be memory-mapped; they are read in pieces.
    expected_name, actual_name : str
        Implementations that made them.
    atol : float
        Largest absolute difference of floating-point numbers that passes, in units of ``scale``.
    rtol : float
        What passes beyond that, as a share of the expected magnitude.
    scale : float
        Largest magnitude of the object. Differences are told in its units.
    require_going : callable
        Asked before each piece; what it raises ends the comparison.

    Returns
    -------
    Comparison
        Passes only if structure, names, shapes and dtypes agree, no floating-point number is further off than
        ``atol * scale + rtol * abs(expected)``, and everything else is the same: integers, truths, times, texts, and
        the index of a table. A NaN or Inf is equal to the same one in its place.

    Raises
    ------
    ValueError
        If ``scale`` is not a positive finite number, or a tolerance is negative or none.
    """
    if not 0.0 < scale < math.inf:
        raise ValueError(f"scale must be a positive finite number, got {scale}")
    for name, tolerance in (("atol", atol), ("rtol", rtol)):
        if not 0.0 <= tolerance < math.inf:
            raise ValueError(f"{name} must be a finite number and not negative, got {tolerance}")
    found = _Sum()
    for pair in pairs(expected, actual):
        found.add(pair, Rule(atol, rtol, scale), require_going)
    return Comparison(expected=expected_name, actual=actual_name, atol=atol, rtol=rtol, scale=scale, **found.figures())


class _Sum:
    """What is found in the pairs of two results, and which pair is the worst."""

    def __init__(self) -> None:
        self.elements = self.identical = self.nan = self.inf = 0
        self.error = self.share = 0.0
        self.ulp: int | None = 0
        # First something else than numbers differs, then a NaN or Inf, then the largest share; the first of equals.
        self._rank: tuple[float, ...] = ()
        self._worst: tuple[Pair, tuple[int, ...] | None] = (Pair(Place(""), NOTHING, NOTHING), None)

    def add(self, pair: Pair, rule: Rule, require_going: Callable[[], None]) -> None:
        """Look at a pair."""
        self.elements += pair.texts + sum(array.size for array in pair.alone)
        self.identical += pair.texts
        for array in pair.alone:
            self._count(*not_finite(array))
        if pair.arrays is None:
            self._rate((1.0, -1.0, 0.0) if pair.difference is None else (3.0,), pair, pair.at)
            return
        left, right = pair.arrays
        found = look_at(left, right, EXACTLY._replace(scale=rule.scale) if pair.place.exactly else rule, require_going)
        self.elements += right.size
        self.identical += found.identical
        self._count(found.nan, found.inf)
        self.error, self.share = max(self.error, found.error), max(self.share, found.share)
        self.ulp = None if self.ulp is None or found.ulp is None else max(self.ulp, found.ulp)
        where = found.where if found.bad is None else found.bad
        at = tuple(int(i) for i in np.unravel_index(where, right.shape)) if right.size else None
        if found.bad is not None and right.dtype.kind not in "fc":
            words = told(pair.place, _written(left[at]), _written(right[at]), at or ())
            self._rate((3.0,), pair._replace(difference=words), at)
        else:
            self._rate(_rank(found) if right.size else (1.0, -1.0, 0.0), pair, at)

    def _count(self, nan: int, inf: int) -> None:
        self.nan, self.inf = self.nan + nan, self.inf + inf

    def _rate(self, rank: tuple[float, ...], pair: Pair, at: tuple[int, ...] | None) -> None:
        if rank > self._rank:
            self._rank, self._worst = rank, (pair, at)

    def figures(self) -> dict[str, Any]:
        """Give the figures of a record."""
        pair, at = self._worst
        place, shapes = pair.place, (pair.expected.shape, pair.actual.shape)
        if at is not None:
            place, at = place.element(at)
            shapes = shapes[0][len(shapes[0]) - len(at) :], shapes[1][len(shapes[1]) - len(at) :]
        same, finite = pair.difference is None, self._rank[0] < 2.0
        told_error = same and finite and math.isfinite(self.error)
        return {
            "passed": same and finite and self.share <= 1.0,
            "elements": self.elements,
            "expected_shape": shapes[0],
            "actual_shape": shapes[1],
            "expected_dtype": pair.expected.dtype,
            "actual_dtype": pair.actual.dtype,
            "max_abs_error": self.error if told_error else None,
            "max_ulp": self.ulp if same and finite else None,
            "identical_share": (self.identical / self.elements if self.elements else 1.0) if same else None,
            "worst_index": at,
            "nan_count": self.nan,
            "inf_count": self.inf,
            "worst_share": self.share if told_error and math.isfinite(self.share) else None,
            "path": place.path,
            "difference": pair.difference,
        }


def _rank(found: Found) -> tuple[float, ...]:
    return (2.0,) if found.bad is not None else (1.0, found.share, found.error)


def _written(value: Any) -> str:
    """Write a text, a time or raw bytes."""
    return str(value) if value.dtype.kind in "mM" else repr(value.item())
