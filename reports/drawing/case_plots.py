"""Plots over many cases: where it is fast, how far the numbers are off."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import NamedTuple

from reports.drawing.figure import (
    CANDIDATE,
    GRID,
    INK,
    MUTED,
    PAPER,
    PEER,
    Plot,
    drawing,
    short,
    to_svg,
)
from reports.drawing.parameters import axis, ordered, parameter, told
from reports.drawing.plots import Timings, promises
from reports.judging.policy import Policy
from reports.reading.run import Run
from validation.contract.cards import KernelCard
from validation.contract.cases import Parameter, Scalar

# Panels of the map that are drawn at most.
SHOWN_PANELS = 4
# A cell of the map: the value of its column, and of its row.
Cell = tuple[Scalar, Scalar]


class _Map(NamedTuple):
    """The smallest warm speedup of each cell, by panel, and the parameters of columns and rows (and panels)."""

    by: Parameter
    rows: Parameter
    of: Parameter | None
    cells: dict[Scalar, dict[Cell, float]]
    works: list[float]


def _map_of(card: KernelCard, timings: Timings) -> _Map | None:
    """Find the cells of the kernel's map; ``None`` where it has no axes, or fewer than two cells."""
    by, rows, of = (parameter(card, name) for name in (card.words.by, card.words.rows, card.words.of))
    if by is None or rows is None:
        return None
    cells: dict[Scalar, dict[Cell, float]] = defaultdict(dict)
    works = []
    for line, warm, _ in timings:
        params = line.case.params
        if line.case.kernel != card.name or by.name not in params or rows.name not in params:
            continue
        panel, cell = cells[params.get(of.name, "") if of else ""], (params[by.name], params[rows.name])
        panel[cell] = min(warm.median, panel.get(cell, math.inf))
        works.append(line.case.work)
    return _Map(by, rows, of, cells, works) if sum(map(len, cells.values())) >= 2 else None


def heat_map(run: Run, policy: Policy, timings: Timings) -> Plot | None:
    """Draw the smallest warm speedup over two parameters of the kernel that is judged first, a panel for each third."""
    card = run.leading
    found = _map_of(card, timings) if card is not None else None
    if card is None or found is None:
        return None
    by, rows, of, cells, works = found
    across = ordered(column for panel in cells.values() for column, _ in panel)
    down = ordered(row for panel in cells.values() for _, row in panel)
    panels = ordered(cells)[:SHOWN_PANELS]
    strongest = max(math.log(max(value, 1.01)) for panel in cells.values() for value in panel.values())
    with drawing(1.2 + 0.45 * len(down), columns=len(panels)) as (figure, all_axes):
        for axes, panel in zip(all_axes, panels, strict=True):
            for (column, row), value in cells[panel].items():
                x, y = across.index(column), down.index(row)
                alpha = 0.08 + 0.42 * max(math.log(max(value, 1.0)), 0.0) / strongest
                axes.fill_between([x - 0.48, x + 0.48], y - 0.48, y + 0.48, color=CANDIDATE, alpha=alpha, linewidth=0)
                mark = "" if value >= 1.0 else " ✗"
                shown = f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f}x{mark}"
                axes.annotate(shown, (x, y), ha="center", va="center", fontsize=8, color=INK)
            axes.set_xticks(range(len(across)), [short(str(value), 20) for value in across])
            axes.set_yticks(range(len(down)), [short(str(value), 20) for value in down])
            axes.set_xlim(-0.5, len(across) - 0.5)
            axes.set_ylim(len(down) - 0.5, -0.5)
            axes.tick_params(length=0)
            axes.set_xlabel(axis(by))
            axes.set_ylabel(axis(rows))
            axes.set_title(short(str(panel), 30))
        svg = to_svg(figure, "heat")
    listed = "; ".join(
        ", ".join([*([str(panel)] if of else []), told(by, column), told(rows, row)])
        + f": {cells[panel][column, row]:.3g}"
        for panel in panels
        for column in across
        for row in down
        if (column, row) in cells[panel]
    )
    promise = promises(run, policy, "warm").get(run.first_judged)
    promised = "" if promise is None else f"{promise:g}x is promised at the judged case alone; "
    cross = f"{promised}{'a' if promised else 'A'} cross marks a loss."
    return Plot(
        name="heat",
        title=f"Speedup over {by.label or by.name} and {rows.label or rows.name}",
        caption=f"Warm calls, median; the smallest of the cases in a cell, {min(works):.15g} to {max(works):.15g} "
        f"{card.work_unit} a call. {cross}",
        description=f"Speedup in times. {listed}.",
        svg=svg,
    )


def ulp(run: Run) -> Plot | None:
    """Draw the largest error in ULP of each case, by a parameter, against the reference and against the oracle."""
    counts: dict[str, Counter[tuple[Scalar, int]]] = {"reference": Counter(), "oracle": Counter()}
    for line in run.cases:
        equivalence = line.measurement.equivalence if line.measurement else None
        group = line.case.params.get(run.card(line).words.groups)
        if equivalence is None or line.role != "candidate" or group is None:
            continue
        for against, found in (
            ("reference", equivalence.candidate_vs_reference),
            ("oracle", equivalence.candidate_vs_oracle),
        ):
            if found is not None and found.max_ulp is not None:
                counts[against][group, found.max_ulp] += 1
    groups = ordered(group for of in counts.values() for group, _ in of)
    if not groups:
        return None
    grouped = [one for card in run.manifest.kernels if (one := parameter(card, card.words.groups)) is not None]
    label = " or ".join(dict.fromkeys(axis(one) for one in grouped))
    largest = {against: max((ulps for _, ulps in of), default=None) for against, of in counts.items()}
    # Different cases land on few distinct figures; a dot's size says how many.
    with drawing(1.5 + 0.36 * len(groups)) as (figure, (axes,)):
        for against, offset, marker, color in (("reference", -0.15, "o", CANDIDATE), ("oracle", 0.15, "D", PEER)):
            if not counts[against]:
                continue
            for (group, ulps), count in sorted(counts[against].items(), key=lambda item: (str(item[0][0]), item[0][1])):
                size = min(4 + 1.5 * math.log2(count + 1), 12)
                axes.plot(
                    [ulps], [groups.index(group) + offset], marker, color=color, markersize=size,
                    markeredgecolor=PAPER, clip_on=False,
                )  # fmt: skip
            axes.plot([], [], marker, color=color, label=f"against the {against}")
        axes.set_xscale("symlog", linthresh=1)
        top = max(value for value in largest.values() if value is not None)
        axes.set_xlim(-0.3, max(top * 2, 10))
        axes.xaxis.set_major_formatter(
            lambda value, position: f"{value:g}" if value < 1e4 else f"1e{round(math.log10(value))}"
        )
        axes.set_yticks(range(len(groups)), [short(str(group), 20) for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.grid(True, axis="x", color=GRID)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_xlabel("largest error of a case (ULP of float32; 0 is bit for bit)")
        axes.set_ylabel(label)
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
        description=f"Dot plot over {len(groups)} values of {label}: {said}.",
        svg=svg,
    )
