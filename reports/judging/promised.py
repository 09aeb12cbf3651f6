"""Criteria about what a run promises: one for each name that its judged figures have."""

from __future__ import annotations

import msgspec

from reports.judging.criterion import Context, absent, shown
from reports.judging.speed_criteria import speed
from reports.judging.statistics import memory_faults, pair_ratio, peak_ratio
from reports.reading.run import is_paired
from reports.reading.verdict import OWN_CRITERIA, Criterion, Fix, State
from validation.contract.cases import Figure, Judged
from validation.contract.manifest import Manifest
from validation.contract.upgrade import OLD_VERSIONS, old_runs

# A meter that decides, to which what other processes held was added, decides as well: it reads more, never less.
WITH_DESCENDANTS = " and sampled descendants"
# The worse state of a criterion first; of equal ones the smaller margin is worse.
_ORDER: tuple[State, ...] = ("fail", "missing", "inconclusive", "pass", "not_judged")
# What a promise says where the kernel has no words of its own for it.
_SENTENCES: dict[Figure, str] = {
    "warm": "at least {promise:g}x the speed of the reference once warmed up",
    "cold": "at least {promise:g}x the speed of the reference in the first call of a process",
    "memory": "the peak is at most {promise:g}x that of the reference, in what the call adds and in all",
}


def own_words(manifest: Manifest, criterion: str) -> tuple[str, str, str]:
    """Give title, meaning and promise of a criterion in a kernel's own words; empty where no kernel has any."""
    title, meaning, promise = (
        next((words[criterion] for words in wordings if criterion in words), "")
        for wordings in (
            [card.words.titles for card in manifest.kernels],
            [card.words.meanings for card in manifest.kernels],
            [card.words.promises for card in manifest.kernels],
        )
    )
    return title, meaning, promise


def _sentence(context: Context, item: Judged) -> str:
    """Say what is promised."""
    if item.promise is None:
        return "nothing"
    line, card = context.find(item.case_id), context.run.leading
    unit = context.run.card(line).work_unit if line else card.work_unit if card else ""
    from_on = f" from {{min_work:g}} {unit} on" if item.min_work else ""
    sentence = own_words(context.run.manifest, item.criterion)[2] or _SENTENCES[item.figure] + from_on
    return sentence.replace("{promise:g}", f"{item.promise:g}").replace("{min_work:g}", f"{item.min_work or 0:g}")


def _memory(context: Context, item: Judged, promise: str) -> Criterion:
    """Judge the peak of the candidate over the peak of the reference, increment and absolute, worst pair."""
    rules, manifest = context.policy.memory, context.run.manifest
    case_id, limit = item.case_id, item.promise
    state: State
    value = margin = None
    passed = judged = 0
    without = absent(context, case_id, "memory")
    line = context.find(case_id)
    action, command = "Measure the memory of the case", context.resume if line is None else context.nightly
    found = line.measurement.memory if line and line.measurement else None
    if without is not None or found is None or line is None:
        state, finding = without or ("missing", "the memory of the case was not measured")
        if state == "fail":
            action, command = "Make the candidate need less memory", context.measure(case_id)
    elif faults := memory_faults(
        found,
        min_pairs=1 if limit is None else rules.min_pairs,
        audited_to=None if is_paired(manifest) or limit is None else context.tolerance(line),
    ):
        state, finding = "missing", f"no evidence: {'; '.join(faults)}"
        judged = len(found.pairs)
        action, command = "Measure again, with all pairs on record", context.again
    else:
        figures = peak_ratio(found, rules.spread_bytes, rules.small_increment_bytes)
        increment = figures.increment if figures.increment is not None else figures.increment_lower
        value = max(increment, figures.absolute)
        finding = (
            f"worst pair {increment:.3g}x in what the call adds "
            f"({figures.candidate_increment_bytes / 1e6:.4g} MB against "
            f"{figures.reference_increment_bytes / 1e6:.4g} MB), "
            f"{figures.absolute:.3g}x in the absolute peak"
            + (", with the processes that were started" if found.meter.endswith(WITH_DESCENDANTS) else "")
        )
        if limit is None:
            state, finding = "not_judged", f"measured {finding}"
        else:
            judged, margin = figures.pairs, (limit - value) / limit
            passed = sum(pair_ratio(pair) <= limit for pair in found.pairs)
            if figures.increment_lower > limit or figures.absolute > limit:
                state, action = "fail", f"Bring the peak down to {limit:g}x that of the reference"
                command = context.measure(case_id)
            elif found.meter.removesuffix(WITH_DESCENDANTS) not in rules.meters:
                state = "inconclusive"
                action = f"Measure where {' or '.join(rules.meters)} can be read, not {found.meter}"
            elif figures.increment_upper is None or figures.increment_upper > limit:
                state = "inconclusive"
                action = f"Measure a larger case: the meter's spread of {rules.spread_bytes / 1e6:g} MB blurs this one"
                command = context.again
            else:
                state = "pass"
    fixes = () if state == "pass" else (Fix(action=f"{action}: {finding}", command=command, case_id=case_id),)
    return Criterion(
        id=item.criterion,
        state=state,
        finding=finding,
        promise=promise,
        passed=passed,
        judged=judged,
        what="pairs of peaks",
        value=value,
        threshold=limit,
        margin=margin,
        worst_case=case_id,
        fixes=fixes,
    )


