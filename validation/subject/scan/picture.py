"""The positions of a scan, drawn on the magnitude of its object."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from validation.subject.scan.scan import Scan

# More positions than this would hide each other and the object: every k-th is drawn, and the title says so.
_DRAWN = 20000
_PIXELS = 1500


def draw(scan: Scan, path: Path) -> None:
    """Draw the positions on the object, with the first window's outline, into a PNG.

    Parameters
    ----------
    scan : Scan
    path : Path
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    height, width = scan.image.shape
    step = max(1, -(-len(scan.x) // _DRAWN))
    coarse = max(1, -(-max(height, width) // _PIXELS))  # as many pixels as a screen can show
    magnitude = np.abs(scan.image[::coarse, ::coarse])
    tall = float(np.clip(6.6 * height / width, 2.5, 14.0))
    figure = Figure(figsize=(8.5, tall + 1.2), layout="constrained")
    axes = figure.subplots()
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    low, high = np.percentile(magnitude, [0.5, 99.5])
    shown = axes.imshow(magnitude, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
    size = float(np.clip(6000 / (len(scan.x) / step), 1.0, 12.0))
    axes.scatter(scan.x[::step], scan.y[::step], s=size, c="tab:orange", linewidths=0, label="positions")
    axes.plot(scan.x[0], scan.y[0], "o", ms=7, mfc="none", mec="tab:cyan", mew=1.5, label="the first")
    if scan.probe is not None:
        rows, columns = scan.probe.shape
        corner = (scan.x[0] - columns / 2 - 0.5, scan.y[0] - rows / 2 - 0.5)
        axes.add_patch(Rectangle(corner, columns, rows, fill=False, ec="tab:cyan", lw=1.2, label="its window"))
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    axes.set_xlabel("x, columns, pixels")
    axes.set_ylabel("y, rows, pixels")
    few = f", every {step}th drawn" if step > 1 else ""
    axes.set_title(f"{scan.form}: {len(scan.x)} positions on |object|{few}", fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.colorbar(shown, ax=axes, label="|object|", shrink=0.8)
    figure.savefig(path, dpi=110)
