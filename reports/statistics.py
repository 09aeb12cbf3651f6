"""Pure functions from measured pairs to the figures that are judged. METHOD.md gives the rules."""

from __future__ import annotations

import math
from statistics import median
from typing import Literal

import msgspec

from reports.records import Memory, MemoryPair, Protocol, Timing, TimingPair

Part = Literal["warm", "cold"]


class Speedup(msgspec.Struct, frozen=True, kw_only=True):
    """Speedup of the candidate over the reference, as ratios of times.

    ``lower`` = exp(min r_i) and ``upper`` = exp(max r_i) bound the median speedup with ``confidence``
    1 - 2**-k each; after an extension other order statistics do (see `bound_rank`). ``noise`` is
    F = max |ln(A/A')| of the A/A pairs, ``judged_lower`` = lower * exp(-F), ``judged_upper`` = upper * exp(F).
    """

    replicates: int
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


def log_ratio(pair: TimingPair, part: Part) -> float:
    """ln(time of the reference / time of the candidate), medians of samples or first calls."""
    return math.log(arm_s(pair, "reference", part) / arm_s(pair, "candidate", part))


def arm_s(pair: TimingPair, arm: Literal["reference", "candidate"], part: Part) -> float:
    """Seconds per call of one arm: the median of its samples, or its first call."""
    timing = pair.reference if arm == "reference" else pair.candidate
    return median(timing.samples_s) if part == "warm" else timing.first_call_s


def _tail(count: int, rank: int) -> float:
    """Chance that the ``rank``-th smallest of ``count`` values lies above their median."""
    return float(sum(math.comb(count, below) for below in range(rank)) / 2.0**count)


