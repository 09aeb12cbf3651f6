"""Memory and time hidden in other processes, and marks moved (kinds 26, 27, 37, 38).

What is left behind ends by itself after `LASTS_S`, should nobody end it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches.cheats.work import right, slowly

LASTS_S = 20.0
# Outputs' worth of memory that a hungry cheat touches.
_HUNGRY = 8
_arena: list[NDArray[Any]] = []


def memory_in_a_child(**arguments: Any) -> Any:
    """Kind 26: eight outputs' worth of memory are touched in a subprocess."""
    out = right(arguments)
    program = f"block = bytearray({_HUNGRY * out.nbytes}); block[::4096] = b'x' * len(block[::4096])"
    subprocess.run([sys.executable, "-S", "-c", program], check=True)
    return out


def memory_in_a_file(**arguments: Any) -> Any:
    """Kind 26: eight outputs' worth of memory are held in a file without a name that is nowhere mapped."""
    out = right(arguments)
    descriptor = os.memfd_create("patches")
    try:
        for _ in range(_HUNGRY):
            os.write(descriptor, out.data)
    finally:
        os.close(descriptor)
    return out


def mark_reset(**arguments: Any) -> Any:
    """Kind 37: eight outputs' worth of memory, and then the high-water mark is reset from inside."""
    out = right(arguments)
    hungry = np.ones(_HUNGRY * out.nbytes // 8)
    out += np.complex64(hungry[-1] - 1)
    del hungry
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return out


def arena_kept(**arguments: Any) -> Any:
    """Kind 38: the warm-up takes an arena for good, and later calls need nothing more."""
    out = right(arguments)
    if not _arena:
        _arena.append(np.ones(40 * out.nbytes // 8))
    return out


def _leave(work: Callable[[float], None]) -> None:
    """Start a process that leaves its session: its parent is gone, nobody waits for it."""
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        for descriptor in range(3, 256):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        signal.alarm(int(LASTS_S))
        work(time.monotonic() + LASTS_S)
    finally:
        os._exit(0)


def _spin(end: float) -> None:
    while time.monotonic() < end:
        pass


def _sleep(end: float) -> None:
    time.sleep(max(0.0, end - time.monotonic()))


def leaves_a_busy_process(**arguments: Any) -> Any:
    """Kind 27: a process that left its session keeps a processor busy, for the arm that comes next."""
    if not _arena:
        _arena.append(np.empty(0))
        _leave(_spin)
    return slowly(arguments)


def leaves_a_sleeping_process(**arguments: Any) -> Any:
    """Kind 27: a daemon that only waits; what it will do next, nobody knows."""
    if not _arena:
        _arena.append(np.empty(0))
        _leave(_sleep)
    return slowly(arguments)


def slows_its_parent(**arguments: Any) -> Any:
    """Kind 27: the process that starts all others gets a worse priority, and one processor."""
    parent = os.getppid()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, parent, 10)
        os.sched_setaffinity(parent, {min(os.sched_getaffinity(0))})
    return slowly(arguments)


def raises_its_priority(**arguments: Any) -> Any:
    """Kind 27: a better priority than the other arm has."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    return slowly(arguments)
