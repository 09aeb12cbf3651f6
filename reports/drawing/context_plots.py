"""Plots that explain a verdict without deciding it: memory over time, peers, history, the worst part."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

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
    case_label,
    drawing,
    seconds_label,
    short,
    to_svg,
)
from reports.reading.evidence import Evidence, moment, subject
from reports.reading.run import Run
from reports.reading.verdict import Verdict
from validation.contract.lines import CaseResult

if TYPE_CHECKING:
    pass

# A line on a page shows no more points than this.
SHOWN_POINTS = 300
SHOWN_HISTORY = 60
# Commits that are named below them at most.
SHOWN_NAMES = 5


def timeline(run: Run) -> Plot | None:
    """Draw resident memory over the time of one call, both arms, at the judged case."""
    line = _at_reference(run)
    memory = line.measurement.memory if line and line.measurement else None
    lines = [item for item in memory.timelines if len(item.time_s) == len(item.resident_bytes) > 1] if memory else []
    if not lines:
        return None
    said = []
    with drawing(3.4) as (figure, (axes,)):
        for item in lines[:4]:
            mine = item.implementation != "reference"
            step = max(1, len(item.time_s) // SHOWN_POINTS)
            start = item.time_s[0]
            # The peak is kept whatever the step.
            kept = sorted({*range(0, len(item.time_s), step), item.resident_bytes.index(max(item.resident_bytes))})
            axes.plot(
                [item.time_s[index] - start for index in kept],
                [item.resident_bytes[index] / 1e6 for index in kept],
                color=CANDIDATE if mine else REFERENCE,
                linestyle="-" if mine else "--",
                label=short(item.implementation, 30),
            )
            said.append(
                f"{item.implementation}: from {item.resident_bytes[0] / 1e6:.4g} to at most "
                f"{max(item.resident_bytes) / 1e6:.4g} MB in {item.time_s[-1] - start:.3g} s"
            )
        axes.grid(True, color=GRID)
        axes.set_xlabel("time since the start of the call (s)")
        axes.set_ylabel("resident memory (MB)")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, "timeline")
    return Plot(
        name="timeline",
        title="Memory over time, one call",
        caption="Sampled by memory_profiler, which misses short peaks: it shows what rose when, and decides nothing.",
        description=f"{'; '.join(said)}.",
        svg=svg,
    )


def _at_reference(run: Run) -> CaseResult | None:
    key = f"{run.first_judged}|{run.manifest.candidate}"
    return next((line for line in run.cases if line.key == key), None)


def _case_of_peers(run: Run) -> str:
    """Case at which most peers were timed; the judged case where none was."""
    counted = Counter(
        line.case.case_id for line in run.cases if line.role == "peer" and line.measurement and line.measurement.timing
    )
    return max(counted, key=lambda case_id: (counted[case_id], case_id), default=run.first_judged)


def peers(run: Run) -> Plot | None:
    """Draw time per call of everything that was timed where the peers were, and of copying the output."""
    shown = _case_of_peers(run)
    rows: list[tuple[str, str, list[float], str, str]] = []
    for line in run.cases:
        timing = line.measurement.timing if line.measurement else None
        if timing is None or not timing.reference_arms or line.case.case_id != shown:
            continue
        judged = line.role == "candidate" and line.candidate == run.manifest.candidate
        samples = [median(arm.samples_s) for arm in timing.candidate_arms if arm.samples_s]
        kind = "judged" if judged else line.role
        rows.append((line.candidate, kind, samples, CANDIDATE if judged else PEER, "o" if judged else "s"))
        if judged:
            samples = [median(arm.samples_s) for arm in timing.reference_arms if arm.samples_s]
            rows.append(("reference", "loop", samples, REFERENCE, "D"))
            rows.append(("copy into fresh memory", "limit", list(timing.copy_fresh_s), MUTED, "|"))
            rows.append(("copy into touched memory", "limit", list(timing.copy_warm_s), MUTED, "|"))
    rows = sorted((row for row in rows if row[2] and min(row[2]) > 0), key=lambda row: median(row[2]))
    if len(rows) < 2:
        return None
    with drawing(1.2 + 0.36 * len(rows)) as (figure, (axes,)):
        for index, (_, _, samples, color, marker) in enumerate(rows):
            axes.plot([min(samples), max(samples)], [index, index], color=color, linewidth=2)
            edge, size = (color, 10) if marker == "|" else (PAPER, 6)
            axes.plot([median(samples)], [index], marker, color=color, markeredgecolor=edge, markersize=size)
            axes.annotate(
                seconds_label(median(samples)), (median(samples), index), (0, 6), textcoords="offset points",
                ha="center", fontsize=8, color=INK,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, position: seconds_label(value))
        axes.xaxis.set_minor_formatter(lambda value, position: "")
        axes.margins(x=0.12)
        axes.set_yticks(range(len(rows)), [f"{short(name, 30)} ({kind})" for name, kind, *_ in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.grid(True, axis="x", color=GRID)
        axes.set_xlabel("time per warm call (log scale)")
        svg = to_svg(figure, "peers")
    kernel = run.leading.name if run.leading else ""
    where = "the judged case" if shown == run.first_judged else case_label(shown, kernel)
    return Plot(
        name="peers",
        title="The candidate among its peers",
        caption=f"Warm calls at {where}; line: smallest to largest. Copying the output once is the limit that no "
        "implementation can pass.",
        description="; ".join(f"{name} ({kind}): {seconds_label(median(samples))}" for name, kind, samples, *_ in rows)
        + ".",
        svg=svg,
    )


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One run in the history: the speedup that is sure, its date, outcome and commit."""

    created_at: str
    outcome: str
    commit: str
    speedup: float