def bound_rank(count: int, extended: bool) -> tuple[int, float]:
    """Which order statistic bounds the median, counted from the end, and with what confidence.

    The declared k replicates: the smallest, 1 - 2**-k. With an extension by as many the bound may be as wrong as
    theirs was, 2**-k: of 14 values the third smallest. Both looks together are wrong in no more cases than the sum
    of both.
    """
    if not extended:
        return 1, 1.0 - 2.0**-count
    allowed = 2.0 ** -(count // 2)
    rank = max((rank for rank in range(1, count // 2 + 1) if _tail(count, rank) <= allowed), default=1)
    return rank, 1.0 - allowed - _tail(count, rank)


def speedup(timing: Timing, part: Part) -> Speedup:
    """Judge-ready figures of a timed case.

    Parameters
    ----------
    timing : Timing
        With at least one pair, one A/A pair, and positive times (see `timing_faults`).
    part : {'warm', 'cold'}
        Samples of the steady state, or first calls.
    """
    ratios = sorted(log_ratio(pair, part) for pair in timing.pairs)
    noise = max(abs(log_ratio(pair, part)) for pair in timing.noise_pairs)
    rank, confidence = bound_rank(len(ratios), timing.extended)
    lower, upper = math.exp(ratios[rank - 1]), math.exp(ratios[-rank])
    return Speedup(
        replicates=len(ratios),
        noise_pairs=len(timing.noise_pairs),
        median=math.exp(median(ratios)),
        lower=lower,
        upper=upper,
        noise=noise,
        judged_lower=lower * math.exp(-noise),
        judged_upper=upper * math.exp(noise),
        confidence=confidence,
        reference_s=median(arm_s(pair, "reference", part) for pair in timing.pairs),
        candidate_s=median(arm_s(pair, "candidate", part) for pair in timing.pairs),
    )


class PeakRatio(msgspec.Struct, frozen=True, kw_only=True):
    """Peak of the candidate over the reference, worst and best pair.

    ``increment`` figures are ratios of (peak - baseline); ``increment_lower`` and ``increment_upper`` widen
    the worst pair by the spread of the meter where increments are small. ``None`` where the increment of
    the reference does not exceed the spread.
    """

    pairs: int
    meter: str
    increment: float | None
    increment_best: float | None
    increment_lower: float
    increment_upper: float | None
    absolute: float
    absolute_best: float
    reference_increment_bytes: int
    candidate_increment_bytes: int
    reference_peak_bytes: int
    candidate_peak_bytes: int


def increments(pair: MemoryPair) -> tuple[int, int]:
    """Bytes that one call added, of reference and candidate."""
    return (
        pair.reference.peak_bytes - pair.reference.baseline_bytes,
        pair.candidate.peak_bytes - pair.candidate.baseline_bytes,
    )


def pair_ratio(pair: MemoryPair) -> float:
    """Worse of the two ratios of a pair, in what the call adds and in the absolute peak."""
    reference, candidate = increments(pair)
    added = max(candidate, 0) / reference if reference > 0 else math.inf
    return max(added, pair.candidate.peak_bytes / pair.reference.peak_bytes)


def peak_ratio(memory: Memory, spread_bytes: int, small_increment_bytes: int) -> PeakRatio:
    """Judge-ready figures of a case whose memory was measured, with at least one pair.

    Parameters
    ----------
    memory : Memory
    spread_bytes : int
        Spread of one increment; it counts where the smaller increment of a pair is small.
    small_increment_bytes : int
        Increments below this are small.
    """
    both = [increments(pair) for pair in memory.pairs]
    lowers: list[float] = []
    uppers: list[float | None] = []
    plain: list[float | None] = []
    for reference, candidate in both:
        spread = spread_bytes if min(reference, candidate) < small_increment_bytes else 0
        lowers.append(max(candidate - spread, 0) / max(reference + spread, 1))
        readable = reference > spread
        uppers.append((max(candidate, 0) + spread) / (reference - spread) if readable else None)
        plain.append(max(candidate, 0) / reference if readable else None)
    known = [ratio for ratio in plain if ratio is not None]
    absolute = [pair.candidate.peak_bytes / pair.reference.peak_bytes for pair in memory.pairs]
    return PeakRatio(
        pairs=len(both),
        meter=memory.meter,
        increment=max(known) if len(known) == len(plain) else None,
        increment_best=min(known) if len(known) == len(plain) else None,
        increment_lower=max(lowers),
        increment_upper=None if None in uppers else max(value for value in uppers if value is not None),
        absolute=max(absolute),
        absolute_best=min(absolute),
        reference_increment_bytes=int(median(reference for reference, _ in both)),
        candidate_increment_bytes=int(median(candidate for _, candidate in both)),
        reference_peak_bytes=int(median(pair.reference.peak_bytes for pair in memory.pairs)),
        candidate_peak_bytes=int(median(pair.candidate.peak_bytes for pair in memory.pairs)),
    )


def _usable(value: float) -> bool:
    return math.isfinite(value) and value > 0


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
    if len(timing.pairs) < min_replicates:
        faults.append(f"{len(timing.pairs)} of {min_replicates} replicate pairs")
    if timing.extended and len(timing.pairs) < 2 * min_replicates:
        faults.append(f"{len(timing.pairs)} of {2 * min_replicates} replicate pairs after the extension")
    if protocol is not None:
        declared = protocol.max_replicates if timing.extended else protocol.replicates
        if len(timing.pairs) > declared:
            faults.append(f"{len(timing.pairs)} replicate pairs where {declared} are declared")
    wanted = 2 * min_noise_pairs if timing.extended else min_noise_pairs
    if len(timing.noise_pairs) < wanted:
        faults.append(f"{len(timing.noise_pairs)} of {wanted} A/A pairs")
    arms = [arm for pair in (*timing.pairs, *timing.noise_pairs) for arm in (pair.reference, pair.candidate)]
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
    return tuple(faults)


def memory_faults(memory: Memory, *, min_pairs: int) -> tuple[str, ...]:
    """Say why a memory measurement is no evidence; empty if it is."""
    faults = []
    if len(memory.pairs) < min_pairs:
        faults.append(f"{len(memory.pairs)} of {min_pairs} pairs of peaks")
    arms = [arm for pair in memory.pairs for arm in (pair.reference, pair.candidate)]
    if any(arm.peak_bytes <= 0 or arm.baseline_bytes < 0 for arm in arms):
        faults.append("peaks that are not positive")
    return tuple(faults)
