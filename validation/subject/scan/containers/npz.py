"""NumPy archives that somebody else made, read without trusting them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.subject.scan.source import Header, Source

# How many bytes of data a byte of the file can become at most, by compression.
_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
_ENCRYPTED = 0x1


class NpzSource(Source):
    """An .npz file; a member is read only when it is asked for, and never unpickled."""

    kind = "NumPy archive"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except Exception as error:  # a damaged archive makes zipfile raise almost anything
            raise UsageError(f"--data {path} is no .npz that can be read: {_said(error)}") from None
        self._size = path.stat().st_size
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in self._archive.infolist()
            if info.filename.endswith(".npy")
        }

    def names(self) -> list[str]:
        """Names of the members, in the order of the file."""
        return list(self._members)

    def header(self, name: str) -> Header:
        """Shape and dtype from the header of a member."""
        try:
            with self._entry(name) as entry:
                return _header(entry)[0]
        except UsageError:
            raise
        except Exception as error:
            raise self.unreadable(name, _said(error)) from None

    def read(self, name: str) -> NDArray[Any]:
        """Read a member, once its header was held against the size of the file."""
        info = self._members[name]
        try:
            with self._entry(name) as entry:
                header, length = _header(entry)
            if header.dtype.hasobject:
                raise self.unreadable(name, "it is pickled; plain numeric arrays are expected")
            if header.nbytes + length != info.file_size:
                raise self.unreadable(
                    name, f"its header declares {header.nbytes} bytes, the file holds {info.file_size - length}"
                )
            self.require_memory(name, header)
            with self._entry(name) as entry:
                return np.asarray(np.lib.format.read_array(entry, allow_pickle=False))
        except UsageError:
            raise
        except Exception as error:
            raise self.unreadable(name, _said(error)) from None

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    def _entry(self, name: str) -> IO[bytes]:
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED:
            raise self.unreadable(name, "it is encrypted; plain arrays are expected")
        expansion = _EXPANSION.get(info.compress_type)
        if expansion is None:
            raise self.unreadable(
                name, f"its compression (method {info.compress_type}) is unknown; stored or deflated is expected"
            )
        # The declared sizes are the archive's own word; only the size of the file is known.
        if info.compress_size > self._size or info.file_size > expansion * info.compress_size:
            raise self.unreadable(
                name, f"the archive claims {info.file_size} bytes for it, which a file of {self._size} cannot hold"
            )
        return self._archive.open(info)


def _header(entry: IO[bytes]) -> tuple[Header, int]:
    """Header of a member, and how many bytes it takes."""
    version = np.lib.format.read_magic(entry)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"unsupported .npy version {version}")
    shape, _, dtype = readers[version](entry)
    if dtype.itemsize == 0:
        raise ValueError(f"its elements have no size (dtype {dtype})")
    if any(type(extent) is not int or extent < 0 for extent in shape):
        raise ValueError(f"its shape must not be negative, got {shape}")
    return Header(shape, dtype), entry.tell()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
