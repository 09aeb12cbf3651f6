"""The clock: first call and steady state of one implementation, and the copy of its output.

Runs in the child process. The first call is timed apart and holds the import of the implementation and whatever it
compiles; a steady-state sample lasts at least `Protocol.min_sample_s`, of as many calls as that takes. Every call has
inputs of its own.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from validation.child.watch import Watch
from validation.contract.cases import Protocol
from validation.contract.measurements import ArmTiming
from validation.contract.tasks import CopyReply

# A call longer than this is the only sample of its process.
SLOW_CALL_S = 5.0
# From this long a first call on, the discarded calls are made on the smallest part of the work, or left out where a
# kernel knows none: nothing that a long call sets up the first time is worth another long call.
LONG_CALL_S = 1.0
_MAX_CALLS_PER_SAMPLE = 200


def measure_arm(watch: Watch, name: str, protocol: Protocol) -> ArmTiming:
    """Time one implementation in this process, which has not imported it yet.

    Raises
    ------
    WrongOutputError, TamperedError
        See `Watch.call`.
    """
    taken = first_s = watch.call()
    for _ in range(protocol.discarded):
        if first_s < LONG_CALL_S:
            taken = watch.call()
        elif watch.has_small_work:
            watch.call(small=True)
    calls = min(_MAX_CALLS_PER_SAMPLE, max(1, int(np.ceil(1.2 * protocol.min_sample_s / max(taken, 1e-7)))))
    samples: list[float] = []
    switches = 0
    # The first call decides: a few samples, of which one happened to take longer, would be no evidence.
    while len(samples) < (1 if samples and samples[0] >= SLOW_CALL_S else protocol.samples):
        total = 0.0
        for _ in range(calls):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            total += watch.call()
            switches += resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before
        if total < protocol.min_sample_s and calls < _MAX_CALLS_PER_SAMPLE:
            # Too short to be read, also where earlier ones were not: all are taken again, with more calls.
            calls = min(_MAX_CALLS_PER_SAMPLE, 2 * calls)
            samples.clear()
            switches = 0
            continue
        samples.append(total / calls)
    watch.finish()
    return ArmTiming(
        implementation=name,
        first_call_s=first_s,
        import_s=watch.import_s,
        completion_s=watch.completion_s,
        samples_s=tuple(samples),
        calls_per_sample=calls,
        involuntary_switches=switches,
    )


def time_copy(output_bytes: int, samples: int) -> CopyReply:
    """Time ``np.copyto`` of an output's bytes into fresh and into touched memory, and filling that with one thread.

    The first repetition of each is discarded.
    """
    source = np.ones(max(1, output_bytes // 8), np.complex64)
    fresh: list[float] = []
    warm: list[float] = []
    fill: list[float] = []
    touched = np.zeros_like(source)
    np.copyto(touched, source)
    for repetition in range(samples + 1):
        started = time.perf_counter()
        target = np.empty_like(source)
        np.copyto(target, source)
        middle = time.perf_counter()
        np.copyto(touched, source)
        copied = time.perf_counter()
        touched.fill(0)
        ended = time.perf_counter()
        del target
        if repetition:
            fresh.append(middle - started)
            warm.append(copied - middle)
            fill.append(ended - copied)
    return CopyReply(
        fresh_s=tuple(fresh), warm_s=tuple(warm), fill_s=tuple(fill), measured_s=sum(fresh) + sum(warm) + sum(fill)
    )
