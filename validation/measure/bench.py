"""Where a case is measured: asks children for replies, and keeps the outputs of a case until it is done."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from typing import Protocol as TypingProtocol

from validation.contract.cases import Case, Judged, Law, Protocol
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel
from validation.contract.measurements import Failure
from validation.contract.tasks import (
    Action,
    CopyReply,
    ErrorReply,
    MemoryReply,
    OutputReply,
    Task,
    TimelineReply,
    TimeReply,
)
from validation.kernels.registry import Kernels
from validation.measure.runner import Answer, Executor
from validation.outputs.saved import Output

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
    kernels : Kernels
        Those of the run.
    scan_path : str or None
        The .npz that feeds the inputs, where a kernel takes one.
    package : str or None
        Folder that holds the package to measure; ``None``: the installed one.
    arm_paths : dict
        Folders that come first where the child of one implementation looks for modules, by its name.
    protocol : Protocol
    judged : tuple of Judged
        What is promised of which case: an extension is measured where it is undecided.
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
        kernels: Kernels,
        scan_path: str | None,
        package: str | None = None,
        arm_paths: Mapping[str, str] | None = None,
        protocol: Protocol,
        judged: tuple[Judged, ...] = (),
        scratch: Path,
        timeout_s: float,
        step: Step = lambda text: None,
        entropy: str | None = None,
    ) -> None:
        self.executor = executor
        self.kernels = kernels
        self.scan_path = scan_path
        self.package = package
        self.paths = () if package is None else (package,)
        self.arm_paths = dict(arm_paths or {})
        self.protocol = protocol
        self.judged = judged
        self.scratch = scratch
        self.timeout_s = timeout_s
        self.step = step
        self.entropy = entropy
        self.measured_s = 0.0
        # Processor time of the last child.
        self.last_cpu_s = 0.0
        # What others took for jobs of this bench, beside its own time.
        self.elsewhere_s = 0.0
        self._laws: dict[str, Law] = {kernel.name: kernel.law() for kernel in kernels}
        # Raises where the run is ending; asked during long work of this process.
        self.require_going: Callable[[], None] = lambda: None
        # Who else takes jobs of this bench; nobody where it is the only one.
        self.share: Share | None = None
        self._outputs: dict[tuple[str, str], Output | Failure] = {}
        self._shares: dict[str, bool] = {}

    def beside(self, executor: Executor, scratch: Path) -> Bench:
        """Give another place to measure the same, with children and a folder of its own, and the laws of this one."""
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

    def kernel(self, case: Case) -> Kernel:
        """Give the kernel of a case."""
        return self.kernels[case.kernel]

    def law(self, case: Case) -> Law:
        """Give the law of the reference of a case's kernel."""
        return self._laws[case.kernel]

    def task(self, action: Action, **fields: Any) -> Task:
        """Make a task of this bench."""
        own = self.arm_paths.get(str(fields.get("implementation")))
        paths = self.paths if own is None else (own, *self.paths)
        return Task(action=action, sources=self.kernels.sources, scan_path=self.scan_path, paths=paths, **fields)

    def may_share(self, case: Case) -> bool:
        """Whether a result may share memory with an input, since that of the reference does.

        It is asked where the reference is the only truth; a kernel with an oracle says what it owes to its caller.
        """
        if self.kernel(case).oracle is not None:
            return False
        if case.kernel not in self._shares:
            path = self.scratch / secrets.token_hex(8)
            try:
                asked = {"case": case, "implementation": REFERENCE, "output_path": str(path)}
                self._shares[case.kernel] = self.ask("output", OutputReply, **asked)[0].shares
            finally:
                path.unlink(missing_ok=True)
        return self._shares[case.kernel]

    def ask(self, action: Action, expected: type[ReplyOf], **fields: Any) -> tuple[ReplyOf, Answer]:
        """Run one task and insist on the kind of reply that belongs to it."""
        task = self.task(action, **fields)
        answer = self.executor.run(task, self.timeout_s)
        self.last_cpu_s = answer.cpu_s
        if answer.failure is not None:
            raise CaseFailed(answer.failure)
        if isinstance(answer.reply, ErrorReply) and answer.reply.reason == "bad_input":
            raise UsageError(answer.reply.message)
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
