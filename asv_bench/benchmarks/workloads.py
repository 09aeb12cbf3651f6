"""Seeded inputs as NumPy arrays: asymmetric, not square, x and y ranges different."""

import numpy as np

from .grid import HEIGHT, WIDTH


def positions(count, seed=1):
    """Scan positions (count, 2), [x, y] in pixels of the object, float64."""
    return np.random.default_rng(seed).uniform([0.0, 0.1 * HEIGHT], [0.9 * WIDTH, HEIGHT - 1.0], (count, 2))


def random_object(dtype):
    """Object (HEIGHT, WIDTH)."""
    parts = np.random.default_rng(0).uniform(-1.0, 1.0, (2, HEIGHT, WIDTH))
    return (parts[0] + 1j * parts[1]).astype(dtype)


def group_offsets(B, c):
    """Global (B, 1, 2, 1) and local (B, 1, 2, c) offsets."""
    grouped = positions(B * c).reshape(B, c, 2)
    centre = grouped.mean(axis=1, keepdims=True)
    return centre.reshape(B, 1, 2, 1), np.swapaxes(grouped - centre, 1, 2)[:, np.newaxis]


def random_patches(N, P):
    """Patches (P, N, N, 1), complex64."""
    parts = np.random.default_rng(2).uniform(-1.0, 1.0, (2, P, N, N, 1)).astype(np.float32)
    return parts[0] + 1j * parts[1]
