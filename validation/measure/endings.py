"""How a child ended: its reply, or the one reason why there is none."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import msgspec

from validation.child import calibration, memory
from validation.child.worker import Outcome
from validation.contract.errors import UNDECODABLE
from validation.contract.measurements import Failure, FailureReason
from validation.contract.tasks import CalibrateReply, ErrorReply, MemoryReply, Reply
from validation.machine.residents import within

STDERR_TAIL = 12
# What the system's counters of memory may differ by when they are read twice: they are kept for each processor.
_COUNTERS_BYTES = 2**24
JOB_KILLED = (
    "killed by the system as the memory limit of this job or container (its cgroup) was used up, which is not the "
    "limit of the child; give the job more memory"
)
_OUT_OF_MEMORY = re.compile(
    r"std::bad_alloc|MemoryError|out of memory|cannot allocate memory|OOM when allocating|failed to allocate|"
    r"resource ?exhausted|virtual memory exhausted|paging file",
    re.IGNORECASE,
)


def classify(
    outcome: Outcome, reply: bytes | None, timeout_s: float, arm: str | None, *, job_killed: bool = False
) -> Reply | Failure:
    """Turn the end of a child into its reply, or into the one reason why there is none.

    Parameters
    ----------
    outcome : Outcome
    reply : bytes or None
        Content of the reply file; ``None`` if there is none.
    timeout_s : float
    arm : str or None
        Name of the implementation.
    job_killed : bool
        Whether the system killed a process meanwhile, as the memory of the job was used up.
    """
    tail = tuple(line for line in outcome.stderr.splitlines() if line.strip())[-STDERR_TAIL:]

    def failure(reason: FailureReason, message: str) -> Failure:
        name = signal.Signals(outcome.signal).name if outcome.signal in set(signal.Signals) else None
        return Failure(
            reason=reason,
            message=message,
            arm=arm,
            exit_code=outcome.exit_code,
            signal=name if outcome.signal is None or name else str(outcome.signal),
            stderr_tail=tail,
        )

    if outcome.killed:
        return failure("timeout", f"still running after {timeout_s:g} s; it was killed with its process group")
    if outcome.signal == signal.SIGKILL and job_killed:
        return failure("out_of_memory", JOB_KILLED)
    if outcome.signal is not None:
        if _OUT_OF_MEMORY.search("\n".join(tail)):
            return failure("out_of_memory", "an allocation failed at the memory limit, and the process aborted")
        return failure("signal", f"killed by signal {outcome.signal}")
    if outcome.exit_code != 0:
        if _OUT_OF_MEMORY.search("\n".join(tail)):
            return failure("out_of_memory", "an allocation failed at the memory limit")
        last = f": {tail[-1].strip()[:200]}" if tail else ""
        return failure("exit_code", f"left with exit code {outcome.exit_code}{last}")
    if reply is None:
        return failure("no_result", "left with exit code 0 and without a reply")
    try:
        decoded = msgspec.json.decode(reply, type=Reply)
    except UNDECODABLE as error:
        return failure("wrong_output", f"the reply is not one of the contract's: {error}")
    if isinstance(decoded, ErrorReply) and decoded.reason != "bad_input":
        return failure(decoded.reason, decoded.message)
    if outcome.changes:
        return failure("tampered", f"changed the {'; the '.join(map(str, outcome.changes))}")
    if outcome.left_behind:
        return failure(
            "left_processes",
            f"left processes behind that had to be ended: {', '.join(outcome.left_behind)}; what an implementation "
            "starts must end before it",
        )
    if isinstance(decoded, CalibrateReply) and memory.meter() == memory.KERNEL_METER:
        read = calibration.descendants(outcome.looks, decoded.held_s)
        return msgspec.structs.replace(decoded, checks=(*decoded.checks, read))
    if isinstance(decoded, MemoryReply):
        return _with_descendants(decoded, outcome, failure)
    return decoded  # type: ignore[no-any-return]


def _with_descendants(
    reply: MemoryReply, outcome: Outcome, failure: Callable[[FailureReason, str], Failure]
) -> MemoryReply | Failure:
    """Hold the child's own figure against what was seen from outside, and count what the child started.

    A mark that stood higher during the call than at its end was reset.
    """
    if not reply.meter.startswith(memory.KERNEL_METER):
        return reply
    looks = within(outcome.looks, *reply.metered_s)
    seen, told = max((look.mark_bytes for look in looks), default=0), reply.memory.peak_bytes
    if seen > 1.02 * told + _COUNTERS_BYTES:
        return failure(
            "tampered",
            f"its high-water mark stood at {seen / 1e6:.4g} MB during the metered call and reads {told / 1e6:.4g} MB "
            "at the end: it was reset",
        )
    if not any(look.descendants for look in looks):
        return reply
    peak = max(told, *(look.all_bytes for look in looks))
    return msgspec.structs.replace(
        reply,
        memory=msgspec.structs.replace(reply.memory, peak_bytes=peak),
        meter=reply.meter.replace(memory.KERNEL_METER, memory.WITH_DESCENDANTS, 1),
    )
