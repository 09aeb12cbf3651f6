"""What this process may have of the machine: its job's or container's limits, and its own.

A limit of a control group (cgroup, version 1 or 2) holds for all groups below, so the tightest of a group and those
above it counts. Functions take the root of the file system, which tests replace.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
# Version 1 writes a number near 2**63 where there is no limit.
_NO_LIMIT = 2**60


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """Read a number; ``None`` where there is no file, or no limit."""
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() and 0 <= int(text) < _NO_LIMIT else None


def _field(path: Path, name: str) -> int:
    """Read a field of a file of names and numbers; 0 where it is missing."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name:
            return int(words[1])
    return 0


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, int]]:
    """Folders of the groups of this process that a controller looks after, and their version; innermost first."""
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if not controllers:
            tops, version = [mounts / "unified", mounts], 2
        elif controller in controllers.split(","):
            tops, version = [mounts / controller, mounts / controllers], 1
        else:
            continue
        top = next((top for top in tops if top.is_dir() and (version == 1 or (top / "cgroup.procs").exists())), None)
        if top is None:
            continue
        # Inside a container the path may be the host's, which is not there: then the top is this process's own group.
        inside = Path(place.strip("/"))
        for part in (inside, *inside.parents) if inside.parts else (inside,):
            if (top / part).is_dir() and ".." not in part.parts:
                yield top / part, version


def memory_room(root: Path = ROOT) -> int | None:
    """Bytes that the job's limits leave to new allocations; ``None`` where there is no limit."""
    rooms = []
    for group, version in _groups("memory", root):
        if version == 2:
            limits = [_number(group / "memory.max"), _number(group / "memory.high")]
            used, cache = _number(group / "memory.current"), _field(group / "memory.stat", "inactive_file")
        else:
            limits = [_number(group / "memory.limit_in_bytes")]
            used, cache = _number(group / "memory.usage_in_bytes"), _field(group / "memory.stat", "total_inactive_file")
        # Cached files are given back before anything is refused.
        held = max(0, (used or 0) - cache)
        rooms += [max(0, limit - held) for limit in limits if limit is not None]
    for limit, field in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY:
            words = next((line.split() for line in _text(root / "proc/self/status").splitlines() if field in line), ())
            rooms.append(max(0, soft - (int(words[1]) * 1024 if len(words) > 1 else 0)))
    return min(rooms, default=None)


def available_bytes(root: Path = ROOT) -> int:
    """Memory that new processes can have without swapping, within the job's limit; 0 where the system does not say."""
    free = 0
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    room = memory_room(root)
    return free if room is None else min(free, room) if free else room


def _processors(text: str) -> int | None:
    """Count a list such as ``0-3,8``."""
    count = 0
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count or None


def usable_cores(root: Path = ROOT) -> int:
    """Processor cores that this process may use: by its affinity, its set of processors, and its share of their time.

    A share of two and a half processors counts as three.
    """
    counts: list[int | None] = [
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ]
    for group, version in _groups("cpu", root):
        if version == 2:
            quota, _, period = _text(group / "cpu.max").partition(" ")
        else:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            counts.append(math.ceil(int(quota) / int(period)))
    for group, _ in _groups("cpuset", root):
        counts.append(_processors(_text(group / "cpuset.cpus.effective") or _text(group / "cpuset.cpus")))
    return min(count for count in counts if count)


def kills(root: Path = ROOT) -> int:
    """How often the system has killed a process of this job because the job's memory was used up."""
    return sum(
        _field(group / ("memory.events" if version == 2 else "memory.oom_control"), "oom_kill")
        for group, version in list(_groups("memory", root))[:1]
    )
