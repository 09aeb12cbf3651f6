"""What the parent asks of a child process, and what the child answers.

A task is one action on one implementation of one case. The child answers with exactly one reply on a
file of its own (TensorFlow's log goes to stdout and stderr). An implementation is named ``reference``,
``oracle``, or by the name of a candidate, peer or mutant that ``validation.kernels.registry`` resolves.

``measured_s`` in a reply is the time inside calls of the implementation, discarded ones included; it feeds the
run's overhead share and nothing else.
"""

from __future__ import annotations

from typing import Literal

from validation.contract.records import (
    ArmMemory,
    ArmTiming,
    CalibrationCheck,
    Case,
    Protocol,
    Record,
    Scan,
    Timeline,
)

Action = Literal["scan", "output", "time", "copy", "memory", "timeline", "calibrate", "probe"]


class Task(Record, frozen=True, kw_only=True):
    """One action on one implementation of one case.

    ``scan_path`` is the .npz whose object and positions feed the workload (the parent makes the
    built-in scan as a file, too); ``output_path`` is where ``output`` leaves its .npy, and where ``time`` and
    ``memory`` leave the parts of results that they kept; ``ptycho_path``
    is the folder that holds the ``ptycho`` package to measure (``None``: the installed one). With ``entropy`` the
    inputs of ``output`` are those of a timed or metered call that had it; else those of the case and its seed.
    """

    action: Action
    scan_path: str
    case: Case | None = None
    implementation: str | None = None
    output_path: str | None = None
    ptycho_path: str | None = None
    protocol: Protocol | None = None
    probe: str | None = None
    memory_limit_bytes: int | None = None
    entropy: str | None = None


Which = Literal["first", "later"]


class KeptPart(Record, frozen=True, kw_only=True):
    """A part of the result of a call (its number in the process, from 0), kept for the parent to check."""

    which: Which
    call: int


class Calls(Record, frozen=True, kw_only=True):
    """What a child says of its calls: their times, which were on the smallest part only, what it kept of their results.

    ``processor_s`` is the processor time of the process inside the calls.
    """

    calls_s: tuple[float, ...]
    processor_s: float
    small: tuple[int, ...]
    kept: tuple[KeptPart, ...]


class ScanReply(Record, tag_field="action", tag="scan", frozen=True, kw_only=True):
    """The scan was read and checked by ``ptycho.raw_data.RawData.from_npz``."""

    scan: Scan


class OutputReply(Record, tag_field="action", tag="output", frozen=True, kw_only=True):
    """The output was saved to ``output_path``; ``call_s`` is the time of the first call."""

    output_path: str
    call_s: float


class TimeReply(Record, tag_field="action", tag="time", frozen=True, kw_only=True):
    """One arm of a replicate."""

    timing: ArmTiming
    calls: Calls
    measured_s: float = 0.0


class CopyReply(Record, tag_field="action", tag="copy", frozen=True, kw_only=True):
    """Times of copying an array of the output's shape into fresh and into touched memory, and of filling that."""

    fresh_s: tuple[float, ...]
    warm_s: tuple[float, ...]
    fill_s: tuple[float, ...]
    measured_s: float = 0.0


class MemoryReply(Record, tag_field="action", tag="memory", frozen=True, kw_only=True):
    """One arm of a memory pair; ``meter`` names the instrument.

    ``metered_s`` is when the metered call began and ended, by the system's monotonic clock: what the parent saw of
    the child's memory meanwhile is held against it.
    """

    memory: ArmMemory
    meter: str
    output_bytes: int
    calls: Calls
    measured_s: float = 0.0
    metered_s: tuple[float, float] = (0.0, float("inf"))


class TimelineReply(Record, tag_field="action", tag="timeline", frozen=True, kw_only=True):
    """Resident memory over the time of one call."""

    timeline: Timeline
    measured_s: float = 0.0


class CalibrateReply(Record, tag_field="action", tag="calibrate", frozen=True, kw_only=True):
    """The instruments against known quantities.

    ``held_s`` is when a subprocess held a known amount of memory, from before its start to its end: whoever looked on
    from outside has a check to add (`validation.child.calibration.descendants`).
    """

    checks: tuple[CalibrationCheck, ...]
    held_s: tuple[float, float] = (0.0, 0.0)


class ProbeReply(Record, tag_field="action", tag="probe", frozen=True, kw_only=True):
    """Whether the probed property holds, and the figure that says so."""

    passed: bool
    figure: float | None
    limit: float | None
    detail: str
    measured_s: float = 0.0


class ErrorReply(Record, tag_field="action", tag="error", frozen=True, kw_only=True):
    """The implementation or the input failed inside the child.

    ``bad_input`` marks the user's input
    (exit code 2 for the whole run), ``not_available`` a candidate that is not there.
    """

    reason: Literal["exception", "wrong_output", "out_of_memory", "bad_input", "not_available", "tampered"]
    message: str


Reply = (
    ScanReply
    | OutputReply
    | TimeReply
    | CopyReply
    | MemoryReply
    | TimelineReply
    | CalibrateReply
    | ProbeReply
    | ErrorReply
)
