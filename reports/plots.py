"""The plots a verdict rests on: speedup and peak memory, each with its interval and its line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports.figure import BAND, CANDIDATE, GRID, INK, LIMIT, MUTED, PAPER, REFERENCE, Plot, case_label, drawing, to_svg
from reports.policy import Policy
from reports.records import CaseResult, Run
from reports.statistics import PeakRatio, Speedup, peak_ratio, speedup, timing_faults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Timed cases with their warm and cold speedup.
Timings = list[tuple[CaseResult, Speedup, Speedup]]

# Cases a plot shows at most; the table has them all.
SHOWN_CASES = 12


def timed(run: Run) -> Timings:
    """Give timed cases of the judged candidate with warm and cold speedup, judged cases first, then by speedup."""
    found = []
    for line in run.cases:
        timing = line.measurement.timing if line.measurement else None
        if timing is None or line.role != "candidate" or line.candidate != run.manifest.candidate:
            continue
        if timing_faults(
            timing, min_replicates=1, min_noise_pairs=1, min_samples=1, min_sample_s=0.0, long_call_s=math.inf
        ):
            continue
        found.append((line, speedup(timing, "warm"), speedup(timing, "cold")))
    judged = (run.manifest.reference_case_id, run.manifest.reassembly_case_id)
    return sorted(found, key=lambda item: (item[0].case.case_id not in judged, -item[1].median))


def with_memory(run: Run, policy: Policy) -> list[tuple[CaseResult, PeakRatio]]:
    """Cases of the judged candidate with paired peaks: the reference case first."""
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
    return sorted(found, key=lambda item: item[0].case.case_id != run.manifest.reference_case_id)


def _label(run: Run, line: CaseResult) -> str:
    manifest = run.manifest
    if line.case.case_id == manifest.reference_case_id:
        return f"reference case\n{case_label(line.case.case_id)}"
    if line.case.case_id == manifest.reassembly_case_id:
        return f"reassembly case\n{case_label(line.case.case_id)}"
    return case_label(line.case.case_id)


def _annotate(axes: Axes, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8, color=INK)


def speedup_forest(run: Run, policy: Policy, timings: Timings) -> Plot | None:
    """Draw a forest plot of speedups: dot, interval, interval widened by the noise, and the promised line."""
    rows = timings[:SHOWN_CASES]
    if not rows:
        return None
    promised = policy.speed.min_speedup
    with drawing(1.4 + 0.46 * len(rows)) as (figure, (axes,)):
        for index, (_, warm, cold) in enumerate(rows):
            for figures, offset, marker, color in ((warm, -0.18, "o", CANDIDATE), (cold, 0.18, "D", REFERENCE)):
                y = index + offset
                axes.plot(
                    [figures.judged_lower, figures.judged_upper], [y, y], color=BAND, linewidth=7, solid_capstyle="butt"
                )
                axes.plot([figures.lower, figures.upper], [y, y], color=color, linewidth=2)
                axes.plot([figures.median], [y], marker, color=color, markeredgecolor=PAPER, label="_")
                _annotate(axes, f"{figures.median:.3g}x", figures.judged_upper, y)
        axes.axvline(promised, color=LIMIT, linestyle="--", linewidth=1.2)
        axes.axvline(1.0, color=MUTED, linestyle=":", linewidth=1.0)
        axes.set_xscale("log")
        low = min(1.0, *(min(warm.judged_lower, cold.judged_lower) for _, warm, cold in rows))
        high = max(promised, *(max(warm.judged_upper, cold.judged_upper) for _, warm, cold in rows))
        axes.set_xlim(low / 1.6, high * 1.6)
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, position: "")
        axes.set_ylim(len(rows) - 0.4, -0.75)
        axes.set_yticks(range(len(rows)), [_label(run, line) for line, _, _ in rows], fontsize=8)
        axes.grid(True, axis="x", color=GRID)
        axes.annotate(
            f"promised {promised:g}x",
            (promised, -0.7),
            (3, 0),
            textcoords="offset points",
            fontsize=8,
            color=LIMIT,
            va="top",
        )
        axes.set_xlabel("speedup (times, log scale)")
        axes.plot([], [], "o-", color=CANDIDATE, label="warm calls")
        axes.plot([], [], "D-", color=REFERENCE, label="first call")
        axes.plot([], [], color=BAND, linewidth=7, label="widened by the noise floor")
        figure.legend(loc="outside lower center", ncols=3)
        svg = to_svg(figure, "speedup")
    first, warm, cold = rows[0]
    return Plot(
        name="speedup",
        title="Speedup over the reference",
        caption="Dot: median of the replicates. Line: smallest to largest replicate. Band: the same, widened by the "
        "noise floor; it must lie right of the dashed line altogether.",
        description=f"Forest plot of {len(rows)} timed cases. {first.case.case_id}: {warm.median:.3g} times faster "
        f"warm ({warm.judged_lower:.3g} to {warm.judged_upper:.3g} after noise), {cold.median:.3g} times in the first "
        f"call ({cold.judged_lower:.3g} to {cold.judged_upper:.3g}); {promised:g} times is promised.",
        svg=svg,
    )


def memory_forest(run: Run, policy: Policy) -> Plot | None:
    """Draw a forest plot of peak ratios: what the call adds and the absolute peak, and the promised line."""
    rows = with_memory(run, policy)[:SHOWN_CASES]
    if not rows:
        return None
    limit = policy.memory.max_ratio
    with drawing(1.4 + 0.46 * len(rows)) as (figure, (axes,)):
        largest, smallest = limit, min(1.0, limit)
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
                _annotate(axes, f"{worst:.3g}x", worst, y)
                largest, smallest = max(largest, worst), min(smallest, best)
        axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
        axes.axvline(1.0, color=MUTED, linestyle=":", linewidth=1.0)
        axes.set_xscale("log")
        axes.set_xlim(smallest / 1.3, largest * 1.5)
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        # Where there are few decades, some of the values between them; all would run into each other.
        axes.xaxis.set_minor_formatter(
            lambda value, position: f"{value:g}" if largest / smallest < 8 and f"{value:e}"[0] in "235" else ""
        )
        axes.tick_params(axis="x", which="minor", labelsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.75)
        axes.set_yticks(range(len(rows)), [_label(run, line) for line, _ in rows], fontsize=8)
        axes.grid(True, axis="x", color=GRID)
        axes.annotate(
            f"allowed {limit:g}x", (limit, -0.7), (3, 0), textcoords="offset points", fontsize=8, color=LIMIT, va="top"
        )
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
        caption="Mark: worst pair; line: best to worst pair. Both marks must lie left of the dashed line.",
        description=f"Forest plot of {len(rows)} cases. {line.case.case_id}: the call adds {increment} what the "
        f"reference adds, the absolute peak is {figures.absolute:.3g} times; {limit:g} times is allowed.",
        svg=svg,
    )
