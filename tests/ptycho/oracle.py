"""Independent float64 oracle in NumPy: a direct reading of the formulas, sharing no code with ``ptycho``."""

import numpy as np


def _pixel(image, row, column):
    height, width = image.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    value = image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.where(inside, value, 0)


def sample(image, rows, columns, coordinate_dtype=np.float64):
    """Bilinear samples of ``image`` on the grid rows x columns; corners outside count as zero."""
    rows = np.asarray(rows, coordinate_dtype)[:, None]
    columns = np.asarray(columns, coordinate_dtype)[None, :]
    wy = (rows - np.floor(rows)).astype(np.float64)
    wx = (columns - np.floor(columns)).astype(np.float64)
    y = np.clip(np.floor(rows), -10, image.shape[0] + 10).astype(int)
    x = np.clip(np.floor(columns), -10, image.shape[1] + 10).astype(int)
    return (
        (1 - wx) * (1 - wy) * _pixel(image, y, x)
        + wx * (1 - wy) * _pixel(image, y, x + 1)
        + (1 - wx) * wy * _pixel(image, y + 1, x)
        + wx * wy * _pixel(image, y + 1, x + 1)
    )


def patches(image, offsets, N, B, c):
    """Patches (B, N, N, c) of an object (H, W) for flat offsets (B*c, 2) [x, y]."""
    image = np.asarray(image)
    real = np.float64 if image.dtype == np.complex128 else np.float32
    padded = np.pad(image, N // 2).astype(np.complex128)
    out = np.zeros((B, N, N, c), np.complex128)
    index = np.arange(N, dtype=real)
    for p, (ox, oy) in enumerate(np.asarray(offsets, np.float32).astype(real)):
        out[p // c, :, :, p % c] = sample(padded, index + oy, index + ox, real)
    return out


def placed(parts, offsets):
    """Canvas (S, S) of parts (P, M, M) added at float32 offsets (P, 2) [x, y] about their mean."""
    offsets = np.asarray(offsets, np.float64)
    centre = offsets.mean(axis=0).astype(np.float32)
    adjusted = offsets.astype(np.float32) - centre
    size = int(np.ceil(np.abs(adjusted).max()))
    size += size % 2
    canvas = 0
    index = np.arange(parts.shape[1] + 2 * size, dtype=np.float32)
    for part, (dx, dy) in zip(parts, adjusted, strict=True):
        canvas = canvas + sample(np.pad(part, size).astype(np.complex128), index - dy, index - dx, np.float32)
    return canvas
