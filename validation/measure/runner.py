"""Runs tasks in child processes: one child per task, each with a time limit, a memory limit and an end on record.

`Executor` is the seam: whatever runs a `Task` and gives back a reply or a failure can carry a sweep.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from validation.child.channel import Mark
from validation.child.worker import Outcome, Request
from validation.contract.errors import InstrumentError
from validation.contract.measurements import Failure
from validation.contract.tasks import Reply, Task
from validation.machine import limits, surroundings
from validation.machine.settings import SERVER
from validation.measure.endings import JOB_KILLED, classify

Mode = Literal["fork", "spawn"]
START_TIMEOUT_S = 180.0
# The server kills an overdue child itself; it is overdue itself only when it hangs or is stopped.
SERVER_GRACE_S = 15.0
# Free space below which a folder counts as full; a block may be left where a file did not fit.
FULL_BYTES = 2**20
# What NumPy says of a large array that does not fit: it asks for the space first, and gives back what it got.
_NUMPY_FULL = "Not enough free space to write"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a task gave: a reply or a failure, and what it took.

    ``cpu_s`` is the child's own processor time, ``wall_s`` the time from its start to its end, ``marks`` what it sent
    the server while it measured.
    """

    reply: Reply | None
    failure: Failure | None
    wall_s: float
    cpu_s: float
    marks: tuple[Mark, ...] = ()


class Executor(Protocol):
    """Anything that runs tasks."""

    def run(self, task: Task, timeout_s: float) -> Answer:
        """Run one task; a task that fails gives a failure, never an exception."""


