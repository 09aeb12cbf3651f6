"""The child process: takes one request, sets itself up, executes its task, leaves one reply file.

Standard output and standard error belong to TensorFlow and to the implementation; the reply goes to a file of
its own, written whole or not at all. Neither its name nor the arguments and the environment of the process say what
the task is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

import msgspec

from validation.child.channel import Channel, Mark
from validation.contract.base import Record
from validation.contract.tasks import ErrorReply, Task
from validation.machine import surroundings
from validation.machine.residents import Resident
from validation.machine.settings import Change


class Request(Record, frozen=True, kw_only=True):
    """One task, the file for its reply, the folder for whatever else the child writes, and its time."""

    task: Task
    reply_path: str
    folder: str
    timeout_s: float


class Outcome(Record, frozen=True, kw_only=True):
    """How a child ended.

    ``cpu_s`` is its user and system time, ``killed`` whether the timeout ended it.

    ``stderr`` is the end of what it printed, ``marks`` what it sent while it measured (`validation.child.channel`).
    ``left_behind`` names the processes that outlived it, ``changes`` the settings of others that it changed; by then
    both are mended. ``looks`` are at its memory, where that was metered.
    """

    exit_code: int | None
    signal: int | None
    killed: bool
    wall_s: float
    cpu_s: float
    stderr: str
    marks: tuple[Mark, ...] = ()
    left_behind: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    looks: tuple[Resident, ...] = ()


def _data_bytes() -> int:
    """Private writable memory of this process, which is what RLIMIT_DATA counts."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def limit_memory(limit_bytes: int) -> None:
    """Let this process take ``limit_bytes`` more than it has now; beyond that its allocations fail."""
    ceiling = _data_bytes() + limit_bytes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard), hard))


def write_reply(path: str, encoded: bytes) -> None:
    """Leave the reply under its final name only when all of it is on disk."""
    with open(path + ".part", "wb") as file:
        file.write(encoded)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def work(request: Request, channel: Channel) -> None:
    """Execute the task of a request in this process."""
    task = request.task
    surroundings.move_into(Path(request.folder))
    sys.path[:0] = task.paths
    if task.memory_limit_bytes is not None:
        limit_memory(task.memory_limit_bytes)
    try:
        from validation.child.actions import execute

        reply = execute(task, channel)
    except MemoryError as error:
        reply = ErrorReply(reason="out_of_memory", message=f"MemoryError: {error}")
    write_reply(request.reply_path, msgspec.json.encode(reply))


def main() -> None:
    """Read a request from standard input and execute it: the spawned worker.

    The first argument is the descriptor of the line to the server.
    """
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    work(request, Channel(int(sys.argv[1])))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
