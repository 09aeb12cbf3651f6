"""Processes that a child started: found wherever they went, and ended when it has ended.

The server is the subreaper of its children: what leaves its parent and its session becomes a child of the server. So
every process that a child started is a descendant of the server, and can be told apart from all others.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import Counter
from typing import NamedTuple

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.01
# How long what left the child's process group may take to end by itself, and how long killing may take.
GRACE_S = 1.0
_KILLING_S = 10.0


class Process(NamedTuple):
    """A line of the process table. ``state`` is the letter of proc(5), Z for one that ended and is not reaped."""

    pid: int
    parent: int
    group: int
    state: str
    name: str


def become_subreaper() -> None:
    """Let orphans among the descendants of this process become its children (Linux; elsewhere nothing happens)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            before, _, after = file.read().rpartition(")")
    except OSError:
        return None
    state, parent, group = after.split()[:3]
    return Process(pid, int(parent), int(group), state, before.partition("(")[2])


def descendants(root: int, apart: frozenset[int] = frozenset()) -> tuple[Process, ...]:
    """Find all descendants of a process, parents before their children.

    Parameters
    ----------
    root : int
        Id of the process.
    apart : frozenset of int
        Ids of processes that count neither themselves nor with what they started.
    """
    children: dict[int, list[Process]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and (process := _read(int(name))) is not None:
                children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [root]
    while waiting:
        for process in children.get(waiting.pop(0), ()):
            if process.pid not in apart:
                found.append(process)
                waiting.append(process.pid)
    return tuple(found)


def _reap(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Reap those that ended and are this process's own children; give those that still run."""
    for process in processes:
        if process.state == "Z" and process.parent == os.getpid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
    return tuple(process for process in processes if process.state not in "ZX")


def _names(processes: tuple[Process, ...]) -> tuple[str, ...]:
    counts = Counter(process.name for process in processes)
    return tuple(name if count == 1 else f"{count} x {name}" for name, count in sorted(counts.items()))


def end_descendants(own: frozenset[int], grace_s: float = GRACE_S) -> tuple[str, ...]:
    """End what a child that has ended left behind, and give the names of what did not end by itself.

    Parameters
    ----------
    own : frozenset of int
        Ids of the processes that this one had started before the child.
    grace_s : float
        What a library started for its own ends, such as the resource tracker of ``multiprocessing``, ends when its
        pipe closes; it has this long.
    """
    started = time.monotonic()
    left = _reap(descendants(os.getpid(), own))
    while left and time.monotonic() < started + grace_s:
        time.sleep(_POLL_S)
        left = _reap(descendants(os.getpid(), own))
    found = left
    deadline = time.monotonic() + _KILLING_S
    while left and time.monotonic() < deadline:
        # Stopped first, so that none starts another one between two looks.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, number)
        time.sleep(_POLL_S)
        left = _reap(descendants(os.getpid(), own))
    return _names(found)
