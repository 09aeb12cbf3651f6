"""Times of a candidate and the reference at one case: the schedule, and what disturbs a process.

Each process of an arm gives one first call and one steady time. A block is one process of the reference and the
protocol's A/A pairs of the candidate, two processes next to each other, in shuffled order.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Sequence
from statistics import median
from typing import Literal

from validation.contract import medians
from validation.contract.cases import Case, Judged, PlannedCase, Schedule, schedule
from validation.contract.measurements import ArmTiming, Timing
from validation.contract.tasks import CopyReply, OutputReply
from validation.machine.others import CONTENDED_CORES, Others
from validation.measure.arms import timed
from validation.measure.audit import require_possible
from validation.measure.bench import REFERENCE, Bench

Arm = Literal["reference", "candidate"]

# How far A/A pairs may be apart before the instrument is biased, as in the gate. More of them would not mend it.
MAX_BIAS = 0.05
# Involuntary context switches of a process, so many and so many a second, above which it counts as contended if
# they come that much faster than in the quietest process of the arm: one with more threads than processors, such as
# JAX, is switched away by itself. Measured on two cores: 0 to 80 a second on a quiet machine, 125 to 200 beside work.
CONTENDED_SWITCHES = 20
CONTENDED_SWITCHES_PER_S = 100.0
CONTENDED_SWITCHES_RATIO = 3.0
# How much more than promised the gate asks for where contended processes were kept.
CONTENDED_MARGIN = 2.0


def shuffled(shape: Schedule, seed: str) -> list[Arm]:
    """Order the processes of a schedule; in as many blocks each, the reference has the same number of pairs before it.

    Parameters
    ----------
    shape : Schedule
    seed : str
        The same gives the same order.
    """
    places = [index % (shape.pairs + 1) for index in range(shape.blocks)]
    random.Random(seed).shuffle(places)
    pair: list[Arm] = ["candidate", "candidate"]
    loops: list[Arm] = ["reference"] * shape.references
    order: list[Arm] = []
    for place in places:
        order += place * pair + loops + (shape.pairs - place) * pair
    return order


def time_arm(bench: Bench, case: Case, implementation: str) -> tuple[ArmTiming, int, float]:
    """Time an implementation in a fresh process; the bytes of its result; how many cores others kept busy meanwhile."""
    others = Others()
    arm, output_bytes, answer = timed(bench, case, implementation)
    return arm, output_bytes, others.cores(answer.cpu_s)


class Contention:
    """Which processes of a case other work disturbed."""

    def __init__(self) -> None:
        self._lowest: dict[str, float] = {}

    def disturbed(self, arm: ArmTiming, others: float) -> bool:
        """Whether others took processors from a process, or its threads were switched away.

        ``others`` is the processor time of others in cores. The rates of all processes asked about are remembered.
        """
        rate = _switches_per_s(arm)
        self._lowest[arm.implementation] = min(rate, self._lowest.get(arm.implementation, rate))
        return others > CONTENDED_CORES or self.switched_away(arm)

    def switched_away(self, arm: ArmTiming) -> bool:
        """Whether it was switched away far more often than the quietest process of its arm so far."""
        rate = _switches_per_s(arm)
        return (
            arm.involuntary_switches >= CONTENDED_SWITCHES
            and rate > CONTENDED_SWITCHES_PER_S
            and rate > CONTENDED_SWITCHES_RATIO * self._lowest[arm.implementation]
        )


def _switches_per_s(arm: ArmTiming) -> float:
    """Involuntary context switches per second of the samples."""
    return arm.involuntary_switches / max(sum(arm.samples_s) * arm.calls_per_sample, 1e-9)


def undecided(
    judged: Sequence[Judged], references: Sequence[ArmTiming], candidates: Sequence[ArmTiming], margin: float = 1.0
) -> bool:
    """Whether a promised speedup lies between the bounds that both arms leave, by the rule of the gate.

    A time that is not positive and a biased instrument decide nothing that more processes would mend. ``margin`` is
    how many times the promise the lower bound must reach.
    """

    def times(arms: Sequence[ArmTiming]) -> list[tuple[float, float]]:
        return [(arm.first_call_s, median(arm.samples_s)) for arm in arms]

    slow, quick = times(references), times(candidates)
    if any(min(both) <= 0 for both in (*slow, *quick)):
        return False
    for item in judged:
        promised, part = item.promise, int(item.figure == "warm")
        if promised is None or item.figure == "memory":
            continue
        found = medians.judged([both[part] for both in slow], [both[part] for both in quick])
        biased = math.expm1(found.bias) > MAX_BIAS
        if not biased and found.lower <= margin * promised and promised <= found.upper:
            return True
    return False


def _throw_away(bench: Bench, case: Case, implementation: str) -> None:
    """Call an implementation once in a process that counts for nothing."""
    path = bench.scratch / secrets.token_hex(8)
    try:
        bench.ask("output", OutputReply, case=case, implementation=implementation, output_path=str(path))
    finally:
        path.unlink(missing_ok=True)


def measure_timing(bench: Bench, planned: PlannedCase, candidate: str) -> Timing:
    """Time reference and candidate on one shuffled schedule, the copy of the output among them.

    A context case has fewer processes, and none of the reference where its loop is long. Elsewhere the first process
    of either arm is thrown away: after an installation or a start of the machine it reads its libraries from disk.

    A contended process is thrown away and repeated, as often as half the schedule is long; when that is used up the
    machine is not quiet, processes stay as they are and are counted, and the gate asks for twice the margin. Where a
    case that speed is judged at leaves the promise undecided, the one extension follows that the protocol declares.
    """
    case = planned.case
    shape = schedule(planned, bench.protocol, with_reference=bench.law(planned.case).times_reference(planned))
    names: dict[Arm, str] = {"reference": REFERENCE, "candidate": candidate}
    arms: dict[Arm, list[ArmTiming]] = {"reference": [], "candidate": []}
    copies: list[CopyReply] = []
    contention = Contention()
    rejected = kept = 0
    size = bench.kernel(case).output_bytes(case) or 0

    def copy() -> None:
        bench.step("copy of the output")
        if size:
            copies.append(bench.ask("copy", CopyReply, copy_bytes=size, protocol=bench.protocol)[0])

    def measure(round_name: str) -> None:
        nonlocal rejected, kept
        order = shuffled(shape, f"schedule{round_name} {case.case_id}")
        spare = len(order) // 2

        def take(number: int) -> tuple[ArmTiming, bool]:
            """Time a process until it is quiet; False where it is kept although it is not."""
            nonlocal rejected, kept, spare, size
            while True:
                contended = f", {rejected} contended" if rejected else ""
                bench.step(f"process {number + 1} of {len(order)}{round_name}{contended}")
                arm, size, others = time_arm(bench, case, names[order[number]])
                if not contention.disturbed(arm, others):
                    return arm, True
                if spare == 0:
                    kept += 1
                    return arm, False
                rejected += 1
                spare -= 1

        taken = []
        for number in range(len(order)):
            if number == len(order) // 2:
                copy()
            taken.append(take(number))
        for number, (arm, quiet) in enumerate(taken):
            # An early one had no quieter one to be compared with.
            if quiet and contention.switched_away(arm):
                if spare:
                    rejected += 1
                    spare -= 1
                    arm, _ = take(number)
                else:
                    kept += 1
            arms[order[number]].append(arm)

    if not planned.context:
        bench.step("processes that are thrown away")
        _throw_away(bench, bench.kernel(case).smaller(case), REFERENCE)
        _throw_away(bench, case, candidate)
    copy()
    measure("")
    references, candidates = arms["reference"], arms["candidate"]
    judged = [item for item in bench.judged if item.case_id == case.case_id]
    more = not planned.context and bench.protocol.max_replicates > bench.protocol.replicates
    extended = more and undecided(judged, references, candidates, CONTENDED_MARGIN if kept else 1.0)
    if extended:
        measure(" of the extension")
    copy()
    if case.work > 0 and copies:
        for arm in (*references, *candidates):
            require_possible(arm, min(taken for each in copies for taken in each.fill_s))
    if references:
        bench.law(case).add(case, median(arm.first_call_s for arm in references))
    return Timing(
        references=tuple(references),
        candidates=tuple(candidates),
        copy_fresh_s=tuple(taken for each in copies for taken in each.fresh_s),
        copy_warm_s=tuple(taken for each in copies for taken in each.warm_s),
        contended_rejected=rejected,
        contended_kept=kept,
        extended=extended,
    )
