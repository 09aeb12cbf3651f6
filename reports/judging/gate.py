"""The gate: a run and a policy in, a verdict out. Pure; it knows no file, no colour, no figure."""

from __future__ import annotations

import msgspec

from reports.judging.criterion import Context, line_passed, was_skipped
from reports.judging.evidence_criteria import calibration, completeness, mutants, suite
from reports.judging.kernel_criteria import correctness, oracle_agreement
from reports.judging.policy import Policy, relaxations
from reports.judging.promised import own_words, promised
from reports.reading.run import Run, is_paired
from reports.reading.verdict import EXIT_CODES, VERDICT_VERSION, Counts, Criterion, Outcome, Verdict
from validation.contract.lines import CaseResult

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


def criteria_of(context: Context) -> tuple[Criterion, ...]:
    """Judge every criterion, in the order in which they are told, each in the words of the kernel where it has any."""
    found = (
        *(correctness(context), oracle_agreement(context)),
        *promised(context),
        *(completeness(context), calibration(context), mutants(context), suite(context)),
    )
    words = [own_words(context.run.manifest, criterion.id) for criterion in found]
    return tuple(
        msgspec.structs.replace(criterion, title=title, meaning=meaning)
        for criterion, (title, meaning, _) in zip(found, words, strict=True)
    )


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

    Raises
    ------
    InputError
        If the policy promises what the run does not know.
    """
    context = Context(run=run, policy=policy, folder=folder)
    criteria = criteria_of(context)
    verdict = outcome(criteria, run)
    manifest, origin = run.manifest, run.manifest.provenance
    return Verdict(
        verdict_version=VERDICT_VERSION,
        outcome=verdict,
        exit_code=EXIT_CODES[verdict],
        rejected_by=tuple(item.id for item in criteria if item.state not in ("pass", "not_judged")),
        provisional=manifest.provisional,
        relaxed=relaxations(policy, manifest),
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        sweep=manifest.sweep,
        seed=manifest.seed,
        candidate=manifest.candidate,
        kernels=tuple(card.name for card in manifest.kernels),
        judged=context.judged,
        promise_digests={card.name: card.promise_digest for card in manifest.kernels},
        scan=manifest.scan.name if manifest.scan else None,
        scan_sha256=manifest.scan.sha256 if manifest.scan else None,
        commit=origin.commit,
        commit_subject=origin.commit_subject,
        dirty=origin.dirty,
        kernel_digest=origin.kernel_digest,
        reference_path=origin.reference_path,
        reference_digest=origin.reference_digest,
        candidate_path=origin.candidate_path,
        machine=origin.machine.fingerprint,
        cpu_model=origin.machine.cpu_model,
        versions=origin.versions,
        counts=count(run),
        criteria=criteria,
        rule=OLD_RULE.format(manifest.written_as) if is_paired(manifest) else None,
    )
