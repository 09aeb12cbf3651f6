"""Settings of a process that a child can change from outside: priority, processors, scheduling and limits.

Children inherit the settings of the server, and what is timed next would be timed by other rules.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from validation.contract.base import Record

SERVER, HARNESS = "server", "harness"
_LIMITS = tuple(sorted(name for name in dir(resource) if name.startswith("RLIMIT_")))


class Change(Record, frozen=True, kw_only=True):
    """A setting of ``process`` that was changed, and whether it could be put back."""

    process: str
    setting: str
    before: str
    after: str
    restored: bool

    def __str__(self) -> str:
        fate = "" if self.restored else ", and could not be put back"
        return f"{self.setting} of the {self.process} from {self.before} to {self.after}{fate}"


class _Setting(NamedTuple):
    """How a setting of a process is read and written, by its id."""

    read: Callable[[int], Any]
    write: Callable[[int, Any], object]


def _limit(number: int) -> _Setting:
    def write(pid: int, value: tuple[int, int]) -> None:
        resource.prlimit(pid, number, value)

    return _Setting(lambda pid: resource.prlimit(pid, number), write)


def _oom_path(pid: int) -> Path:
    return Path(f"/proc/{pid}/oom_score_adj")


def _settings() -> dict[str, _Setting]:
    """Give what this system has of them."""
    found = {
        "priority (nice)": _Setting(
            lambda pid: os.getpriority(os.PRIO_PROCESS, pid),
            lambda pid, value: os.setpriority(os.PRIO_PROCESS, pid, value),
        )
    }
    if hasattr(os, "sched_getaffinity"):
        found["processors (affinity)"] = _Setting(os.sched_getaffinity, os.sched_setaffinity)
        found["scheduling policy"] = _Setting(
            lambda pid: (os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority),
            lambda pid, value: os.sched_setscheduler(pid, value[0], os.sched_param(value[1])),
        )
    if _oom_path(os.getpid()).is_file():
        found["oom_score_adj"] = _Setting(
            lambda pid: _oom_path(pid).read_text().strip(), lambda pid, value: _oom_path(pid).write_text(value)
        )
    if hasattr(resource, "prlimit"):
        found |= {name: _limit(getattr(resource, name)) for name in _LIMITS}
    return found


class Guard:
    """The settings of some processes as they are now, to be put back.

    Parameters
    ----------
    processes : dict
        Names of processes, and their ids.
    """

    def __init__(self, processes: dict[str, int]) -> None:
        self._kept = [
            (name, pid, label, setting, value)
            for name, pid in processes.items()
            for label, setting in _settings().items()
            if (value := _read(setting, pid)) is not None
        ]

    def put_back(self) -> tuple[Change, ...]:
        """Put back what is not as it was, and tell it."""
        changes = []
        for name, pid, label, setting, before in self._kept:
            after = _read(setting, pid)
            if after is None or after == before:
                continue
            with contextlib.suppress(OSError, ValueError):
                setting.write(pid, before)
            changes.append(
                Change(
                    process=name,
                    setting=label,
                    before=str(before),
                    after=str(after),
                    restored=_read(setting, pid) == before,
                )
            )
        return tuple(changes)


def _read(setting: _Setting, pid: int) -> Any:
    try:
        return setting.read(pid)
    except (OSError, ValueError):
        return None
