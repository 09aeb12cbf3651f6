"""One visual language for all plots: small SVG whose colours are the page's, light or dark.

matplotlib draws with stand-in colours; in the SVG they become CSS variables, so that one plot serves both
schemes and paper. Colours are from Okabe and Ito's colour-blind safe set, and never speak without a
marker, a line style or a word.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-in colour of matplotlib, and the CSS variable that takes its place.
COLORS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "candidate": "#040404",
    "reference": "#050505",
    "limit": "#060606",
    "band": "#070707",
    "peer": "#080808",
    "paper": "#090909",
}
INK, MUTED, GRID, CANDIDATE, REFERENCE, LIMIT, BAND, PEER, PAPER = COLORS.values()
WIDTH_IN = 5.2

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reports",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
}


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A drawn figure. ``description`` is its text alternative: what it shows, in figures."""

    name: str
    title: str
    caption: str
    description: str
    svg: str
    wide: bool = False


@contextmanager
def drawing(height_in: float, columns: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """Give a figure in the project's style and its axes, side by side."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as MatplotlibFigure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = MatplotlibFigure(figsize=(WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)
        yield figure, list(axes[0])


def to_svg(figure: Figure, name: str) -> str:
    """Make an inline SVG: ids of its own, colours of the page, no size but its view box, hidden from readers.

    The text alternative stands beside it in the page.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Words stay words in the SVG, and the reader's fonts draw them, not matplotlib's.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for variable, color in COLORS.items():
        svg = svg.replace(color, f"var(--{variable})")
    # Hundredths of a point are enough for shapes; words keep their digits.
    svg = re.sub(
        r' (?:d|points|transform|x|y|width|height|style)="[^"]*"',
        lambda found: re.sub(r"(\d+\.\d{2})\d+", r"\1", found[0]),
        svg,
    )
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return svg.replace("<svg", '<svg role="presentation" aria-hidden="true" focusable="false"', 1)


def short(text: str, limit: int = 46) -> str:
    """Text that fits beside an axis; the middle gives way."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit - limit // 2 - 1) :]}"


def case_label(case_id: str, kernel: str) -> str:
    """Case id without the name of the kernel that most ids share."""
    return short(case_id.removeprefix(f"{kernel}-"))


def seconds_label(value: float) -> str:
    """Time in the unit that suits it, three digits."""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms" if value >= 1e-3 else f"{1e6 * value:.3g} µs"
