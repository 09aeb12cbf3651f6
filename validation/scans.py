"""What the parent needs to know of a scan before a child reads it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from validation.errors import UsageError
from validation.records import Scan

BUILT_IN_SCAN = "built-in scan"


def peek(data: str | None) -> Scan:
    """Describe a scan by the headers of its arrays; what they hold is neither read nor checked.

    Parameters
    ----------
    data : str or None
        Path of the .npz; ``None``: the built-in scan.

    Raises
    ------
    UsageError
        If the file is not an .npz with an object and positions.
    """
    if data is not None:
        return _peek(Path(data), Path(data).name, data)
    with tempfile.TemporaryDirectory(prefix="validation-") as folder:
        return _peek(Path(materialise(None, Path(folder))), BUILT_IN_SCAN, None)


def materialise(data: str | None, folder: Path) -> str:
    """Give the absolute path of a scan; the built-in one is written into the folder first."""
    if data is not None:
        return str(Path(data).resolve())
    from validation.demo_scan import write_demo_scan

    path = folder / "built-in.npz"
    write_demo_scan(path)
    return str(path)


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


def _peek(path: Path, name: str, given: str | None) -> Scan:
    try:
        shape, count = _header_shape(path, "objectGuess"), _header_shape(path, "xcoords")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--data {given} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise UsageError(f"--data {given} must be an .npz with objectGuess, xcoords and ycoords: {error}") from None
    if len(shape) != 2 or len(count) != 1:
        raise UsageError(f"--data {given} must hold an object of two axes and positions of one, got {shape}, {count}")
    return Scan(
        name=name,
        path=given,
        sha256=hashlib.sha256(content).hexdigest(),
        object_shape=(shape[0], shape[1]),
        positions=count[0],
    )


def _header_shape(path: Path, array: str) -> tuple[int, ...]:
    with zipfile.ZipFile(path) as archive, archive.open(f"{array}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(read(file)[0])
