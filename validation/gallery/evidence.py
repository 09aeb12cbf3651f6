"""The run folder that a mutant gets, and the gate's verdict on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from validation.contract.base import Record
from validation.contract.cards import KernelCard
from validation.contract.cases import CRITERIA, Case, Judged
from validation.contract.lines import (
    CalibrationCheck,
    CalibrationResult,
    CaseResult,
    MutantResult,
    PropertyResult,
    ResultLine,
    SuiteResult,
)
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Planned, Provenance, Scan
from validation.contract.measurements import Equivalence, Failure, Measurement, Memory, Timing
from validation.contract.tasks import PropertyReply
from validation.gallery.bench import PROTOCOL
from validation.run.results import RunFolder
from validation.subject.suite import SuiteOutcome


class Evidence(Record, frozen=True, kw_only=True):
    """What one run folder is made of.

    ``probed`` is the case of the properties, ``promised`` another timed case with the criterion that judges it.
    ``judged`` is what is promised of ``case``.
    """

    cards: tuple[KernelCard, ...]
    case: Case
    candidate: str
    judged: tuple[Judged, ...]
    origin: Provenance
    calibration: tuple[CalibrationCheck, ...]
    probed: Case
    equivalence: Equivalence | None = None
    timing: Timing | None = None
    memory: Memory | None = None
    failure: Failure | None = None
    properties: tuple[tuple[str, PropertyReply], ...] = ()
    promised: tuple[Judged, Case, Timing] | None = None
    suites: tuple[tuple[Literal["off", "on"], SuiteOutcome], ...] = ()
    let_through: MutantResult | None = None
    never_run: str | None = None


_KINDS: dict[type[ResultLine], Literal["case", "calibration", "property", "mutant", "suite"]] = {
    CalibrationResult: "calibration",
    CaseResult: "case",
    PropertyResult: "property",
    MutantResult: "mutant",
    SuiteResult: "suite",
}


def _optional_lines(evidence: Evidence, head: dict[str, Any]) -> Iterator[ResultLine]:
    """Give the lines that only some folders have: another promised case, test suites, a mutant."""
    if evidence.promised is not None:
        _, case, timing = evidence.promised
        yield CaseResult(
            case=case,
            candidate=evidence.candidate,
            role="candidate",
            checks=("time",),
            wall_s=0.0,
            measured_s=0.0,
            measurement=Measurement(timing=timing),
            **head,
        )
    for flag, outcome in evidence.suites:
        yield SuiteResult(flag=flag, **msgspec.to_builtins(outcome), **head)
    if evidence.let_through is not None:
        yield MutantResult(**{**_fields(evidence.let_through), **head})


def _fields(line: MutantResult) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__struct_fields__}


def _judged(evidence: Evidence) -> tuple[Judged, ...]:
    """Judge speed, first call and memory of the case, and the other promised case by its own criterion."""
    promises = {item.figure: item.promise for item in evidence.judged}
    case_id = evidence.case.case_id
    judged = [
        Judged(criterion=criterion, case_id=case_id, figure=figure, promise=promises.get(figure))
        for figure, criterion in CRITERIA.items()
    ]
    return (*judged, *([] if evidence.promised is None else [evidence.promised[0]]))


def _cases(evidence: Evidence) -> tuple[Case, ...]:
    """Give all that was measured or had its properties checked, each once."""
    promised = () if evidence.promised is None else (evidence.promised[1],)
    return tuple({case.case_id: case for case in (evidence.case, evidence.probed, *promised)}.values())


def write_folder(path: Path, evidence: Evidence, scan: Scan | None, started_at: str, command: str) -> None:
    """Write evidence as the folder of a run."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "run_id": f"gallery-{path.name}",
        "started_at": started_at,
        "provenance": evidence.origin,
    }
    measurement = Measurement(equivalence=evidence.equivalence, timing=evidence.timing, memory=evidence.memory)
    lines: tuple[ResultLine, ...] = (
        CalibrationResult(checks=evidence.calibration, **head),  # type: ignore[arg-type]
        CaseResult(
            case=evidence.case,
            candidate=evidence.candidate,
            role="candidate",
            checks=("equivalence", "time", "memory"),
            wall_s=0.0,
            measured_s=0.0,
            measurement=None if evidence.failure else measurement,
            failure=evidence.failure,
            **head,  # type: ignore[arg-type]
        ),
        *(
            PropertyResult(
                name=name,
                case_id=evidence.probed.case_id,
                candidate=evidence.candidate,
                passed=reply.passed,
                figure=reply.figure if reply.figure is None or np.isfinite(reply.figure) else None,
                limit=reply.limit,
                detail=reply.detail,
                **head,  # type: ignore[arg-type]
            )
            for name, reply in evidence.properties
        ),
        *_optional_lines(evidence, head),
    )
    planned = [Planned(key=line.key, kind=_KINDS[type(line)]) for line in lines]
    if evidence.never_run is not None:
        planned.append(Planned(key=f"{evidence.never_run}|{evidence.candidate}", kind="case"))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=f"gallery-{path.name}",
        created_at=started_at,
        sweep="gallery",
        provisional=True,
        seed=0,
        command=command,
        scan=scan,
        kernels=evidence.cards,
        cases=_cases(evidence),
        judged=_judged(evidence),
        candidate=evidence.candidate,
        planned=tuple(planned),
        protocol=PROTOCOL,
        provenance=evidence.origin,
    )
    folder = RunFolder.create(path, manifest)
    for line in lines:
        folder.append(line)


class _Criterion(msgspec.Struct):
    id: str
    finding: str


class Verdict(msgspec.Struct, frozen=True):
    """The part of the gate's verdict file that is read here."""

    outcome: str
    rejected_by: tuple[str, ...]
    criteria: tuple[_Criterion, ...] = ()

    def finding(self, criterion: str) -> str:
        """Give what the gate found for a criterion."""
        return next((found.finding for found in self.criteria if found.id == criterion), "")


def ask_gate(path: Path) -> Verdict:
    """Let the gate judge a folder; the outcome is ``NO_VERDICT`` where it gives none."""
    done = subprocess.run(
        [sys.executable, "-m", "reports", "gate", str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    try:
        return msgspec.json.decode((path / "verdict.json").read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        said = ((done.stdout + done.stderr).strip().splitlines() or [""])[-1]
        return Verdict(outcome=f"NO_VERDICT: {said}", rejected_by=())
