"""Criteria about times: is a case fast enough, warm or in its first call."""

from __future__ import annotations

import math
from statistics import median

from reports.judging import paired
from reports.judging.criterion import Context, absent
from reports.judging.statistics import can_be_shown, evidence_faults, speedup
from reports.judging.times import Part, Speedup, seconds
from reports.reading.run import is_paired
from reports.reading.verdict import Criterion, Fix, State
from validation.contract.cases import Judged
from validation.contract.manifest import Manifest
from validation.contract.measurements import Timing

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
    if is_paired(manifest):
        return f"{told}after noise ({sure}){extended}"
    told += f"({sure}; {figures.replicates} and {figures.candidates} processes{extended}"
    told += f", {figures.unused} of them after the last look" if figures.unused else ""
    return told + (f"; a bias of {100 * math.expm1(figures.noise):.2g} % taken off)" if figures.noise else ")")


def speed(context: Context, item: Judged, part: Part, promise: str) -> Criterion:
    """Judge the speedup at one case: accept if the lower bound is above the promise, reject if the upper is below.

    In runs before schema 1.4: accept from L * exp(-F), reject from U * exp(F). Where nothing is promised the speedup is
    told.

    Parameters
    ----------
    context : Context
    item : Judged
    part : {'warm', 'cold'}
    promise : str
        What is promised, in words.
    """
    rules, manifest = context.policy.speed, context.run.manifest
    in_pairs, case_id, threshold = is_paired(manifest), item.case_id, item.promise
    kind = "Warm calls" if part == "warm" else "First calls"
    state: State
    value = margin = None
    passed = judged = 0
    without = absent(context, case_id, "timing")
    line = context.find(case_id)
    timing = line.measurement.timing if line and line.measurement else None
    action = "Measure the case"
    command = context.resume if line is None else context.nightly
    if without is not None or timing is None or line is None:
        state, finding = without or ("missing", "the case was not timed")
        if state == "fail":
            action, command = "Make the candidate finish within the time limit", context.measure(case_id)
    elif threshold is None and can_be_shown(timing):
        figures = speedup(timing, part)
        state, finding, value = "not_judged", f"measured {_told(figures, timing, manifest)}", figures.judged_lower
    elif (faults := evidence_faults(timing, manifest, context.policy, context.tolerance(line))) or threshold is None:
        state, finding = "missing", f"no evidence: {'; '.join(faults)}"
        judged = len(timing.pairs if in_pairs else timing.candidates)
        action, command = "Measure again, with all replicates and raw samples on record", context.again
    else:
        figures = speedup(timing, part)
        judged, passed = figures.candidates, _held(timing, part, threshold)
        value, margin = figures.judged_lower, figures.judged_lower / threshold - 1.0
        finding = _told(figures, timing, manifest)
        bias = 0.0 if in_pairs else math.expm1(figures.noise)
        reached = figures.judged_lower >= threshold if in_pairs else figures.judged_lower > threshold
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
            why += f", noise F = {figures.noise:.2g}" if in_pairs else ""
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
        id=item.criterion,
        state=state,
        finding=finding,
        promise=promise,
        passed=passed,
        judged=judged,
        what="replicates" if in_pairs else "processes of the candidate",
        value=value,
        threshold=threshold,
        margin=margin,
        worst_case=case_id,
        fixes=fixes,
    )
