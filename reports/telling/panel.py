"""The panel of four figures: right, faster, first call, memory; each with its number, its interval and its promise."""

from __future__ import annotations

import math
from typing import Literal

from reports.judging.statistics import can_be_shown, peak_ratio, speedup
from reports.reading.run import Run
from reports.reading.verdict import Criterion, State, Verdict
from reports.telling.words import SIGNS, STATE_WORDS
from validation.contract.base import Record
from validation.contract.cases import Figure, Judged
from validation.contract.lines import CaseResult

# Width and height of the interval plots, pixels.
WIDTH, HEIGHT = 220, 26
_MARGIN = 8


class Interval(Record, frozen=True, kw_only=True):
    """A figure with its bounds, all ratios; ``promise`` is what it must reach, or of memory not exceed."""

    lower: float
    middle: float
    upper: float
    promise: float | None

    def x(self, value: float) -> float:
        """Place of a value in the plot, pixels from the left; the scale is logarithmic."""
        marks = [self.lower, self.middle, self.upper, *([] if self.promise is None else [self.promise])]
        low, high = math.log(min(marks) / 1.3), math.log(max(marks) * 1.3)
        return _MARGIN + (WIDTH - 2 * _MARGIN) * (math.log(value) - low) / (high - low)


class Tile(Record, frozen=True, kw_only=True):
    """One figure of the panel: what it is called, its number, what it means, its state, its criterion."""

    name: str
    number: str
    told: str
    state: State
    criterion: str
    interval: Interval | None = None

    @property
    def state_words(self) -> str:
        """State with its sign."""
        return f"{SIGNS[self.state]} {STATE_WORDS[self.state]}"

    @property
    def description(self) -> str:
        """Text in place of the plot."""
        found = self.interval
        if found is None:
            return ""
        promised = "nothing is promised" if found.promise is None else f"promised {found.promise:g}"
        return f"{found.middle:.3g}, between {found.lower:.3g} and {found.upper:.3g}; {promised}"


_NAMES: dict[Figure, str] = {"warm": "Faster, warm", "cold": "Faster, first call", "memory": "Memory"}


def _line(run: Run, item: Judged) -> CaseResult | None:
    key = f"{item.case_id}|{run.manifest.candidate}"
    return next((line for line in run.cases if line.key == key and line.role == "candidate"), None)


def _interval(run: Run, item: Judged) -> Interval | None:
    """Give the bounds of a judged figure; ``None`` where it was not measured, or not so that it can be shown."""
    line = _line(run, item)
    measured = line.measurement if line else None
    if measured is None:
        return None
    if item.figure != "memory":
        if measured.timing is None or not can_be_shown(measured.timing):
            return None
        found = speedup(measured.timing, item.figure)
        bounds = (found.judged_lower, found.median, found.judged_upper)
    else:
        if measured.memory is None or not measured.memory.pairs:
            return None
        ratio = peak_ratio(measured.memory, 0, 0)
        worst = max(ratio.increment or 0.0, ratio.absolute)
        bounds = (max(ratio.increment_best or 0.0, ratio.absolute_best), worst, worst)
    if not all(math.isfinite(bound) and bound > 0 for bound in bounds):
        return None
    return Interval(lower=bounds[0], middle=bounds[1], upper=bounds[2], promise=item.promise)


def _right(verdict: Verdict, run: Run) -> Tile:
    """Say how right the results are."""
    criterion = next(item for item in verdict.criteria if item.id == "correctness")
    compared = [
        found.candidate_vs_reference
        for line in run.cases
        if line.role == "candidate" and line.candidate == run.manifest.candidate
        if line.measurement and (found := line.measurement.equivalence) and found.candidate_vs_reference
    ]
    same = bool(compared) and all(found.identical_share == 1.0 for found in compared)
    errors = [found.max_abs_error for found in compared if found.max_abs_error is not None]
    if criterion.state == "fail":
        number = "wrong"
    elif same:
        number = "same bits"
    else:
        number = f"off by {max(errors):.2g}" if errors else "not compared"
    told = f"{len(compared)} cases compared with the reference"
    return Tile(name="Right", number=number, told=told, state=criterion.state, criterion="correctness")


def _judged(verdict: Verdict, run: Run, item: Judged, criterion: Criterion) -> Tile:
    found = _interval(run, item)
    number, told = "not measured", criterion.finding
    if found is not None and item.figure == "memory":
        number, told = f"{found.middle:.2g}x", "of the reference's peak, worst pair"
    elif found is not None:
        number, told = f"{found.middle:.3g}x", f"at least {found.lower:.3g}x"
    if item.promise is not None:
        told += f"; promised {'at most' if item.figure == 'memory' else 'at least'} {item.promise:g}x"
    elif found is not None:
        told += "; nothing is promised"
    return Tile(
        name=_NAMES[item.figure], number=number, told=told, state=criterion.state, criterion=criterion.id,
        interval=found,
    )  # fmt: skip


def panel(run: Run, verdict: Verdict) -> tuple[Tile, ...]:
    """Make the four figures of a run: right, and the first judged one of each kind."""
    criteria = {item.id: item for item in verdict.criteria}
    tiles = [_right(verdict, run)]
    for figure in _NAMES:
        item = next((item for item in verdict.judged if item.figure == figure), None)
        if item is not None and item.criterion in criteria:
            tiles.append(_judged(verdict, run, item, criteria[item.criterion]))
    return tuple(tiles)


def summary(tiles: tuple[Tile, ...], verdict: Verdict) -> str:
    """Say the figures and what is open in one sentence."""
    words: dict[str, Literal["warm", "in the first call", "the peak of memory"]] = {
        _NAMES["warm"]: "warm",
        _NAMES["cold"]: "in the first call",
        _NAMES["memory"]: "the peak of memory",
    }
    right, *others = tiles
    parts = [right.number[:1].upper() + right.number[1:]]
    parts += [f"{tile.number} {words[tile.name]}" for tile in others if tile.interval is not None]
    broken = [item.id for item in verdict.criteria if item.state == "fail"]
    undecided = [item.id for item in verdict.criteria if item.state in ("inconclusive", "missing")]
    end = "every promise is kept"
    if broken:
        end = f"{' and '.join(broken)} {'is' if len(broken) == 1 else 'are'} broken"
    elif undecided:
        end = f"{'only ' if len(undecided) == 1 else ''}{' and '.join(undecided)} undecided"
    return f"{', '.join(parts)}: {end}."


def lines(tiles: tuple[Tile, ...]) -> list[str]:
    """Tell the panel on a terminal, a line for each figure."""
    return [f"{tile.name:<18} {tile.number:>12}  {tile.state_words:<14} {tile.told}" for tile in tiles]
