"""The rule for times since schema 1.4: arms sampled apart, the ratio of their medians bounded by order statistics."""

from __future__ import annotations

import math
from statistics import median

from reports.judging.times import Part, Speedup, sample_faults, seconds
from reports.reading.records import Protocol, Timing
from validation.contract import medians


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