def history(evidence: tuple[Evidence, ...], verdict: Verdict) -> Plot | None:
    """Draw the sure warm speedup of the recorded verdicts about the same kernels, and of this run, over commits."""
    points = [
        Point(created_at=item.created_at, outcome=item.outcome, commit=item.commit[:8], speedup=value)
        for item in evidence
        if (value := item.value("speed")) is not None and _of_the_same(item, verdict)
    ]
    speed = next((item for item in verdict.criteria if item.id == "speed"), None)
    mine = speed.value if speed else None
    if mine is not None and all(item.run_id != verdict.run_id for item in evidence):
        outcome = f"{verdict.outcome}, this run" + (f" ({' and '.join(verdict.marks)})" if verdict.marks else "")
        points.append(
            Point(created_at=verdict.created_at, outcome=outcome, commit=str(verdict.commit)[:8], speedup=mine)
        )
    return trend(points, speed.threshold if speed else None)


def _of_the_same(item: Evidence, verdict: Verdict) -> bool:
    """Whether a recorded verdict is about a kernel of this one; those before version 2.0 are about the flag's."""
    return bool(set(item.kernels or (subject().kernel,)) & set(verdict.kernels))


def trend(points: list[Point], promised: float | None, title: str = "Speedup of the recorded verdicts") -> Plot | None:
    """Draw speedups over commits in the order of their dates, and what is promised; at least two make a history."""
    ordered = sorted(points, key=lambda item: moment(item.created_at))[-SHOWN_HISTORY:]
    if len(ordered) < 2:
        return None
    looks = {"ACCEPT": ("o", CANDIDATE), "REJECT": ("X", LIMIT), "INCONCLUSIVE": ("D", REFERENCE)}
    with drawing(3.2) as (figure, (axes,)):
        axes.plot(range(len(ordered)), [item.speedup for item in ordered], color=MUTED, linewidth=1, zorder=1)
        for index, item in enumerate(ordered):
            marker, color = looks.get(item.outcome.split(",")[0], ("s", PEER))
            axes.plot([index], [item.speedup], marker, color=color, markeredgecolor=PAPER, markersize=8)
        for outcome, (marker, color) in looks.items():
            axes.plot([], [], marker, color=color, linestyle="none", label=outcome)
        if promised is not None:
            axes.axhline(promised, color=LIMIT, linestyle="--", linewidth=1.2)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, position: "")
        # The newest is named, and of the others as many as leave the names apart.
        named = range(len(ordered) - 1, -1, -math.ceil(len(ordered) / SHOWN_NAMES))
        axes.set_xticks(
            named,
            [f"{short(ordered[index].commit, 8)}\n{ordered[index].created_at[:10]}" for index in named],
            fontsize=8,
        )
        axes.grid(True, axis="y", color=GRID)
        axes.set_xlabel("commit and date of the run")
        axes.set_ylabel("speedup that is sure (times)")
        figure.legend(loc="outside lower center", ncols=3)
        svg = to_svg(figure, "history")
    return Plot(
        name="history",
        title=title,
        caption="Lower bound of the warm speedup after noise, run by run"
        + ("." if promised is None else f"; dashed: the promised {promised:g}x."),
        description="; ".join(
            f"{item.created_at[:10]}, commit {item.commit}: {item.speedup:.3g} times, {item.outcome}"
            for item in ordered[-12:]
        )
        + ".",
        svg=svg,
    )
