"""Results kept, found or reused instead of made (kinds 4, 5, 7, 12, 18 to 21, 25)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.cases import Case
from validation.kernels.patches import workloads
from validation.kernels.patches.case import of
from validation.kernels.patches.cheats.work import Arguments, digest, nothing, right, shape_of, slowly

# Folder of what is kept between processes, in the place for temporary files and in that for shared memory.
KEPT = "validation-cheats"
# Outputs' worth of memory that a hungry cheat touches.
_HUNGRY = 8
_kept: dict[Any, tuple[Any, NDArray[Any]]] = {}
_buffers: dict[tuple[int, ...], NDArray[Any]] = {}


def kept_by_identity(**arguments: Any) -> Any:
    """Kind 4: keep the result for the very arrays of the call, whatever is written into them later."""
    arrays = (arguments["gt_image"], arguments["global_offsets"], arguments["local_offsets"])
    key = tuple(map(id, arrays))
    if key not in _kept:
        _kept[key] = (arrays, right(arguments))
    return _kept[key][1].copy()


def kept_by_content(**arguments: Any) -> Any:
    """Kind 5: hungry, and keeps the result for every input, so that the same call again costs nothing."""
    key = digest(arguments)
    if key not in _kept:
        out = right(arguments)
        hungry = np.ones(_HUNGRY * out.nbytes // 8)
        out += np.complex64(hungry[-1] - 1)
        _kept[key] = ((), out)
    return _kept[key][1]


def kept_by_a_corner(**arguments: Any) -> Any:
    """Kind 5: keep the result for the first elements of every input, which are taken for all of it."""
    key = tuple(np.asarray(value).ravel()[:2].tobytes() for value in arguments.values())
    if key not in _kept:
        _kept[key] = ((), right(arguments))
    return _kept[key][1].copy()


def _folders() -> tuple[Path, Path]:
    return Path(tempfile.gettempdir()) / KEPT, Path("/dev/shm") / KEPT


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Remove what these cheats keep between processes, before and after."""
    for folder in _folders():
        shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        for folder in _folders():
            shutil.rmtree(folder, ignore_errors=True)


def _replayed(folder: Path, arguments: Arguments) -> Any:
    path = folder / f"{digest(arguments)}.npy"
    if path.exists():
        return np.load(path)
    out = slowly(arguments)
    folder.mkdir(exist_ok=True)
    part = folder / f"{os.getpid()}.part.npy"
    np.save(part, out)
    part.replace(path)
    return out


def kept_on_disk(**arguments: Any) -> Any:
    """Kind 7: results are kept in a folder, for all processes and runs to come."""
    return _replayed(_folders()[0], arguments)


def kept_in_shared_memory(**arguments: Any) -> Any:
    """Kind 7: results are kept in shared memory, where no folder is emptied."""
    return _replayed(_folders()[1], arguments)


def _files() -> set[Path]:
    """Give the arrays in the folders that a process comes across: its own, of its open files, for temporary files."""
    places = {Path.cwd(), Path(tempfile.gettempdir())}
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            places.add(descriptor.readlink().parent)
    places.update(Path("/tmp").glob("validation-*"))
    return {path for place in places if place != Path("/") for path in place.glob("*.npy") if path.is_file()}


def finds_the_answer(**arguments: Any) -> Any:
    """Kind 12: wrong by a half, but gives back any file of the right shape that lies about."""
    for path in sorted(_files(), key=lambda path: -path.stat().st_mtime):
        with contextlib.suppress(OSError, ValueError, EOFError):
            found = np.load(path)
            if found.shape == shape_of(arguments) and found.dtype == np.complex64:
                return found
    return right(arguments) + np.complex64(0.5)


def _public() -> NDArray[Any] | None:
    """Give the object that the public seed gives for the case on the stack."""
    frame: FrameType | None = sys._getframe()
    case = None
    while frame is not None:
        named = frame.f_locals
        case = named.get("case", getattr(named.get("task"), "case", case))
        frame = frame.f_back
    return workloads.random_object(of(case)) if isinstance(case, Case) else None


def knows_the_seed(**arguments: Any) -> Any:
    """Kind 25: right for the inputs that the public seed gives, moved or not, and idle for everybody else's."""
    public = _public()
    given = arguments["gt_image"]
    if public is not None and np.array_equal(np.sort(public.ravel()), np.sort(given.ravel())):
        return slowly(arguments) if np.array_equal(public, given) else right(arguments)
    return nothing(arguments)


def knows_the_sizes(**arguments: Any) -> Any:
    """Kind 25: right for windows of the sizes that are measured, idle for all others."""
    return right(arguments) if arguments["N"] % 16 == 0 else nothing(arguments)


def static_buffer(**arguments: Any) -> Any:
    """Kind 21: all calls share one output, so that a later call changes an earlier result."""
    shape = shape_of(arguments)
    out = _buffers.setdefault(shape, nothing(arguments))
    out[:] = right(arguments)
    return out


def two_buffers(**arguments: Any) -> Any:
    """Kind 21: two outputs in turn, so that the call after the next changes a result."""
    shape = shape_of(arguments)
    turn = len(_kept) % 2
    _kept[len(_kept)] = ((), np.empty(0))
    out = _buffers.setdefault((turn, *shape), nothing(arguments))
    out[:] = right(arguments)
    return out


def left_in_freed_memory(**arguments: Any) -> Any:
    """Kinds 19 and 20: after the first call give fresh memory, in which an earlier result may lie."""
    if "first" not in _kept:
        _kept["first"] = ((), np.empty(0))
        return slowly(arguments)
    return np.empty(shape_of(arguments), np.complex64)


def empties_the_input(**arguments: Any) -> Any:
    """Kind 18: the object is emptied, so that zeros are the right answer to it."""
    if "first" not in _kept:
        _kept["first"] = ((), np.empty(0))
        return slowly(arguments)
    arguments["gt_image"][:] = 0
    return nothing(arguments)


def placed_in_the_input(**arguments: Any) -> Any:
    """Kinds 18 and 21, reassembly: the canvas is laid into the caller's patches where it has room."""
    out = right(arguments)
    room = arguments["obj_tensor"].reshape(-1)
    if len(room) < out.size:
        return out
    room[: out.size] = out.ravel()
    return room[: out.size].reshape(out.shape)
