"""The process that starts children: it has imported what the kernels name, TensorFlow say, and has run none of it.

A child forked from it starts in milliseconds instead of seconds, and owns a TensorFlow that has not started
its threads yet. Requests come as JSON lines on standard input, outcomes leave as JSON lines on the file
descriptor that standard output was at the start. One child at a time; when the input closes, whoever asked is
gone, and the running child is killed with its whole process group.

Nothing outlives a child: what it started is ended with it, or found after it (`validation.machine.descendants`);
settings of this process and of its parent that it changed are put back (`validation.machine.settings`).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import select
import signal
import sys
import time
import traceback
from types import FrameType

import msgspec

from validation.child.channel import Channel, Witness
from validation.child.worker import Outcome, Request, work
from validation.machine.descendants import become_subreaper, descendants, end_descendants
from validation.machine.residents import Watch
from validation.machine.settings import HARNESS, SERVER, Guard

PRELOAD = ("numpy", "validation.child.actions")
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
TAIL_BYTES = 16384


def _die_with_parent(parent: int) -> None:
    """Ask the system to kill this process when its parent dies (Linux; elsewhere nothing happens)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _schedule(policy: str) -> None:
    """Take a scheduling policy of the system, where it has it.

    This process has ``SCHED_BATCH``: what a child tells it never takes a processor away from the child.
    """
    if hasattr(os, policy):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))


def _become_child(request: Request, server: int, mode: str, log: int, line: int, not_its_own: tuple[int, ...]) -> None:
    """Become the child of one request, which prints to ``log`` and speaks on ``line``; never returns."""
    try:
        os.setsid()
        _schedule("SCHED_OTHER")
        _die_with_parent(server)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY) if mode == "fork" else _pipe_with(msgspec.json.encode(request))
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for descriptor in (*not_its_own, null, log):
            os.close(descriptor)
        if mode == "spawn":
            os.set_inheritable(line, True)
            os.execv(sys.executable, [sys.executable, "-m", "validation.child.worker", str(line)])
        work(request, Channel(line))
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _pipe_with(content: bytes) -> int:
    """Give the reading end of a pipe that holds what fits into one at once: a request is some kilobytes."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    if os.write(write_end, content) != len(content):
        raise OSError(f"a request must fit into a pipe, got {len(content)} bytes")
    os.close(write_end)
    return read_end


def _kill_group(pid: int) -> None:
    """Kill a child and everything it started. The child is not reaped yet, so its id cannot be another's."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # it has not called setsid yet


class _Tail:
    """The end of what a child prints: read as it comes, so that a chatty child fills neither pipe nor disk."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.text = b""
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Take what is there; False when nothing is or will be."""
        try:
            received = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return False
        self.text = (self.text + received)[-TAIL_BYTES:]
        return bool(received)


def _await(
    pid: int,
    deadline: float,
    requests: int,
    tail: _Tail,
    witness: Witness,
    own: frozenset[int],
    watch: Watch | None,
) -> bool:
    """Wait until the child ends, and look at its memory; kill it at the deadline or when the requester goes.

    True if killed.
    """
    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    watched = [requests, tail.descriptor, witness.fileno()] + ([] if handle is None else [handle])
    killed = False
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            _kill_group(pid)
            killed, deadline = True, float("inf")
            continue
        pause = min(remaining, _POLL_S if handle is None else 3600.0)
        if watch is not None:
            watch.look()
            pause = min(pause, max(0.0, watch.next_s - time.monotonic()))
        ready = select.select(watched, [], [], pause)[0]
        if requests in ready:  # nothing is sent while a child runs, so this is the end of input
            _kill_group(pid)
            os.waitpid(pid, 0)
            end_descendants(own, grace_s=0.0)
            os._exit(0)
        if witness.fileno() in ready and not witness.read():
            watched.remove(witness.fileno())  # it has closed its end
        if tail.descriptor in ready and not tail.read():
            watched.remove(tail.descriptor)
    if handle is not None:
        os.close(handle)
    return killed


def serve(requests: int, outcomes: int, mode: str) -> None:
    """Answer requests until the input closes."""
    server = os.getpid()
    become_subreaper()
    own = frozenset(process.pid for process in descendants(server))
    guard = Guard({SERVER: server, HARNESS: os.getppid()})
    buffered = b""
    while True:
        while b"\n" not in buffered:
            received = os.read(requests, 65536)
            if not received:
                return
            buffered += received
        line, buffered = buffered.split(b"\n", 1)
        request = msgspec.json.decode(line, type=Request)
        read_end, write_end = os.pipe()
        witness = Witness()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            not_its_own = (requests, outcomes, read_end, witness.fileno())
            _become_child(request, server, mode, write_end, witness.child_descriptor, not_its_own)
        os.close(write_end)
        witness.leave_to_child()
        tail = _Tail(read_end)
        watch = Watch(pid, own) if request.task.action in ("memory", "calibrate") else None
        killed = _await(pid, started + request.timeout_s, requests, tail, witness, own, watch)
        _kill_group(pid)  # whatever the child started and left behind in its group
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.monotonic() - started
        left_behind = end_descendants(own)
        for _ in range(32):  # the rest of the pipe, and no more of a grandchild that got away and prints
            if not tail.read():
                break
        os.close(read_end)
        while witness.read():  # what it sent last
            pass
        witness.close()
        signalled = os.WIFSIGNALED(status)
        outcome = Outcome(
            exit_code=None if signalled else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if signalled else None,
            killed=killed,
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            stderr=tail.text.decode(errors="replace"),
            marks=tuple(witness.marks),
            left_behind=left_behind,
            changes=guard.put_back(),
            looks=() if watch is None else tuple(watch.looks),
        )
        os.write(outcomes, msgspec.json.encode(outcome) + b"\n")


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    """Preload, say that the server is ready, and serve."""
    mode, *preload = sys.argv[1:]
    requests, outcomes = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # whatever a preloaded module prints must not reach the outcomes
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if mode == "fork":
        for name in PRELOAD:
            importlib.import_module(name)
        for name in preload:  # what is missing is missed by the implementation that needs it
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    _schedule("SCHED_BATCH")
    os.write(outcomes, b'"ready"\n')
    serve(requests, outcomes, mode)


if __name__ == "__main__":
    main()
