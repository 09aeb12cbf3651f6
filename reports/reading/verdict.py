"""What the gate says: criteria, counts, verdict. ``verdict.json`` is the JSON of `Verdict`."""

from __future__ import annotations

import re
from typing import Literal

from validation.contract.base import Record
from validation.contract.cases import Judged

VERDICT_VERSION = "2.0"

# Criteria of every run; those of judged figures have the names that the run gives them.
OWN_CRITERIA = ("correctness", "oracle_agreement", "completeness", "calibration", "mutants", "suite")
State = Literal["pass", "fail", "inconclusive", "missing", "not_judged"]
Outcome = Literal["ACCEPT", "REJECT", "INCONCLUSIVE", "INSTRUMENT_FAILURE", "NOTHING_RAN"]

EXIT_CODES: dict[Outcome, int] = {
    "ACCEPT": 0,
    "REJECT": 1,
    "INCONCLUSIVE": 3,
    "INSTRUMENT_FAILURE": 4,
    "NOTHING_RAN": 5,
}


class Fix(Record, frozen=True, kw_only=True):
    """What must be done about a criterion, the case it shows at, and the command that shows it."""

    action: str
    command: str
    case_id: str | None = None


class Criterion(Record, frozen=True, kw_only=True):
    """One criterion, judged.

    ``passed`` of ``judged`` things (``what`` names them) hold. ``value`` is the worst figure and
    ``margin`` its distance to ``threshold`` as a share of the threshold, positive on the good side.
    ``worst_case`` is the case id or name it was seen at. Only ``pass`` and ``not_judged`` let a verdict through.
    ``title`` and ``meaning`` are the words of the kernel; empty where it has none of its own.
    """

    id: str
    state: State
    finding: str
    promise: str
    passed: int
    judged: int
    what: str
    value: float | None = None
    threshold: float | None = None
    margin: float | None = None
    worst_case: str | None = None
    fixes: tuple[Fix, ...] = ()
    title: str = ""
    meaning: str = ""


class Counts(Record, frozen=True, kw_only=True):
    """Denominators. planned = ran + skipped + missing - unplanned; ran = passed + failed.

    ``failed_peers`` of the failed lines are about peers, which decide nothing.
    """

    planned: int
    ran: int
    passed: int
    failed: int
    skipped: int
    missing: int
    unplanned: int
    failed_peers: int = 0


class Verdict(Record, frozen=True, kw_only=True):
    """A judged run.

    ``rejected_by`` are the criteria that kept it from ACCEPT. ``relaxed`` says where a looser policy was
    used; empty means the promised thresholds. ``judged`` holds the figures that it rests on, with the promises that
    they were held to, ``promise_digests`` by kernel the digest of the file that these are from (``None``: the user's
    own). ``rule`` says so where times are judged by the rule of an older schema.
    """

    verdict_version: str
    outcome: Outcome
    exit_code: int
    rejected_by: tuple[str, ...]
    provisional: bool
    relaxed: tuple[str, ...]
    run_id: str
    created_at: str
    sweep: str
    seed: int
    candidate: str
    kernels: tuple[str, ...]
    judged: tuple[Judged, ...]
    promise_digests: dict[str, str | None]
    scan: str | None
    scan_sha256: str | None
    commit: str | None
    commit_subject: str | None
    dirty: bool | None
    kernel_digest: str
    reference_path: str | None
    machine: str
    cpu_model: str
    versions: dict[str, str]
    counts: Counts
    criteria: tuple[Criterion, ...]
    rule: str | None = None
    reference_digest: str | None = None
    candidate_path: str | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """What must stand beside the verdict wherever it appears."""
        marks = []
        if self.provisional:
            # The name may be that of a user's file, and the line goes into Markdown as it is.
            marks.append(f"provisional, {re.sub(r'[^A-Za-z0-9. -]', '_', self.sweep)[:40]} sweep")
        if self.relaxed:
            marks.append("RELAXED")
        return tuple(marks)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        marks = f" ({'; '.join(self.marks)})" if self.marks else ""
        if self.outcome == "INSTRUMENT_FAILURE":
            return f"NO VERDICT: the instruments failed their calibration{marks}"
        if self.outcome == "NOTHING_RAN":
            return f"NO VERDICT: nothing ran{marks}"
        return f"VERDICT: {self.outcome}{marks}"

    @property
    def fixes(self) -> tuple[tuple[Criterion, Fix], ...]:
        """Every required fix with its criterion."""
        return tuple((criterion, fix) for criterion in self.criteria for fix in criterion.fixes)
