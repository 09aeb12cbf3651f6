"""PtychoShelves results (.mat, of any version): positions in pixels, about the centre of the object."""

from __future__ import annotations

import math

from validation.contract.errors import UsageError
from validation.subject.scan import arrays
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "PtychoShelves result"
_POSITIONS = ("outputs/probe_positions", "p/probe_positions")


def recognises(source: Source) -> bool:
    """See whether the file holds an object and the struct that has the positions."""
    return "object" in source and any(name in source for name in _POSITIONS)


def read(source: Source, reading: Reading) -> Scan:
    """Read object (H, W, layers) and positions ``position + ceil(No / 2 - N / 2) - 1 + N / 2``."""
    remarks: list[str] = []
    place = next(name for name in _POSITIONS if name in source)
    shape = source.header(place).shape
    if not source.matlab and shape[:1] == (2,):  # written as MATLAB does, without saying so
        source.matlab = True
    elif not source.matlab:
        remarks.append(f"{place} of shape {shape} is not in MATLAB's order, so the object is not taken to be either")
    image = arrays.image(source, "object", reading, remarks)
    positions = arrays.table(source, place, remarks)
    window = arrays.window(source, "probe")
    if window is None:
        raise UsageError(
            f"{source.path} must hold the array probe, since its size is needed; it holds {source.listed()}"
        )
    x0, y0 = (math.ceil(image.shape[axis] / 2 - window[axis] / 2) - 1 + window[axis] / 2 for axis in (1, 0))
    return Scan(
        form=NAME,
        image=image,
        x=positions[:, 0] + x0,
        y=positions[:, 1] + y0,
        probe=arrays.probe(source, "probe", remarks),
        units="pixels about the object's centre",
        conversion=f"({x0:g}, {y0:g}) added: the object is {image.shape[0]} x {image.shape[1]}, the window "
        f"{window[0]} x {window[1]}",
        remarks=tuple(remarks),
    )
