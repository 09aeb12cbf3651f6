"""The nearest neighbours of scan positions, in an order that nothing but the positions decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Positions whose neighbours are worked on at a time, and how many more than asked the tree is asked for first.
_CHUNK = 1 << 14
_MORE = 4
# What rounding can do to a squared distance of the tree, relative.
_SLACK = 1e-9


def nearest(positions: NDArray[np.float64], centres: int, count: int) -> NDArray[np.int64]:
    """Find the nearest neighbours of the first positions.

    Parameters
    ----------
    positions : ndarray, shape (n, 2), float64
    centres : int
        How many of the positions, from the first on, get their neighbours.
    count : int
        How many neighbours, the position itself included.

    Returns
    -------
    ndarray, shape (min(centres, n), min(count, n)), int64
        Each position first, then the others by distance; equal distances by index. ``n log n`` in time.
    """
    from scipy.spatial import cKDTree

    total = len(positions)
    rows, count = min(centres, total), min(count, total)
    # The tree is of places: any number of positions may lie at one.
    order = np.lexsort((np.arange(total), positions[:, 1], positions[:, 0]))
    ordered = positions[order]
    fresh = np.ones(total, dtype=bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(fresh)
    held = np.minimum(np.diff(np.append(starts, total)), count)
    places = ordered[starts]
    tree = cKDTree(places)
    found = np.empty((rows, count), np.int64)
    for first in range(0, rows, _CHUNK):
        todo = np.arange(first, min(first + _CHUNK, rows))
        asked = min(count + _MORE, len(places))
        while len(todo):
            reach, near = tree.query(positions[todo], k=[*range(1, asked + 1)])
            members, distances = _members(positions, todo, near, order, starts, held)
            ranked = np.lexsort((members, distances, members != todo[:, None]), axis=1)[:, :count]
            last = np.take_along_axis(distances, ranked[:, -1:], axis=1)[:, 0]
            whole = (last < reach[:, -1] ** 2 * (1 - _SLACK)) | (asked == len(places))
            found[todo[whole]] = np.take_along_axis(members, ranked, axis=1)[whole]
            todo, asked = todo[~whole], min(2 * asked, len(places))
    return found


def _members(
    positions: NDArray[np.float64],
    centres: NDArray[np.int64],
    near: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    held: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions at the nearest places of each centre, and their squared distances; infinite where there is none."""
    steps = np.arange(int(held[near].max()))
    there = steps < held[near][..., None]
    members = np.where(there, order[np.where(there, starts[near][..., None] + steps, 0)], -1).reshape(len(centres), -1)
    # A position that is one of very many at its place may not be among those that are held: it comes on its own.
    members[members == centres[:, None]] = -1
    members = np.column_stack([centres, members])
    away = positions[members] - positions[centres][:, None]
    return members, np.where(members < 0, np.inf, (away**2).sum(axis=-1))
