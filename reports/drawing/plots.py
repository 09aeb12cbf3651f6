"""The plots a verdict rests on: speedup and peak memory, each with its interval and its line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports.drawing.figure import (
    BAND,
    CANDIDATE,
    GRID,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    REFERENCE,
    Plot,
    case_label,
    drawing,
    to_svg,
)
from reports.judging.policy import Policy, judged
from reports.judging.promised import own_words
from reports.judging.statistics import PeakRatio, can_be_shown, peak_ratio, speedup
from reports.judging.times import Speedup
from reports.reading.run import Run, is_paired
from validation.contract.cases import Figure
from validation.contract.lines import CaseResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Timed cases with their warm and cold speedup.
Timings = list[tuple[CaseResult, Speedup, Speedup]]

# Cases a plot shows at most; the table has them all.
SHOWN_CASES = 12
# Labels that fit beside each other on an axis.
TICKS = 5


def timed(run: Run) -> Timings:
    """Give timed cases of the judged candidate with warm and cold speedup: judged cases, then the slowest first.

    Cases whose reference was not timed are left out.
    """
    found = []
    for line in run.cases:
        timing = line.measurement.timing if line.measurement else None
        if timing is None or line.role != "candidate" or line.candidate != run.manifest.candidate:
            continue
        if not can_be_shown(timing):
            continue
        found.append((line, speedup(timing, "warm"), speedup(timing, "cold")))
    first = list(dict.fromkeys(item.case_id for item in run.manifest.judged))

    def order(item: tuple[CaseResult, Speedup, Speedup]) -> tuple[int, float]:
        name = item[0].case.case_id
        return first.index(name) if name in first else len(first), item[1].median

    return sorted(found, key=order)


def with_memory(run: Run, policy: Policy) -> list[tuple[CaseResult, PeakRatio]]:
    """Cases of the judged candidate with paired peaks: the case that is judged first before the others."""
    rules = policy.memory
    found = [
        (line, peak_ratio(line.measurement.memory, rules.spread_bytes, rules.small_increment_bytes))
        for line in run.cases
        if line.role == "candidate"
        and line.candidate == run.manifest.candidate
        and line.measurement is not None
        and line.measurement.memory is not None
        and line.measurement.memory.pairs
        and all(
            arm.peak_bytes > 0 for pair in line.measurement.memory.pairs for arm in (pair.reference, pair.candidate)
        )
    ]
    return sorted(found, key=lambda item: item[0].case.case_id != run.first_judged)


def promises(run: Run, policy: Policy, *figures: Figure) -> dict[str, float]:
    """Give what is promised of some figures, by case; of several promises of one case the first."""
    found: dict[str, float] = {}
    for item in judged(run.manifest, policy):
        if item.figure in figures and item.promise is not None:
            found.setdefault(item.case_id, item.promise)
    return found


def _label(run: Run, line: CaseResult) -> str:
    """Name a case; of judged ones say so."""
    name = case_label(line.case.case_id, run.leading.name if run.leading else "")
    if line.case.case_id == run.first_judged:
        return f"judged case\n{name}"
    criterion = next((item.criterion for item in run.manifest.judged if item.case_id == line.case.case_id), None)
    if criterion is None:
        return name
    title = own_words(run.manifest, criterion)[0] or criterion.replace("_", " ")
    return f"{title.lower()} case\n{name}"


def _annotate(axes: Axes, text: str, x: float, y: float, *, left: bool = False) -> None:
    """Write beside a mark; on its left where a line on its right would go through the words."""
    axes.annotate(
        text, (x, y), (-6 if left else 6, 0), textcoords="offset points", va="center",
        ha="right" if left else "left", fontsize=8, color=INK,
    )  # fmt: skip


def speedup_forest(run: Run, policy: Policy, timings: Timings) -> Plot | None:
    """Draw a forest plot of speedups: dot, interval, interval widened by what A/A pairs show, and the promised line."""
    rows = timings[:SHOWN_CASES]
    if not rows:
        return None
    # What was promised at which case; elsewhere the times are context.
    promised = promises(run, policy, "warm", "cold")
    lines = [promised.get(line.case.case_id) for line, _, _ in rows]
    reached = [value for value in lines if value is not None]
    with drawing(1.4 + 0.46 * len(rows)) as (figure, (axes,)):
        for index, (_, warm, cold) in enumerate(rows):
            for figures, offset, marker, color in ((warm, -0.18, "o", CANDIDATE), (cold, 0.18, "D", REFERENCE)):
                y = index + offset
                axes.plot(
                    [figures.judged_lower, figures.judged_upper], [y, y], color=BAND, linewidth=7, solid_capstyle="butt"
                )
                axes.plot([figures.lower, figures.upper], [y, y], color=color, linewidth=2)
                axes.plot([figures.median], [y], marker, color=color, markeredgecolor=PAPER, label="_")
                # Short of its promised line: left of the band, so that the line does not go through the words.
                promise = lines[index]
                short_of = promise is not None and figures.judged_upper < promise
                _annotate(
                    axes,
                    f"{figures.median:.3g}x",
                    figures.judged_lower if short_of else figures.judged_upper,
                    y,
                    left=short_of,
                )
        for index, promise in enumerate(lines):
            if promise is None:
                continue
            axes.plot([promise] * 2, [index - 0.5, index + 0.35], color=LIMIT, linestyle="--", linewidth=1.2)
            axes.annotate(
                f"promised {promise:g}x", (promise, index - 0.5), (-3, 0), textcoords="offset points", fontsize=8,
                color=LIMIT, ha="right", va="center",
            )  # fmt: skip
        if 0 < len(reached) < len(rows) and None not in lines[: len(reached)]:
            axes.axhline(len(reached) - 0.5, color=MUTED, linewidth=0.8)
        axes.axvline(1.0, color=MUTED, linestyle=":", linewidth=1.0)
        axes.set_xscale("log")
        low = min(1.0, *(min(warm.judged_lower, cold.judged_lower) for _, warm, cold in rows))
        high = max(1.0, *reached, *(max(warm.judged_upper, cold.judged_upper) for _, warm, cold in rows))
        axes.set_xlim(low / 2.4, high * 1.6)
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, position: "")
        axes.set_ylim(len(rows) - 0.4, -0.75)
        axes.set_yticks(range(len(rows)), [_label(run, line) for line, _, _ in rows], fontsize=8)
        axes.grid(True, axis="x", color=GRID)
        axes.set_xlabel("speedup (times, log scale)")
        axes.plot([], [], "o-", color=CANDIDATE, label="warm calls")
        axes.plot([], [], "D-", color=REFERENCE, label="first call")
        axes.plot([], [], color=BAND, linewidth=7, label="widened by what A/A pairs show")
        figure.legend(loc="outside lower center", ncols=3)
        svg = to_svg(figure, "speedup")
    what = (
        "Dot: median of the replicates. Line: smallest to largest replicate. Band: the same, widened by the noise floor"
        if is_paired(run.manifest)
        else "Dot: ratio of the medians. Line: its interval, of judged cases either end wrong in at most 1 % of runs; "
        "of others its range. Band: the same, widened by the bias that A/A pairs show"
    )
    caption = f"{what}{_right_of(run) if promised else ''}."
    context = len(timings) - len(reached)
    if context and reached:
        shown = len(rows) - len(reached)
        which = "the other timed cases" if shown == context else f"the {shown} slowest of {context} other timed cases"
        caption += f" Below the line, {which}: context, nothing was promised there."
    first, warm, cold = rows[0]
    asked = promised.get(first.case.case_id, next(iter(promised.values()), None))
    return Plot(
        name="speedup",
        title="Speedup over the reference",
        caption=caption,
        description=f"Forest plot of {len(rows)} timed cases. {first.case.case_id}: {warm.median:.3g} times faster "
        f"warm ({warm.judged_lower:.3g} to {warm.judged_upper:.3g} in all), {cold.median:.3g} times in the first "
        f"call ({cold.judged_lower:.3g} to {cold.judged_upper:.3g})"
        + (f"; {asked:g} times is promised." if asked is not None else "."),
        svg=svg,
    )


def _right_of(run: Run) -> str:
    """Say which part of a forest plot must keep a promise."""
    cold = {item.criterion for item in run.manifest.judged if item.figure == "cold"}
    titles = {name: title for card in run.manifest.kernels for name, title in card.words.titles.items()}
    warm = [title.lower() for name, title in titles.items() if name not in cold]
    only = f" (of {' and '.join(warm)}, that of warm calls)" if warm else ""
    return f"; it must lie right of its dashed line altogether{only}"


def ratio_ticks(low: float, high: float) -> list[float]:
    """Round values between two ratios for a logarithmic axis: as many as fit beside each other, 1 among them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.1, 1.2, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [round(digit * 10.0**decade, 9) for decade in decades for digit in digits]
        found = [value for value in found if low <= value <= high]
        if len(found) <= TICKS:
            return found
    return found


