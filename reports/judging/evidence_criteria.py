"""Criteria about the evidence: is it all there, do the instruments read right, has the gate been seen to fail."""

from __future__ import annotations

import re

from reports.judging.comparisons import comparisons, decisive
from reports.judging.criterion import OTHER_ARMS, SKIPPED, Context, shown
from reports.judging.statistics import evidence_faults, memory_faults
from reports.reading.run import is_paired
from reports.reading.verdict import Criterion, Fix, State
from validation.contract.lines import CalibrationResult, CaseResult, MutantResult, SuiteResult

NOT_PART = "not part of this sweep"


def _plan_gaps(context: Context) -> list[str]:
    """Say what the plan itself leaves out."""
    manifest, first = context.run.manifest, context.run.first_judged
    keys = {item.key for item in manifest.planned}
    kinds = {item.kind for item in manifest.planned}
    gaps = []
    if not manifest.judged:
        gaps.append("no figure is judged")
    elif f"{first}|{manifest.candidate}" not in keys:
        gaps.append(f"the judged case {first} is not planned")
    if "calibration" not in kinds:
        gaps.append("no calibration is planned")
    if manifest.provisional:
        return gaps
    if _defects(context) and "mutant" not in kinds:
        gaps.append("no known-bad implementation is planned")
    if _asks_for_suite(context):
        states = [flag for flag in ("off", "on") if f"suite|{flag}" not in keys]
        gaps += [f"the test suite with the flag {flag} is not planned" for flag in states]
    return gaps


def _defects(context: Context) -> tuple[str, ...]:
    """Defects that must be among the known-bad implementations; none where no kernel asks for any."""
    return tuple(dict.fromkeys(defect for of in context.coverages.values() for defect in of.defects))


def _asks_for_suite(context: Context) -> bool:
    """Whether the tests of the package belong to a verdict that is evidence."""
    return any(of.suite for of in context.coverages.values())


def _coverage_gaps(context: Context) -> list[str]:
    """Say which values of parameters that a kernel promised no compared case has."""
    if context.run.manifest.provisional:
        return []
    gaps = []
    first = context.find(context.run.first_judged)
    for kernel, wanted in context.coverages.items():
        compared = [
            line.case
            for line in context.run.cases
            if line.candidate == context.run.manifest.candidate
            and line.role == "candidate"
            and line.case.kernel == kernel
            and comparisons(line)
        ]
        of = f" of {kernel}" if len(context.coverages) > 1 else ""
        for name, values in wanted.values.items():
            seen = {case.params.get(name) for case in compared}
            absent = [str(value) for value in values if value not in seen]
            if absent:
                gaps.append(f"no compared case{of} has {name} {', '.join(absent)}")
        if wanted.judged and first is not None:
            case = first.case
            if case.kernel != kernel or any(case.params.get(name) != value for name, value in wanted.judged.items()):
                *most, last = [f"{name} {value}" for name, value in wanted.judged.items()]
                gaps.append(f"the judged case must have {', '.join(most)}{' and ' if most else ''}{last}")
    return gaps


def _absent(context: Context) -> list[Fix]:
    """Planned lines that are not there: the run was left unfinished, or a line was lost or taken out."""
    present = {line.key for line in context.run.lines}
    return [
        Fix(action=f"Run what is missing: {item.key}", command=context.resume, case_id=item.key.partition("|")[0])
        for item in context.run.manifest.planned
        if item.key not in present and item.key not in context.run.elsewhere
    ]


def _elsewhere(context: Context) -> list[Fix]:
    """Planned lines that another machine of a cluster measured: they say nothing about this one."""
    return [
        Fix(
            action=f"Measure it on this machine class too, another one did: {item.key}",
            command=context.again,
            case_id=item.key.partition("|")[0],
        )
        for item in context.run.manifest.planned
        if item.key in context.run.elsewhere and not item.optional
    ]


def _without_result(context: Context) -> list[Fix]:
    """Planned lines that are there and say why they hold no result, through no fault of the candidate."""
    optional = context.optional_keys
    fixes = []
    for line in context.run.cases:
        failure = line.failure
        if failure is None or line.role == "peer" or line.key in optional:
            continue
        if failure.reason in SKIPPED:
            action = f"Run it where it can run ({failure.reason}: {' '.join(failure.message.split())[:200]})"
            fixes.append(Fix(action=action, command=context.again, case_id=line.case.case_id))
        elif failure.arm in OTHER_ARMS:
            what = failure.arm or "the copy of the output"
            action = f"Without {what} there is nothing to judge by ({failure.reason}); give it time and memory"
            command = context.reproduce(line.case.case_id, line.candidate)
            fixes.append(Fix(action=action, command=command, case_id=line.case.case_id))
    return fixes


