"""The child process: takes one request, sets itself up, executes its task, leaves one reply file.

Standard output and standard error belong to TensorFlow and to the implementation; the reply goes to a file of
its own, written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys

import msgspec

from validation.channel import Channel, Mark
from validation.records import Record
from validation.tasks import ErrorReply, Task


class Request(Record, frozen=True, kw_only=True):
    """One task, the file for its reply, and its time."""

    task: Task
    reply_path: str
    timeout_s: float


class Outcome(Record, frozen=True, kw_only=True):
    """How a child ended.

    ``cpu_s`` is its user and system time, ``killed`` whether the timeout ended it.

    ``stderr`` is the end of what it printed, ``marks`` what it sent while it measured (`validation.channel`).
    """

    exit_code: int | None
    signal: int | None
    killed: bool
    wall_s: float
    cpu_s: float
    stderr: str
    marks: tuple[Mark, ...] = ()


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
    if task.ptycho_path is not None:
        sys.path.insert(0, task.ptycho_path)
    if task.memory_limit_bytes is not None:
        limit_memory(task.memory_limit_bytes)
    try:
        from validation.child import execute

        reply = execute(task, channel)
    except MemoryError as error:
        reply = ErrorReply(reason="out_of_memory", message=f"MemoryError: {error}")
    write_reply(request.reply_path, msgspec.json.encode(reply))


def main() -> None:
    """Read a request from the file named by the first argument and execute it: the spawned worker.

    The second argument is the descriptor of the line to the server.
    """
    with open(sys.argv[1], "rb") as file:
        request = msgspec.json.decode(file.read(), type=Request)
    work(request, Channel(int(sys.argv[2])))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
