"""Positions of a file that does not say what they count from, made pixels by the options that do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from validation.contract.errors import UsageError
from validation.subject.scan.arrays import Numbers
from validation.subject.scan.options import Reading


@dataclass(frozen=True)
class Pixels:
    """Positions in pixels of the object, and how they came to be; fields as in `validation.subject.scan.scan.Scan`."""

    x: Numbers
    y: Numbers
    units: str
    conversion: str
    used: frozenset[str]


def to_pixels(
    x: Numbers, y: Numbers, shape: tuple[int, ...], window: tuple[int, int] | None, reading: Reading, path: Path
) -> Pixels:
    """Convert positions as ``--pixel-size`` and ``--origin`` say; as they are where neither is given.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Columns and rows, in metres where there is a pixel size, else in pixels.
    shape : tuple of int
        (H, W) of the object.
    window : tuple of int, or None
        (N, N) of the probe.
    reading : Reading
    path : Path
        The file, for messages.

    Raises
    ------
    UsageError
        If an option is missing.
    """
    size, origin = reading.pixel_size_m, reading.origin
    if size is None and len(x) > 1 and max(np.abs(x).max(), np.abs(y).max(initial=0.0)) < 1.0:
        raise UsageError(
            f"the {len(x)} positions of {path} all lie within one pixel (xcoords {x.min():g} to {x.max():g}, ycoords "
            f"{y.min():g} to {y.max():g}); metres? give --pixel-size METRES and --origin; --pixel-size 1 if they are "
            "pixels"
        )
    if size is not None and origin is None:
        raise UsageError(
            f"positions of {path} in metres need --origin center (they count from the object's centre), corner (from "
            "its first pixel, to the corner of the window) or zero (from its first pixel, to the middle of the window)"
        )
    if size is not None:
        x, y = x / size, y / size
    shift, said = (0.0, 0.0), ""
    if origin == "center":
        shift, said = (shape[1] / 2, shape[0] / 2), "half the object"
    elif origin == "corner":
        if window is None:
            raise UsageError(
                f"--origin corner needs the size of the window, but {path} has no probe: name it with --map probeGuess="
            )
        shift, said = (window[1] / 2, window[0] / 2), f"half the window of {window[0]} x {window[1]}"
    scaled = "taken as they are" if size is None else f"divided by {size:g} m"
    return Pixels(
        x=x + shift[0] if said else x,
        y=y + shift[1] if said else y,
        units="pixels" if size is None else "metres",
        conversion=scaled + (f", and {said} added" if said else ""),
        used=frozenset({"pixel_size", "origin"}),
    )
