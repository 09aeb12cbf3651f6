"""How far an output is from the expected one, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from validation.contract.records import Comparison
from validation.outputs.threads import in_threads

# Elements looked at together; the intermediate arrays stay in the processor's cache.
# What is promised for every case: absolute, with a relative tolerance of zero.
ATOL = 1e-6
_CHUNK = 1 << 16


def _float32_parts(values: NDArray[Any]) -> NDArray[np.float32]:
    """Real and imaginary parts (n, 2), or values (n, 1), in float32."""
    if values.dtype.kind == "c":
        return np.ascontiguousarray(values.astype(np.complex64)).view(np.float32).reshape(-1, 2)
    return np.ascontiguousarray(values.astype(np.float32)).reshape(-1, 1)


def ulp_distance(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the float32 numbers between two arrays of them; -0 and +0 are the same number."""

    def ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = values.view(np.int32).astype(np.int64)
        return np.asarray(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits), np.int64)

    return np.asarray(np.abs(ordered(expected) - ordered(actual)))


def _finite(values: NDArray[Any]) -> tuple[int, int]:
    """Count NaN and infinite elements; one with both parts is a NaN."""
    nan = np.isnan(values)
    return int(nan.sum()), int((np.isinf(values) & ~nan).sum())


def _same_bits(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    """Say per element whether both have the same bits."""
    if left.itemsize % 8 == 0:
        word: type[np.unsignedinteger[Any]] = np.uint64
    else:
        word = np.uint32 if left.itemsize % 4 == 0 else np.uint8
    words = left.itemsize // np.dtype(word).itemsize
    equal = (left.view(word) == right.view(word)).reshape(len(left), words)
    same: NDArray[np.bool_] = equal[:, 0].copy()
    for index in range(1, words):
        same &= equal[:, index]
    return same


class _Piece(NamedTuple):
    """What two pieces of the same length have in common.

    ``nan`` and ``inf`` are counted in the actual one. ``bad`` is the first place where either is not finite; with
    one, nothing was looked at further. ``where`` is the place of the largest ``error``.
    """

    identical: int
    nan: int
    inf: int
    bad: int | None
    error: float
    where: int
    ulp: int


def _look(left: NDArray[Any], right: NDArray[Any]) -> _Piece:
    """Compare a piece of the expected output with that of the actual one."""
    same = _same_bits(left, right)
    identical = int(np.count_nonzero(same))
    finite = np.isfinite(left) & np.isfinite(right)
    if not finite.all():
        return _Piece(identical, *_finite(right), bad=int(np.argmin(finite)), error=0.0, where=0, ulp=0)
    # Elements of the same bits are nowhere off; the others are looked at in double precision.
    differing = np.flatnonzero(~same)
    if len(differing) == 0:
        return _Piece(identical, nan=0, inf=0, bad=None, error=0.0, where=0, ulp=0)
    left, right = left[differing], right[differing]
    wide = np.complex128 if left.dtype.kind == "c" else np.float64
    errors = np.abs(left.astype(wide) - right.astype(wide))
    ulp = int(ulp_distance(_float32_parts(left), _float32_parts(right)).max())
    where = int(differing[np.argmax(errors)])
    return _Piece(identical, nan=0, inf=0, bad=None, error=float(errors.max()), where=where, ulp=ulp)


def compare(
    expected: NDArray[Any],
    actual: NDArray[Any],
    *,
    expected_name: str,
    actual_name: str,
    atol: float,
    scale: float = 1.0,
    require_going: Callable[[], None] = lambda: None,
) -> Comparison:
    """Compare two outputs.

    Parameters
    ----------
    expected, actual : ndarray
        May be memory-mapped; they are read in pieces.
    expected_name, actual_name : str
        Implementations that made them.
    atol : float
        Largest absolute difference that passes, in units of ``scale``; the relative tolerance is zero.
    scale : float
        Largest magnitude of the object. Differences are told in its units.
    require_going : callable
        Asked before each piece; what it raises ends the comparison.

    Returns
    -------
    Comparison
        Passes only if shape and dtype agree, everything is finite and no element is further off than
        ``atol * scale``. NaN and Inf are counted in ``actual``.

    Raises
    ------
    ValueError
        If ``scale`` is not a positive finite number.
    """
    if not 0.0 < scale < np.inf:
        raise ValueError(f"scale must be a positive finite number, got {scale}")
    facts: dict[str, Any] = {
        "expected": expected_name,
        "actual": actual_name,
        "atol": atol,
        "scale": scale,
        "elements": int(actual.size),
        "expected_shape": tuple(expected.shape),
        "actual_shape": tuple(actual.shape),
        "expected_dtype": str(expected.dtype),
        "actual_dtype": str(actual.dtype),
    }
    flat_actual = actual.reshape(-1)
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        pieces = [_finite(np.asarray(flat_actual[at : at + _CHUNK])) for at in range(0, actual.size, _CHUNK)]
        return Comparison(
            passed=False,
            max_abs_error=None,
            max_ulp=None,
            identical_share=None,
            worst_index=None,
            nan_count=sum(nan for nan, _ in pieces),
            inf_count=sum(inf for _, inf in pieces),
            **facts,
        )
    flat_expected = expected.reshape(-1)

    def look(at: int) -> _Piece:
        require_going()
        return _look(np.asarray(flat_expected[at : at + _CHUNK]), np.asarray(flat_actual[at : at + _CHUNK]))

    worst_error, worst_at, max_ulp, identical, nan_count, inf_count = -1.0, 0, 0, 0, 0, 0
    comparable = True
    starts = range(0, actual.size, _CHUNK)
    for at, piece in zip(starts, in_threads(look, starts), strict=True):
        nan_count, inf_count = nan_count + piece.nan, inf_count + piece.inf
        identical += piece.identical
        if piece.bad is not None:
            if comparable:
                worst_at = at + piece.bad
            comparable = False
        elif comparable:
            max_ulp = max(max_ulp, piece.ulp)
            if piece.error > worst_error:
                worst_error, worst_at = piece.error, at + piece.where
    worst_error = max(worst_error, 0.0) / scale
    return Comparison(
        passed=comparable and worst_error <= atol,
        max_abs_error=worst_error if comparable else None,
        max_ulp=max_ulp if comparable else None,
        identical_share=identical / actual.size if actual.size else 1.0,
        worst_index=tuple(int(i) for i in np.unravel_index(worst_at, actual.shape)) if actual.size else None,
        nan_count=nan_count,
        inf_count=inf_count,
        **facts,
    )
