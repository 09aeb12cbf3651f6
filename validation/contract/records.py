"""Frozen records of a run: what a result line, a manifest and a failure are.

This module is the one place where the result format is defined. ``python -m validation schema`` prints
the JSON Schema that is generated from it; ``docs/results.md`` tells its history. The reader in
``reports/reading/records.py`` is held to it by a test.

Times are in seconds, sizes in bytes, error figures in units of the object's scale (`Comparison.scale`) or in units
in the last place of float32 (ULP).
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = "1.4"
# Versions that are still read. Only a run of the present version is continued.
READABLE_VERSIONS = ("1.0", "1.1", "1.2", "1.3", SCHEMA_VERSION)

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
    "tampered",  # what the implementation's process said does not fit what was seen of it from outside
    "worker_lost",  # on a cluster: each worker that tried it was lost
    "left_processes",  # processes that it started outlived it
    "tampered",  # it changed what measures it: settings of other processes, or the high-water mark
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
    ``threads`` holds the variables that children have as fixed or as kept, ``cleared_env`` the names of those that
    change allocators or compilers and that children do not have.
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
    cleared_env: tuple[str, ...] = ()


class Comparison(Record, frozen=True, kw_only=True):
    """How far ``actual`` is from ``expected``, element by element.

    ``max_ulp`` is in units in the last place of float32, over real and imaginary parts;
    ``identical_share`` is the share of elements with identical bits. Both are ``None`` where shape or
    dtype differ, as are ``max_abs_error`` and ``worst_index``; ``max_abs_error`` is also ``None`` when a
    NaN or Inf makes it meaningless. ``passed`` is judged by the tolerance ``atol`` with rtol 0. ``max_abs_error`` and
    ``atol`` are in units of ``scale``: the largest magnitude of a scan's object, 1 where the object is made.
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
    scale: float = 1.0


class Equivalence(Record, frozen=True, kw_only=True):
    """The three comparisons: candidate, reference and the independent float64 oracle, pairwise.

    ``reference`` may be absent where the slow loop was left out on purpose; then ``reference_left_out``
    says why.
    """

    candidate_vs_oracle: Comparison
    candidate_vs_reference: Comparison | None
    reference_vs_oracle: Comparison | None
    reference_left_out: str | None = None


class Audit(Record, frozen=True, kw_only=True):
    """A part of the result of one timed or metered call, drawn after the call, against the oracle.

    ``call`` counts the calls of its process from 0, ``entropy`` made its inputs: with it they can be made again.
    """

    call: int
    entropy: str
    comparison: Comparison


Order = Literal["reference_first", "candidate_first"]


class ArmTiming(Record, frozen=True, kw_only=True):
    """One process of an arm: the first call apart, then the samples of the steady state.

    ``samples_s`` are seconds per call; each sample lasted ``calls_per_sample`` calls. The first call holds the import
    of the implementation, which took ``import_s`` of it (``None`` before schema 1.4, where it was not in it).
    ``completion_s`` is what it took in the last call to have all bytes of the result in host memory.
    ``involuntary_switches`` is the count of involuntary context switches during the samples. ``audits`` tell whether
    the calls gave what they had to (none before schema 1.4).
    """

    implementation: str
    first_call_s: float
    samples_s: tuple[float, ...]
    calls_per_sample: int
    involuntary_switches: int
    import_s: float | None = None
    completion_s: float | None = None
    audits: tuple[Audit, ...] = ()


class TimingPair(Record, frozen=True, kw_only=True):
    """A replicate before schema 1.4: two arms measured next to each other; ``order`` says which ran first."""

    order: Order
    reference: ArmTiming
    candidate: ArmTiming


class Timing(Record, frozen=True, kw_only=True):
    """The processes of either arm in the order of the schedule, and the copy of the output.

    ``references`` are there unless the loop was left out. The first two ``candidates`` were next to each other in the
    schedule, the next two, and so on: an A/A pair each, which tests the instrument. ``copy_fresh_s`` and
    ``copy_warm_s`` are times of ``np.copyto`` of the output into fresh and into touched memory.
    ``contended_rejected`` counts processes that were thrown away and repeated because something else
    ran, ``contended_kept`` those that were kept because too many were; ``extended`` says whether the one
    extension declared beforehand was used.
    Before schema 1.4 there were ``pairs`` of both arms and ``noise_pairs`` of the candidate instead.
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


class ArmMemory(Record, frozen=True, kw_only=True):
    """High-water mark of one call: before it, and at its peak (absolute resident bytes).

    ``audits`` tell whether the metered call and the one before it gave what they had to (none before schema 1.4).
    """

    implementation: str
    baseline_bytes: int
    peak_bytes: int
    audits: tuple[Audit, ...] = ()


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
    """Paired peaks.

    ``meter`` names the instrument: ``VmHWM``, ``VmHWM and sampled descendants`` where processes were started, or
    ``memory_profiler``.
    """

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

    ``replicates`` counts the processes of the reference; with each go ``noise_pairs_per_reference`` pairs of
    neighbouring processes of the candidate (before schema 1.4: pairs of both arms). A ``max_replicates`` above
    ``replicates`` is the one extension that may be used.
    """

    replicates: int
    max_replicates: int
    samples: int
    discarded: int
    min_sample_s: float
    memory_pairs: int
    noise_pairs_per_reference: int = 2


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
