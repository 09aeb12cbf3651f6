"""What the parent asks of a child process, and what the child answers.

A task is one action on one implementation of one case. The child answers with exactly one reply on a
file of its own (TensorFlow's log goes to stdout and stderr). An implementation is named ``reference``,
``oracle``, or by the name of a candidate, peer or mutant that ``validation.kernels.registry`` resolves.

``measured_s`` in a reply is the time inside calls of the implementation, discarded ones included; it feeds the
run's overhead share and nothing else.
"""

from __future__ import annotations

from typing import Literal

from validation.contract.base import Record
from validation.contract.cards import KernelSource
from validation.contract.cases import Case, Protocol
from validation.contract.lines import CalibrationCheck
from validation.contract.manifest import Scan
from validation.contract.measurements import ArmMemory, ArmTiming, Timeline

Action = Literal["scan", "output", "outputs", "time", "copy", "memory", "timeline", "calibrate", "property"]


class Task(Record, frozen=True, kw_only=True):
    """One action on one implementation of one case.

    ``sources`` say where the kernels are. ``scan_path`` is the .npz whose object and positions feed the inputs
    (``None``: no kernel takes one); ``output_path`` is where ``output`` leaves the result, and where ``time`` and
    ``memory`` leave the parts of results that they kept; ``paths`` are folders that come first where modules are looked
    for. With ``entropy`` the inputs of ``output`` are those of a timed or metered call that had it; else those of the
    case and its seed. ``outputs`` leaves the results of several calls, one for each of ``entropies``. ``copy_bytes`` is
    the size of what ``copy`` copies. ``may_share`` allows a result that shares memory with an input, as that of the
    reference does.
    """

    action: Action
    sources: tuple[KernelSource, ...] = ()
    scan_path: str | None = None
    case: Case | None = None
    implementation: str | None = None
    output_path: str | None = None
    paths: tuple[str, ...] = ()
    protocol: Protocol | None = None
    property: str | None = None
    memory_limit_bytes: int | None = None
    entropy: str | None = None
    entropies: tuple[str, ...] = ()
    copy_bytes: int = 0
    may_share: bool = False


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
    """The scan was read and checked by the package's own reader."""

    scan: Scan


class OutputReply(Record, tag_field="action", tag="output", frozen=True, kw_only=True):
    """The output was saved to ``output_path``; ``call_s`` is the time of the first call.

    ``shares`` says whether the result shares memory with an input.
    """

    output_path: str
    call_s: float
    shares: bool = False


class TimeReply(Record, tag_field="action", tag="time", frozen=True, kw_only=True):
    """One arm of a replicate."""

    timing: ArmTiming
    calls: Calls
    output_bytes: int
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


class PropertyReply(Record, tag_field="action", tag="property", frozen=True, kw_only=True):
    """Whether the property holds, and the figure that says so."""

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
    | PropertyReply
    | ErrorReply
)
