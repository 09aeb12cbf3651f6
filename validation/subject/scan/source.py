"""A file with arrays in it, whatever its container: what is there, and one array at a time."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError

_SHOWN_NAMES = 20
_SELECTION = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<index>[\s\d:,]*)\])?")


@dataclass(frozen=True)
class Header:
    """What a file says of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the array; exact, however large."""
        count = self.dtype.itemsize
        for extent in self.shape:
            count *= extent
        return count


class Source(ABC):
    """A file that holds named arrays.

    Attributes
    ----------
    path : Path
    kind : str
        Name of the container.
    matlab : bool
        Whether axes are in MATLAB's order: an object is (H, W, layers).
    """

    kind: str
    matlab = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all arrays, groups separated by ``/``."""

    @abstractmethod
    def header(self, name: str) -> Header:
        """Shape and dtype of an array, which is not read.

        Raises
        ------
        UsageError
            If the file is damaged there.
        """

    @abstractmethod
    def read(self, name: str) -> NDArray[Any]:
        """Read an array.

        Raises
        ------
        UsageError
            If it cannot be read; names file, array and cause.
        """

    def number(self, name: str, attribute: str) -> float | None:
        """Give an attribute of an array as a number; ``None`` where there is none."""
        return None

    def close(self) -> None:
        """Close the file."""
        return

    def __contains__(self, name: str) -> bool:
        return name.strip("/") in self.names()

    def select(self, place: str) -> NDArray[Any]:
        """Read what a place such as ``/group/array`` or ``/group/array[:,1]`` names.

        Raises
        ------
        UsageError
            If there is no such array, or the index does not fit it.
        """
        found = _SELECTION.fullmatch(place)
        if found is None:
            raise UsageError(f"--map must name an array, such as /group/array or /group/array[:,1], got {place!r}")
        name = found["name"].strip("/ ")
        if name not in self:
            raise UsageError(f"{self.path} must hold the array {name}; it holds {self.listed()}")
        array = self.read(name)
        if found["index"] is None:
            return array
        try:
            index = tuple(slice(None) if part.strip() == ":" else int(part) for part in found["index"].split(","))
            return np.asarray(array[index])
        except (IndexError, ValueError):
            raise UsageError(
                f"the index of {place} must be numbers and colons that fit {array.shape}, got [{found['index']}]"
            ) from None

    def listed(self) -> str:
        """Tell the arrays of the file, the first of them."""
        names = self.names()
        rest = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
        return (", ".join(names[:_SHOWN_NAMES]) or "no array") + rest

    def unreadable(self, name: str, why: object) -> UsageError:
        """Make the error that an array cannot be read."""
        return UsageError(f"array {name!r} of {self.path} cannot be read: {' '.join(str(why).split())}")

    def require_memory(self, name: str, header: Header) -> None:
        """Refuse an array that is larger than the memory of the machine."""
        present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if header.nbytes > present:
            raise self.unreadable(name, f"it must fit in memory: it has {header.nbytes} bytes, the machine {present}")
