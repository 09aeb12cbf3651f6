"""Recorded verdicts: the evidence that the default of the flag rests on."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Literal

import msgspec

from reports.errors import InputError
from reports.reading import files
from reports.reading.verdict import CriterionId, Outcome, State, Verdict

RECORDED = Path(__file__).parents[1].joinpath("verdicts")
FLAG = "use_batched_patch_extraction"
# The candidate that the dispatcher calls with the flag on.
JUDGED = "batched"
# File beside the verdicts that names the run which flipped the default.
FLIP = "FLIP"
EVIDENCE_VERSION: Literal["1.0"] = "1.0"


class RecordedCriterion(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion of a recorded verdict."""

    id: CriterionId
    state: State
    value: float | None
    threshold: float | None
    passed: int
    judged: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict in short, and what it is about: the digest of the kernel's sources."""

    evidence_version: Literal["1.0"]
    outcome: Outcome
    run_id: str
    created_at: str
    sweep: str
    candidate: str
    scan: str
    commit: str
    commit_subject: str | None
    kernel_digest: str
    machine: str
    cpu_model: str
    reference_case_id: str
    criteria: tuple[RecordedCriterion, ...]

    def value(self, id: CriterionId) -> float | None:
        """Figure of a criterion; ``None`` where there is none."""
        return next((item.value for item in self.criteria if item.id == id), None)


def evidence_of(verdict: Verdict) -> Evidence:
    """Shorten a verdict to what is kept.

    Raises
    ------
    InputError
        If it is no evidence: provisional, relaxed, of uncommitted sources, or no verdict at all.
    """
    reasons = [
        (verdict.outcome in ("INSTRUMENT_FAILURE", "NOTHING_RAN"), "it is no verdict at all"),
        (verdict.provisional, f"it is provisional ({verdict.sweep} sweep); run the nightly sweep"),
        (bool(verdict.relaxed), f"its thresholds are relaxed ({'; '.join(verdict.relaxed)})"),
        (verdict.commit is None, "its run has no commit on record"),
        (verdict.dirty is not False, "its run was made with uncommitted changes; commit them and run again"),
    ]
    for holds, reason in reasons:
        if holds:
            raise InputError(f"only evidence is recorded, but {verdict.line} of run {verdict.run_id} is none: {reason}")
    return Evidence(
        evidence_version=EVIDENCE_VERSION,
        outcome=verdict.outcome,
        run_id=verdict.run_id,
        created_at=verdict.created_at,
        sweep=verdict.sweep,
        candidate=verdict.candidate,
        scan=verdict.scan,
        commit=str(verdict.commit),
        commit_subject=verdict.commit_subject,
        kernel_digest=verdict.kernel_digest,
        machine=verdict.machine,
        cpu_model=verdict.cpu_model,
        reference_case_id=verdict.reference_case_id,
        criteria=tuple(
            RecordedCriterion(
                id=item.id,
                state=item.state,
                value=item.value,
                threshold=item.threshold,
                passed=item.passed,
                judged=item.judged,
            )
            for item in verdict.criteria
        ),
    )


def moment(created_at: str) -> datetime.datetime:
    """Parse a date of a run, ISO 8601; the beginning of time where it is none."""
    try:
        found = datetime.datetime.fromisoformat(created_at.replace("Z", "+00:00"))
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def record(verdict: Verdict, folder: Path = RECORDED) -> Path:
    """Store a verdict as evidence; returns the file. The same run is stored once.

    Raises
    ------
    InputError
        If it is no evidence, or its run is on record with another verdict.
    """
    evidence = evidence_of(verdict)
    name = re.sub(r"[^A-Za-z0-9-]", "_", evidence.run_id)[:80]
    path = folder / f"{name}.json"
    content = msgspec.json.format(msgspec.json.encode(evidence)) + b"\n"
    if path.exists() and path.read_bytes() != content:
        raise InputError(f"{path} already holds another verdict of this run; evidence is never overwritten")
    files.write(path, content)
    return path


def recorded(folder: Path = RECORDED) -> tuple[Evidence, ...]:
    """All recorded verdicts, oldest first.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Evidence))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a recorded verdict: {error}") from None
    return tuple(sorted(found, key=lambda item: (moment(item.created_at), item.run_id)))


def flipped_by(folder: Path = RECORDED) -> str | None:
    """Run that the flip of the default cites; ``None`` before the flip, and after a rollback took it away."""
    path = folder / FLIP
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def objection(
    default: bool, kernel_digest: str, evidence: tuple[Evidence, ...], flipped: str | None = None
) -> str | None:
    """Say why the flag's default may not be what it is; ``None`` if it may.

    A verdict on the present sources stands until a newer one on the same scan (its name on record) takes its place:
    what one scan showed, another scan does not take back.

    Parameters
    ----------
    default : bool
        Default of ``use_batched_patch_extraction``.
    kernel_digest : str
        Of the present sources.
    evidence : tuple of Evidence
        Oldest first. Only verdicts on what the dispatcher calls count, not those on another candidate.
    flipped : str, optional
        Run that the flip of the default cites (see `flipped_by`); an ACCEPT, of whatever sources.
    """
    about = tuple(item for item in evidence if item.candidate == JUDGED)
    standing = tuple({item.scan: item for item in about if item.kernel_digest == kernel_digest}.values())
    if not default:
        if flipped is None or any(item.outcome == "REJECT" for item in (*standing, *about[-1:])):
            return None
        return (
            f"the default of {FLAG} was flipped to True by the verdict of run {flipped}, and is False without a "
            f"verdict against it; record a REJECT, or roll back by removing reports/verdicts/{FLIP} and say why"
        )
    command = "run: python -m validation run --sweep nightly --out runs/night && python -m reports record runs/night"
    if not about:
        return f"the default of {FLAG} is True, but no verdict on {JUDGED} is on record; {command}"
    flip = next((item for item in about if item.run_id == flipped), None)
    if flip is None:
        return (
            f"the default of {FLAG} is True, and reports/verdicts/{FLIP} must hold the id of the recorded run that "
            f"flipped it, got {flipped!r}; the newest is {about[-1].run_id}"
        )
    if flip.outcome != "ACCEPT":
        return (
            f"the default of {FLAG} is True, and reports/verdicts/{FLIP} must hold the id of a recorded ACCEPT, "
            f"but run {flip.run_id} is {flip.outcome}; name the run that flipped the default, or set it to False"
        )
    if not standing:
        return (
            f"the newest recorded verdict (run {about[-1].run_id}) is about kernel sources "
            f"{about[-1].kernel_digest[:12]}, but the present ones are {kernel_digest[:12]}; measure again, {command}"
        )
    against = [f"on {item.scan} is {item.outcome} (run {item.run_id})" for item in standing if item.outcome != "ACCEPT"]
    if against:
        return (
            f"the default of {FLAG} is True, but the newest recorded verdict {' and '.join(against)}; "
            f"set it to False, or mend the kernel and {command}; --data gives a scan of your own"
        )
    return None
