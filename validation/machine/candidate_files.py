"""The files that a function of the user's is made of: sources, compiled code, data. Nothing of it is imported."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# What Python, the linters and version control leave beside sources, and what changes without any of them.
_CACHES = {"__pycache__", "node_modules"}
_CACHE_SUFFIXES = (".pyc", ".pyo", ".nbi", ".nbc", ".part", ".lock")
# Beside a lone module, in a folder that people work in, these are not read by it.
_PROSE_SUFFIXES = (".md", ".rst", ".log", ".out", ".err", ".html", ".pdf", ".png", ".svg")
# What else lies there may be anything, scans say. Beyond this many files, only those of the module's own name count.
MAX_BESIDE = 200
_READ_BYTES = 1 << 20

Stamp = tuple[str, int, int, int, int]


def _is_kept(path: Path, root: Path) -> bool:
    """Whether a file counts: no cache, nothing hidden."""
    parts = path.relative_to(root).parts
    hidden = any(part in _CACHES or part.startswith(".") for part in parts)
    return not hidden and not path.name.endswith(_CACHE_SUFFIXES)


def _distribution_files(first: str) -> list[Path]:
    """Files of the distributions that provide a top-level name."""
    names = importlib.metadata.packages_distributions().get(first, ())
    found: list[Path] = []
    for name in sorted(set(names)):
        for file in importlib.metadata.files(name) or ():
            path = Path(os.path.normpath(str(file.locate())))
            # Records of the installation (RECORD, INSTALLER) name every file, caches included.
            if path.is_file() and not any(part.endswith(".dist-info") for part in file.parts):
                found.append(path)
    return found


def _beside(module: Path) -> list[Path]:
    """Files in the folder of a module that is no package, or those of its name alone where there are too many."""
    found = [path for path in module.parent.iterdir() if path.is_file() and path.suffix not in _PROSE_SUFFIXES]
    if len(found) <= MAX_BESIDE:
        return found
    return [path for path in found if path.name.partition(".")[0].lstrip("_") == module.name.partition(".")[0]]


def _places(target: str, before: tuple[str, ...] = ()) -> tuple[str, list[Path], Path | None]:
    """Give the top-level name, the folders of its package, and its file where it is a module."""
    first = target.partition(":")[0].partition(".")[0]
    spec = importlib.machinery.PathFinder.find_spec(first, [*before, os.getcwd(), *sys.path])
    if spec is None:
        return first, [], None
    folders = [Path(place) for place in spec.submodule_search_locations or () if Path(place).is_dir()]
    module = Path(spec.origin) if spec.origin and not folders and Path(spec.origin).is_file() else None
    return first, folders, module


@functools.lru_cache(maxsize=8)
def _files(
    target: str, before: tuple[str, ...], folder: str, path: tuple[str, ...]
) -> tuple[tuple[Path, ...], tuple[Path, ...], Path | None]:
    """Look up once what does not change in a run: files of the distribution, folders of the package, the module."""
    first, folders, module = _places(target, before)
    # A checkout in the working folder hides an installed distribution of the same name.
    installed = _distribution_files(first)
    own = {place.resolve() for place in folders} | ({module.resolve()} if module else set())
    is_own = any(one in own or not own.isdisjoint(one.parents) for one in (file.resolve() for file in installed))
    return tuple(installed) if is_own else (), tuple(folders), module


def files(target: str, before: tuple[str, ...] = ()) -> list[tuple[str, Path]]:
    """Name the files of a candidate, in order of their names: of its distribution, its package's folder, or its module.

    Parameters
    ----------
    target : str
        ``module:function``; its first part is looked up where a child process looks, in the folder that the command
        was started in and on the path.
    before : tuple of str
        Folders that are looked in first.

    Returns
    -------
    list of (str, Path)
        Empty where nothing has that name.
    """
    installed, folders, module = _files(target, before, os.getcwd(), tuple(sys.path))
    found: dict[str, Path] = {}

    def keep(paths: Iterator[Path], root: Path) -> None:
        for path in paths:
            if path.is_file() and _is_kept(path, root):
                found[path.relative_to(root).as_posix()] = path

    for folder in folders:
        keep(folder.rglob("*"), folder)
    if module is not None and not installed:
        keep(iter(_beside(module)), module.parent)
    roots = [place.parent for place in folders] + ([module.parent] if module else [])
    named = set(found.values())
    for path in installed:
        root = next((root for root in roots if root in path.parents), path.parent.parent)
        if path.is_file() and _is_kept(path, root) and path not in named:
            found[path.relative_to(root).as_posix()] = path
    return sorted(found.items())


def _stamp(name: str, path: Path) -> Stamp:
    """Give what changes when a file is written: size, times, inode."""
    at = path.stat()
    return name, at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino


# Digests of contents by what `stat` says: a run asks after every line, and reads only what was written since.
_known: dict[tuple[Path, Stamp], str] = {}


def _content(path: Path, stamp: Stamp) -> str:
    key = path, stamp
    if key not in _known:
        content = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                content.update(piece)
        _known[key] = content.hexdigest()
    return _known[key]


def digest(target: str | None, before: tuple[str, ...] = ()) -> str | None:
    """SHA-256 over names and contents of all files of a candidate; ``None`` where nothing is found.

    A file whose size, times and inode are those of the last time is not read again.

    Parameters
    ----------
    target : str or None
        ``module:function``; ``None`` for a candidate of the project's.
    before : tuple of str
        Folders that are looked in first.
    """
    if target is None:
        return None
    found = files(target, before)
    if not found:
        return None
    whole = hashlib.sha256()
    for name, path in found:
        whole.update(f"{name}\0{_content(path, _stamp(name, path))}\0".encode())
    return whole.hexdigest()


def place(target: str, before: tuple[str, ...] = ()) -> Path | None:
    """Folder of the package or of the module that a function stands in; ``None`` where nothing has that name."""
    _, folders, module = _places(target, before)
    return folders[0] if folders else None if module is None else module.parent
