"""The lines of ``results.jsonl``: one for each case, property, mutant, suite and calibration."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from validation.contract.base import Record
from validation.contract.cases import Case, Check
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Provenance
from validation.contract.measurements import Failure, Measurement, Role


class Line(Record, tag_field="kind", frozen=True, kw_only=True):
    """Fields every result line has. ``started_at`` is ISO 8601 in UTC."""

    schema_version: str
    run_id: str
    started_at: str
    provenance: Provenance


class CaseResult(Line, tag="case", frozen=True, kw_only=True):
    """One case for one candidate: a measurement or a failure, never both, never neither.

    ``wall_s`` is the whole time the case took, what ran side by side counted apart; ``measured_s`` the part of it
    inside measured calls.
    ``outputs_sha256`` holds the digest of each output that was compared, as the file it was saved in.
    """

    case: Case
    candidate: str
    role: Role
    checks: tuple[Check, ...]
    wall_s: float
    measured_s: float
    measurement: Measurement | None = None
    failure: Failure | None = None
    outputs_sha256: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            raise ValueError("a case result holds a measurement or a failure, never both, never neither")

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"{self.case.case_id}|{self.candidate}"


class CalibrationCheck(Record, frozen=True, kw_only=True):
    """One instrument against a known quantity; ``limit`` is the largest relative deviation allowed."""

    instrument: str
    expected: float
    measured: float
    limit: float
    unit: str
    passed: bool
    detail: str = ""


class CalibrationResult(Line, tag="calibration", frozen=True, kw_only=True):
    """All instruments, before anything counts.

    ``other_machine`` is the fingerprint of the machine where that is not the manifest's: on a cluster, each
    machine class is calibrated before it measures.
    """

    checks: tuple[CalibrationCheck, ...]
    other_machine: str | None = None

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return "calibration" if self.other_machine is None else f"calibration|{self.other_machine}"


class PropertyResult(Line, tag="property", frozen=True, kw_only=True):
    """A property that random data blurs, checked of one candidate at one case.

    ``wall_s`` is the whole time the check took (``None`` before schema 1.1), ``measured_s`` the part of it inside
    calls of the candidate.
    """

    name: str
    case_id: str
    candidate: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str
    wall_s: float | None = None
    measured_s: float = 0.0

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"{self.name}|{self.case_id}|{self.candidate}"


class MutantResult(Line, tag="mutant", frozen=True, kw_only=True):
    """A known-bad implementation or harness fault, the criterion that must reject it, and those that did."""

    mutant: str
    defect: str
    description: str
    expected_criterion: str
    rejected_by: tuple[str, ...]
    verdict: str
    detail: str

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"mutant|{self.mutant}"

    @property
    def caught(self) -> bool:
        """Whether the gate stopped it, and by the criterion that must."""
        return self.verdict != "ACCEPT" and self.expected_criterion in self.rejected_by


class SuiteResult(Line, tag="suite", frozen=True, kw_only=True):
    """The test suite of the package with the flag in one state."""

    flag: Literal["off", "on"]
    passed: int
    failed: int
    skipped: int
    command: str

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"suite|{self.flag}"


ResultLine = CaseResult | CalibrationResult | PropertyResult | MutantResult | SuiteResult


def schema_text() -> str:
    """Give the JSON Schema (2020-12) of ``manifest.json`` and of a line of ``results.jsonl``, as indented JSON."""
    (manifest, line), definitions = msgspec.json.schema_components(
        [Manifest, ResultLine], ref_template="#/$defs/{name}"
    )
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Run folder of ptycho-validation, schema version {SCHEMA_VERSION}",
        "description": "manifest.json is a Manifest; every line of results.jsonl is one of the result lines.",
        "anyOf": [manifest, line],
        "$defs": definitions,
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
