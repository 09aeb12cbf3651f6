"""Independent results in float64 NumPy: a direct reading of the formulas, sharing no code with ``ptycho``.

Only what the contract fixes in lower precision is done in it: offsets are float32, coordinates of a
complex64 object are formed in float32. Everything else is float64 and rounded once at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Groups whose coordinates are formed at once.
_CHUNK_GROUPS = 500


def _corner_weights(
    coordinate: NDArray[Any], size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Find the indices of both neighbours in an array with one zero added at either end, and the upper one's weight."""
    lower = np.floor(coordinate)
    weight = (coordinate - lower).astype(np.float64)
    index = np.clip(lower, -1.0, float(size)).astype(np.intp)
    upper = np.clip(lower + 1.0, -1.0, float(size)).astype(np.intp)
    return index + 1, upper + 1, weight


def _blend(
    lower: NDArray[np.complex128], upper: NDArray[np.complex128], weight: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return ``(1 - weight) * lower + weight * upper``, in the memory of both.

    Real and imaginary part are blended apart, so that an infinity in one leaves the other finite.
    """
    parts, others = lower.view(np.float64), upper.view(np.float64)
    weights = weight if weight.ndim == 2 else weight.repeat(2)
    parts *= 1.0 - weights
    others *= weights
    parts += others
    return lower


def extract_patches(
    gt_image: NDArray[Any], global_offsets: NDArray[Any], local_offsets: NDArray[Any], N: int, gridsize: int
) -> NDArray[np.complex64]:
    """Bilinear N x N windows of the object, padded by N // 2 zeros, at every offset.

    Parameters
    ----------
    gt_image : ndarray, shape (H, W), complex
    global_offsets, local_offsets : ndarray, shapes (B, 1, 2, 1) and (B, 1, 2, c)
        Pixels, axis 2 = [x, y].
    N, gridsize : int

    Returns
    -------
    ndarray, shape (B, N, N, c), complex64
    """
    image = np.asarray(gt_image)
    coordinate_dtype = np.float64 if image.dtype == np.complex128 else np.float32
    # Sum, then one rounding to float32; the coordinates then have the precision of the object.
    total = (np.asarray(global_offsets, np.float64) + np.asarray(local_offsets, np.float64)).astype(np.float32)
    # One more zero on each side: indices outside land on it.
    half = N // 2
    padded = np.pad(image.astype(np.complex128), half + 1)
    height, width = image.shape[0] + 2 * half, image.shape[1] + 2 * half
    axis: NDArray[Any] = np.arange(N, dtype=coordinate_dtype)
    out = np.empty((len(total), N, N, gridsize**2), np.complex64)
    for first in range(0, len(total), _CHUNK_GROUPS):
        offsets = np.swapaxes(total[first : first + _CHUNK_GROUPS, 0], 1, 2).astype(coordinate_dtype)[..., None]
        x0, x1, wx = _corner_weights(offsets[:, :, 0] + axis, width)
        y0, y1, wy = _corner_weights(offsets[:, :, 1] + axis, height)
        for group, channel in np.ndindex(*x0.shape[:2]):
            at = group, channel
            # Along the rows that the patch needs first, then between them.
            top = y0[at][0]
            rows = padded[top : y1[at][-1] + 1]
            lines = _blend(rows.take(x0[at], axis=1), rows.take(x1[at], axis=1), wx[at])
            out[first + group, :, :, channel] = _blend(lines[y0[at] - top], lines[y1[at] - top], wy[at][:, None])
    return out


def canvas_size(global_offsets: NDArray[Any], M: int) -> int:
    """Side S of the canvas of `shift_and_sum`, pixels."""
    return M + 2 * _adjusted(global_offsets)[1]


def first_rows(global_offsets: NDArray[Any]) -> NDArray[np.int64]:
    """First canvas row of each part that `shift_and_sum` places, rounded down."""
    adjusted, pad = _adjusted(global_offsets)
    return np.asarray(np.floor(adjusted[:, 1]) + pad, np.int64)


def _adjusted(global_offsets: NDArray[Any]) -> tuple[NDArray[np.float32], int]:
    """Offsets (P, 2) minus their mean in float32, and the even padding that holds the largest."""
    flat = np.asarray(global_offsets, np.float64).reshape(-1, 2)
    adjusted = flat.astype(np.float32) - flat.mean(axis=0).astype(np.float32)
    size = int(np.ceil(np.abs(adjusted).max()))
    return adjusted, size + size % 2


def shift_and_sum(
    obj_tensor: NDArray[Any], global_offsets: NDArray[Any], M: int, rows: slice | None = None
) -> NDArray[np.complex64]:
    """Add the central M x M parts of patches to one canvas, each moved by its offset from the mean.

    Parameters
    ----------
    obj_tensor : ndarray, shape (P, N, N, 1), complex64
    global_offsets : ndarray, shape (P, 1, 1, 2) or (P, 1, 2, 1)
        Pixels, [x, y].
    M : int
    rows : slice, optional
        Rows of the canvas that are wanted; all if left out.

    Returns
    -------
    ndarray, shape (S, S, 1) or (rows, S, 1), complex64
        ``S = M + 2 * pad``, ``pad = ceil(max |offset - mean|)`` made even.
    """
    patches = np.asarray(obj_tensor)[..., 0]
    adjusted, pad = _adjusted(global_offsets)
    side = M + 2 * pad
    start = patches.shape[1] // 2 - M // 2
    axis = np.arange(side, dtype=np.float32)
    band = slice(0, side) if rows is None else rows
    canvas = np.zeros((band.stop - band.start, side), np.complex128)
    part = np.zeros((M + 2, M + 2), np.complex128)
    for patch, (dx, dy) in zip(patches, adjusted, strict=True):
        # The part lies at pad .. pad + M - 1 before it is moved; around it everything is zero.
        top = max(band.start, int(np.floor(pad + dy)) - 2)
        bottom = min(band.stop, max(0, int(np.ceil(pad + M + dy)) + 2))
        if bottom <= top:
            continue
        part[1:-1, 1:-1] = patch[start : start + M, start : start + M]
        columns = slice(max(0, int(np.floor(pad + dx)) - 2), max(0, int(np.ceil(pad + M + dx)) + 2))
        y0, y1, wy = _corner_weights(axis[top:bottom] - dy - np.float32(pad), M)
        x0, x1, wx = _corner_weights(axis[columns] - dx - np.float32(pad), M)
        lines = _blend(part.take(x0, axis=1), part.take(x1, axis=1), wx)
        canvas[top - band.start : bottom - band.start, columns] += _blend(
            lines.take(y0, axis=0), lines.take(y1, axis=0), wy[:, None]
        )
    return canvas.astype(np.complex64)[..., None]


def extract_patches_adjoint(
    patches: NDArray[Any],
    shape: tuple[int, int],
    global_offsets: NDArray[Any],
    local_offsets: NDArray[Any],
    coordinate_dtype: type[np.floating[Any]],
) -> NDArray[np.complex128]:
    """Apply the adjoint of `extract_patches`: every pixel of a patch goes back to the corners it came from.

    Parameters
    ----------
    patches : ndarray, shape (B, N, N, c), complex
    shape : tuple
        (H, W) of the object.
    global_offsets, local_offsets : ndarray
        As in `extract_patches`.
    coordinate_dtype : type
        float32 for a complex64 object, float64 for a complex128 one.

    Returns
    -------
    ndarray, shape (H, W), complex128
    """
    N = patches.shape[1]
    half = N // 2
    height, width = shape[0] + 2 * half, shape[1] + 2 * half
    padded = np.zeros((height + 2, width + 2), np.complex128)
    total = (np.asarray(global_offsets, np.float64) + np.asarray(local_offsets, np.float64)).astype(np.float32)
    axis: NDArray[Any] = np.arange(N, dtype=coordinate_dtype)
    for group, channel in np.ndindex(patches.shape[0], patches.shape[3]):
        ox, oy = total[group, 0, :, channel].astype(coordinate_dtype)
        x0, x1, wx = _corner_weights(axis + ox, width)
        y0, y1, wy = _corner_weights(axis + oy, height)
        patch = patches[group, :, :, channel].astype(np.complex128)
        for rows, row_weight in ((y0, 1.0 - wy), (y1, wy)):
            for columns, column_weight in ((x0, 1.0 - wx), (x1, wx)):
                np.add.at(padded, np.ix_(rows, columns), row_weight[:, None] * column_weight[None, :] * patch)
    return padded[half + 1 : half + 1 + shape[0], half + 1 : half + 1 + shape[1]]


def shift_and_sum_adjoint(
    canvas: NDArray[Any], shape: tuple[int, ...], global_offsets: NDArray[Any], M: int
) -> NDArray[np.complex128]:
    """Apply the adjoint of `shift_and_sum`: every patch takes from the canvas what it gave to it.

    Parameters
    ----------
    canvas : ndarray, shape (S, S, 1), complex
    shape : tuple
        (P, N, N, 1) of the patches.
    global_offsets : ndarray
        As in `shift_and_sum`.
    M : int

    Returns
    -------
    ndarray, shape (P, N, N, 1), complex128
    """
    adjusted, pad = _adjusted(global_offsets)
    start = shape[1] // 2 - M // 2
    axis = np.arange(canvas.shape[0], dtype=np.float32)
    patches = np.zeros(shape, np.complex128)
    wide = canvas[..., 0].astype(np.complex128)
    for patch, (dx, dy) in zip(patches, adjusted, strict=True):
        part = np.zeros((M + 2, M + 2), np.complex128)
        y0, y1, wy = _corner_weights(axis - dy - np.float32(pad), M)
        x0, x1, wx = _corner_weights(axis - dx - np.float32(pad), M)
        for rows, row_weight in ((y0, 1.0 - wy), (y1, wy)):
            for columns, column_weight in ((x0, 1.0 - wx), (x1, wx)):
                np.add.at(part, np.ix_(rows, columns), row_weight[:, None] * column_weight[None, :] * wide)
        patch[start : start + M, start : start + M, 0] = part[1:-1, 1:-1]
    return patches
