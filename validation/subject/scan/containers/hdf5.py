"""HDF5 files: products, checkpoints, and MATLAB files since version 7.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.subject.scan.source import Header, Source

# Where MATLAB keeps what cell arrays refer to.
_REFERENCES = "#refs#"


class Hdf5Source(Source):
    """An HDF5 file; a dataset is read only when it is asked for, and from this file alone."""

    kind = "HDF5"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import h5py

        self._h5py = h5py
        try:
            self._file = h5py.File(path, "r", locking=False)
            self._names = self._walk()
            self.matlab = self._is_matlab()
        except UsageError:
            raise
        except Exception as error:  # a damaged file makes HDF5 raise almost anything
            raise UsageError(
                f"--data {path} is no HDF5 file that can be read: {' '.join(str(error).split())}"
            ) from None
        if self.matlab:
            self.kind = "MATLAB file (HDF5)"

    def names(self) -> list[str]:
        """Paths of the datasets, without those that only references reach."""
        return self._names

    def header(self, name: str) -> Header:
        """Shape and dtype of a dataset, axes as in the file, or in MATLAB's order."""
        header = self._header(name, self._dataset(name))
        return Header(header.shape[::-1], header.dtype) if self.matlab else header

    def read(self, name: str) -> NDArray[Any]:
        """Read a dataset; of a cell array of MATLAB its cells, stacked behind the last axis."""
        dataset = self._dataset(name)
        try:
            array = self._read(name, dataset)
        except UsageError:
            raise
        except Exception as error:
            raise self.unreadable(name, error) from None
        return array.T if self.matlab else array

    def number(self, name: str, attribute: str) -> float | None:
        """Give an attribute of a dataset, or of the file for the name ``/``."""
        try:
            value = np.asarray(self._file[name or "/"].attrs[attribute])
            return float(value.reshape(-1)[0]) if value.size == 1 and value.dtype.kind in "iuf" else None
        except Exception:  # there is none, or it is damaged
            return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _walk(self) -> list[str]:
        found: list[str] = []

        def visit(name: str, item: Any) -> None:
            if isinstance(item, self._h5py.Dataset) and not name.startswith(_REFERENCES):
                found.append(name)

        self._file.visititems(visit)
        return found

    def __contains__(self, name: str) -> bool:
        # Links are followed here, but not where names are listed.
        try:
            return isinstance(self._file.get(name.strip("/")), self._h5py.Dataset)
        except Exception:
            return False

    def _is_matlab(self) -> bool:
        if self._file.userblock_size >= 128:
            with open(self.path, "rb") as file:
                if file.read(10) == b"MATLAB 7.3":
                    return True
        return any("MATLAB_class" in self._file[name].attrs for name in self._names)

    def _dataset(self, name: str) -> Any:
        try:
            dataset = self._file[name]
            filename = dataset.file.filename
        except Exception as error:
            raise self.unreadable(name, error) from None
        if filename != self._file.filename or dataset.is_virtual or dataset.external:
            raise self.unreadable(
                name, "it lies in another file, which the digest of this one does not cover; write both into one"
            )
        return dataset

    def _read(self, name: str, dataset: Any) -> NDArray[Any]:
        header = self._header(name, dataset)
        self.require_memory(name, header)
        self._require_filters(name, dataset)
        if header.dtype.kind == "O":
            if self._h5py.check_ref_dtype(header.dtype) is not None:
                cells = [self._read(name, self._file[cell]) for cell in np.ravel(dataset[()])]
                return cells[0] if len(cells) == 1 else np.stack(cells)
            raise self.unreadable(name, "it holds text or objects; plain numeric arrays are expected")
        if header.nbytes and not dataset.id.get_storage_size():
            raise self.unreadable(name, f"its {header.nbytes} bytes were never written")
        return np.asarray(dataset[()])

    def _header(self, name: str, dataset: Any) -> Header:
        try:
            return Header(tuple(int(extent) for extent in dataset.shape or ()), dataset.dtype)
        except Exception as error:
            raise self.unreadable(name, error) from None

    def _require_filters(self, name: str, dataset: Any) -> None:
        filters = dataset.id.get_create_plist()
        for number in range(filters.get_nfilters()):
            code, _, _, called = filters.get_filter(number)
            if not self._h5py.h5z.filter_avail(code):
                said = called.decode(errors="replace") or "without a name"
                raise self.unreadable(name, f"its compression (HDF5 filter {code}, {said}) is unknown here")
