"""What was found in a scan file: an object and positions in its pixels, and how they came to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from validation.contract.errors import UsageError
from validation.subject.scan.arrays import Image, Numbers
from validation.subject.scan.options import Reading


@dataclass(frozen=True)
class Scan:
    """An object and positions over it.

    Attributes
    ----------
    form : str
        Name of the format.
    image : ndarray, shape (H, W), complex64 or complex128
        The object.
    x, y : ndarray, shape (n,), float64
        Positions in pixels of the object, column and row; the window of N pixels starts at ``x - N / 2``.
    probe : ndarray, shape (N, N), or None
    units : str
        Of the positions in the file.
    conversion : str
        How they became pixels.
    remarks : tuple of str
        What is odd, or was done on the way.
    used : frozenset of str
        Options that have a say in it: ``pixel_size``, ``origin``.
    """

    form: str
    image: Image
    x: Numbers
    y: Numbers
    probe: Image | None
    units: str
    conversion: str
    remarks: tuple[str, ...] = ()
    used: frozenset[str] = frozenset()


def check(scan: Scan, path: Path, reading: Reading) -> tuple[str, ...]:
    """See that a scan can be measured on.

    Returns
    -------
    tuple of str
        What is odd and no reason to refuse it.

    Raises
    ------
    UsageError
        If an array is not finite, the positions do not belong together or lie outside the object; it says what
        would make them fit.
    """
    if len(scan.x) != len(scan.y):
        raise UsageError(f"ycoords of {path} must have {len(scan.x)} entries like xcoords, got {len(scan.y)}")
    for name, array in (("objectGuess", scan.image), ("xcoords", scan.x), ("ycoords", scan.y)):
        bad = np.count_nonzero(~np.isfinite(array))
        if bad:
            raise UsageError(f"{name} of {path} must be finite, got {bad} values that are NaN or infinite")
    _require_inside(scan, path, reading)
    return _oddities(scan)


def _require_inside(scan: Scan, path: Path, reading: Reading) -> None:
    height, width = scan.image.shape
    for name, values, extent in (("xcoords", scan.x, width), ("ycoords", scan.y, height)):
        outside = np.count_nonzero((values < 0) | (values > extent - 1))
        if outside:
            hint = _hint(scan, reading)
            raise UsageError(
                f"{name} of {path} must lie in 0..{extent - 1} (the object is {height} x {width}), got {outside} "
                f"positions outside, from {values.min():g} to {values.max():g}" + (f"; {hint}" if hint else "")
            )


def _hint(scan: Scan, reading: Reading) -> str:
    """Say what would make positions fit that lie outside."""
    height, width = scan.image.shape
    exchange, centre = "", ""
    if "origin" in scan.used:  # the options say how they are read
        x, y = (reading.names.get(name, name) for name in ("xcoords", "ycoords"))
        exchange, centre = f" --map xcoords={y} --map ycoords={x}", " --origin center"
    if _fit(scan.y, width) and _fit(scan.x, height):
        return "they would fit with x and y exchanged" + (f":{exchange}" if exchange else "")
    if _fit(scan.x + width / 2, width) and _fit(scan.y + height / 2, height):
        return "they would fit if they count from the object's centre" + (f":{centre}" if centre else "")
    if _fit(scan.y + width / 2, width) and _fit(scan.x + height / 2, height):
        return "they would fit with x and y exchanged if they count from the object's centre" + (
            f":{centre}{exchange}" if exchange else ""
        )
    return ""


def _fit(values: Numbers, extent: int) -> bool:
    return bool(values.min() >= 0 and values.max() <= extent - 1)


def _oddities(scan: Scan) -> tuple[str, ...]:
    found = []
    places = len(np.unique(scan.x + 1j * scan.y))
    if places < len(scan.x):
        found.append(f"the {len(scan.x)} positions lie at {places} places: some are there more than once")
    if len(scan.x) > 1 and max(np.ptp(scan.x), np.ptp(scan.y)) < 1.0:
        found.append(f"all positions lie within one pixel: xcoords {_range(scan.x)}, ycoords {_range(scan.y)}")
    largest = float(np.abs(scan.image).max())
    if not largest:
        found.append("the object is zero everywhere")
    elif not 1e-3 <= largest <= 1e3:
        found.append(f"the object's largest magnitude is {largest:.3g}")
    return tuple(found)


def _range(values: Numbers) -> str:
    return f"{values.min():g} to {values.max():g}"
