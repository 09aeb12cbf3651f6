"""How the cost grows with the work: series of cases that differ in one parameter alone."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import median
from typing import NamedTuple

import msgspec

from reports.drawing.figure import CANDIDATE, GRID, LIMIT, REFERENCE, Plot, drawing, seconds_label, to_svg
from reports.drawing.parameters import parameter, told
from reports.judging.statistics import can_be_shown
from reports.judging.times import seconds
from reports.reading.run import Run
from validation.contract.cards import KernelCard
from validation.contract.cases import Scalar
from validation.contract.lines import CaseResult

# Series of costs that are drawn at most.
SHOWN_SERIES = 4


def slope(points: list[tuple[float, float]]) -> float | None:
    """Exponent of the power law through points (log-log least squares); ``None`` below three points."""
    if len({x for x, _ in points}) < 3:
        return None
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def break_even(points: list[tuple[float, float, float]]) -> float | None:
    """Find the amount of work from which the candidate's first call is the shorter one.

    Parameters
    ----------
    points : list of (work, reference_s, candidate_s)

    Returns
    -------
    float or None
        Interpolated between the last point where it is longer and the next; ``None`` where it never
        is longer, or at the largest still is.
    """
    points_by_work = sorted(points)
    lags = [(math.log(work), math.log(candidate / reference)) for work, reference, candidate in points_by_work]
    slower = [index for index, (_, lag) in enumerate(lags) if lag > 0]
    if not slower or slower[-1] == len(lags) - 1:
        return None
    (x0, lag0), (x1, lag1) = lags[slower[-1]], lags[slower[-1] + 1]
    return math.exp(x0 + (x1 - x0) * lag0 / (lag0 - lag1))


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds per call at one amount of work; ``None`` for a reference that was not timed."""

    work: float
    reference_warm_s: float | None
    reference_cold_s: float | None
    candidate_warm_s: float
    candidate_cold_s: float


def _cost_of(line: CaseResult) -> Cost | None:
    """Give the times of a case; where the reference was left out, the candidate's are those of its A/A pairs."""
    timing = line.measurement.timing if line.measurement else None
    if timing is None or not can_be_shown(timing, with_reference=False):
        return None
    references, candidates = timing.reference_arms, timing.candidate_arms
    if not candidates or not 0.0 < line.case.work < math.inf:
        return None
    return Cost(
        work=line.case.work,
        reference_warm_s=median(seconds(arm, "warm") for arm in references) if references else None,
        reference_cold_s=median(seconds(arm, "cold") for arm in references) if references else None,
        candidate_warm_s=median(seconds(arm, "warm") for arm in candidates),
        candidate_cold_s=median(seconds(arm, "cold") for arm in candidates),
    )


class Alike(NamedTuple):
    """What cases of a series have in common: kernel, seed, and the parameters but for the one along which they grow."""

    kernel: str
    seed: int
    params: tuple[tuple[str, Scalar], ...]


def cost_series(run: Run) -> list[tuple[Alike, list[Cost]]]:
    """Find timed cases that differ in one parameter alone, along which the work of their kernel grows.

    The series of the judged cases come first, then the longest.
    """
    series: dict[Alike, list[Cost]] = defaultdict(list)
    judged = []
    promised = {item.case_id for item in run.manifest.judged}
    for line in run.cases:
        found, along = _cost_of(line), run.card(line).words.along
        if found is None or not along or line.role != "candidate" or line.candidate != run.manifest.candidate:
            continue
        params = tuple((name, value) for name, value in line.case.params.items() if name != along)
        alike = Alike(line.case.kernel, line.case.seed, tuple(sorted(params, key=str)))
        series[alike].append(found)
        if line.case.case_id in promised:
            judged.append(alike)
    long = [
        (alike, sorted(points, key=lambda point: point.work))
        for alike, points in series.items()
        if len(points) >= (2 if alike in judged else 3)
    ]
    return sorted(long, key=lambda item: (item[0].kernel, item[0] not in judged, -len(item[1])))[:SHOWN_SERIES]


def _words(card: KernelCard, alike: Alike) -> str:
    """Tell what the cases of a series have in common: the axes of the kernel's map, or all that its table shows."""
    of, params = card.words.of, dict(alike.params)
    names = [name for name in (card.words.by, card.words.rows, of) if name] or card.words.columns
    found = [(one, params[name]) for name in names if name in params and (one := parameter(card, name)) is not None]
    parts = [str(value) if one.name == of else told(one, value) for one, value in found]
    return ", ".join([card.name.replace("_", " ").capitalize(), *parts])


def _cost(card: KernelCard, alike: Alike, series: list[Cost], name: str) -> Plot:
    unit = card.work_unit
    both = [
        (point.work, point.reference_cold_s, point.candidate_cold_s)
        for point in series
        if point.reference_cold_s is not None
    ]
    lines: dict[str, tuple[list[tuple[float, float | None]], str, str, str]] = {
        "reference, warm": ([(point.work, point.reference_warm_s) for point in series], REFERENCE, "-", "D"),
        "reference, first call": ([(point.work, point.reference_cold_s) for point in series], REFERENCE, "--", "d"),
        "candidate, warm": ([(point.work, point.candidate_warm_s) for point in series], CANDIDATE, "-", "o"),
        "candidate, first call": ([(point.work, point.candidate_cold_s) for point in series], CANDIDATE, "--", "v"),
    }
    crossing = break_even(both) if both else None
    slopes = []
    with drawing(4.0) as (figure, (axes,)):
        for label, (points, color, style, marker) in lines.items():
            timed = [(work, seconds) for work, seconds in points if seconds is not None]
            if not timed:
                continue
            exponent = slope(timed)
            text = label if exponent is None else f"{label} (slope {exponent:.2f})"
            slopes.append(text)
            axes.plot(*zip(*timed, strict=True), color=color, linestyle=style, marker=marker, label=text)
        if crossing is not None:
            axes.axvline(crossing, color=LIMIT, linestyle=":", linewidth=1.2)
            axes.annotate(
                f"break-even {crossing:.3g}", (crossing, 0.98), (3, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", fontsize=8, color=LIMIT, va="top",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}".replace(",", " "))
        axes.yaxis.set_major_formatter(lambda value, position: seconds_label(value))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(lambda value, position: "")
        axes.grid(True, color=GRID)
        axes.set_xlabel(f"{unit} per call (log scale)")
        axes.set_ylabel("time per call (log scale)")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, name)
    said = "the first call of the candidate is shorter everywhere here"
    if crossing is not None:
        said = f"the first call of the candidate is the shorter one from {crossing:.3g} {unit} on"
    elif both and both[-1][2] > both[-1][1]:
        said = "the first call of the candidate is the longer one up to the largest case"
    if not both:
        said = "the reference was not timed here"
    elif len(both) < len(series):
        said += f"; above {both[-1][0]:.15g} {unit} the reference was not timed"
    words = _words(card, alike)
    return Plot(
        name=name,
        title=f"Cost against the number of {unit}",
        caption=f"{words}. A slope of 1 is a cost in proportion to the {unit}; {said}.",
        description=f"Log-log plot of {len(series)} cases from {series[0].work:.15g} to {series[-1].work:.15g} {unit}, "
        f"{words}: {', '.join(slopes)}; {said}.",
        svg=svg,
    )


def costs(run: Run) -> list[Plot]:
    """Draw time per call against the amount of work, a plot per series of cases."""
    return [
        _cost(run.manifest.kernel(alike.kernel), alike, points, f"cost-{number}" if number > 1 else "cost")
        for number, (alike, points) in enumerate(cost_series(run), 1)
    ]