class LocalExecutor:
    """Runs tasks on this machine, one at a time for each executor, in children of a server process.

    Parameters
    ----------
    scratch : Path
        Folder for replies and logs of the children.
    mode : {'fork', 'spawn'}
        ``fork``: the server has imported what the kernels name, and the children inherit it; ``spawn``: every
        child starts from nothing.
    threads : int
        Threads that TensorFlow and its libraries may use, one number for all.
    memory_limit_bytes : int or None
        How much more than at its start a child may take.
    keep_env : iterable of str
        Names of variables that change allocators or compilers and that children keep all the same.
    preload : iterable of str
        Modules that the server imports before it starts children, as far as they are there.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        mode: Mode,
        threads: int,
        memory_limit_bytes: int | None,
        keep_env: Iterable[str] = (),
        preload: Iterable[str] = (),
    ) -> None:
        self.scratch = scratch
        self.mode = mode
        self.threads = threads
        self.keep_env = tuple(keep_env)
        self.preload = tuple(preload)
        self.memory_limit_bytes = memory_limit_bytes
        self._server: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """End the server for good, from whatever thread: a task that waits for it fails, and none starts after."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """End the server; it takes a running child with it."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)
        _kill(server)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._stopped:
            raise InstrumentError("the executor was stopped, and starts nothing any more")
        log = self.scratch / "server.log"
        with log.open("ab") as stderr:
            server = subprocess.Popen(
                [sys.executable, "-m", "validation.child.server", self.mode, *self.preload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=surroundings.child_environment(self.threads, self.keep_env),
                start_new_session=True,
            )
        self._server = server
        if _read_line(server, START_TIMEOUT_S) != b'"ready"\n':
            _kill(server)
            self._server = None
            tail = log.read_text(errors="replace").splitlines()[-1:]
            raise InstrumentError(
                f"the process that starts children did not get ready ({' '.join(tail) or 'no message'}); "
                "mend that, or try --start spawn"
            )
        return server

    def run(self, task: Task, timeout_s: float) -> Answer:
        """Run one task in a fresh child; once more if the process that starts children is lost meanwhile.

        That process may have been killed by chance, which is no fault of the task. Where it is lost twice, the task
        is what takes it along.
        """
        limited = msgspec.structs.replace(task, memory_limit_bytes=task.memory_limit_bytes or self.memory_limit_bytes)
        started, kills = time.monotonic(), limits.kills()
        outcome = None
        for _ in range(2):
            # The name says nothing of the task, nor of how many there were.
            folder = self.scratch / secrets.token_hex(4)
            reply_path = folder.with_suffix(".json")
            outcome = self._ask_in(folder, Request(
                task=limited, reply_path=str(reply_path), folder=str(folder), timeout_s=timeout_s
            ))  # fmt: skip
            if outcome is not None or self._stopped:
                break
        job_killed = limits.kills() > kills
        if outcome is None:
            lost = Failure(
                reason="out_of_memory" if job_killed else "signal",
                message=JOB_KILLED
                if job_killed
                else "the process that starts children was lost twice while the task ran",
                arm=task.implementation,
            )
            return Answer(reply=None, failure=lost, wall_s=time.monotonic() - started, cpu_s=0.0)
        reply = reply_path.read_bytes() if reply_path.exists() else None
        found = classify(outcome, reply, timeout_s, task.implementation, job_killed=job_killed)
        full = isinstance(found, Failure) and self._is_full(found)
        for path in (reply_path, Path(f"{reply_path}.part")):
            path.unlink(missing_ok=True)
        if full:
            raise self._full(task.implementation or "a task")
        self._require_restored(outcome, task)
        failed = isinstance(found, Failure)
        return Answer(
            reply=None if failed else found,  # type: ignore[arg-type]
            failure=found if failed else None,  # type: ignore[arg-type]
            wall_s=outcome.wall_s,
            cpu_s=outcome.cpu_s,
            marks=outcome.marks,
        )

    def _full(self, who: str) -> InstrumentError:
        return InstrumentError(
            f"{self.scratch}, where children write, has no space left, so that {who} could not answer; make room or "
            "set TMPDIR, then continue the run with --resume"
        )

    def _require_restored(self, outcome: Outcome, task: Task) -> None:
        """Start another server, or none at all, where settings that a child changed could not be put back."""
        left = [change for change in outcome.changes if not change.restored]
        if any(change.process != SERVER for change in left):
            raise InstrumentError(
                f"{task.implementation or 'a task'} changed the {'; the '.join(map(str, left))}: what is timed after "
                "it would not be comparable; start a new run without it"
            )
        if left:
            self.close()

    def _ask_in(self, folder: Path, request: Request) -> Outcome | None:
        """Send a request that has a folder of its own, which is removed after."""
        try:
            surroundings.make_private(folder)
        except OSError as error:
            raise self._full(request.task.implementation or "a task") from error
        try:
            return self._ask(request)
        finally:
            surroundings.remove_private(folder)

    def _is_full(self, failure: Failure) -> bool:
        """Whether a failure is that of the folder in which children write: no fault of an implementation."""
        said = "\n".join((failure.message, *failure.stderr_tail))
        if _NUMPY_FULL in said or os.strerror(errno.EDQUOT) in said:
            return True
        return os.strerror(errno.ENOSPC) in said and shutil.disk_usage(self.scratch).free < FULL_BYTES

    def _ask(self, request: Request) -> Outcome | None:
        """Send a request; ``None`` when the server was lost or hangs."""
        server = self._server or self._start()
        if server.stdin is None:
            return None
        try:
            server.stdin.write(msgspec.json.encode(request) + b"\n")
            server.stdin.flush()
            line = _read_line(server, request.timeout_s + SERVER_GRACE_S)
        except BrokenPipeError:
            line = b""
        except BaseException:
            self.close()
            raise
        if not line.endswith(b"\n"):
            self.close()
            return None
        return msgspec.json.decode(line, type=Outcome)


def _read_line(server: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """One line from the server; less when it ends or the time is over. It never sends more than it was asked."""
    if server.stdout is None:
        return b""
    descriptor = server.stdout.fileno()
    deadline = time.monotonic() + timeout_s
    line = b""
    while not line.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
            break
        received = os.read(descriptor, 65536)
        if not received:
            break
        line += received
    return line


def _kill(server: subprocess.Popen[bytes]) -> None:
    """Kill the server if it is still there; the system kills its child with it."""
    server.kill()
    server.wait()
    for pipe in (server.stdin, server.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
