"""Measures one candidate at one case: which tasks run, in which order, and what their replies make.

Every arm runs in a child of its own. Reference and oracle outputs of a case are made once and serve all
candidates.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from typing import Protocol as TypingProtocol

import msgspec
import numpy as np

from validation.compare import compare
from validation.law import ReferenceLaw
from validation.records import (
    ArmTiming,
    Case,
    Check,
    Comparison,
    Equivalence,
    Failure,
    Kernel,
    Measurement,
    Memory,
    MemoryPair,
    Order,
    Protocol,
    Timeline,
    Timing,
    TimingPair,
)
from validation.runner import Answer, Executor
from validation.sweeps import PlannedCase, noise_pairs, replicates
from validation.tasks import Action, CopyReply, MemoryReply, OutputReply, Task, TimelineReply, TimeReply

# What SPEC promises for every case: absolute, with a relative tolerance of zero.
ATOL = 1e-6
REFERENCE = "reference"
ORACLE = "oracle"
# What SPEC promises of either kernel in first and in warm calls; an extension is measured where it is undecided.
PROMISED_SPEEDUPS: dict[Kernel, tuple[float | None, float | None]] = {
    "patch_extraction": (10.0, 10.0),
    "reassembly": (None, 20.0),
}
# Processor time of others, in cores, above which a replicate counts as contended.
CONTENDED_CORES = 0.25
# Involuntary context switches of an arm, so many and so many a second, above which a replicate counts as contended if
# they come that much faster than in the quietest replicate of the arm: one with more threads than processors, such as
# JAX, is switched away by itself. Measured on two cores: 0 to 80 a second on a quiet machine, 125 to 200 beside work.
CONTENDED_SWITCHES = 20
CONTENDED_SWITCHES_PER_S = 100.0
CONTENDED_SWITCHES_RATIO = 3.0
# How much more than promised the gate asks for where contended replicates were kept.
CONTENDED_MARGIN = 2.0

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
    ) -> None:
        self.executor = executor
        self.scan_path = scan_path
        self.ptycho_path = ptycho_path
        self.protocol = protocol
        self.scratch = scratch
        self.timeout_s = timeout_s
        self.step = step
        self.measured_s = 0.0
        # What others took for jobs of this bench, beside its own time.
        self.elsewhere_s = 0.0
        self.law = ReferenceLaw()
        # Raises where the run is ending; asked during long work of this process.
        self.require_going: Callable[[], None] = lambda: None
        # Who else takes jobs of this bench; nobody where it is the only one.
        self.share: Share | None = None
        self._outputs: dict[tuple[str, str], Path | Failure] = {}

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
        """Remove the outputs of the case that is done."""
        for output in self._outputs.values():
            if isinstance(output, Path):
                output.unlink(missing_ok=True)
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

    def output(self, case: Case, implementation: str) -> Path:
        """Output of an implementation at a case, as a .npy file; made once."""
        key = (case.case_id, implementation)
        if key not in self._outputs:
            self.step(f"output of {implementation}")
            path = self.scratch / f"output-{len(self._outputs)}.npy"
            try:
                self.ask("output", OutputReply, case=case, implementation=implementation, output_path=str(path))
                self._outputs[key] = path
            except CaseFailed as failed:
                self._outputs[key] = failed.failure
        found = self._outputs[key]
        if isinstance(found, Failure):
            raise CaseFailed(found)
        return found


def _load(path: Path, implementation: str) -> np.ndarray[Any, Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise CaseFailed(
            Failure(reason="wrong_output", message=f"the output cannot be read: {error}", arm=implementation)
        ) from None


def _compare(bench: Bench, case: Case, expected: str, actual: str) -> Comparison:
    found = compare(
        _load(bench.output(case, expected), expected),
        _load(bench.output(case, actual), actual),
        expected_name=expected,
        actual_name=actual,
        atol=ATOL,
        require_going=bench.require_going,
    )
    if found.expected_dtype != found.actual_dtype or found.expected_shape != found.actual_shape:
        raise CaseFailed(
            Failure(
                reason="wrong_output",
                message=f"{actual} must give {found.expected_dtype} of shape {found.expected_shape} like {expected}, "
                f"got {found.actual_dtype} of shape {found.actual_shape}",
                arm=actual,
            )
        )
    return found


def compare_outputs(bench: Bench, case: Case, candidate: str) -> Equivalence:
    """Compare candidate, reference and oracle, pairwise; the same bits are compared with the oracle once."""
    to_oracle = _compare(bench, case, ORACLE, candidate)
    to_reference = _compare(bench, case, REFERENCE, candidate)
    return Equivalence(
        candidate_vs_oracle=to_oracle,
        candidate_vs_reference=to_reference,
        reference_vs_oracle=msgspec.structs.replace(to_oracle, actual=REFERENCE)
        if to_reference.identical_share == 1.0
        else _compare(bench, case, ORACLE, REFERENCE),
    )


def measure_equivalence(bench: Bench, planned: PlannedCase, candidate: str) -> Equivalence:
    """Compare outputs pairwise; without the reference where its loop is left out on purpose."""
    left_out = bench.law.reason_to_leave_out(planned)
    if left_out is None:
        return compare_outputs(bench, planned.case, candidate)
    return Equivalence(
        candidate_vs_oracle=_compare(bench, planned.case, ORACLE, candidate),
        candidate_vs_reference=None,
        reference_vs_oracle=None,
        reference_left_out=left_out,
    )


def busy_s() -> float | None:
    """Processor seconds that all cores have been busy since the start of the machine; ``None`` without /proc."""
    try:
        with open("/proc/stat") as file:
            values = [int(value) for value in file.readline().split()[1:9]]
    except OSError:
        return None
    return (sum(values) - values[3] - values[4]) / os.sysconf("SC_CLK_TCK")


def balanced_orders(count: int, seed: str) -> list[Order]:
    """Orders of the arms, as many of the one as of the other (odd counts: one more), shuffled."""
    orders: list[Order] = ["reference_first" if index % 2 == 0 else "candidate_first" for index in range(count)]
    random.Random(seed).shuffle(orders)
    return orders


def _pair(bench: Bench, case: Case, first_order: Order, reference: str, candidate: str) -> tuple[TimingPair, float]:
    """One replicate in two fresh processes, and how many cores others kept busy during the worse arm."""
    arms = {"reference": reference, "candidate": candidate}
    order = ("reference", "candidate") if first_order == "reference_first" else ("candidate", "reference")
    timings = {}
    others = 0.0
    for arm in order:
        before, started = busy_s(), time.monotonic()
        reply, answer = bench.ask("time", TimeReply, case=case, implementation=arms[arm], protocol=bench.protocol)
        timings[arm] = reply.timing
        wall_s, after = time.monotonic() - started, busy_s()
        if before is not None and after is not None:
            others = max(others, (after - before - answer.cpu_s) / max(wall_s, 1e-9))
    pair = TimingPair(order=first_order, reference=timings["reference"], candidate=timings["candidate"])
    return pair, others


class Contention:
    """Which replicates of a case other work disturbed."""

    def __init__(self) -> None:
        self._lowest: dict[str, float] = {}

    def disturbed(self, pair: TimingPair, others: float) -> bool:
        """Whether others took processors from a replicate, or its threads were switched away.

        ``others`` is the processor time of others in cores. The rates of all replicates asked about are remembered.
        """
        for arm in (pair.reference, pair.candidate):
            rate = _switches_per_s(arm)
            self._lowest[arm.implementation] = min(rate, self._lowest.get(arm.implementation, rate))
        return others > CONTENDED_CORES or self.switched_away(pair)

    def switched_away(self, pair: TimingPair) -> bool:
        """Whether an arm was switched away far more often than in the quietest replicate so far."""
        return any(
            arm.involuntary_switches >= CONTENDED_SWITCHES
            and _switches_per_s(arm) > CONTENDED_SWITCHES_PER_S
            and _switches_per_s(arm) > CONTENDED_SWITCHES_RATIO * self._lowest[arm.implementation]
            for arm in (pair.reference, pair.candidate)
        )


def _switches_per_s(arm: ArmTiming) -> float:
    """Involuntary context switches per second of the samples."""
    return arm.involuntary_switches / max(sum(arm.samples_s) * arm.calls_per_sample, 1e-9)


def _times(timing: ArmTiming) -> tuple[float, float]:
    """First call and steady state of an arm, seconds."""
    return timing.first_call_s, median(timing.samples_s)


def undecided(kernel: Kernel, pairs: Sequence[TimingPair], noise: Sequence[TimingPair], margin: float = 1.0) -> bool:
    """Whether a promised speedup lies between the bounds that replicates and noise floor leave.

    A time that is not positive decides nothing that more replicates would mend. ``margin`` is how many times the
    promise the lower bound must reach.
    """

    def log_ratios(measured: Sequence[TimingPair], part: int) -> list[float]:
        both = [(_times(pair.reference)[part], _times(pair.candidate)[part]) for pair in measured]
        return [math.log(reference / candidate) for reference, candidate in both]

    if any(min(*_times(arm)) <= 0 for pair in (*pairs, *noise) for arm in (pair.reference, pair.candidate)):
        return False
    for part, promised in enumerate(PROMISED_SPEEDUPS[kernel]):
        if promised is None:
            continue
        ratios = log_ratios(pairs, part)
        floor = max(map(abs, log_ratios(noise, part)))
        if min(ratios) - floor < math.log(margin * promised) and math.log(promised) <= max(ratios) + floor:
            return True
    return False


def measure_timing(bench: Bench, planned: PlannedCase, candidate: str) -> Timing:
    """Replicate pairs and A/A pairs of the candidate on one shuffled schedule, the copy of the output among them.

    A context case has fewer of both, and only the A/A pairs where the loop is long. A contended replicate
    is thrown away and repeated, as often as half the schedule is long; when that is used up the machine is not
    quiet, replicates stay as they are and are counted, and the gate asks for twice the margin. Where the replicates
    of a case that speed is judged at leave the promise undecided, the one extension follows that the protocol
    declares.
    """
    case = planned.case
    k = replicates(planned, bench.protocol)
    with_reference = k if bench.law.times_reference(planned) else 0
    of_noise = noise_pairs(planned, bench.protocol, with_reference=with_reference > 0)
    pairs: list[TimingPair] = []
    noise: list[TimingPair] = []
    copies: list[CopyReply] = []
    contention = Contention()
    rejected = kept = 0

    def copy() -> None:
        bench.step("copy of the output")
        copies.append(bench.ask("copy", CopyReply, case=case, protocol=bench.protocol)[0])

    def replicate(round_name: str, with_reference: int, without: int) -> None:
        nonlocal rejected, kept
        schedule = [
            *(("pair", order) for order in balanced_orders(with_reference, f"pair{round_name} {case.case_id}")),
            *(("noise", order) for order in balanced_orders(without, f"noise{round_name} {case.case_id}")),
        ]
        random.Random(f"schedule{round_name} {case.case_id}").shuffle(schedule)
        spare = len(schedule) // 2

        def take(number: int, kind: str, order: Order) -> tuple[TimingPair, bool]:
            """Measure a replicate until it is quiet; False where it is kept although it is not."""
            nonlocal rejected, kept, spare
            while True:
                contended = f", {rejected} contended" if rejected else ""
                bench.step(f"replicate {number} of {len(schedule)}{round_name}{contended}")
                pair, others = _pair(bench, case, order, REFERENCE if kind == "pair" else candidate, candidate)
                if not contention.disturbed(pair, others):
                    return pair, True
                if spare == 0:
                    kept += 1
                    return pair, False
                rejected += 1
                spare -= 1

        taken = []
        for number, (kind, order) in enumerate(schedule, 1):
            if number == len(schedule) // 2 + 1:
                copy()
            taken.append(take(number, kind, order))
        for number, (kind, order) in enumerate(schedule, 1):
            pair, quiet = taken[number - 1]
            # An early one had no quieter one to be compared with.
            if quiet and contention.switched_away(pair):
                if spare:
                    rejected += 1
                    spare -= 1
                    pair, _ = take(number, kind, order)
                else:
                    kept += 1
            (pairs if kind == "pair" else noise).append(pair)

    copy()
    replicate("", with_reference, of_noise)
    more = 0 if planned.context or with_reference == 0 else bench.protocol.max_replicates - k
    extended = more > 0 and undecided(case.kernel, pairs, noise, CONTENDED_MARGIN if kept else 1.0)
    if extended:
        replicate(" of the extension", more, more)
    copy()
    if pairs:
        bench.law.add(case, median(pair.reference.first_call_s for pair in pairs))
    return Timing(
        pairs=tuple(pairs),
        noise_pairs=tuple(noise),
        copy_fresh_s=tuple(taken for each in copies for taken in each.fresh_s),
        copy_warm_s=tuple(taken for each in copies for taken in each.warm_s),
        contended_rejected=rejected,
        contended_kept=kept,
        extended=extended,
    )


def measure_memory(bench: Bench, planned: PlannedCase, candidate: str) -> Memory:
    """Paired high-water marks, one arm per process, and the time line of each arm where the case is judged.

    Each process reads its own, so that a bench beside this one may take some of them.
    """
    case, count = planned.case, bench.protocol.memory_pairs

    def peak(number: int, arm: str) -> Callable[[Bench], MemoryReply]:
        def job(on: Bench) -> MemoryReply:
            on.step(f"memory pair {number} of {count}")
            return on.ask("memory", MemoryReply, case=case, implementation=arm, protocol=on.protocol)[0]

        return job

    def timeline(arm: str) -> Callable[[Bench], Timeline | None]:
        def job(on: Bench) -> Timeline | None:
            on.step("time lines of memory")
            with contextlib.suppress(CaseFailed):  # they are for the eye and decide nothing
                reply, _ = on.ask("timeline", TimelineReply, case=case, implementation=arm, protocol=on.protocol)
                return reply.timeline
            return None

        return job

    arms = [
        (number, arm)
        for number, order in enumerate(balanced_orders(count, f"memory {case.case_id}"), 1)
        for arm in ((REFERENCE, candidate) if order == "reference_first" else (candidate, REFERENCE))
    ]
    lines_of = () if planned.context else (REFERENCE, candidate)
    jobs: list[Callable[[Bench], MemoryReply | Timeline | None]] = [peak(*each) for each in arms]
    made = bench.each(jobs + [timeline(arm) for arm in lines_of])
    replies = dict(zip(arms, (each for each in made if isinstance(each, MemoryReply)), strict=True))
    drawn = tuple(each for each in made if isinstance(each, Timeline))
    return Memory(
        meter=" and ".join(sorted({reply.meter for reply in replies.values()})),
        pairs=tuple(
            MemoryPair(reference=replies[number, REFERENCE].memory, candidate=replies[number, candidate].memory)
            for number in range(1, count + 1)
        ),
        output_bytes=next((reply.output_bytes for reply in replies.values()), 0),
        timelines=drawn if len(drawn) == len(lines_of) else (),
    )


def measure(bench: Bench, planned: PlannedCase, candidate: str, checks: tuple[Check, ...]) -> Measurement:
    """Measure what is asked of a case.

    Raises
    ------
    CaseFailed
        If one of its tasks gave no reply.
    """
    return Measurement(
        equivalence=measure_equivalence(bench, planned, candidate) if "equivalence" in checks else None,
        timing=measure_timing(bench, planned, candidate) if "time" in checks else None,
        memory=measure_memory(bench, planned, candidate) if "memory" in checks else None,
    )
