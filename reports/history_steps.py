"""Where a series changes level, by asv's own step detection."""

from __future__ import annotations

import math
import statistics

import msgspec

from reports.history_results import Commit, History, Point, Series

# A step counts from this factor on, as in `make bench-compare`.
FACTORS = {"bytes": 1.2}
DEFAULT_FACTOR = 1.5
# The detector estimates the noise from how values differ. In a history of a few commits it then takes a lone
# spike for noise; given each value twice it does not (tests/reports/test_history.py counts both).
_WEIGHT = 2


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


def steps(series: Series) -> list[tuple[int, float, float]]:
    """Give the steps of a series: index of the first point of the new level, old and new level.

    Values are compared by their logarithms, so that a step counts by its factor and a large one does not hide
    a small one. Points without a value are passed over, and so is a step whose samples on both sides overlap:
    on a busy machine the medians of two runs differ by more than a program does.
    """
    from asv.step_detect import detect_steps  # type: ignore[import-untyped]

    known = [(index, point.value) for index, point in enumerate(series.points) if point.value is not None]
    known = [(index, value) for index, value in known if value > 0]
    if len(known) < 2:
        return []
    logarithms = [math.log(value) for _, value in known for _ in range(_WEIGHT)]
    smallest = math.log(FACTORS.get(series.unit, DEFAULT_FACTOR))
    levels = [(first // _WEIGHT, level) for first, _, level, _, _ in detect_steps(logarithms)]
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
