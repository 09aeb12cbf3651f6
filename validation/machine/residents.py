"""What a child and the processes it started hold in memory, read from outside while it runs.

The high-water mark that the child reads (`validation.child.memory`) is exact, but it is of one process, and it can be
reset. Here the server looks on: every few milliseconds at the marks of the child, and where it has started processes
at theirs. What processes share counts once.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from typing import NamedTuple

from validation.contract.base import Record
from validation.machine.descendants import descendants

INTERVAL_S = 0.005
# Written memory that is shared and may be overlooked.
_SHARED_BYTES = 2**20
_KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
_KCMP_VM = 1


class Resident(Record, frozen=True, kw_only=True):
    """One look at a child, at ``at_s`` of the system's monotonic clock.

    ``mark_bytes`` is its high-water mark, ``all_bytes`` what it and its ``descendants`` held at the same time.
    """

    at_s: float
    mark_bytes: int
    all_bytes: int
    descendants: int


class _Status(NamedTuple):
    """Of one process: high-water mark, what is resident, and the part of it that is no file, in bytes."""

    mark: int
    resident: int
    anonymous: int


def _fields(path: str) -> dict[str, int]:
    """Sizes of a file of /proc in bytes; none where the process is gone or another user's."""
    found = {}
    try:
        with open(path) as file:
            for line in file:
                name, _, value = line.partition(":")
                if value.endswith(" kB\n"):
                    found[name] = int(value.split()[0]) * 1024
    except OSError:
        return {}
    return found


def _status(pid: int) -> _Status | None:
    found = _fields(f"/proc/{pid}/status")
    if "VmHWM" not in found:
        return None
    return _Status(found["VmHWM"], found["VmRSS"], found.get("RssAnon", 0) + found.get("RssShmem", 0))


def _last_id() -> str:
    """Say which process or thread the system started last."""
    try:
        with open("/proc/loadavg") as file:
            return file.read().split()[-1]
    except OSError:
        return ""


def _share_memory(one: int, other: int) -> bool:
    """Whether two processes are in the same memory, as between vfork and exec."""
    if _KCMP is None:
        return False
    return bool(ctypes.CDLL(None).syscall(_KCMP, one, other, _KCMP_VM, 0, 0) == 0)


class Watch:
    """Looks at a child of this process.

    Parameters
    ----------
    child : int
        Id of the child.
    own : frozenset of int
        Ids of other processes that this one had started.
    """

    def __init__(self, child: int, own: frozenset[int] = frozenset()) -> None:
        self.looks: list[Resident] = []
        self.next_s = 0.0
        self._child = child
        self._own = own | {child}
        self._last_id = ""
        self._known: tuple[int, ...] = ()
        self._marks: dict[int, int] = {}
        self._before = (0, 0)  # mark of the child and bytes of the others, at the last look

    def look(self) -> None:
        """Look once, if it is time; what costs more is done less often."""
        started, spent = time.monotonic(), time.process_time()
        if started < self.next_s:
            return
        status = _status(self._child)
        if status is not None:
            count, others = self._others(status)
            mark_before, others_before = self._before
            held = status.resident + others
            if status.mark > mark_before:  # the new mark was set since, beside at least the smaller of the two
                held = max(held, status.mark + min(others, others_before))
            self._before = (status.mark, others)
            seen = Resident(at_s=started, mark_bytes=status.mark, all_bytes=held, descendants=count)
            if not self._says_nothing_new(seen):
                self.looks.append(seen)
        # By this process's own time: on a busy machine a look is no dearer, only later.
        self.next_s = time.monotonic() + max(INTERVAL_S, time.process_time() - spent)

    def _says_nothing_new(self, seen: Resident) -> bool:
        """Whether the last two looks and this one read the same: then the middle one may be left out."""
        if len(self.looks) < 2:
            return False
        one, two = self.looks[-2:]
        same = (seen.mark_bytes, seen.all_bytes, seen.descendants)
        if all((each.mark_bytes, each.all_bytes, each.descendants) == same for each in (one, two)):
            self.looks[-1] = seen
            return True
        return False

    def _others(self, child: _Status) -> tuple[int, int]:
        """Count what the child started, and the bytes that those processes add to its own.

        What shares nothing that was written adds its share of all (Pss). Else, as a fork shares with the child and
        with this process, the shares of all three are summed, and what the child holds and what only this process
        does is subtracted; the rest is no less than what is only the descendants'.
        """
        last = _last_id()
        if last != self._last_id or not last:
            self._last_id = last
            others = descendants(os.getpid(), self._own) + descendants(self._child)
            self._known = tuple(each.pid for each in others if each.state not in "ZX")
        shares = private = shared = count = 0
        for pid in self._known:
            status = _status(pid)
            if status is None or _share_memory(pid, self._child):
                continue
            count += 1
            mine = _fields(f"/proc/{pid}/smaps_rollup")
            above = max(0, status.mark - status.resident) if status.mark > self._marks.get(pid, 0) else 0
            self._marks[pid] = status.mark
            shares += mine.get("Pss", status.resident) + above  # with its peak since the last look
            private += mine.get("Private_Dirty", 0) + above
            shared += mine.get("Shared_Dirty", 0)
        if shared < _SHARED_BYTES:
            return count, shares
        for pid in (os.getpid(), self._child):
            found = _fields(f"/proc/{pid}/smaps_rollup")
            shares += found.get("Pss_Anon", 0) + found.get("Pss_Shmem", 0)
            if pid == os.getpid():
                shares -= found.get("Private_Dirty", 0)
        return count, max(private, shares - child.anonymous)


def within(looks: tuple[Resident, ...], began_s: float, ended_s: float) -> tuple[Resident, ...]:
    """Give the looks in a stretch of time."""
    return tuple(look for look in looks if began_s <= look.at_s <= ended_s)
