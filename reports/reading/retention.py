"""Old runs of a nightly job make room; what is evidence, in use, or no run at all stays."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from reports.errors import InputError
from reports.reading.evidence import RECORDED, moment, recorded
from reports.reading.reader import MANIFEST, read_manifest

LOCK = "lock"  # of the run folder; who writes a run holds it
DOOMED = ".pruned-"
# What flock says where another process holds the lock; anything else is said of the file system.
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def prune(runs: Path, keep: int, *, sweep: str = "nightly", spare: Path | None = None) -> tuple[str, ...]:
    """Remove the oldest runs of a sweep.

    The newest ``keep`` stay, and so do runs of other sweeps, runs that a process is writing, runs that a
    recorded verdict rests on, folders whose manifest cannot be read, links, and everything that is no run.

    Parameters
    ----------
    runs : Path
        Folder whose folders are the runs.
    keep : int
        How many to keep, at least 1.
    sweep : str
        Name of the sweep, as in the manifest.
    spare : Path, optional
        A run that stays however old it says it is: a clock may have been set back.

    Returns
    -------
    tuple of str
        Names of the folders removed, oldest first.

    Raises
    ------
    InputError
        If there is no such folder, a run cannot be removed, or the file system has no locks.
    """
    if keep < 1:
        raise InputError(f"--keep must be at least 1, got {keep}")
    if not runs.is_dir():
        raise InputError(f"RUNS must be a folder that holds runs, but there is no folder {runs}")
    for left in runs.glob(f"{DOOMED}*"):  # an earlier removal that did not come to its end
        _remove(left)
    backed = {item.run_id for item in recorded(RECORDED)}
    dated = []
    for path in runs.glob(f"*/{MANIFEST}"):
        folder = path.parent
        if folder.is_symlink():
            continue
        try:
            manifest = read_manifest(folder)
        except InputError:
            continue
        if manifest.sweep == sweep and (spare is None or folder.resolve() != spare.resolve()):
            dated.append((moment(manifest.created_at), folder, manifest.run_id))
    dated.sort(key=lambda item: (item[0], item[1].name))
    places = keep - (spare is not None)
    old = dated[: len(dated) - places] if len(dated) > places else []
    removed = []
    for _, folder, run_id in old:
        if run_id in backed:
            continue
        with _unused(folder) as unused:
            if unused:
                doomed = folder.with_name(f"{DOOMED}{folder.name}")
                try:
                    folder.rename(doomed)  # from here on it is no run any more, wherever the removal stops
                except OSError as error:
                    raise InputError(f"{folder} cannot be removed: {(error.strerror or str(error)).lower()}") from None
                _remove(doomed)
                removed.append(folder.name)
    return tuple(removed)


@contextlib.contextmanager
def _unused(folder: Path) -> Iterator[bool]:
    """Hold a run's lock; False if another process has it."""
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise InputError(f"{folder} cannot be removed: {(error.strerror or str(error)).lower()}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in HELD:
                raise InputError(
                    f"{folder} cannot be removed: nobody can tell whether it is being written, since locking "
                    f"{folder / LOCK} gave: {(error.strerror or str(error)).lower()}; remove it by hand, or keep runs "
                    "on a file system with locks"
                ) from None
            yield False
        else:
            yield True


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be removed: {(error.strerror or str(error)).lower()}") from None
