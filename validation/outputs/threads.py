"""Pieces of NumPy's work on all processors, where nothing is timed: NumPy lets other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from validation.machine.limits import usable_cores

Piece = TypeVar("Piece")
Found = TypeVar("Found")


def in_threads(work: Callable[[Piece], Found], pieces: Iterable[Piece]) -> Iterator[Found]:
    """Give what ``work`` returns for each piece, in their order; as many at once as there are processors."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(work, pieces)
