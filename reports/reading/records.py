"""The fields of a run folder that are read here; a test holds each of them to the writer's schema.

Unknown fields are ignored, so that this stays the list of what a verdict and a page rest on. Times are in
seconds, sizes in bytes, error figures in the units of the object or in ULP of float32.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# Runs of these were timed in pairs, and are judged by the rule for pairs.
PAIRED_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
SCHEMA_VERSIONS = (*PAIRED_VERSIONS, "1.4")


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records that are read: immutable, keyword-only."""


class Case(Read, frozen=True, kw_only=True):
    """One point of a sweep; the number of patches is ``batch * gridsize**2``."""

    case_id: str
    kernel: Literal["patch_extraction", "reassembly"]
    N: int
    gridsize: int
    batch: int
    dtype: Literal["complex64", "complex128"]
    height: int
    width: int
    pattern: str
    seed: int

    @property
    def patches(self) -> int:
        """Number of patches of the case."""
        return self.batch * self.gridsize**2


class Machine(Read, frozen=True, kw_only=True):
    """Where the run was made."""

    fingerprint: str
    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    kernel: str
    governor: str | None


class Provenance(Read, frozen=True, kw_only=True):
    """Where a number comes from."""

    commit: str | None
    dirty: bool | None
    commit_subject: str | None
    kernel_digest: str
    ptycho_path: str
    machine: Machine
    versions: dict[str, str]
    threads: dict[str, str]


class Comparison(Read, frozen=True, kw_only=True):
    """How far ``actual`` is from ``expected``; error and tolerance are in units of ``scale``."""

    expected: str
    actual: str
    atol: float
    passed: bool
    elements: int
    expected_shape: tuple[int, ...]
    actual_shape: tuple[int, ...]
    expected_dtype: str
    actual_dtype: str
    max_abs_error: float | None
    max_ulp: int | None
    identical_share: float | None
    worst_index: tuple[int, ...] | None
    nan_count: int
    inf_count: int
    scale: float = 1.0


class Audit(Read, frozen=True, kw_only=True):
    """A part of the result of one timed or metered call, drawn after the call, against the oracle."""

    call: int
    entropy: str
    comparison: Comparison


class Equivalence(Read, frozen=True, kw_only=True):
    """Candidate, reference and oracle, pairwise."""

    candidate_vs_oracle: Comparison
    candidate_vs_reference: Comparison | None
    reference_vs_oracle: Comparison | None
    reference_left_out: str | None = None


class ArmTiming(Read, frozen=True, kw_only=True):
    """One arm of a replicate: first call apart, then seconds per call of each sample."""

    implementation: str
    first_call_s: float
    samples_s: tuple[float, ...]
    calls_per_sample: int
    audits: tuple[Audit, ...] = ()


class TimingPair(Read, frozen=True, kw_only=True):
    """A replicate before schema 1.4: two arms measured next to each other."""

    reference: ArmTiming
    candidate: ArmTiming


class Timing(Read, frozen=True, kw_only=True):
    """The processes of either arm in the order of the schedule, and the copy of the output.

    The first two ``candidates`` were next to each other, the next two, and so on: an A/A pair each. Before schema 1.4
    there were ``pairs`` of both arms and ``noise_pairs`` of the candidate.
    """

    copy_fresh_s: tuple[float, ...]
    copy_warm_s: tuple[float, ...]
    contended_rejected: int
    extended: bool
    contended_kept: int = 0
    references: tuple[ArmTiming, ...] = ()
    candidates: tuple[ArmTiming, ...] = ()
    pairs: tuple[TimingPair, ...] = ()
    noise_pairs: tuple[TimingPair, ...] = ()

    @property
    def reference_arms(self) -> tuple[ArmTiming, ...]:
        """Processes of the reference, of any schema; none where it was left out."""
        return self.references or tuple(pair.reference for pair in self.pairs)

    @property
    def candidate_arms(self) -> tuple[ArmTiming, ...]:
        """Processes of the candidate, of any schema."""
        return self.candidates or tuple(pair.candidate for pair in self.pairs or self.noise_pairs)


class ArmMemory(Read, frozen=True, kw_only=True):
    """Resident bytes before one call and at its peak."""

    implementation: str
    baseline_bytes: int
    peak_bytes: int
    audits: tuple[Audit, ...] = ()


class MemoryPair(Read, frozen=True, kw_only=True):
    """Both arms, one per process."""

    reference: ArmMemory
    candidate: ArmMemory


class Timeline(Read, frozen=True, kw_only=True):
    """Resident bytes over the time of one call. Drawn, never judged."""

    implementation: str
    time_s: tuple[float, ...]
    resident_bytes: tuple[int, ...]


class Memory(Read, frozen=True, kw_only=True):
    """Paired peaks and the name of the meter."""

    meter: str
    pairs: tuple[MemoryPair, ...]
    output_bytes: int
    timelines: tuple[Timeline, ...] = ()


