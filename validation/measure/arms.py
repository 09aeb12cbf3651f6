"""One process of one arm: what it said of its times or its memory, held against what was seen from outside."""

from __future__ import annotations

import os
import secrets
from typing import Any, TypeVar

import msgspec

from validation.child.watch import clocked
from validation.contract.records import ArmMemory, ArmTiming, Audit, Case
from validation.contract.tasks import Action, MemoryReply, TimeReply
from validation.measure import audit
from validation.measure.bench import Bench, CaseFailed
from validation.measure.runner import Answer
from validation.outputs.compare import ATOL

ReplyOf = TypeVar("ReplyOf", TimeReply, MemoryReply)


# A child whose times do not fit is asked again: other work may have held up the server, and no implementation is at
# fault for that. One that never fits is.
_TRIES = 3


def _fitting(
    bench: Bench, action: Action, expected: type[ReplyOf], case: Case, implementation: str
) -> tuple[ReplyOf, Answer, tuple[Audit, ...]]:
    """Measure until what the child says fits what was seen."""
    for _ in range(_TRIES - 1):
        try:
            return _measured(bench, action, expected, case, implementation)
        except CaseFailed as failed:
            if failed.failure.reason != "tampered":
                raise
    return _measured(bench, action, expected, case, implementation)


def _measured(
    bench: Bench, action: Action, expected: type[ReplyOf], case: Case, implementation: str
) -> tuple[ReplyOf, Answer, tuple[Audit, ...]]:
    """Run a task that measures calls, and check the calls."""
    path = bench.scratch / secrets.token_hex(8)
    asked: dict[str, Any] = {"case": case, "implementation": implementation, "output_path": str(path)}
    try:
        reply, answer = bench.ask(action, expected, protocol=bench.protocol, **asked)
        told = reply.calls
        seen = audit.witnessed(
            answer.marks, told.calls_s, told.processor_s, len(os.sched_getaffinity(0)), implementation
        )
        if isinstance(reply, TimeReply):
            audit.require_samples_of_calls(reply.timing, told.calls_s)
        own_s = min(clocked(lambda: audit.inputs_of(case, bench.scan_path, seen[0].inputs))[0] for _ in range(2))
        audit.require_prompt(seen, own_s, implementation)
        audits = audit.check_parts(
            told, seen, case=case, scan_path=bench.scan_path, path=path, arm=implementation, atol=ATOL
        )
    finally:
        path.unlink(missing_ok=True)
    return reply, answer, audits


def timed(bench: Bench, case: Case, implementation: str) -> tuple[ArmTiming, Answer]:
    """Time an implementation in a fresh process.

    Raises
    ------
    CaseFailed
        If there is no reply, or it does not fit what was seen.
    """
    reply, answer, audits = _fitting(bench, "time", TimeReply, case, implementation)
    return msgspec.structs.replace(reply.timing, audits=audits), answer


def metered(bench: Bench, case: Case, implementation: str) -> tuple[ArmMemory, MemoryReply]:
    """Read the peak of memory of an implementation in a fresh process.

    Raises
    ------
    CaseFailed
        If there is no reply, or it does not fit what was seen.
    """
    reply, _, audits = _fitting(bench, "memory", MemoryReply, case, implementation)
    return msgspec.structs.replace(reply.memory, audits=audits), reply
