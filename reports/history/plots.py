"""The plots of a history: speedup, steady time, first call and peak, one line per benchmark, oldest commit left."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from reports.drawing.figure import CANDIDATE, GRID, INK, LIMIT, MUTED, PAPER, PEER, REFERENCE, Plot, drawing, to_svg
from reports.history.results import History, Point, Series, amount
from reports.history.steps import steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = (
    (CANDIDATE, "o", "-"), (REFERENCE, "s", "-"), (PEER, "D", "-"), (INK, "^", "--"), (MUTED, "v", "--"),
    (LIMIT, "P", ":"), (CANDIDATE, "X", ":"), (REFERENCE, "*", ":"),
)  # fmt: skip
_FACTOR_HEIGHT = 10.0  # points
# A history of more commits is drawn without raw samples, and with markers for about as many of them.
_MOST_MARKERS = 50
# A text alternative of more commits is a summary.
_MOST_IN_WORDS = 12
_KINDS = {
    "speedup": ("Speedup over the loop", "times faster"),
    "steady": ("Steady time of a call", "time"),
    "cold": ("First call", "time"),
    "peak": ("Peak memory of a call", "memory"),
    "other": ("Other measures", "value"),
}


def kind_of(series: Series) -> str:
    """Which plot a series belongs to, by asv's naming: ``time_``, the unit, and "first" in the name."""
    name = series.benchmark.rpartition(".")[2]
    if series.unit == "ratio":
        return "speedup" if "time" in name else "other"
    if series.unit == "bytes":
        return "peak"
    if name.startswith("time_"):
        return "steady"
    return "cold" if "first" in name else "other"


def _inverted(series: Series) -> Series:
    """Turn a ratio of times (lower is better, as asv assumes) into a speedup."""
    points = [
        Point(state=point.state, value=1 / point.value, samples=tuple(1 / sample for sample in point.samples))
        if point.value
        else point
        for point in series.points
    ]
    return Series(benchmark=series.benchmark, params=series.params, unit="times", points=tuple(points))


def _cost(series: Series) -> float:
    values = [point.value for point in series.points if point.value is not None]
    return statistics.median(values) if values else 0.0


def selected(history: History, kind: str, module: str) -> list[Series]:
    """One series per benchmark of a module: the combination of parameters that costs most."""
    best: dict[str, Series] = {}
    for series in history.series:
        if kind_of(series) != kind or series.benchmark.partition(".")[0] != module:
            continue
        if series.benchmark not in best or _cost(series) > _cost(best[series.benchmark]):
            best[series.benchmark] = series
    return list(best.values())[: len(_LOOKS)]


class _Factor(NamedTuple):
    """The factor of a change of level, to be written beside its ring."""

    at: int
    value: float
    text: str
    color: str
    beside: bool  # a line that falls comes from above: there the factor stands beside the ring


def _draw(axes: Axes, number: int, series: Series, marked: list[tuple[int, float, float]]) -> list[_Factor]:
    """Draw one series; return the factors of its changes, which find their places when the limits are known."""
    color, marker, style = _LOOKS[number]
    shown = [(at, point) for at, point in enumerate(series.points) if point.value is not None]
    every = math.ceil(len(series.points) / _MOST_MARKERS)
    if every == 1:
        samples = [(at, sample) for at, point in shown for sample in point.samples]
        axes.plot(
            [at for at, _ in samples], [sample for _, sample in samples], ".", color=color, markersize=2.5, alpha=0.5,
            zorder=1.5,
        )  # fmt: skip
    name = series.benchmark.rpartition(".")[2].removeprefix("time_").removeprefix("track_")
    axes.plot(
        [at for at, _ in shown], [point.value or math.nan for _, point in shown], style, color=color, marker=marker,
        markevery=every, markeredgecolor=PAPER, label=f"{name} ({series.params})",
    )  # fmt: skip
    factors = []
    for at, before, after in marked:
        value = series.points[at].value
        if value is None:
            continue
        factor = max(after / before, before / after)
        axes.plot([at], [value], "o", markersize=13, markerfacecolor="none", markeredgecolor=color, zorder=3)
        beside = after < before and at < len(series.points) - 1
        text = f"{'▲' if after > before else '▼'}{factor:.3g}x"
        factors.append(_Factor(at, value, text, color, beside))
    return factors


def _write(figure: Figure, axes: Axes, factors: list[_Factor]) -> None:
    """Write the factors; several of one commit stand one above the other, over the highest ring."""
    figure.draw_without_rendering()  # the layout says where a value lies on the page
    free: dict[int, float] = {}
    for factor in sorted(factors, key=lambda one: (one.at, -one.value)):
        at_y = float(axes.transData.transform((factor.at, factor.value))[1]) * 72 / figure.dpi
        y = free.get(factor.at, at_y + (7 if factor.beside else 10))
        free[factor.at] = y + _FACTOR_HEIGHT
        axes.annotate(
            factor.text, (factor.at, factor.value), (7 if factor.beside else 0, y - at_y),
            textcoords="offset points", ha="left" if factor.beside else "center", fontsize=8, color=factor.color,
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )  # fmt: skip


