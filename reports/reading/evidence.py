"""Recorded verdicts: the evidence that the default of the flag rests on."""

from __future__ import annotations

import datetime
import functools
import re
from pathlib import Path
from typing import Literal

import msgspec

from reports.errors import InputError
from reports.reading import files
from reports.reading.verdict import Outcome, State, Verdict
from validation.contract.base import Record
from validation.contract.cases import Judged

RECORDED = Path(__file__).parents[1].joinpath("verdicts")
SUBJECT = RECORDED / "subject.toml"
EVIDENCE_VERSION: Literal["2.0"] = "2.0"


class Subject(Record, frozen=True, kw_only=True):
    """What the recorded verdicts are for: the default of a flag, and the candidate of a kernel that it switches on.

    ``flipped`` is the file beside the verdicts that names the run which flipped the default.
    """

    flag: str
    kernel: str
    candidate: str
    flipped: str

    def is_of(self, verdict: Verdict | Evidence) -> bool:
        """Whether a verdict is about the kernel. Those recorded before version 2.0 name none, and are."""
        return not verdict.kernels or self.kernel in verdict.kernels


@functools.cache
def subject() -> Subject:
    """Read what the recorded verdicts are for."""
    return msgspec.toml.decode(SUBJECT.read_bytes(), type=Subject)


class RecordedCriterion(Record, frozen=True, kw_only=True):
    """One criterion of a recorded verdict."""

    id: str
    state: State
    value: float | None
    threshold: float | None
    passed: int
    judged: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict in short, and what it is about: the digest of the kernel's sources.

    Version 1.0 named the case that was judged instead of ``kernels``, ``judged`` and ``promise_digests``.
    """

    evidence_version: Literal["1.0", "2.0"]
    outcome: Outcome
    run_id: str
    created_at: str
    sweep: str
    candidate: str
    scan: str | None
    commit: str
    commit_subject: str | None
    kernel_digest: str
    machine: str
    cpu_model: str
    criteria: tuple[RecordedCriterion, ...]
    kernels: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()
    promise_digests: dict[str, str | None] = {}

    def value(self, id: str) -> float | None:
        """Figure of a criterion; ``None`` where there is none."""
        return next((item.value for item in self.criteria if item.id == id), None)


def evidence_of(verdict: Verdict) -> Evidence:
    """Shorten a verdict to what is kept.

    Raises
    ------
    InputError
        If it is no evidence: provisional, relaxed, of uncommitted sources, not of the package alone, or no verdict
        at all.
    """
    paths = [path for path in (verdict.reference_path, verdict.candidate_path) if path is not None]
    reasons = [
        (verdict.outcome in ("INSTRUMENT_FAILURE", "NOTHING_RAN"), "it is no verdict at all"),
        (verdict.provisional, f"it is provisional ({verdict.sweep} sweep); run the nightly sweep"),
        (bool(verdict.relaxed), f"its thresholds are relaxed ({'; '.join(verdict.relaxed)})"),
        (verdict.commit is None, "its run has no commit on record"),
        (verdict.dirty is not False, "its run was made with uncommitted changes; commit them and run again"),
        (verdict.reference_digest is not None, "its reference was given by --reference; run without it"),
        (bool(paths), f"it loaded an implementation from {' and '.join(paths)}; run without a path of its own"),
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
        kernels=verdict.kernels,
        judged=verdict.judged,
        promise_digests=verdict.promise_digests,
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
    if path.exists():
        if not _says_the_same(_decoded(path), evidence):
            raise InputError(f"{path} already holds another verdict of this run; evidence is never overwritten")
        return path
    files.write(path, msgspec.json.format(msgspec.json.encode(evidence)) + b"\n")
    return path


def _says_the_same(recorded: Evidence, evidence: Evidence) -> bool:
    """Whether both are one verdict, as far as the version tells that was recorded."""
    if recorded.evidence_version == "1.0":
        evidence = msgspec.structs.replace(evidence, evidence_version="1.0", kernels=(), judged=(), promise_digests={})
    return recorded == evidence


def _decoded(path: Path) -> Evidence:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evidence)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a recorded verdict: {error}") from None


def recorded(folder: Path = RECORDED) -> tuple[Evidence, ...]:
    """All recorded verdicts, oldest first.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    found = [_decoded(path) for path in sorted(folder.glob("*.json"))]
    return tuple(sorted(found, key=lambda item: (moment(item.created_at), item.run_id)))


def flipped_by(folder: Path = RECORDED) -> str | None:
    """Run that the flip of the default cites; ``None`` before the flip, and after a rollback took it away."""
    path = folder / subject().flipped
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
        Default of the flag.
    kernel_digest : str
        Of the present sources.
    evidence : tuple of Evidence
        Oldest first. Only verdicts on what the dispatcher calls count, not those on another candidate.
    flipped : str, optional
        Run that the flip of the default cites (see `flipped_by`); an ACCEPT, of whatever sources.
    """
    flag, file = subject().flag, subject().flipped
    about = tuple(item for item in evidence if item.candidate == subject().candidate and subject().is_of(item))
    standing = tuple({item.scan: item for item in about if item.kernel_digest == kernel_digest}.values())
    if not default:
        if flipped is None or any(item.outcome == "REJECT" for item in (*standing, *about[-1:])):
            return None
        return (
            f"the default of {flag} was flipped to True by the verdict of run {flipped}, and is False without a "
            f"verdict against it; record a REJECT, or roll back by removing reports/verdicts/{file} and say why"
        )
    command = "run: python -m validation run --sweep nightly --out runs/night && python -m reports record runs/night"
    if not about:
        return f"the default of {flag} is True, but no verdict on {subject().candidate} is on record; {command}"
    flip = next((item for item in about if item.run_id == flipped), None)
    if flip is None:
        return (
            f"the default of {flag} is True, and reports/verdicts/{file} must hold the id of the recorded run that "
            f"flipped it, got {flipped!r}; the newest is {about[-1].run_id}"
        )
    if flip.outcome != "ACCEPT":
        return (
            f"the default of {flag} is True, and reports/verdicts/{file} must hold the id of a recorded ACCEPT, "
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
            f"the default of {flag} is True, but the newest recorded verdict {' and '.join(against)}; "
            f"set it to False, or mend the kernel and {command}; --data gives a scan of your own"
        )
    return None
