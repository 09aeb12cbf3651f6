"""Peaks of memory of a candidate and the reference at one case, one arm per process."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import msgspec

from validation.child.memory import joint_meter
from validation.contract.cases import PlannedCase
from validation.contract.measurements import Memory, MemoryPair, Order, Timeline
from validation.contract.tasks import MemoryReply, TimelineReply
from validation.measure.arms import metered
from validation.measure.bench import REFERENCE, Bench, CaseFailed


def balanced_orders(count: int, seed: str) -> list[Order]:
    """Orders of the arms, as many of the one as of the other (odd counts: one more), shuffled."""
    orders: list[Order] = ["reference_first" if index % 2 == 0 else "candidate_first" for index in range(count)]
    random.Random(seed).shuffle(orders)
    return orders


def measure_memory(bench: Bench, planned: PlannedCase, candidate: str) -> Memory:
    """Paired high-water marks, one arm per process, and the time line of each arm where the case is judged.

    Each process reads its own, so that a bench beside this one may take some of them.
    """
    case, count = planned.case, bench.protocol.memory_pairs

    def peak(number: int, arm: str) -> Callable[[Bench], MemoryReply]:
        def job(on: Bench) -> MemoryReply:
            on.step(f"memory pair {number} of {count}")
            memory, reply = metered(on, case, arm)
            return msgspec.structs.replace(reply, memory=memory)

        return job

    def timeline(arm: str) -> Callable[[Bench], Timeline | None]:
        def job(on: Bench) -> Timeline | None:
            on.step("time lines of memory")
            with contextlib.suppress(CaseFailed):  # they are for the eye and decide nothing
                asked = {"case": case, "implementation": arm, "may_share": on.may_share(case)}
                reply, _ = on.ask("timeline", TimelineReply, protocol=on.protocol, **asked)
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
        meter=joint_meter(reply.meter for reply in replies.values()),
        pairs=tuple(
            MemoryPair(reference=replies[number, REFERENCE].memory, candidate=replies[number, candidate].memory)
            for number in range(1, count + 1)
        ),
        output_bytes=next((reply.output_bytes for reply in replies.values()), 0),
        timelines=drawn if len(drawn) == len(lines_of) else (),
    )
