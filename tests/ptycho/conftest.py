"""Workloads of the kernel tests: asymmetric, not square, x and y ranges different."""

import numpy as np
import pytest

from ptycho import params


@pytest.fixture(autouse=True)
def _fresh_parameters(monkeypatch):
    # The flag's environment variable stays: the suite runs once with it off and once with it on.
    monkeypatch.setattr(params, "cfg", params.defaults())


def make_object(height=83, width=71, dtype=np.complex64, seed=0):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(height, width)) + 1j * rng.normal(size=(height, width))
    return value.astype(dtype)


def make_positions(pattern, count, height, width, seed=0):
    """Positions (count, 2) [x, y] of one of the contract's patterns."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.1, 0.2]), np.array([0.55, 0.9])
    extent = np.array([width, height], float)
    inside = rng.uniform(low, high, (count, 2)) * extent
    if pattern == "interior":
        return inside
    if pattern == "integer":
        return np.round(inside)
    if pattern == "zero":
        return np.zeros((count, 2))
    if pattern == "border":
        edges = np.array([[0.0, 0.0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
        return edges[np.arange(count) % 4] + rng.uniform(-0.9, 0.9, (count, 2))
    if pattern == "outside":
        far = np.array([[-1e9, 3], [3, -40.5], [width + 300.25, 5], [1e20, -1e20], [7.5, height + 31.5]])
        return far[np.arange(count) % 5]
    raise ValueError(pattern)


PATTERNS = ("interior", "integer", "zero", "border", "outside")


def to_offsets(positions, gridsize):
    """Split positions (B*c, 2) into global (B,1,2,1) and local (B,1,2,c) offsets."""
    c = gridsize * gridsize
    grouped = positions.reshape(-1, c, 2)
    centre = np.zeros((len(grouped), 1, 2)) if not len(grouped) else grouped[:, :1]
    return centre[..., None], np.swapaxes(grouped - centre, 1, 2)[:, None]