class Measurement(Read, frozen=True, kw_only=True):
    """What a case gave; a check it did not ask for is ``None``."""

    equivalence: Equivalence | None = None
    timing: Timing | None = None
    memory: Memory | None = None


class Failure(Read, frozen=True, kw_only=True):
    """Why a case gave nothing."""

    reason: Literal[
        "exception",
        "wrong_output",
        "timeout",
        "signal",
        "out_of_memory",
        "exit_code",
        "no_result",
        "skipped_memory",
        "not_available",
        "worker_lost",
        "left_processes",
        "tampered",
    ]
    message: str
    arm: str | None = None


class Line(Read, tag_field="kind", frozen=True, kw_only=True):
    """Fields every result line has."""

    schema_version: str
    run_id: str
    started_at: str
    provenance: Provenance


class CaseResult(Line, tag="case", frozen=True, kw_only=True):
    """One case for one candidate: a measurement or a failure."""

    case: Case
    candidate: str
    role: Literal["candidate", "peer"]
    checks: tuple[Literal["equivalence", "time", "memory"], ...]
    wall_s: float
    measured_s: float
    measurement: Measurement | None = None
    failure: Failure | None = None

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            raise ValueError("a case result holds a measurement or a failure, never both, never neither")

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"{self.case.case_id}|{self.candidate}"


class CalibrationCheck(Read, frozen=True, kw_only=True):
    """One instrument against a known quantity."""

    instrument: str
    expected: float
    measured: float
    limit: float
    unit: str
    passed: bool
    detail: str = ""


class CalibrationResult(Line, tag="calibration", frozen=True, kw_only=True):
    """All instruments, on the manifest's machine or on ``other_machine`` (its fingerprint)."""

    checks: tuple[CalibrationCheck, ...]
    other_machine: str | None = None

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return "calibration" if self.other_machine is None else f"calibration|{self.other_machine}"


class ProbeResult(Line, tag="probe", frozen=True, kw_only=True):
    """A property that random data blurs, for one candidate."""

    probe: str
    case_id: str
    candidate: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"{self.probe}|{self.case_id}|{self.candidate}"


class MutantResult(Line, tag="mutant", frozen=True, kw_only=True):
    """A known-bad implementation, the criterion that must stop it, and those that did."""

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
        """Whether the gate stopped it, and for the right reason."""
        return self.verdict != "ACCEPT" and self.expected_criterion in self.rejected_by


class SuiteResult(Line, tag="suite", frozen=True, kw_only=True):
    """The test suite with the flag in one state."""

    flag: Literal["off", "on"]
    passed: int
    failed: int
    skipped: int
    command: str

    @property
    def key(self) -> str:
        """Name of the line in the manifest's plan."""
        return f"suite|{self.flag}"


ResultLine = CaseResult | CalibrationResult | ProbeResult | MutantResult | SuiteResult


class Scan(Read, frozen=True, kw_only=True):
    """The scan whose object and positions were used."""

    name: str
    path: str | None
    sha256: str
    object_shape: tuple[int, int]
    positions: int
    reading: tuple[str, ...] = ()
    prepared_sha256: str | None = None


class Planned(Read, frozen=True, kw_only=True):
    """One line the run intended to write."""

    key: str
    kind: Literal["case", "calibration", "probe", "mutant", "suite"]
    optional: bool = False


class Protocol(Read, frozen=True, kw_only=True):
    """How the run measured, declared before it started.

    ``noise_pairs_per_reference`` A/A pairs of the candidate go with each of its ``replicates`` processes of the
    reference (since schema 1.4).
    """

    replicates: int
    max_replicates: int
    samples: int
    discarded: int
    min_sample_s: float
    memory_pairs: int
    noise_pairs_per_reference: int = 2


class Manifest(Read, frozen=True, kw_only=True):
    """Head of a run folder."""

    schema_version: str
    run_id: str
    created_at: str
    sweep: str
    provisional: bool
    seed: int
    command: str
    scan: Scan
    reference_case_id: str
    reassembly_case_id: str | None
    candidate: str
    planned: tuple[Planned, ...]
    protocol: Protocol
    provenance: Provenance

    @property
    def is_paired(self) -> bool:
        """Whether its times are pairs, and are judged as such."""
        return self.schema_version in PAIRED_VERSIONS


class Run(Read, frozen=True, kw_only=True):
    """A run folder, read: lines in the order of their keys, whatever their order in the file.

    ``elsewhere`` holds the keys of lines that are there, of a machine that is not the one that is judged.
    """

    manifest: Manifest
    lines: tuple[ResultLine, ...]
    elsewhere: frozenset[str] = frozenset()

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        """The lines of cases."""
        return tuple(line for line in self.lines if isinstance(line, CaseResult))
