"""Files written whole or not at all, so that a report that is there is never lost to a failure."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from reports.errors import InputError


def write(path: Path, content: str | bytes) -> None:
    """Write a file next to its place and move it there.

    Raises
    ------
    InputError
        If it cannot be written; what was there before stays.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(scratch, 0o666 & ~mask)
        os.replace(scratch, path)
    except OSError as error:
        if scratch is not None:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
