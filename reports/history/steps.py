"""Where a series changes level, and where it loses its value."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator
from typing import Literal

import msgspec

from reports.history.results import Commit, History, Point, Series

# A step counts from this factor on, as in `make bench-compare`.
FACTORS = {"bytes": 1.2}
DEFAULT_FACTOR = 1.5
# The noise is estimated from what the levels leave over. In a history of a few commits a lone spike then passes for
# noise; given each value twice it does not (tests/reports/history/test_history.py counts both).
_WEIGHT = 2
# A level costs as much as four parameters of a model do by Schwarz's criterion, which asv takes as well.
_PARAMETERS_OF_A_LEVEL = 4
# Ratio of the prices of a level that are tried one after the other.
_PRICE_STEP = 0.6
# Where there are more levels than these, and more than a tenth of the values, lower prices are not tried.
_MOST_LEVELS = 20


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A step in a series: the first commit of the new level, and the levels (geometric means) around it.

    ``held`` counts the measured commits on the new level; a level of one commit may have been the machine.
    """

    series: Series
    index: int
    commit: Commit
    before: float
    after: float
    held: int

    @property
    def ratio(self) -> float:
        """New level over old; above 1 is worse, as lower is better in every series."""
        return self.after / self.before


def _apart(before: Point, after: Point) -> bool:
    """Whether the middle halves of two commits' samples lie apart; a value tracked without samples does."""
    if min(len(before.samples), len(after.samples)) < 2:
        return True
    (low, _, high), (low_after, _, high_after) = (
        statistics.quantiles(point.samples, n=4, method="inclusive") for point in (before, after)
    )
    return high < low_after or high_after < low


def _levels(values: list[float]) -> list[tuple[int, float]]:
    """Cut a row of values into levels: first index and median of each.

    For each of a range of prices of a level asv's solver finds the levels that leave least, as the sum of absolute
    deviations; Schwarz's criterion chooses among them. asv's own choice lets noise be a walk that remembers, which
    explains every step of a long history away: of a step of 1.8 times among 400 commits it finds none.
    """
    from asv.step_detect import get_mu_dist, solve_potts_approx  # type: ignore[import-untyped]

    count = len(values)
    weights = [1.0] * count
    fit = get_mu_dist(values, weights)
    price = fit.dist(0, count - 1)
    cheapest = 1e-3 * price / count
    best: tuple[float, list[int], list[float]] = math.inf, [count], [statistics.median(values)]
    tried = set()
    while price > cheapest:
        ends, medians, left = solve_potts_approx(values, weights, gamma=price, mu_dist=fit)
        price *= _PRICE_STEP
        if len(ends) in tried:
            continue
        tried.add(len(ends))
        if len(ends) > max(_MOST_LEVELS, count / 10):
            break
        # Values without noise leave nothing; a tenth of the smallest step stands for it.
        floor = 0.1 * min((abs(after - before) for before, after in itertools.pairwise(medians)), default=0.01)
        penalty = _PARAMETERS_OF_A_LEVEL * math.log(count) / count * len(ends)
        best = min(best, (penalty + math.log(floor + sum(left)), ends, medians))
    _, ends, medians = best
    return list(zip([0, *ends[:-1]], medians, strict=True))


def steps(series: Series) -> list[tuple[int, float, float]]:
    """Give the steps of a series: index of the first point of the new level, old and new level.

    Values are compared by their logarithms, so that a step counts by its factor and a large one does not hide
    a small one. Points without a value are passed over, and so is a step whose samples on both sides overlap:
    on a busy machine the medians of two runs differ by more than a program does.
    """
    known = [(index, point.value) for index, point in enumerate(series.points) if point.value is not None]
    known = [(index, value) for index, value in known if value > 0]
    if len(known) < 2:
        return []
    logarithms = [math.log(value) for _, value in known for _ in range(_WEIGHT)]
    smallest = math.log(FACTORS.get(series.unit, DEFAULT_FACTOR))
    levels = [(first // _WEIGHT, level) for first, level in _levels(logarithms)]
    found = []
    current = levels[0][1]
    for first, level in levels[1:]:
        neighbours = series.points[known[first - 1][0]], series.points[known[first][0]]
        if abs(level - current) >= smallest and _apart(*neighbours):
            found.append((known[first][0], math.exp(current), math.exp(level)))
            current = level
    return found


def changes(history: History) -> list[Change]:
    """All steps of all series, oldest commit first, the largest factor first within a commit."""
    found = []
    for series in history.series:
        marked = steps(series)
        ends = [*(index for index, _, _ in marked[1:]), len(series.points)]
        for (index, before, after), end in zip(marked, ends, strict=False):
            held = sum(point.value is not None for point in series.points[index:end])
            commit = history.commits[index]
            found.append(Change(series=series, index=index, commit=commit, before=before, after=after, held=held))
    return sorted(found, key=lambda change: (change.index, -abs(math.log(change.ratio))))


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """A series that was measured and then was not: what took its value, and where.

    ``commit`` is the first without a value, ``last`` the last one measured before it with its ``value``; ``back``
    is the first one measured after it, ``None`` where the loss still stands.
    """

    kind: Literal["vanished", "failing"]
    series: Series
    index: int
    commit: Commit
    last: Commit
    value: float
    back: Commit | None

    @property
    def told(self) -> str:
        """What happened, and where."""
        return (
            f"vanished at {self.commit.hash[:8]}" if self.kind == "vanished" else f"failing at {self.commit.hash[:8]}"
        )


def _losses_of(series: Series, commits: tuple[Commit, ...]) -> Iterator[Loss]:
    known = [(index, point) for index, point in enumerate(series.points) if point.state != "not run"]
    runs = [(state, list(run)) for state, run in itertools.groupby(known, key=lambda one: one[1].state)]
    for number, (state, run) in enumerate(runs):
        measured = [(index, point.value) for _, before in runs[:number] for index, point in before if point.value]
        if state == "measured" or not measured:
            continue
        at, (last, value) = run[0][0], measured[-1]
        back = next((after[0][0] for later, after in runs[number:] if later == "measured"), None)
        yield Loss(
            kind="vanished" if state == "n/a" else "failing",
            series=series,
            index=at,
            commit=commits[at],
            last=commits[last],
            value=value or 0.0,
            back=None if back is None else commits[back],
        )


def losses(history: History) -> list[Loss]:
    """All series that became n/a or failed after they had been measured, oldest commit first."""
    found = [loss for series in history.series for loss in _losses_of(series, history.commits)]
    return sorted(found, key=lambda loss: (loss.index, loss.series.label))
