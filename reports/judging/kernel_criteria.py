"""Criteria about the kernel: is it right, does it need little enough memory."""

from __future__ import annotations

import math

from reports.judging.audits import audited, wrong
from reports.judging.criterion import OTHER_ARMS, Context, absent, comparison_fault, shown, was_skipped
from reports.judging.statistics import memory_faults, pair_ratio, peak_ratio
from reports.reading.records import CaseResult, Comparison, ProbeResult
from reports.reading.verdict import Criterion, Fix, State

# A meter that decides, to which what other processes held was added, decides as well: it reads more, never less.
WITH_DESCENDANTS = " and sampled descendants"


def _judged_cases(context: Context) -> tuple[CaseResult, ...]:
    return tuple(line for line in context.run.cases if line.role == "candidate")


def _error(found: Comparison) -> float:
    return found.max_abs_error if found.max_abs_error is not None else 0.0


def _candidate_fault(line: CaseResult, atol: float) -> tuple[str, str | None] | None:
    """Say what is wrong with the candidate's results at a case, and the entropy of the inputs if they were drawn."""
    if line.failure is not None:
        if was_skipped(line) or line.failure.arm in OTHER_ARMS:
            return None
        return f"gave no result ({line.failure.reason}: {' '.join(line.failure.message.split())[:200]})", None
    equivalence = line.measurement.equivalence if line.measurement else None
    if equivalence is not None:
        found = equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle
        fault = comparison_fault(found, atol)
        if fault is not None:
            return f"{fault} (compared with the {found.expected})", None
    drawn = wrong(line, atol)
    if drawn is None:
        return None
    fault, audit = drawn
    return f"{fault} (call {audit.call} of a timed or metered process, compared with the oracle)", audit.entropy


def correctness(context: Context) -> Criterion:
    """Judge whether every candidate equals the reference at every case, and every probe holds."""
    atol = context.policy.atol
    fixes: list[Fix] = []
    # What does not hold: size of the error (without a result: infinite), in words, and where.
    faults: list[tuple[float, str, str]] = []
    passed = judged = 0
    # Whether every bit is equal, per comparison with the reference: of the candidate, of its engines and fallbacks.
    own: list[bool] = []
    others: list[bool] = []
    worst: tuple[float, str] | None = None
    for line in _judged_cases(context):
        found_fault = _candidate_fault(line, atol)
        fault, entropy = found_fault or (None, None)
        equivalence = line.measurement.equivalence if line.measurement else None
        if fault is None and equivalence is None:
            continue
        judged += 1
        passed += fault is None
        error = math.inf
        if equivalence is not None:
            found = equivalence.candidate_vs_reference
            if found is not None:
                bits = own if line.candidate == context.run.manifest.candidate else others
                bits.append(found.identical_share == 1.0)
            error = _error(equivalence.candidate_vs_reference or equivalence.candidate_vs_oracle)
            if worst is None or error > worst[0]:
                worst = (error, line.case.case_id)
        if fault is not None:
            faults.append((error, f"candidate {line.candidate} {fault}", line.case.case_id))
            fixes.append(
                Fix(
                    action=f"Mend {line.candidate} at this case: it {fault}",
                    command=context.reproduce(line.case.case_id, line.candidate, entropy=entropy),
                    case_id=line.case.case_id,
                )
            )
    probes = [line for line in context.run.lines if isinstance(line, ProbeResult)]
    for probe in probes:
        if not probe.passed:
            fault = f"candidate {probe.candidate} fails the probe {probe.probe} ({probe.detail})"
            faults.append((0.0, fault, probe.case_id))
            fixes.append(
                Fix(
                    action=f"Mend {probe.candidate}: the probe {probe.probe} does not hold ({probe.detail})",
                    command=context.reproduce(probe.case_id, probe.candidate, probe.probe),
                    case_id=probe.case_id,
                )
            )
    judged += len(probes)
    passed += sum(probe.passed for probe in probes)
    reference = context.find(context.run.manifest.reference_case_id)
    equivalence = reference.measurement.equivalence if reference and reference.measurement else None
    state: State = "pass"
    worst_case = worst[1] if worst else None
    if faults:
        state = "fail"
        _, finding, worst_case = max(faults, key=lambda item: item[0])
    elif not (compared := own + others) or equivalence is None:
        state = "missing"
        finding = "the reference case was not compared" if compared else "nothing was compared with the reference"
        fixes.append(
            Fix(
                action="Compare the candidate with the reference at the reference case",
                command=context.resume,
                case_id=context.run.manifest.reference_case_id,
            )
        )
    else:
        finding = (
            f"largest difference {worst[0] if worst else 0.0:.2g}, every bit equal in {sum(own)} of the {len(own)} "
            "comparisons with the reference"
        )
        if others:
            finding += f", and in {sum(others)} of the {len(others)} of other engines and fallbacks"
    return Criterion(
        id="correctness",
        state=state,
        finding=finding,
        promise=f"no element differs by more than {atol:g} from the reference, every probe holds",
        passed=passed,
        judged=judged,
        what="comparisons and probes",
        value=worst[0] if worst else None,
        threshold=atol,
        margin=(atol - worst[0]) / atol if worst else None,
        worst_case=worst_case,
        fixes=shown(fixes),
    )


