"""The result of a case in fresh processes, each with another number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from validation.contract.tasks import OutputReply, Reply, Task
from validation.machine.surroundings import worker_environment
from validation.outputs import saved
from validation.outputs.tree import Tree

Execute = Callable[[Task], Reply]
_PROGRAM = """
import os
import sys
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)  # before the folder that this was started in
import msgspec
from validation.child.actions import execute
from validation.child.afresh import answer
from validation.contract.tasks import Task
sys.exit(answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Task), execute))
"""


def answer(task: Task, execute: Execute) -> int:
    """Execute a task that leaves an output; the exit code, with the reason on standard error."""
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


class Afresh:
    """Asks fresh processes for the result of a task's case.

    Parameters
    ----------
    task : Task
    folder : Path
        For the results and what the processes say.
    execute : callable
        Executes a task in this process; used where one may be forked.
    """

    def __init__(self, task: Task, folder: Path, execute: Execute) -> None:
        self._task = task
        self._folder = folder
        self._execute = execute

    def __call__(self, threads: tuple[int, ...]) -> list[Tree] | str:
        """Give the results, in processes with so many threads; or why one has none."""
        paths = [self._folder / f"threads-{count}" for count in threads]
        tasks = [
            msgspec.structs.replace(self._task, action="output", property=None, output_path=str(path)) for path in paths
        ]
        logs = [path.with_suffix(".log") for path in paths]
        # Side by side, since nothing here is timed.
        waits = [self._start(task, count, log) for task, count, log in zip(tasks, threads, logs, strict=True)]
        codes = [wait() for wait in waits]
        for count, code, log in zip(threads, codes, logs, strict=True):
            if code != 0:
                last = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
                return f"no result with {count} threads: {last}"
        trees = []
        for path in paths:
            with path.open("rb") as file:
                trees.append(saved.load(file))
        return trees

    def _start(self, task: Task, count: int, log: Path) -> Callable[[], int]:
        """Start a process that has run no operation; what is returned waits for its exit code.

        It is forked where that is safe, in a child of the server, since importing TensorFlow anew takes seconds.
        """
        environment = {**worker_environment(count), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if not _may_fork():
            with log.open("wb") as stderr:
                started = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM],
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
            code = answer(task, self._execute)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
