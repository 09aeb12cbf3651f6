"""What was found in a scan file, in lines."""

from __future__ import annotations

from validation.subject.scan.arrays import Image, Numbers
from validation.subject.scan.scan import Scan


def lines(scan: Scan, file: str) -> list[str]:
    """Tell format, object, positions, conversion and what is odd; one thing a line.

    Parameters
    ----------
    scan : Scan
    file : str
        Name of the file.
    """
    return [
        f"file        {file}",
        f"format      {scan.form}",
        f"object      {_shape(scan.image)}, magnitude {_magnitudes(scan.image)}",
        f"probe       {'none is taken' if scan.probe is None else _shape(scan.probe)}",
        f"positions   {len(scan.x)}; in the file: {scan.units}",
        f"converted   {scan.conversion}",
        f"x, columns  {_range(scan.x)} of 0..{scan.image.shape[1] - 1}",
        f"y, rows     {_range(scan.y)} of 0..{scan.image.shape[0] - 1}",
        *(f"note        {remark}" for remark in scan.remarks),
    ]


def _shape(image: Image) -> str:
    return f"{image.shape[0]} x {image.shape[1]} {image.dtype}"


def _magnitudes(image: Image) -> str:
    magnitude = abs(image)
    return f"{magnitude.min():.3g} to {magnitude.max():.3g}"


def _range(values: Numbers) -> str:
    return f"{values.min():.6g} to {values.max():.6g}"
