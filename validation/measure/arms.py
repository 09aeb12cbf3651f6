"""One process of one arm: what it said of its times or its memory, held against what was seen from outside."""

from __future__ import annotations

import os
import secrets
from typing import Any, TypeVar

import msgspec

from validation.child.watch import clocked
from validation.contract.cases import Case
from validation.contract.measurements import ArmMemory, ArmTiming, Audit
from validation.contract.tasks import Action, MemoryReply, TimeReply
from validation.machine.others import Others
from validation.measure import audit
from validation.measure.bench import Bench, CaseFailed
from validation.measure.runner import Answer

ReplyOf = TypeVar("ReplyOf", TimeReply, MemoryReply)


# A child whose times do not fit is asked again: other work may have held up the server, and no implementation is at
# fault for that. One that never fits is. Beside work of others more tries are needed.
_TRIES = 3
_TRIES_BESIDE_OTHERS = 12


def _fitting(
    bench: Bench, action: Action, expected: type[ReplyOf], case: Case, implementation: str
) -> tuple[ReplyOf, Answer, tuple[Audit, ...]]:
    """Measure until what the child says fits what was seen.

    Raises
    ------
    CaseFailed
        If it never does.
    """
    alone = 0
    for remaining in reversed(range(_TRIES_BESIDE_OTHERS)):
        others = Others()
        try:
            return _measured(bench, action, expected, case, implementation)
        except CaseFailed as failed:
            if failed.failure.reason != "tampered":
                raise
            alone += not others.disturbed(bench.last_cpu_s)
            if alone == _TRIES:
                raise
            if not remaining:
                hint = "others kept the processors busy; if nothing is wrong with it, measure on a quiet machine"
                message = f"{failed.failure.message} ({hint})"
                raise CaseFailed(msgspec.structs.replace(failed.failure, message=message)) from None
    raise RuntimeError("a process is measured at least once")


def _measured(
    bench: Bench, action: Action, expected: type[ReplyOf], case: Case, implementation: str
) -> tuple[ReplyOf, Answer, tuple[Audit, ...]]:
    """Run a task that measures calls, and check the calls."""
    path = bench.scratch / secrets.token_hex(8)
    asked: dict[str, Any] = {"case": case, "implementation": implementation, "output_path": str(path)}
    kernel = bench.kernel(case)
    may_share = bench.may_share(case)
    try:
        reply, answer = bench.ask(action, expected, protocol=bench.protocol, may_share=may_share, **asked)
        told = reply.calls
        seen = audit.witnessed(
            answer.marks, told.calls_s, told.processor_s, len(os.sched_getaffinity(0)), implementation
        )
        if isinstance(reply, TimeReply):
            audit.require_samples_of_calls(reply.timing, told.calls_s)
        own_s = min(
            clocked(lambda: audit.inputs_of(kernel, case, bench.scan_path, seen[0].inputs))[0] for _ in range(2)
        )
        audit.require_prompt(seen, own_s, implementation)
        audits = audit.check_parts(bench, told, seen, case=case, path=path, arm=implementation)
    finally:
        path.unlink(missing_ok=True)
    return reply, answer, audits


def timed(bench: Bench, case: Case, implementation: str) -> tuple[ArmTiming, int, Answer]:
    """Time an implementation in a fresh process; also the bytes of its result.

    Raises
    ------
    CaseFailed
        If there is no reply, or it does not fit what was seen.
    """
    reply, answer, audits = _fitting(bench, "time", TimeReply, case, implementation)
    return msgspec.structs.replace(reply.timing, audits=audits), reply.output_bytes, answer


def metered(bench: Bench, case: Case, implementation: str) -> tuple[ArmMemory, MemoryReply]:
    """Read the peak of memory of an implementation in a fresh process.

    Raises
    ------
    CaseFailed
        If there is no reply, or it does not fit what was seen.
    """
    reply, _, audits = _fitting(bench, "memory", MemoryReply, case, implementation)
    return msgspec.structs.replace(reply.memory, audits=audits), reply
