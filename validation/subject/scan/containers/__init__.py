"""Containers of arrays, one module each: npz, HDF5, and MATLAB files of before 7.3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from validation.contract.errors import UsageError
from validation.subject.scan.source import Source

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file by its content, whatever its name.

    Raises
    ------
    UsageError
        If it cannot be read, or is no container that is known.
    """
    source = _open(path)
    try:
        yield source
    finally:
        source.close()


def _open(path: Path) -> Source:
    try:
        with open(path, "rb") as file:
            start = file.read(128)
            if _is_hdf5(file):
                from validation.subject.scan.containers.hdf5 import Hdf5Source

                return Hdf5Source(path)
    except OSError as error:
        raise UsageError(f"--data {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from validation.subject.scan.containers.npz import NpzSource

        return NpzSource(path)
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        from validation.subject.scan.containers.mat5 import Mat5Source

        return Mat5Source(path)
    raise UsageError(
        f"--data {path} must be an .npz, HDF5 or MATLAB file, but it begins with {start[:8]!r}"
        if start
        else f"--data {path} must be an .npz, HDF5 or MATLAB file, but it is empty"
    )


def _is_hdf5(file: Any) -> bool:
    """See whether the signature stands at 0, 512, 1024, 2048 ..., as the format allows."""
    size, place = os.fstat(file.fileno()).st_size, 0
    while place < size:
        file.seek(place)
        if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
            return True
        place = max(512, 2 * place)
    return False