def oracle_agreement(context: Context) -> Criterion:
    """Judge whether reference and candidates agree with the independent float64 oracle."""
    atol = context.policy.atol
    fixes: list[Fix] = []
    faults: list[tuple[float, str, str]] = []
    passed = judged = 0
    worst: tuple[float, str] | None = None
    for line in _judged_cases(context):
        equivalence = line.measurement.equivalence if line.measurement else None
        compared = (equivalence.candidate_vs_oracle, equivalence.reference_vs_oracle) if equivalence else ()
        for found in (*compared, *(audit.comparison for _, audit in audited(line))):
            if found is None:
                continue
            fault = comparison_fault(found, atol)
            judged += 1
            passed += fault is None
            if worst is None or _error(found) > worst[0]:
                worst = (_error(found), line.case.case_id)
            if fault is not None:
                who = "the reference" if found.actual == "reference" else f"candidate {found.actual}"
                faults.append((_error(found), f"{who} {fault}", line.case.case_id))
                fixes.append(
                    Fix(
                        action=f"Find out whether {found.actual} or the oracle is wrong: {found.actual} {fault}",
                        command=context.reproduce(line.case.case_id, line.candidate),
                        case_id=line.case.case_id,
                    )
                )
    state: State = "pass"
    finding = f"largest difference {worst[0]:.2g}" if worst else "nothing was compared with the oracle"
    worst_case = worst[1] if worst else None
    if faults:
        state = "fail"
        _, finding, worst_case = max(faults, key=lambda item: item[0])
    elif not judged:
        state = "missing"
        fixes.append(Fix(action="Compare with the oracle", command=context.resume))
    return Criterion(
        id="oracle_agreement",
        state=state,
        finding=finding,
        promise=f"no element differs by more than {atol:g} from an independent float64 computation",
        passed=passed,
        judged=judged,
        what="comparisons",
        value=worst[0] if worst else None,
        threshold=atol,
        margin=(atol - worst[0]) / atol if worst else None,
        worst_case=worst_case,
        fixes=shown(fixes),
    )


def memory(context: Context) -> Criterion:
    """Judge the peak of the candidate over the peak of the reference, increment and absolute, worst pair."""
    rules = context.policy.memory
    case_id = context.run.manifest.reference_case_id
    limit = rules.max_ratio
    state: State
    value = margin = None
    passed = judged = 0
    without = absent(context, case_id, "memory")
    line = context.find(case_id)
    action, command = "Measure the memory of the case", context.resume if line is None else context.nightly
    found = line.measurement.memory if line and line.measurement else None
    if without is not None or found is None:
        state, finding = without or ("missing", "the memory of the case was not measured")
        if state == "fail":
            action, command = "Make the candidate need less memory", context.measure(case_id)
    elif faults := memory_faults(
        found,
        min_pairs=rules.min_pairs,
        audited_to=None if context.run.manifest.is_paired else context.policy.atol,
    ):
        state, finding = "missing", f"no evidence: {'; '.join(faults)}"
        judged = len(found.pairs)
        action, command = "Measure again, with all pairs on record", context.again
    else:
        figures = peak_ratio(found, rules.spread_bytes, rules.small_increment_bytes)
        judged = figures.pairs
        passed = sum(pair_ratio(pair) <= limit for pair in found.pairs)
        increment = figures.increment if figures.increment is not None else figures.increment_lower
        value = max(increment, figures.absolute)
        margin = (limit - value) / limit
        finding = (
            f"worst pair {increment:.3g}x in what the call adds "
            f"({figures.candidate_increment_bytes / 1e6:.4g} MB against "
            f"{figures.reference_increment_bytes / 1e6:.4g} MB), "
            f"{figures.absolute:.3g}x in the absolute peak"
            + (", with the processes that were started" if found.meter.endswith(WITH_DESCENDANTS) else "")
        )
        if figures.increment_lower > limit or figures.absolute > limit:
            state, action = "fail", f"Bring the peak down to {limit:g}x that of the reference"
            command = context.measure(case_id)
        elif found.meter.removesuffix(WITH_DESCENDANTS) not in rules.meters:
            state, action = "inconclusive", f"Measure where {' or '.join(rules.meters)} can be read, not {found.meter}"
        elif figures.increment_upper is None or figures.increment_upper > limit:
            state = "inconclusive"
            action = f"Measure a larger case: the meter's spread of {rules.spread_bytes / 1e6:g} MB blurs this one"
            command = context.again
        else:
            state = "pass"
    fixes = () if state == "pass" else (Fix(action=f"{action}: {finding}", command=command, case_id=case_id),)
    return Criterion(
        id="memory",
        state=state,
        finding=finding,
        promise=f"the peak is at most {limit:g}x that of the reference, in what the call adds and in all",
        passed=passed,
        judged=judged,
        what="pairs of peaks",
        value=value,
        threshold=limit,
        margin=margin,
        worst_case=case_id,
        fixes=fixes,
    )
