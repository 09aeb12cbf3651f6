"""What a child finds around it: environment, folders for temporary files and caches, shared memory.

It is the same for every action, so that a process that is timed cannot be told from one that is compared, and
nothing that one process leaves there is found by the next.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")  # fmt: skip
# Variables that change how memory is allocated or how code is compiled: a result made with them is no default's.
_CHANGING = ("LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES", "XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS",
             "TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "TF_CPU_ALLOCATOR_USE_BFC", "PYTHONMALLOC", "PYTHONMALLOCSTATS",
             "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONOPTIMIZE")  # fmt: skip
_CHANGING_PREFIXES = ("MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_")
_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 1 << 14, 1 << 18


def worker_environment(threads: int) -> dict[str, str]:
    """Environment of the children: the thread counts are fixed, and TensorFlow logs no chatter."""
    return {**dict.fromkeys(_THREADS, str(threads)), "TF_CPP_MIN_LOG_LEVEL": "1", "PYTHONHASHSEED": "0"}


def changing(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the variables in it that change allocators or compilers."""
    fixed = worker_environment(1)
    return tuple(
        sorted(
            name
            for name in environment
            if name not in fixed and (name in _CHANGING or name.startswith(_CHANGING_PREFIXES))
        )
    )


def settings_on_record(threads: int, keep: Iterable[str] = ()) -> dict[str, str]:
    """Give what children have of the variables that matter: those that are fixed, and those that the user keeps."""
    return {**{name: os.environ[name] for name in keep if name in os.environ}, **worker_environment(threads)}


def cleared(keep: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the variables that children do not have of this process's environment."""
    return tuple(name for name in changing(os.environ) if name not in set(keep))


def child_environment(threads: int, keep: Iterable[str] = ()) -> dict[str, str]:
    """Give the whole environment of the children: that of this process, less what changes allocators or compilers."""
    left_out = cleared(keep)
    mine = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**mine, **worker_environment(threads)}


def cleared_note(names: Iterable[str]) -> str | None:
    """Say which variables the children do not have; ``None`` where there are none."""
    shown = ", ".join(names)
    if not shown:
        return None
    return (
        f"cleared for what is measured, as they change allocators or compilers: {shown}; keep one with --keep-env NAME"
    )


def make_private(folder: Path) -> None:
    """Make the folders of one child: for temporary files, and for caches.

    The user's own cache of numba is linked there, where compiled kernels are found that have no place beside their
    sources.
    """
    for name in ("tmp", "cache"):
        (folder / name).mkdir(parents=True)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if (caches / "numba").is_dir():
        with contextlib.suppress(OSError):
            (folder / "cache" / "numba").symlink_to(caches / "numba")


def remove_private(folder: Path) -> None:
    """Remove the folders of a child, and what it left there."""
    shutil.rmtree(folder, ignore_errors=True)


def move_into(folder: Path) -> None:
    """Let this process put temporary files and caches into its own folders, and give it shared memory of its own."""
    os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    tempfile.tempdir = None  # what was looked up before the fork
    _own_shared_memory()


def _own_shared_memory() -> bool:
    """Mount an empty /dev/shm that only this process and its descendants see; False where that is not allowed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not os.path.isdir("/dev/shm"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    return bool(
        library.unshare(_CLONE_NEWNS) == 0
        and library.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0
        and library.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=1777") == 0
    )
