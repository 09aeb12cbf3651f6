"""A covering design that costs little: every pair of values occurs, and large values meet small ones.

`allpairspy` finds the rows and knows no cost: it is as ready to put the largest batch with the largest patches as with
the smallest. Exchanging values between rows keeps all pairs and takes a fraction of the time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Row = tuple[Any, ...]
Pair = tuple[int, Any, int, Any]


def pairs(row: Row) -> list[Pair]:
    """Give the pairs of values of a row, each value with its axis."""
    return [(i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)]


def _put(row: Row, axis: int, value: Any) -> Row:
    return (*row[:axis], value, *row[axis + 1 :])


def lighten(
    rows: Sequence[Row],
    axes: Sequence[Sequence[Any]],
    cost: Callable[[Row], float],
    *,
    worth: float,
    may_change: Callable[[Row], bool],
    fits: Callable[[Row], bool],
) -> list[Row]:
    """Exchange values until no single exchange makes the rows cheaper and keeps every pair they hold.

    An exchange gives an expensive row another value, or swaps a value of it with another row. The most expensive row
    goes first, and of its exchanges the one that saves most; the same rows give the same result.

    Parameters
    ----------
    rows : sequence of tuple
        One value for each axis.
    axes : sequence of sequence
        The values of each axis.
    cost : callable
        What a row costs.
    worth : float
        Rows that cost no more are not looked at for themselves.
    may_change : callable
        Whether a row may take part in exchanges.
    fits : callable
        Whether a row may stand in the design.

    Returns
    -------
    list of tuple
        As many rows, which hold at least the same pairs.
    """
    found = list(rows)
    count = Counter(pair for row in found for pair in pairs(row))

    def exchanges(row: Row) -> Iterator[tuple[float, tuple[Row, ...], tuple[Row, ...]]]:
        partners = [other for other in found if other != row and may_change(other)]
        for axis, values in enumerate(axes):
            candidates: list[tuple[tuple[Row, ...], tuple[Row, ...]]] = [
                ((row,), (_put(row, axis, value),)) for value in values
            ]
            candidates += [
                ((row, other), (_put(row, axis, other[axis]), _put(other, axis, row[axis]))) for other in partners
            ]
            for old, new in candidates:
                saved = sum(map(cost, old)) - sum(map(cost, new))
                if saved > 0 and all(map(fits, new)) and not set(new) & set(found) and keeps(old, new):
                    yield saved, old, new

    def keeps(old: tuple[Row, ...], new: tuple[Row, ...]) -> bool:
        change = Counter(pair for row in new for pair in pairs(row))
        change.subtract(pair for row in old for pair in pairs(row))
        return all(count[pair] + by > 0 for pair, by in change.items())

    def step() -> bool:
        for row in sorted(found, key=cost, reverse=True):
            if cost(row) <= worth:
                return False
            best = max(exchanges(row), key=lambda exchange: exchange[0], default=None) if may_change(row) else None
            if best is not None:
                _, old, new = best
                for before, after in zip(old, new, strict=True):
                    found[found.index(before)] = after
                    count.subtract(pairs(before))
                    count.update(pairs(after))
                return True
        return False

    while step():
        pass
    return found
