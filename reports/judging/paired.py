"""The rule for times up to schema 1.3: replicate pairs, widened by the worst A/A pair. Old runs keep it."""

from __future__ import annotations

import math
from statistics import median
from typing import Literal

from reports.judging.times import Part, Speedup, sample_faults, seconds
from validation.contract.cases import Protocol
from validation.contract.measurements import Timing, TimingPair


def log_ratio(pair: TimingPair, part: Part) -> float:
    """ln(time of the reference / time of the candidate), medians of samples or first calls."""
    return math.log(arm_s(pair, "reference", part) / arm_s(pair, "candidate", part))


def arm_s(pair: TimingPair, arm: Literal["reference", "candidate"], part: Part) -> float:
    """Seconds per call of one arm: the median of its samples, or its first call."""
    return seconds(pair.reference if arm == "reference" else pair.candidate, part)


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
        candidates=len(ratios),
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
    faults += sample_faults(arms, min_samples=min_samples, min_sample_s=min_sample_s, long_call_s=long_call_s)
    return tuple(faults)
