"""The rule for times: arms sampled apart, the ratio of their medians bounded by order statistics (schema 1.4 and on).

What runs before it are judged by is `reports.judging.paired`; the time of a process is the same there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec

from validation.contract import medians
from validation.contract.cases import Protocol
from validation.contract.measurements import ArmTiming, Timing

Part = Literal["warm", "cold"]


class Speedup(msgspec.Struct, frozen=True, kw_only=True):
    """Speedup of the candidate over the reference, as ratios of times.

    ``lower`` and ``upper`` bound the median speedup with ``confidence`` each. ``noise`` is the logarithm by which A/A
    pairs widen them: ``judged_lower`` = lower * exp(-noise), ``judged_upper`` = upper * exp(noise). In
    `reports.judging.paired` it is the worst of ``noise_pairs``, here the bias that they show.
    ``replicates`` and ``candidates`` count the processes of either arm, ``unused`` those that no bound looked at.
    """

    replicates: int
    candidates: int
    noise_pairs: int
    median: float
    lower: float
    upper: float
    noise: float
    judged_lower: float
    judged_upper: float
    confidence: float
    reference_s: float
    candidate_s: float
    unused: int = 0


def seconds(arm: ArmTiming, part: Part) -> float:
    """Seconds per call of a process: the median of its samples, or its first call."""
    return median(arm.samples_s) if part == "warm" else arm.first_call_s


def _usable(value: float) -> bool:
    return math.isfinite(value) and value > 0


def sample_faults(arms: Sequence[ArmTiming], *, min_samples: int, min_sample_s: float, long_call_s: float) -> list[str]:
    """Say why the times of some processes are no evidence."""
    faults = []
    if any(not _usable(arm.first_call_s) or not all(map(_usable, arm.samples_s)) for arm in arms):
        faults.append("times that are not finite and positive")
    short = [
        arm
        for arm in arms
        if len(arm.samples_s) < min_samples and not (arm.samples_s and min(arm.samples_s) >= long_call_s)
    ]
    if short:
        fewest = min(len(arm.samples_s) for arm in short)
        faults.append(f"{fewest} of {min_samples} samples in {len(short)} of {len(arms)} arms")
    # Two per cent below the declared length: a clock that stops a sample just short of it.
    if any(arm.samples_s and min(arm.samples_s) * arm.calls_per_sample < 0.98 * min_sample_s for arm in arms):
        faults.append(f"samples shorter than {1000 * min_sample_s:g} ms")
    return faults


def speedup(timing: Timing, part: Part) -> Speedup:
    """Judge-ready figures of a timed case.

    Parameters
    ----------
    timing : Timing
        With at least one process of either arm, and positive times (see `timing_faults`).
    part : {'warm', 'cold'}
        Samples of the steady state, or first calls.
    """
    slow = [seconds(arm, part) for arm in timing.references]
    quick = [seconds(arm, part) for arm in timing.candidates]
    found = medians.judged(slow, quick)
    bias = float(found.bias)
    arms = ((slow, medians.REFERENCES), (quick, medians.CANDIDATES))
    return Speedup(
        replicates=len(slow),
        candidates=len(quick),
        noise_pairs=len(quick) // 2,
        median=median(slow) / median(quick),
        lower=float(found.lower) * math.exp(bias),
        upper=float(found.upper) * math.exp(-bias),
        noise=bias,
        judged_lower=float(found.lower),
        judged_upper=float(found.upper),
        confidence=medians.confidence(len(slow), len(quick)),
        reference_s=median(slow),
        candidate_s=median(quick),
        unused=sum(len(times) - medians.used(len(times), first) for times, first in arms),
    )


def timing_faults(
    timing: Timing,
    *,
    min_replicates: int,
    min_noise_pairs: int,
    min_samples: int,
    min_sample_s: float,
    long_call_s: float,
    protocol: Protocol | None = None,
) -> tuple[str, ...]:
    """Say why a timing is no evidence; empty if it is. With a protocol, no more may be measured than it declares."""
    faults = []
    times = 2 if timing.extended else 1
    after = " after the extension" if timing.extended else ""
    references, pairs = len(timing.references), len(timing.candidates) // 2
    if references < times * min_replicates:
        faults.append(f"{references} of {times * min_replicates} processes of the reference{after}")
    if pairs < times * min_noise_pairs:
        faults.append(f"{pairs} of {times * min_noise_pairs} A/A pairs of the candidate{after}")
    if len(timing.candidates) % 2:
        faults.append(f"{len(timing.candidates)} processes of the candidate, of which one has no neighbour")
    if protocol is not None:
        declared = protocol.max_replicates if timing.extended else protocol.replicates
        if references > declared:
            faults.append(f"{references} processes of the reference where {declared} are declared")
        if pairs > declared * protocol.noise_pairs_per_reference:
            declared *= protocol.noise_pairs_per_reference
            faults.append(f"{pairs} A/A pairs of the candidate where {declared} are declared")
    arms = (*timing.references, *timing.candidates)
    faults += sample_faults(arms, min_samples=min_samples, min_sample_s=min_sample_s, long_call_s=long_call_s)
    return tuple(faults)
