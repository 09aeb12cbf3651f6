"""Criteria about what the implementations compute: the candidate against the reference, both against the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

from reports.judging.comparisons import Size, audited, comparison_fault, decisive, size, wrong
from reports.judging.criterion import OTHER_ARMS, Context, shown, was_skipped
from reports.judging.policy import Tolerance, tolerance
from reports.reading.verdict import Criterion, Fix, State
from validation.contract.cards import KernelCard
from validation.contract.lines import CaseResult, PropertyResult


def _judged_cases(context: Context) -> tuple[CaseResult, ...]:
    return tuple(line for line in context.run.cases if line.role == "candidate")


def _tolerances(context: Context, wanted: Callable[[KernelCard], bool]) -> tuple[Tolerance, ...]:
    """Tolerances of the kernels of a run, each once; none that allows nothing where there is no kernel."""
    cards = [card for card in context.run.manifest.kernels if wanted(card)]
    return tuple(dict.fromkeys(tolerance(card, context.policy) for card in cards)) or (Tolerance(0.0),)


def _allowed(tolerances: tuple[Tolerance, ...]) -> str:
    """Tell the tolerances of all kernels of a run."""
    told = " or ".join(map(str, tolerances))
    return told if len(tolerances) == 1 else f"its kernel allows ({told})"


def _candidate_fault(line: CaseResult, promised: Tolerance) -> tuple[str, str | None] | None:
    """Say what is wrong with the candidate's results at a case, and the entropy of the inputs if they were drawn."""
    if line.failure is not None:
        if was_skipped(line) or line.failure.arm in OTHER_ARMS:
            return None
        return f"gave no result ({line.failure.reason}: {' '.join(line.failure.message.split())[:200]})", None
    found = decisive(line)
    if found is not None:
        fault = comparison_fault(found, promised)
        if fault is not None:
            return f"{fault} (compared with the {found.expected})", None
    drawn = wrong(line, promised)
    if drawn is None:
        return None
    fault, audit = drawn
    against = audit.comparison.expected
    return f"{fault} (call {audit.call} of a timed or metered process, compared with the {against})", audit.entropy


def correctness(context: Context) -> Criterion:
    """Judge whether every candidate equals the reference at every case, and every property holds."""
    fixes: list[Fix] = []
    # What does not hold: size of the error (without a result: infinite), in words, and where.
    faults: list[tuple[float, str, str]] = []
    passed = judged = 0
    # Whether every bit is equal, per comparison with the reference: of the candidate, of its engines and fallbacks.
    own: list[bool] = []
    others: list[bool] = []
    worst: tuple[Size, str] | None = None
    for line in _judged_cases(context):
        promised = context.tolerance(line)
        fault, entropy = _candidate_fault(line, promised) or (None, None)
        found = decisive(line)
        if fault is None and found is None:
            continue
        judged += 1
        passed += fault is None
        error = math.inf
        if found is not None:
            if (
                line.measurement
                and line.measurement.equivalence
                and line.measurement.equivalence.candidate_vs_reference
            ):
                bits = own if line.candidate == context.run.manifest.candidate else others
                bits.append(found.identical_share == 1.0)
            large = size(found, promised)
            error = large.share
            if worst is None or error > worst[0].share:
                worst = (large, line.case.case_id)
        if fault is not None:
            faults.append((error, f"candidate {line.candidate} {fault}", line.case.case_id))
            fixes.append(
                Fix(
                    action=f"Mend {line.candidate} at this case: it {fault}",
                    command=context.reproduce(line.case.case_id, line.candidate, entropy=entropy),
                    case_id=line.case.case_id,
                )
            )
    properties = [line for line in context.run.lines if isinstance(line, PropertyResult)]
    for checked in properties:
        if not checked.passed:
            fault = f"candidate {checked.candidate} fails the property {checked.name} ({checked.detail})"
            faults.append((0.0, fault, checked.case_id))
            fixes.append(
                Fix(
                    action=f"Mend {checked.candidate}: the property {checked.name} does not hold ({checked.detail})",
                    command=context.reproduce(checked.case_id, checked.candidate, checked.name),
                    case_id=checked.case_id,
                )
            )
    judged += len(properties)
    passed += sum(line.passed for line in properties)
    first = context.find(context.run.first_judged)
    state: State = "pass"
    worst_case = worst[1] if worst else None
    if faults:
        state = "fail"
        _, finding, worst_case = max(faults, key=lambda item: item[0])
    elif not (compared := own + others) or first is None or decisive(first) is None:
        state = "missing"
        finding = "the judged case was not compared" if compared else "nothing was compared with the reference"
        fixes.append(
            Fix(
                action="Compare the candidate with the reference at the judged case",
                command=context.resume,
                case_id=context.run.first_judged,
            )
        )
    else:
        finding = (
            f"largest difference {worst[0] if worst else '0'}, every bit equal in {sum(own)} of the {len(own)} "
            "comparisons with the reference"
        )
        if others:
            finding += f", and in {sum(others)} of the {len(others)} of other engines and fallbacks"
    tolerances = _tolerances(context, lambda card: True)
    return Criterion(
        id="correctness",
        state=state,
        finding=finding,
        promise=f"no element differs by more than {_allowed(tolerances)} from the reference, every property holds",
        passed=passed,
        judged=judged,
        what="comparisons and properties",
        value=worst[0].value if worst else None,
        threshold=worst[0].threshold if worst else tolerances[0].atol,
        margin=worst[0].margin if worst else None,
        worst_case=worst_case,
        fixes=shown(fixes),
    )