def _provenance_faults(context: Context) -> list[str]:
    """Say what no number may be without, and is; commit and versions are asked for by a kernel that asks for evidence.

    A function of an installed package has no commit: there the digest says what was measured.
    """
    origin, scan = context.run.manifest.provenance, context.run.manifest.scan
    is_evidence = bool(context.coverages)
    absent = [
        name
        for name, value in (
            ("commit", origin.commit or not is_evidence),
            ("kernel digest", origin.kernel_digest),
            ("machine fingerprint", origin.machine.fingerprint),
            ("CPU model", origin.machine.cpu_model),
            ("thread settings", origin.threads),
            ("scan digest", scan is None or scan.sha256),
        )
        if not value
    ]
    if is_evidence and origin.dirty is None:
        absent.append("state of the working tree")
    versions = dict.fromkeys(name for of in context.coverages.values() for name in of.versions)
    absent += [f"version of {name}" for name in versions if not origin.versions.get(name)]
    return absent


def _not_compared(context: Context, line: CaseResult) -> str | None:
    """Say which comparison of a case is not there, though nothing says why."""
    equivalence = line.measurement.equivalence if line.measurement else None
    if equivalence is None:
        return None
    if context.run.card(line).oracle is not None and equivalence.candidate_vs_oracle is None:
        return "no comparison with the oracle"
    return "no comparison" if decisive(line) is None else None


def _evidence_faults(context: Context) -> list[tuple[str, str]]:
    """Measurements that claim without data behind them: pairs of (case id, what is wrong)."""
    policy, manifest = context.policy, context.run.manifest
    judged_keys = {f"{item.case_id}|{manifest.candidate}" for item in context.judged if item.promise is not None}
    found = []
    for line in context.run.cases:
        if line.measurement is None or line.role == "peer":
            continue
        case_id, measured, promised = line.case.case_id, line.measurement, context.tolerance(line)
        parts = {"equivalence": measured.equivalence, "time": measured.timing, "memory": measured.memory}
        found += [(case_id, f"no result of the check {check}") for check in line.checks if parts[check] is None]
        if fault := _not_compared(context, line):
            found.append((case_id, fault))
        if line.key not in judged_keys:
            continue
        if measured.timing is not None:
            found += [(case_id, fault) for fault in evidence_faults(measured.timing, manifest, policy, promised)]
        if measured.memory is not None:
            audited_to = None if is_paired(manifest) else promised
            faults = memory_faults(measured.memory, min_pairs=policy.memory.min_pairs, audited_to=audited_to)
            found += [(case_id, fault) for fault in faults]
    return found


def completeness(context: Context) -> Criterion:
    """Judge whether everything that was planned is there, with its provenance and its raw data.

    An absent line fails, so that no verdict gets better by leaving out the line that spoils it. A line that
    says why it holds no result (no memory for the case, no reference to judge by) leaves the verdict open.
    """
    planned = [item for item in context.run.manifest.planned if not item.optional]
    absent = _absent(context)
    unmeasured = _without_result(context)
    elsewhere = _elsewhere(context)
    missing = [*absent, *unmeasured, *elsewhere]
    gaps = [*_plan_gaps(context), *_coverage_gaps(context)]
    provenance = _provenance_faults(context)
    evidence = _evidence_faults(context)
    fixes = []
    if provenance:
        fixes.append(Fix(action=f"Record the provenance: {', '.join(provenance)} not on record", command=context.again))
    fixes += [
        Fix(action=f"Measure again, with raw data on record: {fault}", command=context.again, case_id=case_id)
        for case_id, fault in evidence
    ]
    fixes += missing
    fixes += [Fix(action=f"Plan it: {gap}", command=context.nightly) for gap in gaps]
    state: State = "pass"
    if provenance or evidence or absent:
        state = "fail"
    elif missing or gaps:
        state = "missing"
    parts = [
        f"{len(absent)} of {len(planned)} planned lines were never run" if absent else "",
        f"{len(unmeasured)} of {len(planned)} planned lines could not be measured" if unmeasured else "",
        f"{len(elsewhere)} of {len(planned)} planned lines were measured on another machine class" if elsewhere else "",
        f"{len(provenance)} entries of provenance not on record" if provenance else "",
        f"{len(evidence)} measurements without their raw data" if evidence else "",
        "; ".join(gaps),
    ]
    return Criterion(
        id="completeness",
        state=state,
        finding="; ".join(part for part in parts if part) or "every planned line is there, with its provenance",
        promise="every planned line has a result, and every number says where it comes from",
        passed=max(len(planned) - len(missing), 0),
        judged=len(planned),
        what="planned lines",
        worst_case=next((fix.case_id for fix in fixes if fix.case_id), None),
        fixes=shown(fixes),
    )


