"""MATLAB files before version 7.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.subject.scan.source import Header, Source

# How many bytes of data a byte of a compressed file can become at most.
_EXPANSION = 1032
_STRUCT = "struct"


class Mat5Source(Source):
    """A MATLAB file of version 5 to 7.2; a variable is read only when it is asked for."""

    kind = "MATLAB file"
    matlab = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import scipy.io

        self._loadmat = scipy.io.loadmat
        try:
            found = scipy.io.whosmat(str(path))
        except Exception as error:  # a damaged file makes SciPy raise almost anything
            raise UsageError(f"--data {path} is no MATLAB file that can be read: {_said(error)}") from None
        self._variables = {name: (tuple(map(int, shape)), kind) for name, shape, kind in found}
        self._loaded: dict[str, Any] = {}

    def names(self) -> list[str]:
        """Names of the variables; a struct's fields are not listed, and found by ``struct/field``."""
        return list(self._variables)

    def __contains__(self, name: str) -> bool:
        variable, *fields = name.strip("/").split("/")
        if not fields:
            return variable in self._variables
        return self._variables.get(variable, ((), ""))[1] == _STRUCT and self._field(variable, fields) is not None

    def header(self, name: str) -> Header:
        """Shape and dtype; what lies in a struct or a cell array is read for it."""
        shape, kind = self._variables.get(name, ((), _STRUCT))
        try:
            return Header(shape, np.dtype(kind))
        except TypeError:  # MATLAB's own names: struct, cell, double ...
            known = {"double": "f8", "single": "f4", "logical": "u1"}
            if kind in known:
                return Header(shape, np.dtype(known[kind]))
            array = self.read(name)
            return Header(array.shape, array.dtype)

    def read(self, name: str) -> NDArray[Any]:
        """Read a variable or the field of a struct; of a cell array its cells, stacked behind the last axis."""
        variable, *fields = name.split("/")
        value = self._field(variable, fields) if fields else self._load(variable)
        array = np.asarray(value)
        if array.dtype.kind == "O" and array.size:
            cells = [np.asarray(cell) for cell in array.reshape(-1)]
            if len({cell.shape for cell in cells}) == 1:
                array = cells[0] if len(cells) == 1 else np.stack(cells, axis=-1)
        if array.dtype.kind not in "biufc":
            raise self.unreadable(name, f"plain numeric arrays are expected, got {array.dtype}")
        return array

    def _load(self, variable: str) -> Any:
        if variable not in self._loaded:
            shape, kind = self._variables[variable]
            least = Header(shape, np.dtype("u1")).nbytes
            if kind not in (_STRUCT, "cell") and least > _EXPANSION * self.path.stat().st_size:
                raise self.unreadable(variable, f"the file claims {least} values for it, which its size cannot hold")
            self.require_memory(variable, Header(shape, np.dtype("f8")))
            try:
                self._loaded[variable] = self._loadmat(
                    str(self.path), variable_names=[variable], simplify_cells=kind == _STRUCT
                )[variable]
            except Exception as error:
                raise self.unreadable(variable, _said(error)) from None
        return self._loaded[variable]

    def _field(self, variable: str, fields: list[str]) -> Any:
        value = self._load(variable)
        for field in fields:
            value = value.get(field) if isinstance(value, dict) else None
        return value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
