"""How far the elements of two arrays of the same shape are apart; looked at in pieces, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from validation.outputs.threads import in_threads

# Elements looked at together, and the bytes of one from which on there are fewer; what is made of them stays in the
# processor's cache.
_CHUNK = 1 << 16
_WIDE = 16


class Rule(NamedTuple):
    """What numbers may be apart: ``atol`` in units of ``scale``, and ``rtol`` of the expected magnitude."""

    atol: float
    rtol: float
    scale: float


EXACTLY = Rule(atol=0.0, rtol=0.0, scale=1.0)


class Found(NamedTuple):
    """What two arrays, or pieces of them, have in common.

    ``nan`` and ``inf`` are counted in the actual one, where the expected one has not the same. ``bad`` is the first
    place where either is not finite and the other not the same, or where something that is no number differs; with
    one, nothing was looked at further. ``where`` is the place of the difference that takes the largest ``share`` of
    what it may be; ``error`` is the largest difference in units of the scale. ``ulp`` is ``None`` where whole numbers
    differ.
    """

    identical: int
    nan: int = 0
    inf: int = 0
    bad: int | None = None
    error: float = 0.0
    share: float = 0.0
    where: int = 0
    ulp: int | None = 0


def ulp_distance(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the float32 numbers between two arrays of them; -0 and +0 are the same number."""

    def ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = values.view(np.int32).astype(np.int64)
        return np.asarray(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits), np.int64)

    return np.asarray(np.abs(ordered(expected) - ordered(actual)))


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


def _parts(values: NDArray[Any]) -> NDArray[Any]:
    """Real and imaginary parts (n, 2), or values (n, 1), in double precision, or wider where they are."""
    if values.dtype.kind == "c":
        wide = np.ascontiguousarray(values.astype(np.result_type(values.dtype, np.complex128)))
        return wide.view(wide.real.dtype).reshape(-1, 2)
    return np.ascontiguousarray(values.astype(np.result_type(values.dtype, np.float64))).reshape(-1, 1)


def _magnitude(parts: NDArray[Any]) -> NDArray[Any]:
    values = parts.reshape(-1) if parts.shape[1] == 1 else parts.reshape(-1).view(np.result_type(parts, np.complex64))
    return np.asarray(np.abs(values))


def _floating(left: NDArray[Any], right: NDArray[Any], rule: Rule) -> Found:
    """Compare numbers of which no two have the same bits; places count among them."""
    expected, actual = _parts(left), _parts(right)
    special = ~(np.isfinite(expected) & np.isfinite(actual))
    if special.any():
        # A NaN is where a NaN is expected, an Inf of the same sign where an Inf is: no difference, part by part.
        alike = special & ((expected == actual) | (np.isnan(expected) & np.isnan(actual)))
        bad = special & ~alike
        if bad.any():
            nan = (bad & np.isnan(actual)).any(axis=1)
            inf = (bad & np.isinf(actual)).any(axis=1) & ~nan
            return Found(0, int(nan.sum()), int(inf.sum()), bad=int(np.argmax(bad.any(axis=1))))
        expected[alike], actual[alike] = 0.0, 0.0
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        errors = _magnitude(expected - actual) / rule.scale
        allowed = rule.atol + (rule.rtol * (_magnitude(expected) / rule.scale) if rule.rtol else 0.0)
        shares = np.where(errors == 0.0, 0.0, errors / allowed)
        shares[np.isnan(shares)] = np.inf
        ulp = int(ulp_distance(expected.astype(np.float32), actual.astype(np.float32)).max())
    where = int(np.argmax(shares if rule.rtol else errors))
    return Found(0, error=float(errors.max()), share=float(shares[where]), where=where, ulp=ulp)


