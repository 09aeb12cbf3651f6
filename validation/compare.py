"""How far an output is from the expected one, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.records import Comparison

# Elements looked at together; the intermediate arrays stay in the processor's cache.
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


def compare(
    expected: NDArray[Any], actual: NDArray[Any], *, expected_name: str, actual_name: str, atol: float
) -> Comparison:
    """Compare two outputs.

    Parameters
    ----------
    expected, actual : ndarray
        May be memory-mapped; they are read in pieces.
    expected_name, actual_name : str
        Implementations that made them.
    atol : float
        Largest absolute difference that passes, in units of the object; the relative tolerance is zero.

    Returns
    -------
    Comparison
        Passes only if shape and dtype agree, everything is finite and no element is further off than
        ``atol``. NaN and Inf are counted in ``actual``.
    """
    facts: dict[str, Any] = {
        "expected": expected_name,
        "actual": actual_name,
        "atol": atol,
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
    worst_error, worst_at, max_ulp, identical, nan_count, inf_count = -1.0, 0, 0, 0, 0, 0
    comparable = True
    for at in range(0, actual.size, _CHUNK):
        left, right = np.asarray(flat_expected[at : at + _CHUNK]), np.asarray(flat_actual[at : at + _CHUNK])
        nan, inf = _finite(right)
        nan_count, inf_count = nan_count + nan, inf_count + inf
        same = _same_bits(left, right)
        identical += int(np.count_nonzero(same))
        if nan or inf or sum(_finite(left)):
            bad = ~(np.isfinite(left) & np.isfinite(right))
            if comparable:
                worst_at = at + int(np.argmax(bad))
            comparable = False
            continue
        if not comparable:
            continue
        # Elements of the same bits are nowhere off; the others are looked at in double precision.
        differing = np.flatnonzero(~same)
        if len(differing) == 0:
            error, where = 0.0, 0
        else:
            left, right = left[differing], right[differing]
            wide = np.complex128 if left.dtype.kind == "c" else np.float64
            errors = np.abs(left.astype(wide) - right.astype(wide))
            error, where = float(errors.max()), int(differing[np.argmax(errors)])
            max_ulp = max(max_ulp, int(ulp_distance(_float32_parts(left), _float32_parts(right)).max()))
        if error > worst_error:
            worst_error, worst_at = error, at + where
    worst_error = max(worst_error, 0.0)
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
