"""Pure functions from measurements to the figures that are judged. METHOD.md gives the rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec

from reports.judging import paired, times
from reports.judging.comparisons import audit_faults
from reports.judging.policy import Policy, Tolerance
from reports.judging.times import Part, Speedup
from reports.reading.run import is_paired
from validation.contract.manifest import Manifest
from validation.contract.measurements import Memory, MemoryPair, Timing


def speedup(timing: Timing, part: Part) -> Speedup:
    """Figures of a timed case that can be shown, by the rule of the schema that it was written in."""
    return paired.speedup(timing, part) if timing.pairs else times.speedup(timing, part)


def can_be_shown(timing: Timing, *, with_reference: bool = True) -> bool:
    """Whether every time is there that a figure needs; ``with_reference``: a ratio, and not the candidate alone."""
    rules: dict[str, Any] = {"min_samples": 1, "min_sample_s": 0.0, "long_call_s": math.inf}
    least = int(with_reference)
    if timing.pairs or timing.noise_pairs:
        return not paired.timing_faults(timing, min_replicates=least, min_noise_pairs=least, **rules)
    return not times.timing_faults(timing, min_replicates=least, min_noise_pairs=1, **rules)


def evidence_faults(timing: Timing, manifest: Manifest, policy: Policy, promised: Tolerance) -> tuple[str, ...]:
    """Say why the times of a judged case are no evidence; empty if they are.

    Old runs were asked for as many A/A pairs as replicates, and nobody checked what their timed calls gave.
    """
    rules, in_pairs = policy.speed, is_paired(manifest)
    rule: Callable[..., tuple[str, ...]] = paired.timing_faults if in_pairs else times.timing_faults
    faults = rule(
        timing,
        min_replicates=rules.min_replicates,
        min_noise_pairs=rules.min_replicates if in_pairs else rules.min_noise_pairs,
        min_samples=rules.min_samples,
        min_sample_s=rules.min_sample_s,
        long_call_s=rules.long_call_s,
        protocol=manifest.protocol,
    )
    if in_pairs:
        return faults
    return (*faults, *audit_faults((*timing.references, *timing.candidates), promised))


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


def memory_faults(memory: Memory, *, min_pairs: int, audited_to: Tolerance | None = None) -> tuple[str, ...]:
    """Say why a memory measurement is no evidence; empty if it is.

    ``audited_to`` is the tolerance that results of metered calls must keep; ``None`` for runs that checked none.
    """
    faults = []
    if len(memory.pairs) < min_pairs:
        faults.append(f"{len(memory.pairs)} of {min_pairs} pairs of peaks")
    arms = [arm for pair in memory.pairs for arm in (pair.reference, pair.candidate)]
    if any(arm.peak_bytes <= 0 or arm.baseline_bytes < 0 for arm in arms):
        faults.append("peaks that are not positive")
    if audited_to is not None:
        faults += audit_faults(arms, audited_to)
    return tuple(faults)
