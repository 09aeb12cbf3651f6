"""Frozen records of a run: what a result line, a manifest and a failure are.

This module is the one place where the result format is defined. ``python -m validation schema`` prints
the JSON Schema that is generated from it; ``docs/results.md`` tells its history. The reader in
``reports/records.py`` is held to it by a test.

Times are in seconds, sizes in bytes, error figures in the units of the object (absolute) or in units
in the last place of float32 (ULP).
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = "1.3"
# Versions that are still read. Only a run of the present version is continued.
READABLE_VERSIONS = ("1.0", "1.1", "1.2", SCHEMA_VERSION)

Kernel = Literal["patch_extraction", "reassembly"]
Dtype = Literal["complex64", "complex128"]
Role = Literal["candidate", "peer"]
Check = Literal["equivalence", "time", "memory"]
FailureReason = Literal[
    "exception",  # the implementation raised
    "wrong_output",  # it returned something that cannot be compared (not an array, no result)
    "timeout",  # wall clock exceeded; printing does not extend it
    "signal",  # the child was killed by a signal (segmentation fault, SIGKILL ...)
    "out_of_memory",  # the child hit its own memory limit
    "exit_code",  # the child left with a non-zero exit code
    "no_result",  # the child left with exit code 0 and no result
    "skipped_memory",  # not started: it would need more than the limit
    "not_available",  # the candidate is not installed or the checkout lacks the function
    "worker_lost",  # on a cluster: each worker that tried it was lost
]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records: immutable, keyword-only, unknown fields refused."""


class Case(Record, frozen=True, kw_only=True):
    """One point of a sweep. The same ``case_id`` gives the same bits.

    ``height`` and ``width`` are of the object in pixels; ``M`` is the size of the central part that
    reassembly keeps (``None`` for patch extraction). ``batch`` is the number of groups B, the number
    of patches is ``batch * gridsize**2``.
    """

    case_id: str
    kernel: Kernel
    N: int
    gridsize: int
    batch: int
    dtype: Dtype
    height: int
    width: int
    pattern: str
    seed: int
    M: int | None = None


class Machine(Record, frozen=True, kw_only=True):
    """Fingerprint of a machine; results of different fingerprints are never mixed in a verdict."""

    fingerprint: str
    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    kernel: str
    governor: str | None


class Provenance(Record, frozen=True, kw_only=True):
    """Where a number comes from: commit, sources, machine, versions, thread settings.

    ``harness_digest`` is of the sources that measured, ``candidate_digest`` of those of a candidate that came with
    neither ``ptycho`` nor the harness (``None`` otherwise, and both before schema 1.3).
    """

    commit: str | None
    dirty: bool | None
    commit_subject: str | None
    kernel_digest: str
    ptycho_path: str
    machine: Machine
    versions: dict[str, str]
    threads: dict[str, str]
    harness_digest: str | None = None
    candidate_digest: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """How far ``actual`` is from ``expected``, element by element.

    ``max_ulp`` is in units in the last place of float32, over real and imaginary parts;
    ``identical_share`` is the share of elements with identical bits. Both are ``None`` where shape or
    dtype differ, as are ``max_abs_error`` and ``worst_index``; ``max_abs_error`` is also ``None`` when a
    NaN or Inf makes it meaningless. ``passed`` is judged by the tolerance ``atol`` with rtol 0.
    """

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


class Equivalence(Record, frozen=True, kw_only=True):
    """The three comparisons: candidate, reference and the independent float64 oracle, pairwise.

    ``reference`` may be absent where the slow loop was left out on purpose; then ``reference_left_out``
    says why.
    """

    candidate_vs_oracle: Comparison
    candidate_vs_reference: Comparison | None
    reference_vs_oracle: Comparison | None
    reference_left_out: str | None = None


Order = Literal["reference_first", "candidate_first"]


class ArmTiming(Record, frozen=True, kw_only=True):
    """One arm of a replicate: the first call apart, then the samples of the steady state.

    ``samples_s`` are seconds per call; each sample lasted ``calls_per_sample`` calls.
    ``involuntary_switches`` is the count of involuntary context switches during the samples.
    """

    implementation: str
    first_call_s: float
    samples_s: tuple[float, ...]
    calls_per_sample: int
    involuntary_switches: int


class TimingPair(Record, frozen=True, kw_only=True):
    """A replicate: two arms measured next to each other; ``order`` says which ran first."""

    order: Order
    reference: ArmTiming
    candidate: ArmTiming


class Timing(Record, frozen=True, kw_only=True):
    """Paired replicates, the A/A pairs that give the noise floor, and the copy of the output.

    ``noise_pairs`` hold the same implementation in both arms. ``copy_fresh_s`` and
    ``copy_warm_s`` are times of ``np.copyto`` of the output into fresh and into touched memory.
    ``contended_rejected`` counts replicates that were thrown away and repeated because something else
    ran, ``contended_kept`` those that were kept because too many were; ``extended`` says whether the one
    extension declared beforehand was used.
    """

    pairs: tuple[TimingPair, ...]
    noise_pairs: tuple[TimingPair, ...]
    copy_fresh_s: tuple[float, ...]
    copy_warm_s: tuple[float, ...]
    contended_rejected: int
    extended: bool
    contended_kept: int = 0