def calibration(context: Context) -> Criterion:
    """Judge whether the instruments read what is known."""
    line = next((line for line in context.run.lines if isinstance(line, CalibrationResult)), None)
    checks = line.checks if line else ()
    bad = [check for check in checks if not check.passed]
    state: State = "fail" if bad else "pass" if checks else "missing"
    finding = "every instrument read what is known" if checks else "no instrument was checked"
    if bad:
        finding = "; ".join(
            f"{check.instrument} read {check.measured:.4g} {check.unit} where {check.expected:.4g} is known"
            for check in bad
        )
    fixes: tuple[Fix, ...] = ()
    if state != "pass":
        fixes = (Fix(action=f"Mend the instruments: {finding}", command="python -m validation doctor"),)
    return Criterion(
        id="calibration",
        state=state,
        finding=finding,
        promise="clock, memory meter, comparison and seed read what is known before anything counts",
        passed=len(checks) - len(bad),
        judged=len(checks),
        what="instruments",
        worst_case=bad[0].instrument if bad else None,
        fixes=fixes,
    )


def mutants(context: Context) -> Criterion:
    """Judge whether every known-bad implementation was stopped, for its own reason."""
    lines = [line for line in context.run.lines if isinstance(line, MutantResult)]
    planned = any(item.kind == "mutant" for item in context.run.manifest.planned)
    escaped = [line for line in lines if not line.caught]
    provisional = context.run.manifest.provisional
    command = "python -m validation mutants --out NEW-DIR"
    fixes = [
        Fix(
            action=f"Mend the harness: {line.mutant} ({line.defect}) must be stopped by {line.expected_criterion}, "
            f"but the verdict was {line.verdict}, stopped by {', '.join(line.rejected_by) or 'nothing'}",
            command=command,
            case_id=line.mutant,
        )
        for line in escaped
    ]
    defects = {name for line in lines for name in re.findall(r"D\d+", line.defect)}
    unseen = [] if provisional else [name for name in _defects(context) if name not in defects]
    state: State = "pass"
    finding = "each was stopped for its own reason"
    if escaped:
        state, finding = "fail", f"{len(escaped)} of {len(lines)} were not stopped, or for another reason"
    elif not lines and not planned and (provisional or not _defects(context)):
        state, finding = "not_judged", NOT_PART if provisional else "no known-bad implementation is asked for"
    elif unseen or not lines:
        state, finding = "missing", f"never tried: {', '.join(unseen) or 'any'}"
        fixes.append(Fix(action=f"Try the known-bad implementations ({finding})", command=command))
    return Criterion(
        id="mutants",
        state=state,
        finding=finding,
        promise="every known-bad implementation is stopped, and by the criterion that is there for it",
        passed=len(lines) - len(escaped),
        judged=len(lines),
        what="known-bad implementations",
        worst_case=escaped[0].mutant if escaped else None,
        fixes=shown(fixes),
    )


def suite(context: Context) -> Criterion:
    """Judge whether the package's own tests pass with the flag off and with it on."""
    provisional = context.run.manifest.provisional
    lines = {line.flag: line for line in context.run.lines if isinstance(line, SuiteResult)}
    planned = any(item.kind == "suite" for item in context.run.manifest.planned)
    bad = [line for line in lines.values() if line.failed or not line.passed]
    absent = [flag for flag in ("off", "on") if flag not in lines]
    fixes = [
        Fix(
            action=f"Mend the suite: {line.failed} failed, {line.passed} passed with the flag {line.flag}",
            command=line.command,
        )
        for line in bad
    ]
    state: State = "pass"
    finding = ", ".join(f"{lines[flag].passed} passed with the flag {flag}" for flag in lines)
    if bad:
        state = "fail"
        finding = ", ".join(f"{line.failed} failed with the flag {line.flag}" for line in bad)
    elif not lines and not planned and (provisional or not _asks_for_suite(context)):
        state, finding = "not_judged", NOT_PART if provisional else "no test suite is asked for"
    elif absent:
        state, finding = "missing", f"not run with the flag {' and '.join(absent)}"
        fixes.append(Fix(action=f"Run the test suite: {finding}", command=context.resume))
    return Criterion(
        id="suite",
        state=state,
        finding=finding,
        promise="the package's own tests pass with the flag off and with it on",
        passed=len(lines) - len(bad),
        judged=len(lines),
        what="flag states",
        worst_case=f"flag {bad[0].flag}" if bad else None,
        fixes=tuple(fixes),
    )
