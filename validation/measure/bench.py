"""Where a case is measured: asks children for replies, and keeps the outputs of a case until it is done."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from typing import Protocol as TypingProtocol

from validation.contract.records import Case, Failure, Protocol
from validation.contract.tasks import Action, CopyReply, MemoryReply, OutputReply, Task, TimelineReply, TimeReply
from validation.kernels.patches.law import ReferenceLaw
from validation.measure.runner import Answer, Executor
from validation.outputs.output import Output

REFERENCE = "reference"
ORACLE = "oracle"

ReplyOf = TypeVar("ReplyOf", OutputReply, TimeReply, CopyReply, MemoryReply, TimelineReply)
Made = TypeVar("Made")
Step = Callable[[str], None]


class Share(TypingProtocol):
    """Runs jobs of a bench on it and on others."""

    def __call__(self, owner: Bench, jobs: Sequence[Callable[[Bench], Made]]) -> list[Made]:
        """Run every job once, and give what they return in their order."""


class CaseFailed(Exception):
    """A task of the case gave no reply; carries the failure to record."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Bench:
    """Where a case is measured.

    Parameters
    ----------
    executor : Executor
    scan_path : str
        The .npz that feeds the workloads.
    ptycho_path : str or None
        Folder that holds the ``ptycho`` package to measure; ``None``: the installed one.
    protocol : Protocol
    scratch : Path
        Folder for outputs.
    timeout_s : float
        Wall-clock limit of one child.
    step : callable
        Told what is being done, for progress.
    entropy : str, optional
        That of a timed call whose inputs outputs are to be made of, instead of the case's own.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        scan_path: str,
        ptycho_path: str | None,
        protocol: Protocol,
        scratch: Path,
        timeout_s: float,
        step: Step = lambda text: None,
        entropy: str | None = None,
    ) -> None:
        self.executor = executor
        self.scan_path = scan_path
        self.ptycho_path = ptycho_path
        self.protocol = protocol
        self.scratch = scratch
        self.timeout_s = timeout_s
        self.step = step
        self.entropy = entropy
        self.measured_s = 0.0
        # What others took for jobs of this bench, beside its own time.
        self.elsewhere_s = 0.0
        self.law = ReferenceLaw()
        # Raises where the run is ending; asked during long work of this process.
        self.require_going: Callable[[], None] = lambda: None
        # Who else takes jobs of this bench; nobody where it is the only one.
        self.share: Share | None = None
        self._outputs: dict[tuple[str, str], Output | Failure] = {}

    def beside(self, executor: Executor, scratch: Path) -> Bench:
        """Give another place to measure the same, with children and a folder of its own, and the law of this one."""
        bench = copy.copy(self)
        bench.executor, bench.scratch = executor, scratch
        bench.measured_s = bench.elsewhere_s = 0.0
        bench._outputs = {}
        return bench

    def each(self, jobs: Sequence[Callable[[Bench], Made]]) -> list[Made]:
        """Run jobs that do not depend on each other, each on this bench or on one beside it; results in their order.

        Raises
        ------
        Exception
            That of the first job that has one; what was not started by then is left out.
        """
        return [job(self) for job in jobs] if self.share is None else self.share(self, jobs)

    def forget_outputs(self) -> None:
        """Let go of the outputs of the case that is done."""
        self._outputs.clear()

    def ask(self, action: Action, expected: type[ReplyOf], **fields: Any) -> tuple[ReplyOf, Answer]:
        """Run one task and insist on the kind of reply that belongs to it."""
        task = Task(action=action, scan_path=self.scan_path, ptycho_path=self.ptycho_path, **fields)
        answer = self.executor.run(task, self.timeout_s)
        if answer.failure is not None:
            raise CaseFailed(answer.failure)
        if not isinstance(answer.reply, expected):
            raise CaseFailed(
                Failure(
                    reason="wrong_output",
                    message=f"expected {expected.__name__}, got {answer.reply}",
                    arm=task.implementation,
                )
            )
        if task.implementation != ORACLE:  # nobody asks how long that takes
            self.measured_s += answer.reply.call_s if isinstance(answer.reply, OutputReply) else answer.reply.measured_s
        return answer.reply, answer

    def output(self, case: Case, implementation: str) -> Output:
        """Output of an implementation at a case; made once.

        Raises
        ------
        CaseFailed
            If the implementation gives none that can be read.
        """
        key = (case.case_id, implementation)
        if key not in self._outputs:
            self.step(f"output of {implementation}")
            path = self.scratch / secrets.token_hex(8)
            try:
                asked = {"case": case, "implementation": implementation, "entropy": self.entropy}
                self.ask("output", OutputReply, output_path=str(path), **asked)
                self._outputs[key] = Output(path)
            except CaseFailed as failed:
                self._outputs[key] = failed.failure
            except (OSError, ValueError) as error:
                self._outputs[key] = Failure(
                    reason="wrong_output", message=f"the output cannot be read: {error}", arm=implementation
                )
        found = self._outputs[key]
        if isinstance(found, Failure):
            raise CaseFailed(found)
        return found
