"""One process of one arm: what it said of its times or its memory, held against what was seen from outside."""

from __future__ import annotations

import os
import secrets
from typing import Any, TypeVar

import msgspec

from validation import audit
from validation.bench import Bench
from validation.compare import ATOL
from validation.records import ArmMemory, ArmTiming, Audit, Case
from validation.runner import Answer
from validation.tasks import Action, MemoryReply, TimeReply

ReplyOf = TypeVar("ReplyOf", TimeReply, MemoryReply)


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
    reply, answer, audits = _measured(bench, "time", TimeReply, case, implementation)
    return msgspec.structs.replace(reply.timing, audits=audits), answer


def metered(bench: Bench, case: Case, implementation: str) -> tuple[ArmMemory, MemoryReply]:
    """Read the peak of memory of an implementation in a fresh process.

    Raises
    ------
    CaseFailed
        If there is no reply, or it does not fit what was seen.
    """
    reply, _, audits = _measured(bench, "memory", MemoryReply, case, implementation)
    return msgspec.structs.replace(reply.memory, audits=audits), reply
