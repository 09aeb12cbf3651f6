"""What is measured of a case, and what went wrong: comparisons, times, peaks, failures.

Times are in seconds, sizes in bytes, error figures in units of the object's scale (`Comparison.scale`) or in units
in the last place of float32 (ULP).
"""

from __future__ import annotations

from typing import Literal

from validation.contract.base import Record

Role = Literal["candidate", "peer"]
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
    "tampered",  # what its process said does not fit what was seen of it, or it changed what measures it
    "worker_lost",  # on a cluster: each worker that tried it was lost
    "left_processes",  # processes that it started outlived it
]


class Comparison(Record, frozen=True, kw_only=True):
    """How far ``actual`` is from ``expected``, element by element.

    ``max_ulp`` is in units in the last place of float32, over real and imaginary parts;
    ``identical_share`` is the share of elements with identical bits. Both are ``None`` where shape or
    dtype differ, as are ``max_abs_error`` and ``worst_index``; ``max_abs_error`` is also ``None`` when a
    NaN or Inf makes it meaningless. ``passed`` is judged by the tolerances ``atol`` and ``rtol``: the largest share
    that a difference takes of what it may be is ``worst_share``. ``max_abs_error`` and ``atol`` are in units of
    ``scale``: the largest magnitude of a scan's object, 1 where the object is made. NaN and Inf are counted where they
    stand in ``actual``; since schema 2.0, where ``expected`` has not the same in that place.

    A result of several arrays is compared array by array: shapes, dtypes and ``worst_index`` are those of the array at
    ``path``, which is the worst. ``difference`` says in words what else differs: structure, names, an index, a text.
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
    rtol: float = 0.0
    worst_share: float | None = None
    path: str = ""
    difference: str | None = None


class Equivalence(Record, frozen=True, kw_only=True):
    """The three comparisons: candidate, reference and the independent float64 oracle, pairwise.

    ``reference`` may be absent where the slow loop was left out on purpose; then ``reference_left_out``
    says why. Of a kernel without an oracle there is the comparison with the reference alone.
    """

    candidate_vs_oracle: Comparison | None
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
