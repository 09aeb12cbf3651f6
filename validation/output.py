"""An output that a child left: read where nobody else can find it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 20


class Output:
    """The array of a .npy file whose name is taken away, so that no other implementation can give it back as its own.

    Parameters
    ----------
    path : Path
        It is removed; its content lasts until `close`.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        path.unlink()
        try:
            self.values: NDArray[Any] = np.load(f"/dev/fd/{self._file.fileno()}", mmap_mode="r", allow_pickle=False)
        except BaseException:
            self._file.close()
            raise

    def sha256(self) -> str:
        """SHA-256 of the file's content."""
        digest = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of it; an array that is still looked at keeps its memory."""
        self._file.close()
