"""Plots over many cases: where it is fast, how the cost grows, how far the numbers are off."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import median

import msgspec

from reports.drawing.figure import (
    CANDIDATE,
    GRID,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    PEER,
    REFERENCE,
    Plot,
    drawing,
    seconds_label,
    short,
    to_svg,
)
from reports.drawing.plots import Timings
from reports.judging.policy import Policy
from reports.judging.statistics import can_be_shown
from reports.judging.times import seconds
from reports.reading.records import Case, CaseResult, Run

# Series of costs that are drawn at most.
SHOWN_SERIES = 4


def heat_map(policy: Policy, timings: Timings) -> Plot | None:
    """Draw the smallest warm speedup of each N and gridsize, per dtype; at least two cells make a map."""
    cells: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
    for line, warm, _ in timings:
        if line.case.kernel == "patch_extraction":
            cell = (line.case.N, line.case.gridsize)
            of = cells[line.case.dtype]
            of[cell] = min(warm.median, of.get(cell, math.inf))
    if sum(map(len, cells.values())) < 2:
        return None
    patches = [line.case.patches for line, _, _ in timings if line.case.kernel == "patch_extraction"]
    sizes = sorted({N for of in cells.values() for N, _ in of})
    grids = sorted({gridsize for of in cells.values() for _, gridsize in of})
    strongest = max(math.log(max(value, 1.01)) for of in cells.values() for value in of.values())
    with drawing(1.2 + 0.45 * len(grids), columns=len(cells)) as (figure, all_axes):
        for axes, (dtype, of) in zip(all_axes, sorted(cells.items()), strict=True):
            for (N, gridsize), value in of.items():
                x, y = sizes.index(N), grids.index(gridsize)
                alpha = 0.08 + 0.42 * max(math.log(max(value, 1.0)), 0.0) / strongest
                axes.fill_between([x - 0.48, x + 0.48], y - 0.48, y + 0.48, color=CANDIDATE, alpha=alpha, linewidth=0)
                mark = "" if value >= 1.0 else " ✗"
                shown = f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f}x{mark}"
                axes.annotate(shown, (x, y), ha="center", va="center", fontsize=8, color=INK)
            axes.set_xticks(range(len(sizes)), [str(N) for N in sizes])
            axes.set_yticks(range(len(grids)), [str(gridsize) for gridsize in grids])
            axes.set_xlim(-0.5, len(sizes) - 0.5)
            axes.set_ylim(len(grids) - 0.5, -0.5)
            axes.tick_params(length=0)
            axes.set_xlabel("patch size N (pixels)")
            axes.set_ylabel("grid size")
            axes.set_title(dtype)
        svg = to_svg(figure, "heat")
    listed = "; ".join(
        f"{dtype}, N {N}, grid size {gridsize}: {value:.3g}"
        for dtype, of in sorted(cells.items())
        for (N, gridsize), value in sorted(of.items())
    )
    return Plot(
        name="heat",
        title="Speedup over patch size and grid size",
        caption=f"Warm calls, median; the smallest of the cases in a cell, {min(patches)} to {max(patches)} patches a "
        f"call. {policy.speed.min_speedup:g}x is promised at the reference case alone; a cross marks a loss.",
        description=f"Speedup in times. {listed}.",
        svg=svg,
    )


def slope(points: list[tuple[float, float]]) -> float | None:
    """Exponent of the power law through points (log-log least squares); ``None`` below three points."""
    if len({x for x, _ in points}) < 3:
        return None
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def break_even(points: list[tuple[int, float, float]]) -> float | None:
    """Find the number of patches from which the candidate's first call is the shorter one.

    Parameters
    ----------
    points : list of (patches, reference_s, candidate_s)

    Returns
    -------
    float or None
        Interpolated between the last point where it is longer and the next; ``None`` where it never
        is longer, or at the largest still is.
    """
    ordered = sorted(points)
    lags = [(math.log(patches), math.log(candidate / reference)) for patches, reference, candidate in ordered]
    slower = [index for index, (_, lag) in enumerate(lags) if lag > 0]
    if not slower or slower[-1] == len(lags) - 1:
        return None
    (x0, lag0), (x1, lag1) = lags[slower[-1]], lags[slower[-1] + 1]
    return math.exp(x0 + (x1 - x0) * lag0 / (lag0 - lag1))


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds per call at one number of patches; ``None`` for a reference that was not timed."""

    patches: int
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
    if not candidates or not line.case.patches:
        return None
    return Cost(
        patches=line.case.patches,
        reference_warm_s=median(seconds(arm, "warm") for arm in references) if references else None,
        reference_cold_s=median(seconds(arm, "cold") for arm in references) if references else None,
        candidate_warm_s=median(seconds(arm, "warm") for arm in candidates),
        candidate_cold_s=median(seconds(arm, "cold") for arm in candidates),
    )


def cost_series(run: Run) -> list[tuple[Case, list[Cost]]]:
    """Find timed cases that differ in the number of groups alone.

    The series of the judged cases come first, then the longest.
    """
    series: dict[Case, list[Cost]] = defaultdict(list)
    judged = []
    for line in run.cases:
        found = _cost_of(line)
        if found is None or line.role != "candidate" or line.candidate != run.manifest.candidate:
            continue
        alike = msgspec.structs.replace(line.case, case_id="", batch=0)
        series[alike].append(found)
        if line.case.case_id in (run.manifest.reference_case_id, run.manifest.reassembly_case_id):
            judged.append(alike)
    long = [
        (case, sorted(points, key=lambda point: point.patches))
        for case, points in series.items()
        if len(points) >= (2 if case in judged else 3)
    ]
    return sorted(long, key=lambda item: (item[0].kernel, item[0] not in judged, -len(item[1])))[:SHOWN_SERIES]


