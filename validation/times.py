"""Times of a candidate and the reference at one case: the schedule, and what disturbs a replicate."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Sequence
from statistics import median

from validation.arms import timed
from validation.bench import REFERENCE, Bench
from validation.records import ArmTiming, Case, Kernel, Order, Timing, TimingPair
from validation.sweeps import PlannedCase, noise_pairs, replicates
from validation.tasks import CopyReply

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
        timings[arm], answer = timed(bench, case, arms[arm])
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
