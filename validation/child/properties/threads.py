"""The probe that asks fresh processes: bits do not depend on the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from validation.child.properties.probed import Found, Subject, same_bits
from validation.contract.tasks import OutputReply, Task

_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"
_OTHER_THREADS = """
import os
import sys
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)  # before the folder that this was started in
import msgspec
from validation.child.properties.threads import answer
from validation.contract.tasks import Task
sys.exit(answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Task)))
"""


def answer(task: Task) -> int:
    """Execute a task that leaves an output; the exit code, with the reason on standard error."""
    from validation.child.actions import execute

    reply = execute(task)
    if isinstance(reply, OutputReply):
        return 0
    sys.stderr.write(f"{reply}\n")
    return 1


def _may_fork() -> bool:
    """Whether this process has one thread: TensorFlow, above all, has not started its own."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _start(task: Task, count: int, log: Path) -> Callable[[], int]:
    """Start a process that has run no operation, with so many threads; what is returned waits for its exit code.

    It is forked where that is safe, in a child of the server, since importing TensorFlow anew takes seconds.
    """
    environment = {_THREADS_VARIABLE: str(count), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if not _may_fork():
        with log.open("wb") as stderr:
            started = subprocess.Popen(
                [sys.executable, "-c", _OTHER_THREADS],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **environment},
            )
        if started.stdin is not None:
            started.stdin.write(msgspec.json.encode(task))
            started.stdin.close()
        return started.wait
    pid = os.fork()
    if pid:
        return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        os.environ.update(environment)
        code = answer(task)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def threads(subject: Subject) -> Found:
    """See that bits do not depend on the number of threads: two fresh processes, one thread and three."""
    counts = (1, 3)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"threads-{count}.npy" for count in counts]
        tasks = [
            Task(
                action="output",
                scan_path=subject.scan_path,
                case=subject.case,
                implementation=subject.name,
                output_path=str(path),
            )
            for path in paths
        ]
        logs = [path.with_suffix(".log") for path in paths]
        # Side by side, since nothing here is timed.
        waits = [_start(task, count, log) for task, count, log in zip(tasks, counts, logs, strict=True)]
        codes = [wait() for wait in waits]
        for count, code, log in zip(counts, codes, logs, strict=True):
            if code != 0:
                last = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
                detail = f"no result with {count} threads: {last}"
                return Found(passed=False, figure=None, limit=0.0, detail=detail)
        one, three = map(np.load, paths)
        return same_bits(one, three, "with 1 thread and with 3")
