"""Any file, where the options or the names in it say which array is which."""

from __future__ import annotations

from validation.contract.errors import UsageError
from validation.subject.scan import arrays
from validation.subject.scan.options import Reading
from validation.subject.scan.pixels import to_pixels
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "arrays by name"
REQUIRED = ("objectGuess", "xcoords", "ycoords")


def read(source: Source, reading: Reading) -> Scan:
    """Read the arrays that ``--map`` names, and those that it leaves out by their own names."""
    places = {name: reading.names.get(name, name) for name in (*REQUIRED, "probeGuess")}
    missing = [name for name in REQUIRED if name not in reading.names and name not in source]
    if missing:
        raise UsageError(
            f"{source.path} must hold the arrays {', '.join(REQUIRED)}; missing: {', '.join(missing)}; it holds "
            f"{source.listed()}; --map NAME=/path/in/file says where one is"
        )
    remarks: list[str] = []
    image = arrays.image(source, places["objectGuess"], reading, remarks)
    x = arrays.coordinates(source, places["xcoords"], remarks)
    y = arrays.coordinates(source, places["ycoords"], remarks)
    found = to_pixels(x, y, image.shape, arrays.window(source, places["probeGuess"]), reading, source.path)
    return Scan(
        form=NAME,
        image=image,
        x=found.x,
        y=found.y,
        probe=arrays.probe(source, places["probeGuess"], remarks),
        units=found.units,
        conversion=found.conversion,
        remarks=tuple(remarks),
        used=found.used,
    )
