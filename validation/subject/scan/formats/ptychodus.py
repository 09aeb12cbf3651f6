"""Ptychodus products, HDF5 or .npz: positions in metres, about a centre that the file has."""

from __future__ import annotations

from validation.contract.errors import UsageError
from validation.subject.scan import arrays
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "ptychodus product"
_X, _Y = "probe_position_x_m", "probe_position_y_m"


def recognises(source: Source) -> bool:
    """See whether the file holds positions under the names of a product."""
    return _X in source or _Y in source


def read(source: Source, reading: Reading) -> Scan:
    """Read object and positions: ``(x_m - center_x_m) / pixel_width_m + W / 2``, y likewise."""
    missing = [name for name in ("object", _X, _Y) if name not in source]
    if missing:
        raise UsageError(
            f"{source.path} must hold object, {_X} and {_Y} like a {NAME}; missing: {', '.join(missing)}; it holds "
            f"{source.listed()}"
        )
    remarks: list[str] = []
    used: set[str] = set()
    image = arrays.image(source, "object", reading, remarks)
    height, width = image.shape
    dx, dy = (_pixel(source, name, reading, used) for name in ("pixel_width_m", "pixel_height_m"))
    cx, cy = (_centre(source, name, reading, used) for name in ("center_x_m", "center_y_m"))
    x, y = (arrays.coordinates(source, name, remarks) for name in (_X, _Y))
    return Scan(
        form=NAME,
        image=image,
        x=(x - cx) / dx + width / 2,
        y=(y - cy) / dy + height / 2,
        probe=arrays.probe(source, "probe", remarks),
        units="metres",
        conversion=f"minus the centre ({cx:g}, {cy:g}) m, divided by ({dx:g}, {dy:g}) m, and half the object added",
        remarks=tuple(remarks),
        used=frozenset(used),
    )


def _number(source: Source, name: str) -> float | None:
    """Give a number that is an attribute of the object (HDF5), or an array of its own (.npz)."""
    found = source.number("object", name)
    if found is None and f"object_{name}" in source:
        found = float(arrays.coordinates(source, f"object_{name}", [])[0])
    return found


def _pixel(source: Source, name: str, reading: Reading, used: set[str]) -> float:
    found = _number(source, name)
    if found is None:
        if reading.pixel_size_m is None:
            raise UsageError(f"{source.path} does not say {name} of its object: give --pixel-size METRES")
        used.add("pixel_size")
        found = reading.pixel_size_m
    if not 0 < found < float("inf"):
        raise UsageError(f"{name} of the object in {source.path} must be a positive number of metres, got {found:g}")
    return found


def _centre(source: Source, name: str, reading: Reading, used: set[str]) -> float:
    found = _number(source, name)
    if found is None:
        if reading.origin is None:
            raise UsageError(
                f"{source.path} does not say {name} of its object: give --origin center if its positions count from "
                "the centre"
            )
        if reading.origin != "center":
            raise UsageError(f"--origin of a {NAME} can only be center, got {reading.origin}; --map names its arrays")
        used.add("origin")
        found = 0.0
    if found != found:
        raise UsageError(f"{name} of the object in {source.path} must be a number of metres, got NaN")
    return found
