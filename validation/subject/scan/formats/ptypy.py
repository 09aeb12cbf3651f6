"""PtyPy reconstructions (.ptyr, HDF5): positions in metres, row first, about an origin that the file has."""

from __future__ import annotations

from validation.contract.errors import UsageError
from validation.subject.scan import arrays
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "PtyPy reconstruction"
_OBJECTS, _POSITIONS, _PROBES = "content/obj/", "content/positions/", "content/probe/"


def recognises(source: Source) -> bool:
    """See whether the file holds the data of an object storage."""
    return bool(_storages(source, _OBJECTS))


def read(source: Source, reading: Reading) -> Scan:
    """Read object and positions of the first storage: ``(position - _origin) / _psize``, row and column."""
    storages = _storages(source, _OBJECTS)
    storage = storages[0]
    place = f"{_OBJECTS}{storage}"
    wanted = [f"{place}/_psize", f"{place}/_origin", f"{_POSITIONS}{storage}"]
    missing = [name for name in wanted if name not in source]
    if missing:
        raise UsageError(
            f"{source.path} must hold {', '.join(wanted)} like a {NAME}; missing: {', '.join(missing)}; it holds "
            f"{source.listed()}"
        )
    remarks: list[str] = []
    if len(storages) > 1:
        others = ", ".join(storages[1:])
        remarks.append(f"the file has {len(storages)} objects: {storage} is taken, not {others}; --map names another")
    image = arrays.image(source, f"{place}/data", reading, remarks)
    size, origin = (_pair(source, f"{place}/{name}") for name in ("_psize", "_origin"))
    if not all(0 < extent < float("inf") for extent in size):
        raise UsageError(f"{place}/_psize of {source.path} must be positive numbers of metres, got {size}")
    positions = arrays.table(source, f"{_POSITIONS}{storage}", remarks)
    probes = _storages(source, _PROBES)
    return Scan(
        form=NAME,
        image=image,
        x=(positions[:, 1] - origin[1]) / size[1],
        y=(positions[:, 0] - origin[0]) / size[0],
        probe=arrays.probe(source, f"{_PROBES}{probes[0]}/data" if probes else None, remarks),
        units="metres, row before column",
        conversion=f"minus the origin ({origin[1]:g}, {origin[0]:g}) m, divided by ({size[1]:g}, {size[0]:g}) m",
        remarks=tuple(remarks),
    )


def _storages(source: Source, group: str) -> list[str]:
    names = (name for name in source.names() if name.startswith(group) and name.endswith("/data"))
    return [name[len(group) : -len("/data")] for name in names]


def _pair(source: Source, name: str) -> tuple[float, float]:
    """Numbers for rows and columns; one that is given once is for both."""
    found = arrays.coordinates(source, name, [])
    if len(found) > 2:
        raise UsageError(f"{name} of {source.path} must be two numbers, got {len(found)}")
    return float(found[0]), float(found[-1])
