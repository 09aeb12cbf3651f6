"""An output that a child left: read where nobody else can find it."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Output:
    """The array of a .npy file whose name is taken away, so that no other implementation can give it back as its own.

    Parameters
    ----------
    path : Path
        It is removed; its content lasts as long as this object.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        path.unlink()

    def sha256(self) -> str:
        """SHA-256 of the file's content."""
        return hashlib.sha256(self._content).hexdigest()