def oracle_agreement(context: Context) -> Criterion:
    """Judge whether reference and candidates agree with the independent float64 oracle, where there is one."""
    if all(card.oracle is None for card in context.run.manifest.kernels):
        return Criterion(
            id="oracle_agreement",
            state="not_judged",
            finding="the reference is the only truth here",
            promise="nothing, as no independent computation was given",
            passed=0,
            judged=0,
            what="comparisons",
        )
    fixes: list[Fix] = []
    faults: list[tuple[float, str, str]] = []
    passed = judged = 0
    worst: tuple[Size, str] | None = None
    for line in _judged_cases(context):
        if context.run.card(line).oracle is None:
            continue
        promised = context.tolerance(line)
        equivalence = line.measurement.equivalence if line.measurement else None
        compared = (equivalence.candidate_vs_oracle, equivalence.reference_vs_oracle) if equivalence else ()
        for found in (*compared, *(audit.comparison for _, audit in audited(line))):
            if found is None:
                continue
            fault = comparison_fault(found, promised)
            large = size(found, promised)
            judged += 1
            passed += fault is None
            if worst is None or large.share > worst[0].share:
                worst = (large, line.case.case_id)
            if fault is not None:
                who = "the reference" if found.actual == "reference" else f"candidate {found.actual}"
                faults.append((large.share, f"{who} {fault}", line.case.case_id))
                fixes.append(
                    Fix(
                        action=f"Find out whether {found.actual} or the oracle is wrong: {found.actual} {fault}",
                        command=context.reproduce(line.case.case_id, line.candidate),
                        case_id=line.case.case_id,
                    )
                )
    state: State = "pass"
    finding = f"largest difference {worst[0]}" if worst else "nothing was compared with the oracle"
    worst_case = worst[1] if worst else None
    if faults:
        state = "fail"
        _, finding, worst_case = max(faults, key=lambda item: item[0])
    elif not judged:
        state = "missing"
        fixes.append(Fix(action="Compare with the oracle", command=context.resume))
    tolerances = _tolerances(context, lambda card: card.oracle is not None)
    return Criterion(
        id="oracle_agreement",
        state=state,
        finding=finding,
        promise=f"no element differs by more than {_allowed(tolerances)} from an independent float64 computation",
        passed=passed,
        judged=judged,
        what="comparisons",
        value=worst[0].value if worst else None,
        threshold=worst[0].threshold if worst else tolerances[0].atol,
        margin=worst[0].margin if worst else None,
        worst_case=worst_case,
        fixes=shown(fixes),
    )
