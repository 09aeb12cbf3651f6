"""What the parent needs to know of a scan before a child reads it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from validation.contract.errors import UsageError
from validation.contract.manifest import Scan

BUILT_IN_SCAN = "built-in scan"
# Name of the array with the nearest positions of each position, and for how many positions and neighbours it is made.
NEAREST = "nearest"
_CENTRES, _NEIGHBOURS = 1 << 15, 9
_BLOCK = 1 << 20


def peek(data: str | None, reading: tuple[str, ...] = ()) -> Scan:
    """Describe a scan: what is in it, its digest, and the digest of the form in which children read it.

    Parameters
    ----------
    data : str or None
        Path of the scan, a file of any format that is known; ``None``: the built-in scan.
    reading : tuple of str
        Options that say how it is read.

    Raises
    ------
    UsageError
        If the file is not a scan, or does not say what must be known.
    """
    with tempfile.TemporaryDirectory(prefix="validation-") as folder:
        path, shape, count = _prepare(data, Path(folder), reading)
        prepared = digest(path)
    return Scan(
        name=BUILT_IN_SCAN if data is None else Path(data).name,
        path=data,
        sha256=prepared if data is None else digest(Path(data)),
        object_shape=shape,
        positions=count,
        reading=reading,
        prepared_sha256=None if data is None else prepared,
    )


def materialise(
    data: str | None, folder: Path, reading: tuple[str, ...] = (), tell: Callable[[str], None] = lambda text: None
) -> str:
    """Write a scan into the folder, in the form that children read; give the absolute path.

    Parameters
    ----------
    data, reading
        As of `peek`.
    folder : Path
    tell : callable
        Told how the file was read, where it is not in our own form, and what is odd.

    Raises
    ------
    UsageError
        As `peek` does.
    """
    return str(_prepare(data, folder, reading, tell)[0].resolve())


def _prepare(
    data: str | None, folder: Path, reading: tuple[str, ...], tell: Callable[[str], None] = lambda text: None
) -> tuple[Path, tuple[int, int], int]:
    """Write a scan for the children; give the path, the shape of the object and the number of positions."""
    if data is None:
        from validation.subject import demo_scan

        path = folder / "built-in.npz"
        demo_scan.write_demo_scan(path)
        return path, (demo_scan.HEIGHT, demo_scan.WIDTH), demo_scan.POSITIONS
    import numpy as np

    from validation.subject.scan.isolated import read
    from validation.subject.scan.neighbours import nearest
    from validation.subject.scan.reading import write

    scan = read(Path(data), reading)
    if scan.units != "pixels" or reading:
        tell(f"the scan is read as {scan.form}; its positions are in {scan.units}: {scan.conversion}")
    for remark in scan.remarks:
        tell(f"the scan: {remark}")
    path = folder / "scan.npz"
    places = np.stack([scan.x, scan.y], axis=1)
    write(path, scan, **{NEAREST: nearest(places, _CENTRES, _NEIGHBOURS)})
    return path, (scan.image.shape[0], scan.image.shape[1]), len(scan.x)


def digest(path: Path) -> str:
    """SHA-256 of a file, of which only a block is in memory at a time.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError as error:
        raise UsageError(f"--data {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    return found.hexdigest()


def stamp(path: str) -> tuple[int, int]:
    """Size and time of change of a scan file, by which a change is noticed without reading it."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def check_unchanged(path: str, stamped: tuple[int, int]) -> None:
    """See that a scan file is still the one that a run began with: every child reads it anew.

    Raises
    ------
    UsageError
        If not.
    """
    try:
        same = stamp(path) == stamped
    except OSError:
        same = False
    if not same:
        raise UsageError(
            f"the scan {path} was changed or removed while it was measured; what was measured before is kept: put the "
            "file back and continue with --resume, or start another run"
        )
