"""What the gallery of mutants measures, each in real children: outputs, clocks, memory, probes, meters, suites."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from validation.child.calibration import check
from validation.child.memory import joint_meter
from validation.contract.mutant import Mutant
from validation.contract.records import (
    ArmMemory,
    ArmTiming,
    Audit,
    CalibrationCheck,
    Case,
    Comparison,
    Equivalence,
    Failure,
    Memory,
    MemoryPair,
    Protocol,
    Provenance,
    Timing,
)
from validation.contract.tasks import CalibrateReply, CopyReply, OutputReply, ProbeReply, Task
from validation.kernels.patches.mutants import MUTANTS
from validation.measure.arms import metered, timed
from validation.measure.bench import Bench, CaseFailed
from validation.outputs.compare import ATOL, compare
from validation.outputs.output import Output
from validation.plan.sweeps import make_case
from validation.run.provenance import find_ptycho
from validation.subject.broken_checkout import break_checkout
from validation.subject.suite import SuiteOutcome, run_suite

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
# Enough for a mutant that is refused in one process.
ONCE = msgspec.structs.replace(PROTOCOL, samples=3, min_sample_s=0.0)
HANG_TIMEOUT_S = 3.0
# What a child of the memory hog may take above its start.
HOG_LIMIT_BYTES = 600 * 2**20
# More than 200 patches (D8), peaks above 20 MB (the meter), positions on every edge (D7).
MAIN = make_case("patch_extraction", N=96, gridsize=2, batch=51, shape=(40, 52), pattern="border")
# Planned and never measured, for the mutant that leaves a case out.
NEVER_RUN = make_case("patch_extraction", N=96, gridsize=2, batch=5, shape=(40, 52), pattern="border")
# A small result, so that standards and cheats that give it last what their name says and no longer.
CLOCK = make_case("patch_extraction", N=16, gridsize=1, batch=20, shape=(40, 52), pattern="border")
# A large object and few patches: translating all of it is what costs.
SLOW = make_case("patch_extraction", N=32, gridsize=1, batch=12, shape=(300, 400), pattern="interior")
PROBED = make_case("patch_extraction", N=16, gridsize=2, batch=10, shape=(61, 83), pattern="fermat")
# Overlapping patches, their number no multiple of a power of two.
PLACED = make_case("reassembly", N=16, gridsize=1, batch=210, shape=(61, 83), pattern="fermat", M=10)
PLACED_PROBED = make_case("reassembly", N=16, gridsize=1, batch=30, shape=(61, 83), pattern="fermat", M=10)
# As many patches as the promise for reassembly begins at.
PLACED_PROMISED = make_case("reassembly", N=16, gridsize=1, batch=500, shape=(61, 83), pattern="fermat", M=10)

_MAY_FAIL = frozenset(mutant.name for mutant in MUTANTS)

ReplyOf = TypeVar("ReplyOf", CalibrateReply, ProbeReply)
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
    """The measurements of a gallery; each is made once and shared.

    Parameters
    ----------
    bench : Bench
        Its executor runs the children, its scratch folder takes the outputs.
    candidate : str
        The true candidate.
    """

    def __init__(self, bench: Bench, candidate: str) -> None:
        self.bench = bench
        self.candidate = candidate
        self._outputs: dict[tuple[str, str], Output] = {}
        # Mutants that gave no times or peaks, and why.
        self.refused: dict[str, Failure] = {}

    def ask(self, expected: type[ReplyOf], task: Task) -> ReplyOf:
        """Run a task and insist on the kind of reply that belongs to it."""
        task = msgspec.structs.replace(task, ptycho_path=self.bench.ptycho_path)
        answer = self.bench.executor.run(task, self.bench.timeout_s)
        if answer.failure is not None:
            raise CaseFailed(answer.failure)
        if not isinstance(answer.reply, expected):
            raise CaseFailed(Failure(reason="wrong_output", message=str(answer.reply), arm=task.implementation))
        return answer.reply

    def output(self, case: Case, name: str) -> np.ndarray[Any, Any]:
        """Give the output of an implementation; made once."""
        key = (case.case_id, name)
        if key not in self._outputs:
            path = self.bench.scratch / secrets.token_hex(8)
            self.bench.ask("output", OutputReply, case=case, implementation=name, output_path=str(path))
            self._outputs[key] = Output(path)
        return self._outputs[key].values

    def equivalence(self, case: Case, name: str, *, atol: float = ATOL, reference: str = "reference") -> Equivalence:
        """Compare an implementation, what stands for the reference, and the oracle, pairwise."""
        self.bench.step(f"output of {name}")
        arms = {"oracle": "oracle", "reference": reference, name: name}

        def comparison(expected: str, actual: str, tolerance: float) -> Comparison:
            return compare(
                self.output(case, arms[expected]),
                self.output(case, arms[actual]),
                expected_name=expected,
                actual_name=actual,
                atol=tolerance,
            )

        return Equivalence(
            candidate_vs_oracle=comparison("oracle", name, atol),
            candidate_vs_reference=comparison("reference", name, atol),
            reference_vs_oracle=comparison("oracle", "reference", ATOL),
        )

    def _arm(self, name: str, measure: Callable[[], Made]) -> Made | None:
        """Measure an arm in one process; ``None`` where it is a mutant that was refused, now or before."""
        if name in self.refused:
            return None
        try:
            return measure()
        except CaseFailed as found:
            if name not in _MAY_FAIL:
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
        copies, _ = self.bench.ask("copy", CopyReply, case=case, protocol=PROTOCOL)
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

    def probe(self, case: Case, name: str, probe: str) -> ProbeReply:
        """Run a probe."""
        self.bench.step(f"probe {probe} of {name}")
        task = Task(action="probe", scan_path=self.bench.scan_path, case=case, implementation=name, probe=probe)
        return self.ask(ProbeReply, task)

    def readings(self, meter: str, true: tuple[CalibrationCheck, ...]) -> tuple[CalibrationCheck, ...]:
        """Let another meter read the known blocks of memory, and put its readings into a calibration."""
        self.bench.step(f"calibration of {meter}")
        read = iter(self.output(MAIN, meter).tolist())
        return tuple(
            check(found.instrument, found.expected, next(read), found.limit, found.unit, meter)
            if found.instrument.startswith("memory")
            else found
            for found in true
        )

    def suites(self, origin: Provenance) -> tuple[tuple[Literal["off", "on"], SuiteOutcome], ...]:
        """Run the test suite of a checkout whose batched path was broken, with the flag off and on."""
        self.bench.step("test suite of a broken checkout")
        checkout = break_checkout(find_ptycho(self.bench.ptycho_path), self.bench.scratch / "broken")
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
        task = Task(
            action="memory" if hog else "time",
            scan_path=self.bench.scan_path,
            ptycho_path=self.bench.ptycho_path,
            case=MAIN,
            implementation=mutant.name,
            protocol=PROTOCOL,
            memory_limit_bytes=HOG_LIMIT_BYTES if hog else None,
        )
        answer = self.bench.executor.run(task, 60.0 if hog else HANG_TIMEOUT_S)
        if answer.failure is None:
            raise CaseFailed(Failure(reason="wrong_output", message=f"{mutant.name} did not fail", arm=mutant.name))
        return answer.failure
