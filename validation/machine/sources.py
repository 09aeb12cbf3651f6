"""What sources are made of: a digest over names and contents."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sources_digest(package: Path, left_out: str | None = None) -> str:
    """SHA-256 over the names and contents of a package's Python sources, in order of their names.

    Parameters
    ----------
    package : Path
        A folder, or the file of a module.
    left_out : str, optional
        A folder in it that does not count.
    """
    sources = package.rglob("*.py") if package.is_dir() else [package]
    root = package if package.is_dir() else package.parent
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda found: found.relative_to(root).as_posix()):
        if source.relative_to(root).parts[0] == left_out:
            continue
        content = source.read_bytes()
        digest.update(f"{source.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