class ArmMemory(Record, frozen=True, kw_only=True):
    """High-water mark of one call: before it, and at its peak (absolute resident bytes)."""

    implementation: str
    baseline_bytes: int
    peak_bytes: int


class MemoryPair(Record, frozen=True, kw_only=True):
    """One arm per process, both arms next to each other."""

    reference: ArmMemory
    candidate: ArmMemory


class Timeline(Record, frozen=True, kw_only=True):
    """What rose when: resident bytes over time of one call, by ``memory_profiler``. Draws, never decides."""

    implementation: str
    time_s: tuple[float, ...]
    resident_bytes: tuple[int, ...]


class Memory(Record, frozen=True, kw_only=True):
    """Paired peaks. ``meter`` names the instrument (``VmHWM`` or ``memory_profiler``)."""

    meter: str
    pairs: tuple[MemoryPair, ...]
    output_bytes: int
    timelines: tuple[Timeline, ...] = ()


class Measurement(Record, frozen=True, kw_only=True):
    """What a case gave. A check that the case did not ask for is ``None``."""

    equivalence: Equivalence | None = None
    timing: Timing | None = None
    memory: Memory | None = None


class Failure(Record, frozen=True, kw_only=True):
    """Why a case gave nothing."""

    reason: FailureReason
    message: str
    arm: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    stderr_tail: tuple[str, ...] = ()


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
    ``outputs_sha256`` holds the digest of each output that was compared, as the .npy file it was saved in.
    """

    case: Case
    candidate: str
    role: Role
    checks: tuple[Check, ...]
    wall_s: float
    measured_s: float
    measurement: Measurement | None = None
    failure: Failure | None = None
    outputs_sha256: dict[str, str] = {}

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            raise ValueError("a case result holds a measurement or a failure, never both, never neither")


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


class ProbeResult(Line, tag="probe", frozen=True, kw_only=True):
    """A probe of METHOD kind: a property that random data blurs, for one candidate.

    ``wall_s`` is the whole time the probe took (``None`` before schema 1.1), ``measured_s`` the part of it inside
    calls of the candidate.
    """

    probe: str
    case_id: str
    candidate: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str
    wall_s: float | None = None
    measured_s: float = 0.0


class MutantResult(Line, tag="mutant", frozen=True, kw_only=True):
    """A known-bad implementation or harness fault, the criterion that must reject it, and those that did."""

    mutant: str
    defect: str
    description: str
    expected_criterion: str
    rejected_by: tuple[str, ...]
    verdict: str
    detail: str


class SuiteResult(Line, tag="suite", frozen=True, kw_only=True):
    """The test suite of the package with the flag in one state."""

    flag: Literal["off", "on"]
    passed: int
    failed: int
    skipped: int
    command: str


ResultLine = CaseResult | CalibrationResult | ProbeResult | MutantResult | SuiteResult


class Scan(Record, frozen=True, kw_only=True):
    """The scan whose object and positions were used. ``path`` is as the user gave it.

    ``sha256`` is of that file; ``reading`` holds the options that say how it is read, and ``prepared_sha256`` is of
    what was made of it for the children to read (``None``: they read the file itself).
    """

    name: str
    path: str | None
    sha256: str
    object_shape: tuple[int, int]
    positions: int
    reading: tuple[str, ...] = ()
    prepared_sha256: str | None = None

    @property
    def read_sha256(self) -> str:
        """Digest of the file that the children read."""
        return self.prepared_sha256 or self.sha256


class Planned(Record, frozen=True, kw_only=True):
    """One line the run intends to write. ``key`` is unique in the run and names the line.

    For cases and probes the key is ``case_id|candidate`` (probes: ``probe|case_id|candidate``), for the
    rest ``calibration``, ``mutant|NAME``, ``suite|off``. A ``calibration|FINGERPRINT`` is never planned.
    """

    key: str
    kind: Literal["case", "calibration", "probe", "mutant", "suite"]
    optional: bool = False


class Protocol(Record, frozen=True, kw_only=True):
    """How this run measures, declared before it starts.

    A ``max_replicates`` above ``replicates`` is the one extension that may be used.
    """

    replicates: int
    max_replicates: int
    samples: int
    discarded: int
    min_sample_s: float
    memory_pairs: int


class Manifest(Record, frozen=True, kw_only=True):
    """Head of a run folder, written before the first case.

    ``reference_case_id`` is the case the speed and memory criteria are judged at; ``provisional`` marks a
    sweep whose verdict is no evidence.
    """

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