def _one(context: Context, item: Judged) -> Criterion:
    """Judge one figure."""
    promise = _sentence(context, item)
    line = context.find(item.case_id)
    asked = item.min_work if item.promise is not None else None
    if asked is not None and line is not None and line.case.work < asked:
        title = own_words(context.run.manifest, item.criterion)[0] or item.criterion.replace("_", " ")
        finding = (
            f"the {title.lower()} case has {line.case.work:.15g} {context.run.card(line).work_unit}, "
            f"the promise begins at {asked:.15g}"
        )
        found = Criterion(
            id=item.criterion,
            state="missing",
            finding=finding,
            promise=promise,
            passed=0,
            judged=0,
            what="replicates",
            worst_case=item.case_id,
            fixes=(Fix(action=f"Measure a larger case: {finding}", command=context.nightly, case_id=item.case_id),),
        )
    elif item.figure == "memory":
        found = _memory(context, item, promise)
    else:
        found = speed(context, item, item.figure, promise)
    if item.promise is not None:
        return found
    return msgspec.structs.replace(
        found, state="not_judged", finding=f"{found.finding}; nothing is promised", passed=0, judged=0, fixes=()
    )


def _all_of(found: list[Criterion]) -> Criterion:
    """Put the figures of one criterion together: all must hold, and the worst is told."""
    worst = min(
        found,
        key=lambda one: (_ORDER.index(one.state), one.margin is not None, 0.0 if one.margin is None else one.margin),
    )
    return msgspec.structs.replace(
        worst,
        passed=sum(one.passed for one in found),
        judged=sum(one.judged for one in found),
        fixes=shown([fix for one in found for fix in one.fixes]),
    )


def _not_here(context: Context, criterion: str, title: str) -> Criterion:
    """Say that a criterion which the kernel knows has no case in this sweep."""
    promise, manifest = "nothing in this sweep", context.run.manifest
    if manifest.written_as in OLD_VERSIONS:  # whose runs were all promised the same
        item = next((item for item in old_runs().judged if item.criterion == criterion), None)
        if item is not None:
            promised = context.policy.promise.get(criterion, item.promise)
            promise = _sentence(
                context,
                Judged(criterion=criterion, case_id="", figure=item.figure, promise=promised, min_work=item.min_work),
            )
    return Criterion(
        id=criterion,
        state="not_judged",
        finding=f"this sweep has no timed {title.lower()} case",
        promise=promise,
        passed=0,
        judged=0,
        what="replicates",
    )


def promised(context: Context) -> tuple[Criterion, ...]:
    """Judge every figure that the run names, in its order, and tell which criteria of its kernels it does not judge."""
    found: dict[str, list[Criterion]] = {}
    for item in context.judged:
        found.setdefault(item.criterion, []).append(_one(context, item))
    titles = {name: title for card in context.run.manifest.kernels for name, title in card.words.titles.items()}
    return (
        *(_all_of(criteria) for criteria in found.values()),
        *(_not_here(context, name, title) for name, title in titles.items() if name not in (*found, *OWN_CRITERIA)),
    )