def _cost(case: Case, series: list[Cost], name: str) -> Plot:
    both = [
        (point.patches, point.reference_cold_s, point.candidate_cold_s)
        for point in series
        if point.reference_cold_s is not None
    ]
    lines: dict[str, tuple[list[tuple[int, float | None]], str, str, str]] = {
        "reference, warm": ([(point.patches, point.reference_warm_s) for point in series], REFERENCE, "-", "D"),
        "reference, first call": ([(point.patches, point.reference_cold_s) for point in series], REFERENCE, "--", "d"),
        "candidate, warm": ([(point.patches, point.candidate_warm_s) for point in series], CANDIDATE, "-", "o"),
        "candidate, first call": ([(point.patches, point.candidate_cold_s) for point in series], CANDIDATE, "--", "v"),
    }
    crossing = break_even(both) if both else None
    slopes = []
    with drawing(4.0) as (figure, (axes,)):
        for label, (points, color, style, marker) in lines.items():
            timed = [(patches, seconds) for patches, seconds in points if seconds is not None]
            if not timed:
                continue
            exponent = slope([(float(patches), seconds) for patches, seconds in timed])
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
        axes.set_xlabel("patches per call (log scale)")
        axes.set_ylabel("time per call (log scale)")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, name)
    said = "the first call of the candidate is shorter everywhere here"
    if crossing is not None:
        said = f"the first call of the candidate is the shorter one from {crossing:.3g} patches on"
    elif both and both[-1][2] > both[-1][1]:
        said = "the first call of the candidate is the longer one up to the largest case"
    if not both:
        said = "the reference was not timed here"
    elif len(both) < len(series):
        said += f"; above {both[-1][0]} patches the reference was not timed"
    words = f"{case.kernel.replace('_', ' ').capitalize()}, N {case.N}, grid size {case.gridsize}, {case.dtype}"
    return Plot(
        name=name,
        title="Cost against the number of patches",
        caption=f"{words}. A slope of 1 is a cost in proportion to the patches; {said}.",
        description=f"Log-log plot of {len(series)} cases from {series[0].patches} to {series[-1].patches} patches, "
        f"{words}: {', '.join(slopes)}; {said}.",
        svg=svg,
    )


def costs(run: Run) -> list[Plot]:
    """Draw time per call against the number of patches, a plot per series of cases."""
    return [
        _cost(case, points, f"cost-{number}" if number > 1 else "cost")
        for number, (case, points) in enumerate(cost_series(run), 1)
    ]


def ulp(run: Run) -> Plot | None:
    """Draw the largest error in ULP of each case, by pattern, against the reference and against the oracle."""
    counts: dict[str, Counter[tuple[str, int]]] = {"reference": Counter(), "oracle": Counter()}
    for line in run.cases:
        equivalence = line.measurement.equivalence if line.measurement else None
        if equivalence is None or line.role != "candidate":
            continue
        for against, found in (
            ("reference", equivalence.candidate_vs_reference),
            ("oracle", equivalence.candidate_vs_oracle),
        ):
            if found is not None and found.max_ulp is not None:
                counts[against][line.case.pattern, found.max_ulp] += 1
    patterns = sorted({pattern for of in counts.values() for pattern, _ in of})
    if not patterns:
        return None
    largest = {against: max((ulps for _, ulps in of), default=None) for against, of in counts.items()}
    # Different cases land on few distinct figures; a dot's size says how many.
    with drawing(1.5 + 0.36 * len(patterns)) as (figure, (axes,)):
        for against, offset, marker, color in (("reference", -0.15, "o", CANDIDATE), ("oracle", 0.15, "D", PEER)):
            for (pattern, ulps), count in sorted(counts[against].items()):
                size = min(4 + 1.5 * math.log2(count + 1), 12)
                axes.plot(
                    [ulps], [patterns.index(pattern) + offset], marker, color=color, markersize=size,
                    markeredgecolor=PAPER, clip_on=False,
                )  # fmt: skip
            axes.plot([], [], marker, color=color, label=f"against the {against}")
        axes.set_xscale("symlog", linthresh=1)
        top = max(value for value in largest.values() if value is not None)
        axes.set_xlim(-0.3, max(top * 2, 10))
        axes.xaxis.set_major_formatter(
            lambda value, position: f"{value:g}" if value < 1e4 else f"1e{round(math.log10(value))}"
        )
        axes.set_yticks(range(len(patterns)), [short(pattern, 20) for pattern in patterns])
        axes.set_ylim(len(patterns) - 0.5, -0.5)
        axes.grid(True, axis="x", color=GRID)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_xlabel("largest error of a case (ULP of float32; 0 is bit for bit)")
        axes.set_ylabel("offsets pattern")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, "ulp")
    said = "; ".join(
        f"against the {against} at most {value} ULP in {sum(counts[against].values())} cases"
        for against, value in largest.items()
        if value is not None
    )
    return Plot(
        name="ulp",
        title="Error in units in the last place",
        caption="Each dot is the largest error of a case; larger dots stand for more cases. A small absolute error "
        "can be many ULP where the value is near zero.",
        description=f"Dot plot over {len(patterns)} patterns of offsets: {said}.",
        svg=svg,
    )
