"""What the gallery of mutants measures, each in real children: outputs, clocks, memory, probes, meters, suites."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, TypeVar

import msgspec

from validation.child.calibration import check
from validation.child.memory import joint_meter
from validation.contract.cases import Case, Protocol
from validation.contract.kernel import Kernel
from validation.contract.lines import CalibrationCheck
from validation.contract.manifest import Provenance
from validation.contract.measurements import (
    ArmMemory,
    ArmTiming,
    Audit,
    Comparison,
    Equivalence,
    Failure,
    Memory,
    MemoryPair,
    Timing,
)
from validation.contract.mutant import Exhibition, Mutant
from validation.contract.tasks import CalibrateReply, CopyReply, OutputReply, PropertyReply, Task
from validation.measure.arms import metered, timed
from validation.measure.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.outputs.compare import compare
from validation.outputs.saved import Output
from validation.outputs.tree import Tree
from validation.subject import package
from validation.subject.broken_checkout import break_checkout
from validation.subject.suite import SuiteOutcome, run_suite

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
# Enough for a mutant that is refused in one process.
ONCE = msgspec.structs.replace(PROTOCOL, samples=3, min_sample_s=0.0)
HANG_TIMEOUT_S = 3.0
# What a child of the memory hog may take above its start.
HOG_LIMIT_BYTES = 600 * 2**20

ReplyOf = TypeVar("ReplyOf", CalibrateReply, PropertyReply)
Made = TypeVar("Made")


def rounds(count: int, arms: Iterable[str], purpose: str) -> list[list[str]]:
    """Make ``count`` rounds of all arms, each in another order; the same every time."""
    generator = random.Random(purpose)
    rounds = []
    for _ in range(count):
        order = list(arms)
        generator.shuffle(order)
        rounds.append(order)
    return rounds


class GalleryBench:
    """The measurements of the gallery of a kernel; each is made once and shared.

    Parameters
    ----------
    bench : Bench
        Its executor runs the children, its scratch folder takes the outputs.
    kernel : Kernel
    shown : Exhibition
        The cases of its mutants.
    candidate : str
        The true candidate.
    """

    def __init__(self, bench: Bench, kernel: Kernel, shown: Exhibition, candidate: str) -> None:
        self.bench = bench
        self.kernel = kernel
        self.shown = shown
        self.candidate = candidate
        self._may_fail = frozenset(mutant.name for mutant in kernel.mutants)
        self._outputs: dict[tuple[str, str], Output] = {}
        # Mutants that gave no times or peaks, and why.
        self.refused: dict[str, Failure] = {}

    def ask(self, expected: type[ReplyOf], task: Task) -> ReplyOf:
        """Run a task and insist on the kind of reply that belongs to it."""
        answer = self.bench.executor.run(task, self.bench.timeout_s)
        if answer.failure is not None:
            raise CaseFailed(answer.failure)
        if not isinstance(answer.reply, expected):
            raise CaseFailed(Failure(reason="wrong_output", message=str(answer.reply), arm=task.implementation))
        return answer.reply

    def output(self, case: Case, name: str) -> Tree:
        """Give the output of an implementation; made once."""
        key = (case.case_id, name)
        if key not in self._outputs:
            path = self.bench.scratch / secrets.token_hex(8)
            self.bench.ask("output", OutputReply, case=case, implementation=name, output_path=str(path))
            self._outputs[key] = Output(path)
        return self._outputs[key].tree

    def equivalence(
        self, case: Case, name: str, *, atol: float | None = None, reference: str = REFERENCE
    ) -> Equivalence:
        """Compare an implementation, what stands for the reference, and the oracle, pairwise."""
        self.bench.step(f"output of {name}")
        arms = {ORACLE: ORACLE, REFERENCE: reference, name: name}
        allowed = self.kernel.atol if atol is None else atol

        def comparison(expected: str, actual: str, tolerance: float) -> Comparison:
            return compare(
                self.output(case, arms[expected]),
                self.output(case, arms[actual]),
                expected_name=expected,
                actual_name=actual,
                atol=tolerance,
                rtol=self.kernel.rtol,
                scale=self.kernel.scale(case, self.bench.scan_path),
            )

        with_oracle = self.kernel.oracle is not None
        return Equivalence(
            candidate_vs_oracle=comparison(ORACLE, name, allowed) if with_oracle else None,
            candidate_vs_reference=comparison(REFERENCE, name, allowed),
            reference_vs_oracle=comparison(ORACLE, REFERENCE, self.kernel.atol) if with_oracle else None,
        )

    def _arm(self, name: str, measure: Callable[[], Made]) -> Made | None:
        """Measure an arm in one process; ``None`` where it is a mutant that was refused, now or before."""
        if name in self.refused:
            return None
        try:
            return measure()
        except CaseFailed as found:
            if name not in self._may_fail:
                raise
            self.refused[name] = found.failure
            return None

    def timings(self, case: Case, reference: str, others: tuple[str, ...]) -> dict[str, Timing]:
        """Time arms in shuffled rounds, a fresh process each: the reference once, A/A pairs of each of the others.

        A mutant that is refused is not tried again.

        Parameters
        ----------
        case : Case
        reference : str
            What the others are compared with.
        others : tuple of str
        """
        arms: dict[str, list[ArmTiming]] = {name: [] for name in (reference, *others)}
        units = (reference, *others * PROTOCOL.noise_pairs_per_reference)
        for number, order in enumerate(rounds(PROTOCOL.replicates, units, case.case_id + reference), 1):
            self.bench.step(f"{case.case_id}: round {number} of {PROTOCOL.replicates}")
            for name in order:
                for _ in range(1 if name == reference else 2):
                    found = self._arm(name, partial(timed, self.bench, case, name))
                    if found is not None:
                        arms[name].append(found[0])
        size = self.kernel.output_bytes(case) or self.output(case, REFERENCE).nbytes
        copies, _ = self.bench.ask("copy", CopyReply, copy_bytes=size, protocol=PROTOCOL)
        return {
            name: Timing(
                references=tuple(arms[reference]),
                candidates=tuple(arms[name]),
                copy_fresh_s=copies.fresh_s,
                copy_warm_s=copies.warm_s,
                contended_rejected=0,
                extended=False,
            )
            for name in others
            if name not in self.refused
        }

    def memories(self, case: Case, reference: str, others: tuple[str, ...]) -> dict[str, Memory]:
        """Read the peaks of arms in shuffled rounds, a fresh process each.

        A mutant that is refused is not tried again.
        """
        peaks: dict[str, list[ArmMemory]] = {name: [] for name in (reference, *others)}
        meters: set[str] = set()
        output_bytes = 0
        for number, order in enumerate(rounds(PROTOCOL.memory_pairs, peaks, case.case_id + reference), 1):
            self.bench.step(f"{case.case_id}: memory, round {number} of {PROTOCOL.memory_pairs}")
            for name in order:
                found = self._arm(name, partial(metered, self.bench, case, name))
                if found is not None:
                    peaks[name].append(found[0])
                    meters.add(found[1].meter)
                    output_bytes = found[1].output_bytes
        return {
            name: Memory(
                meter=joint_meter(meters),
                pairs=tuple(
                    MemoryPair(reference=one, candidate=two)
                    for one, two in zip(peaks[reference], peaks[name], strict=True)
                ),
                output_bytes=output_bytes,
            )
            for name in others
            if name not in self.refused
        }

    def property(self, case: Case, name: str, checked: str) -> PropertyReply:
        """Check a property."""
        self.bench.step(f"property {checked} of {name}")
        may_share = self.bench.may_share(case)
        task = self.bench.task("property", case=case, implementation=name, property=checked, may_share=may_share)
        return self.ask(PropertyReply, task)

    def readings(self, meter: str, true: tuple[CalibrationCheck, ...]) -> tuple[CalibrationCheck, ...]:
        """Let another meter read the known blocks of memory, and put its readings into a calibration."""
        self.bench.step(f"calibration of {meter}")
        read = iter(self.output(self.shown.main, meter).array.tolist())
        return tuple(
            check(found.instrument, found.expected, next(read), found.limit, found.unit, meter)
            if found.instrument.startswith("memory")
            else found
            for found in true
        )

    def suites(self, origin: Provenance) -> tuple[tuple[Literal["off", "on"], SuiteOutcome], ...]:
        """Run the test suite of a checkout whose batched path was broken, with the flag off and on."""
        self.bench.step("test suite of a broken checkout")
        checkout = break_checkout(package.find(self.bench.package), self.bench.scratch / "broken")
        flags: tuple[Literal["off", "on"], ...] = ("off", "on")
        with ThreadPoolExecutor(max_workers=2) as pool:
            found = pool.map(lambda flag: run_suite(checkout, flag, origin.threads, self.bench.timeout_s), flags)
            return tuple(zip(flags, found, strict=True))

    def audits(self, mutant: Mutant, case: Case) -> tuple[Audit, ...]:
        """Time or meter a mutant in one process; what the parent found of its results, where it was not refused."""
        name = mutant.name
        self.bench.step(f"{mutant.measured} process of {name}")
        bench = self.bench.beside(self.bench.executor, self.bench.scratch)
        bench.protocol = ONCE
        if mutant.measured == "timed":
            time = self._arm(name, partial(timed, bench, case, name))
            return time[0].audits if time else ()
        memory = self._arm(name, partial(metered, bench, case, name))
        return memory[0].audits if memory else ()

    def failure(self, mutant: Mutant) -> Failure:
        """Let a mutant fail in a child of its own, and give what the runner made of it."""
        self.bench.step(f"failure of {mutant.name}")
        hog = mutant.expected_criterion == "memory"
        task = self.bench.task(
            "memory" if hog else "time",
            case=self.shown.main,
            implementation=mutant.name,
            protocol=PROTOCOL,
            memory_limit_bytes=HOG_LIMIT_BYTES if hog else None,
        )
        answer = self.bench.executor.run(task, 60.0 if hog else HANG_TIMEOUT_S)
        if answer.failure is None:
            raise CaseFailed(Failure(reason="wrong_output", message=f"{mutant.name} did not fail", arm=mutant.name))
        return answer.failure