def _whole(left: NDArray[Any], right: NDArray[Any], rule: Rule) -> Found:
    """Compare whole numbers, or truths, that all differ; places count among them."""
    if left.dtype.kind == "b":
        return Found(0, error=1.0 / rule.scale, share=np.inf, ulp=None)
    wide = np.uint64 if left.dtype.kind == "u" else np.int64
    expected, actual = left.astype(wide), right.astype(wide)
    # The difference of two integers can be too large for their own kind.
    errors = np.maximum(expected, actual).view(np.uint64) - np.minimum(expected, actual).view(np.uint64)
    where = int(np.argmax(errors))
    return Found(0, error=float(errors[where]) / rule.scale, share=np.inf, where=where, ulp=None)


def _look(left: NDArray[Any], right: NDArray[Any], rule: Rule) -> Found:
    """Compare a piece of the expected array with that of the actual one."""
    same = _same_bits(left, right) if left.dtype == right.dtype else np.asarray(left == right)
    # Elements of the same bits are nowhere off; the others are looked at.
    differing = np.flatnonzero(~same)
    identical = len(same) - len(differing)
    if len(differing) == 0:
        return Found(identical)
    if left.dtype.kind in "fc":
        found = _floating(left[differing], right[differing], rule)
    elif left.dtype.kind in "biu":
        found = _whole(left[differing], right[differing], rule)
    else:
        return Found(identical, bad=int(differing[0]), ulp=None)
    bad = None if found.bad is None else int(differing[found.bad])
    return found._replace(identical=identical, bad=bad, where=int(differing[found.where]))


def _pieces(array: NDArray[Any]) -> Callable[[slice], NDArray[Any]]:
    """Give pieces of an array in C order, copied where it does not lie in one piece."""
    flat = array.reshape(-1) if array.flags.c_contiguous else None
    return lambda some: np.asarray(array.flat[some] if flat is None else flat[some])


def _slices(array: NDArray[Any]) -> list[slice]:
    step = max(1, _CHUNK * _WIDE // max(_WIDE, array.itemsize))
    return [slice(at, at + step) for at in range(0, array.size, step)]


def not_finite(array: NDArray[Any]) -> tuple[int, int]:
    """Count the NaN and the infinite elements of an array; one with both parts is a NaN."""
    if array.dtype.kind not in "fc":
        return 0, 0
    nan = inf = 0
    piece = _pieces(array)
    for some in _slices(array):
        is_nan = np.isnan(piece(some))
        nan += int(is_nan.sum())
        inf += int((np.isinf(piece(some)) & ~is_nan).sum())
    return nan, inf


def look_at(
    expected: NDArray[Any], actual: NDArray[Any], rule: Rule, require_going: Callable[[], None] = lambda: None
) -> Found:
    """Compare two arrays of the same shape and of comparable dtypes.

    Parameters
    ----------
    expected, actual : ndarray
        May be memory-mapped; they are read in pieces.
    rule : Rule
        For floating-point numbers; anything else is compared exactly.
    require_going : callable
        Asked before each piece; what it raises ends the comparison.

    Returns
    -------
    Found
        Its places count in C order.
    """
    of_expected, of_actual = _pieces(expected), _pieces(actual)

    def look(some: slice) -> Found:
        require_going()
        return _look(of_expected(some), of_actual(some), rule)

    slices = _slices(expected)
    total = Found(0)
    for some, piece in zip(slices, in_threads(look, slices) if len(slices) > 1 else map(look, slices), strict=True):
        total = _joined(total, piece, some.start)
    return total


def _joined(total: Found, piece: Found, at: int) -> Found:
    """Add what was found in the next piece, which begins at a place."""
    bad = total.bad if total.bad is not None or piece.bad is None else at + piece.bad
    worse = at == 0 or (piece.share, piece.error) > (total.share, total.error)
    return Found(
        identical=total.identical + piece.identical,
        nan=total.nan + piece.nan,
        inf=total.inf + piece.inf,
        bad=bad,
        error=max(total.error, piece.error),
        share=max(total.share, piece.share),
        where=at + piece.where if worse else total.where,
        ulp=None if total.ulp is None or piece.ulp is None else max(total.ulp, piece.ulp),
    )
