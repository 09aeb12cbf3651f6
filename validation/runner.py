"""Runs tasks in child processes: one child per task, each with a time limit, a memory limit and an end on record.

`Executor` is the seam: whatever runs a `Task` and gives back a reply or a failure can carry a sweep.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from validation.channel import Mark
from validation.errors import UNDECODABLE, InstrumentError
from validation.records import Failure, FailureReason
from validation.tasks import ErrorReply, Reply, Task
from validation.worker import Outcome, Request

Mode = Literal["fork", "spawn"]
STDERR_TAIL = 12
START_TIMEOUT_S = 180.0
# The server kills an overdue child itself; it is overdue itself only when it hangs or is stopped.
SERVER_GRACE_S = 15.0
# Free space below which a folder counts as full; a block may be left where a file did not fit.
FULL_BYTES = 2**20
# What NumPy says of a large array that does not fit: it asks for the space first, and gives back what it got.
_NUMPY_FULL = "Not enough free space to write"
_OUT_OF_MEMORY = re.compile(
    r"std::bad_alloc|MemoryError|out of memory|cannot allocate memory|OOM when allocating|failed to allocate|"
    r"resource ?exhausted|virtual memory exhausted|paging file",
    re.IGNORECASE,
)


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


def worker_environment(threads: int) -> dict[str, str]:
    """Environment of the children: the thread counts are fixed, and TensorFlow logs no chatter."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    fixed = dict.fromkeys((*names, "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), str(threads))
    return {**fixed, "TF_CPP_MIN_LOG_LEVEL": "1", "PYTHONHASHSEED": "0"}


def classify(outcome: Outcome, reply: bytes | None, timeout_s: float, arm: str | None) -> Reply | Failure:
    """Turn the end of a child into its reply, or into the one reason why there is none.

    Parameters
    ----------
    outcome : Outcome
    reply : bytes or None
        Content of the reply file; ``None`` if there is none.
    timeout_s : float
    arm : str or None
        Name of the implementation.
    """
    tail = tuple(line for line in outcome.stderr.splitlines() if line.strip())[-STDERR_TAIL:]

    def failure(reason: FailureReason, message: str) -> Failure:
        name = signal.Signals(outcome.signal).name if outcome.signal in set(signal.Signals) else None
        return Failure(
            reason=reason,
            message=message,
            arm=arm,
            exit_code=outcome.exit_code,
            signal=name if outcome.signal is None or name else str(outcome.signal),
            stderr_tail=tail,
        )

    if outcome.killed:
        return failure("timeout", f"still running after {timeout_s:g} s; it was killed with its process group")
    if outcome.signal is not None:
        if _OUT_OF_MEMORY.search("\n".join(tail)):
            return failure("out_of_memory", "an allocation failed at the memory limit, and the process aborted")
        return failure("signal", f"killed by signal {outcome.signal}")
    if outcome.exit_code != 0:
        if _OUT_OF_MEMORY.search("\n".join(tail)):
            return failure("out_of_memory", "an allocation failed at the memory limit")
        last = f": {tail[-1].strip()[:200]}" if tail else ""
        return failure("exit_code", f"left with exit code {outcome.exit_code}{last}")
    if reply is None:
        return failure("no_result", "left with exit code 0 and without a reply")
    try:
        decoded = msgspec.json.decode(reply, type=Reply)
    except UNDECODABLE as error:
        return failure("wrong_output", f"the reply is not one of the contract's: {error}")
    if isinstance(decoded, ErrorReply) and decoded.reason != "bad_input":
        return failure(decoded.reason, decoded.message)
    return decoded  # type: ignore[no-any-return]


class LocalExecutor:
    """Runs tasks on this machine, one at a time for each executor, in children of a server process.

    Parameters
    ----------
    scratch : Path
        Folder for replies and logs of the children.
    mode : {'fork', 'spawn'}
        ``fork``: the server has imported TensorFlow and the children inherit it; ``spawn``: every child
        starts from nothing.
    threads : int
        Threads that TensorFlow and its libraries may use, one number for all.
    memory_limit_bytes : int or None
        How much more than at its start a child may take.
    """

    def __init__(self, scratch: Path, *, mode: Mode, threads: int, memory_limit_bytes: int | None) -> None:
        self.scratch = scratch
        self.mode = mode
        self.threads = threads
        self.environment = worker_environment(threads)
        self.memory_limit_bytes = memory_limit_bytes
        self._server: subprocess.Popen[bytes] | None = None
        self._count = 0
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
                [sys.executable, "-m", "validation.server", self.mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **self.environment},
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
        started = time.monotonic()
        outcome = None
        for _ in range(2):
            self._count += 1
            reply_path = self.scratch / f"reply-{self._count}.json"
            outcome = self._ask(Request(task=limited, reply_path=str(reply_path), timeout_s=timeout_s))
            if outcome is not None or self._stopped:
                break
        if outcome is None:
            lost = Failure(
                reason="signal",
                message="the process that starts children was lost twice while the task ran",
                arm=task.implementation,
            )
            return Answer(reply=None, failure=lost, wall_s=time.monotonic() - started, cpu_s=0.0)
        reply = reply_path.read_bytes() if reply_path.exists() else None
        found = classify(outcome, reply, timeout_s, task.implementation)
        full = isinstance(found, Failure) and self._is_full(found)
        for path in (reply_path, Path(f"{reply_path}.request"), Path(f"{reply_path}.part")):
            path.unlink(missing_ok=True)
        if full:
            raise InstrumentError(
                f"{self.scratch}, where children write, has no space left, so that {task.implementation or 'a task'} "
                "could not answer; make room or set TMPDIR, then continue the run with --resume"
            )
        failed = isinstance(found, Failure)
        return Answer(
            reply=None if failed else found,  # type: ignore[arg-type]
            failure=found if failed else None,  # type: ignore[arg-type]
            wall_s=outcome.wall_s,
            cpu_s=outcome.cpu_s,
            marks=outcome.marks,
        )

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