def memory_forest(run: Run, policy: Policy) -> Plot | None:
    """Draw a forest plot of peak ratios: what the call adds and the absolute peak, and the promised line."""
    rows = with_memory(run, policy)[:SHOWN_CASES]
    if not rows:
        return None
    limit = next(iter(promises(run, policy, "memory").values()), None)
    with drawing(1.4 + 0.46 * len(rows)) as (figure, (axes,)):
        largest, smallest = limit or 1.0, min(1.0, limit or 1.0)
        for index, (_, figures) in enumerate(rows):
            spans = (
                (figures.increment_best, figures.increment, -0.18, "o", CANDIDATE),
                (figures.absolute_best, figures.absolute, 0.18, "D", REFERENCE),
            )
            for best, worst, offset, marker, color in spans:
                if best is None or worst is None:
                    continue
                y = index + offset
                best, worst = max(best, 1e-3), max(worst, 1e-3)
                axes.plot([best, worst], [y, y], color=color, linewidth=2)
                axes.plot([worst], [y], marker, color=color, markeredgecolor=PAPER)
                left = limit is not None and 0.1 < worst <= limit
                _annotate(axes, f"{worst:.3g}x", best if left else worst, y, left=left)
                largest, smallest = max(largest, worst), min(smallest, best)
        if limit is not None:
            axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
        axes.axvline(1.0, color=MUTED, linestyle=":", linewidth=1.0)
        axes.set_xscale("log")
        axes.set_xlim(smallest / 1.3, largest * 1.5)
        ticks = ratio_ticks(smallest / 1.3, largest * 1.5)
        axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
        axes.set_xticks([], minor=True)
        axes.set_ylim(len(rows) - 0.4, -0.75)
        axes.set_yticks(range(len(rows)), [_label(run, line) for line, _ in rows], fontsize=8)
        axes.grid(True, axis="x", color=GRID)
        if limit is not None:
            axes.annotate(
                f"allowed {limit:g}x", (limit, -0.7), (3, 0), textcoords="offset points", fontsize=8, color=LIMIT,
                va="top",
            )  # fmt: skip
        axes.set_xlabel("ratio of peaks (log scale)")
        axes.plot([], [], "o-", color=CANDIDATE, label="what the call adds")
        axes.plot([], [], "D-", color=REFERENCE, label="absolute peak")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, "memory")
    line, figures = rows[0]
    increment = "not readable" if figures.increment is None else f"{figures.increment:.3g} times"
    return Plot(
        name="memory",
        title="Peak memory over the reference",
        caption="Mark: worst pair; line: best to worst pair."
        + ("" if limit is None else " Both marks must lie left of the dashed line."),
        description=f"Forest plot of {len(rows)} cases. {line.case.case_id}: the call adds {increment} what the "
        f"reference adds, the absolute peak is {figures.absolute:.3g} times"
        + ("." if limit is None else f"; {limit:g} times is allowed."),
        svg=svg,
    )
