"""What both rules for times share: the time of a process, and the figures that are judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec

from reports.reading.records import ArmTiming

Part = Literal["warm", "cold"]


class Speedup(msgspec.Struct, frozen=True, kw_only=True):
    """Speedup of the candidate over the reference, as ratios of times.

    ``lower`` and ``upper`` bound the median speedup with ``confidence`` each. ``noise`` is the logarithm by which A/A
    pairs widen them: ``judged_lower`` = lower * exp(-noise), ``judged_upper`` = upper * exp(noise). In `paired`
    it is the worst of ``noise_pairs``, in `reports.judging.apart` the bias that they show.
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
