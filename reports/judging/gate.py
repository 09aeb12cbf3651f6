"""The gate: a run and a policy in, a verdict out. Pure; it knows no file, no colour, no figure."""

from __future__ import annotations

from collections.abc import Callable

from reports.judging import evidence_criteria, kernel_criteria, speed_criteria
from reports.judging.criterion import Context, line_passed, was_skipped
from reports.judging.policy import Policy, read_policy, relaxations
from reports.reading.records import CaseResult, Run
from reports.reading.verdict import EXIT_CODES, VERDICT_VERSION, Counts, Criterion, Outcome, Verdict

CRITERIA: tuple[Callable[[Context], Criterion], ...] = (
    kernel_criteria.correctness,
    kernel_criteria.oracle_agreement,
    speed_criteria.speed,
    speed_criteria.cold_speed,
    kernel_criteria.memory,
    speed_criteria.reassembly,
    evidence_criteria.completeness,
    evidence_criteria.calibration,
    evidence_criteria.mutants,
    evidence_criteria.suite,
)

OLD_RULE = "times are judged by the rule of their schema {}: the worst replicate pairs less the worst A/A pair"


def count(run: Run) -> Counts:
    """Count the lines of a run against its plan."""
    planned = {item.key for item in run.manifest.planned}
    present = {line.key for line in run.lines}
    skipped = sum(was_skipped(line) for line in run.lines)
    passed = sum(line_passed(line) for line in run.lines)
    return Counts(
        planned=len(planned),
        ran=len(run.lines) - skipped,
        passed=passed,
        failed=len(run.lines) - skipped - passed,
        skipped=skipped,
        missing=len(planned - present),
        unplanned=len(present - planned),
        failed_peers=sum(line.role == "peer" and not line_passed(line) and not was_skipped(line) for line in run.cases),
    )


def outcome(criteria: tuple[Criterion, ...], run: Run) -> Outcome:
    """Turn criteria into one outcome.

    A failed calibration is no verdict; a run in which no case ran is none either. One failed criterion
    rejects; without one, anything short of pass leaves it inconclusive.
    """
    if any(criterion.id == "calibration" and criterion.state == "fail" for criterion in criteria):
        return "INSTRUMENT_FAILURE"
    if not any(isinstance(line, CaseResult) and not was_skipped(line) for line in run.lines):
        return "NOTHING_RAN"
    states = {criterion.state for criterion in criteria}
    if "fail" in states:
        return "REJECT"
    return "INCONCLUSIVE" if states & {"inconclusive", "missing"} else "ACCEPT"


def judge(run: Run, policy: Policy, folder: str = "DIR") -> Verdict:
    """Judge a run.

    Parameters
    ----------
    run : Run
    policy : Policy
    folder : str
        Folder of the run as the user names it; commands in the required fixes carry it.

    Returns
    -------
    Verdict
    """
    context = Context(run=run, policy=policy, folder=folder)
    criteria = tuple(criterion(context) for criterion in CRITERIA)
    verdict = outcome(criteria, run)
    manifest, origin = run.manifest, run.manifest.provenance
    return Verdict(
        verdict_version=VERDICT_VERSION,
        outcome=verdict,
        exit_code=EXIT_CODES[verdict],
        rejected_by=tuple(item.id for item in criteria if item.state not in ("pass", "not_judged")),
        provisional=manifest.provisional,
        relaxed=relaxations(policy, read_policy()),
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        sweep=manifest.sweep,
        seed=manifest.seed,
        candidate=manifest.candidate,
        reference_case_id=manifest.reference_case_id,
        reassembly_case_id=manifest.reassembly_case_id,
        scan=manifest.scan.name,
        scan_sha256=manifest.scan.sha256,
        commit=origin.commit,
        commit_subject=origin.commit_subject,
        dirty=origin.dirty,
        kernel_digest=origin.kernel_digest,
        machine=origin.machine.fingerprint,
        cpu_model=origin.machine.cpu_model,
        versions=origin.versions,
        counts=count(run),
        criteria=criteria,
        rule=OLD_RULE.format(manifest.schema_version) if manifest.is_paired else None,
    )