def _draw_without_value(axes: Axes, number: int, series: Series) -> None:
    """Mark failures and n/a below the axis, a row per series: each stretch of commits is a line with its word."""
    from matplotlib.transforms import ScaledTranslation

    for state, stretch in itertools.groupby(enumerate(series.points), key=lambda one: one[1].state):
        places = [at for at, _ in stretch]
        if state not in ("failed", "n/a"):
            continue
        low, color = 4 + 9 * number, _LOOKS[number][0]
        if len(places) > 1:
            raised = ScaledTranslation(0, (low + 2) / 72, axes.figure.dpi_scale_trans)
            axes.plot(
                [places[0] - 0.3, places[-1] + 0.3], [0, 0], color=color, linewidth=0.8,
                transform=axes.get_xaxis_transform() + raised,
            )  # fmt: skip
        axes.annotate(
            "✗ failed" if state == "failed" else "n/a", (statistics.mean(places), 0.0), (0, low),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha="center", fontsize=7, color=color,
            fontweight="bold" if state == "failed" else "normal",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _plot(history: History, kind: str, module: str) -> Plot | None:
    from matplotlib.ticker import LogLocator

    chosen = selected(history, kind, module)
    if not any(point.value is not None for series in chosen for point in series.points):
        return None
    title, label = _KINDS[kind]
    count = len(history.commits)
    with drawing(3.4 + 0.18 * len(chosen)) as (figure, (axes,)):
        factors: list[_Factor] = []
        for number, series in enumerate(chosen):
            marked = steps(series)
            drawn = series
            if kind == "speedup":
                drawn = _inverted(series)
                marked = [(at, 1 / before, 1 / after) for at, before, after in marked]
            factors += _draw(axes, number, drawn, marked)
            _draw_without_value(axes, number, series)
        axes.set_yscale("log")
        unit = "times" if kind == "speedup" else chosen[0].unit
        axes.yaxis.set_major_locator(LogLocator(base=4 if unit == "bytes" else 10))
        axes.yaxis.set_major_formatter(lambda value, position: amount(value, unit))
        axes.yaxis.set_minor_locator(
            LogLocator(base=4, subs=(2.0,)) if unit == "bytes" else LogLocator(subs=(2.0, 5.0))
        )
        axes.yaxis.set_minor_formatter(
            lambda value, position: amount(value, unit) if axes.get_ylim()[1] / axes.get_ylim()[0] < 100 else ""
        )
        axes.tick_params(axis="y", which="both", labelsize=8)
        low, high = axes.get_ylim()
        axes.set_ylim(low / (high / low) ** (0.08 * len(chosen)), high * (high / low) ** 0.12)
        axes.set_xlim(-0.6, count - 0.4)
        axes.set_xlabel("commit, oldest first")
        every = max(1, count // 12)
        axes.set_xticks(
            range(0, count, every), [history.commits[at].hash[:7] for at in range(0, count, every)], rotation=45,
            ha="right", fontsize=8, family="monospace",
        )  # fmt: skip
        axes.grid(True, axis="y", color=GRID)
        axes.set_ylabel(f"{label} (log scale)")
        figure.legend(loc="outside lower center", ncols=1, fontsize=8)
        _write(figure, axes, factors)
        svg = to_svg(figure, f"history-{module}-{kind}")
    samples = "small dots: raw samples where asv keeps them; " if count <= _MOST_MARKERS else ""
    marks = "Mark" if count <= _MOST_MARKERS else "Line, with a mark here and there"
    return Plot(
        name=f"history-{module}-{kind}",
        title=f"{title}: {module.replace('_', ' ')}",
        caption=f"{marks}: median or the value tracked; {samples}ring: change of level, with its factor. "
        "✗ failed; n/a: the function did not exist.",
        description="; ".join(_in_words(series, kind) for series in chosen),
        svg=svg,
    )


def _in_words(series: Series, kind: str) -> str:
    """Tell all values of a short history; of a long one the first, last, least and largest, and what has none."""
    drawn = _inverted(series) if kind == "speedup" else series
    name = f"{series.benchmark.rpartition('.')[2]} ({series.params})"
    if len(drawn.points) <= _MOST_IN_WORDS:
        values = [f"{point.value:.3g}" if point.value is not None else point.state for point in drawn.points]
        return f"{name}: {', '.join(values)}"
    measured = [point.value for point in drawn.points if point.value is not None]
    told = [f"{len(measured)} of {len(drawn.points)} commits measured"]
    if measured:
        told.append(
            f"first {measured[0]:.3g}, last {measured[-1]:.3g}, least {min(measured):.3g}, largest {max(measured):.3g}"
        )
    told.append(f"{len(steps(series))} changes of level")
    states = [point.state for point in drawn.points]
    told += [f"{states.count(state)} {state}" for state in ("failed", "n/a", "not run") if state in states]
    return f"{name}: {', '.join(told)}"


def draw(history: History) -> list[Plot]:
    """All plots that there are values for."""
    modules = sorted({series.benchmark.partition(".")[0] for series in history.series})
    made = (_plot(history, kind, module) for kind in _KINDS for module in modules)
    return [plot for plot in made if plot is not None]
