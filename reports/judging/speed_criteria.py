"""Criteria about times: is the kernel fast enough, warm, in its first call, and where patches are put back."""

from __future__ import annotations

import math
from statistics import median

from reports.judging import apart, paired
from reports.judging.criterion import Context, absent
from reports.judging.statistics import evidence_faults
from reports.judging.times import Part, Speedup, seconds
from reports.reading.records import Manifest, Timing
from reports.reading.verdict import Criterion, CriterionId, Fix, State

# How much faster than promised it must be where disturbed replicates were kept.
CONTENDED_MARGIN = 2.0


def _held(timing: Timing, part: Part, threshold: float) -> int:
    """Count the processes of the candidate that alone keep a promise; before schema 1.4 the pairs."""
    if timing.pairs:
        return sum(paired.log_ratio(pair, part) >= math.log(threshold) for pair in timing.pairs)
    reference_s = median(seconds(arm, part) for arm in timing.references)
    return sum(reference_s >= threshold * seconds(arm, part) for arm in timing.candidates)


def _told(figures: Speedup, timing: Timing, manifest: Manifest) -> str:
    """Tell the interval of a speedup, and what it rests on."""
    told = (
        f"{figures.median:.3g}x median, at least {figures.judged_lower:.3g}x and at most {figures.judged_upper:.3g}x "
    )
    sure = f"{100 * figures.confidence:.1f} % each"
    extended = ", the extension used" if timing.extended else ""
    if manifest.is_paired:
        return f"{told}after noise ({sure}){extended}"
    told += f"({sure}; {figures.replicates} and {figures.candidates} processes{extended}"
    told += f", {figures.unused} of them after the last look" if figures.unused else ""
    return told + (f"; a bias of {100 * math.expm1(figures.noise):.2g} % taken off)" if figures.noise else ")")


def _speed(context: Context, id: CriterionId, case_id: str, part: Part, threshold: float, promise: str) -> Criterion:
    """Judge the speedup at one case: accept if the lower bound is above the promise, reject if the upper is below.

    In runs before schema 1.4: accept from L * exp(-F), reject from U * exp(F).
    """
    rules, manifest = context.policy.speed, context.run.manifest
    kind = "Warm calls" if part == "warm" else "First calls"
    state: State
    value = margin = None
    passed = judged = 0
    without = absent(context, case_id, "timing")
    line = context.find(case_id)
    timing = line.measurement.timing if line and line.measurement else None
    action = "Measure the case"
    command = context.resume if line is None else context.nightly
    if without is not None or timing is None:
        state, finding = without or ("missing", "the case was not timed")
        if state == "fail":
            action, command = "Make the candidate finish within the time limit", context.measure(case_id)
    elif faults := evidence_faults(timing, manifest, context.policy):
        state, finding = "missing", f"no evidence: {'; '.join(faults)}"
        judged = len(timing.pairs if manifest.is_paired else timing.candidates)
        action, command = "Measure again, with all replicates and raw samples on record", context.again
    else:
        figures = (paired if manifest.is_paired else apart).speedup(timing, part)
        judged, passed = figures.candidates, _held(timing, part, threshold)
        value, margin = figures.judged_lower, figures.judged_lower / threshold - 1.0
        finding = _told(figures, timing, manifest)
        bias = 0.0 if manifest.is_paired else math.expm1(figures.noise)
        reached = figures.judged_lower >= threshold if manifest.is_paired else figures.judged_lower > threshold
        # What else runs can take half of the time of an arm with two threads: kept replicates ask for twice the margin.
        doubted = timing.contended_kept > 0 and figures.judged_lower < CONTENDED_MARGIN * threshold
        if bias > rules.max_bias:
            state, command = "inconclusive", context.again
            action = (
                "Measure on a quieter machine, the instrument is biased: neighbouring processes of the candidate "
                f"differ by at least {100 * bias:.2g} % in the median, where {100 * rules.max_bias:g} % is allowed"
            )
        elif reached and not doubted:
            state = "pass"
        elif figures.judged_upper < threshold:
            state, action = "fail", f"{kind} must become {threshold / figures.judged_lower:.2g} times faster"
            command = context.measure(case_id)
        else:
            state = "inconclusive"
            why = f"the interval straddles {threshold:g}x"
            why += f", noise F = {figures.noise:.2g}" if manifest.is_paired else ""
            if reached:
                why = (
                    f"{timing.contended_kept} measurements were disturbed by other work, and then "
                    f"{CONTENDED_MARGIN * threshold:g}x is asked for"
                )
            larger = ", or in the nightly sweep, whose case is larger" if manifest.provisional else ""
            action = f"Measure on a quieter machine{larger}: {why}"
            command = context.again
    fixes = () if state == "pass" else (Fix(action=f"{action}: {finding}", command=command, case_id=case_id),)
    return Criterion(
        id=id,
        state=state,
        finding=finding,
        promise=promise,
        passed=passed,
        judged=judged,
        what="replicates" if manifest.is_paired else "processes of the candidate",
        value=value,
        threshold=threshold,
        margin=margin,
        worst_case=case_id,
        fixes=fixes,
    )


def speed(context: Context) -> Criterion:
    """Judge the warm speedup at the reference case."""
    threshold = context.policy.speed.min_speedup
    return _speed(
        context,
        "speed",
        context.run.manifest.reference_case_id,
        "warm",
        threshold,
        f"at least {threshold:g}x the speed of the reference once warmed up",
    )


def cold_speed(context: Context) -> Criterion:
    """Judge the speedup of the first call in a fresh process at the reference case."""
    threshold = context.policy.speed.min_cold_speedup
    return _speed(
        context,
        "cold_speed",
        context.run.manifest.reference_case_id,
        "cold",
        threshold,
        f"at least {threshold:g}x the speed of the reference in the first call of a process",
    )


def reassembly(context: Context) -> Criterion:
    """Judge the warm speedup at the reassembly case, where the run has one."""
    rules = context.policy.reassembly
    case_id = context.run.manifest.reassembly_case_id
    promise = f"at least {rules.min_speedup:g}x the speed of the loop from {rules.min_patches} patches on"
    if case_id is None:
        return Criterion(
            id="reassembly",
            state="not_judged",
            finding="this sweep has no timed reassembly case",
            promise=promise,
            passed=0,
            judged=0,
            what="replicates",
        )
    line = context.find(case_id)
    if line is not None and line.case.patches < rules.min_patches:
        finding = f"the reassembly case has {line.case.patches} patches, the promise begins at {rules.min_patches}"
        return Criterion(
            id="reassembly",
            state="missing",
            finding=finding,
            promise=promise,
            passed=0,
            judged=0,
            what="replicates",
            worst_case=case_id,
            fixes=(Fix(action=f"Measure a larger case: {finding}", command=context.nightly, case_id=case_id),),
        )
    return _speed(context, "reassembly", case_id, "warm", rules.min_speedup, promise)
