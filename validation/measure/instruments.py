"""What is read before anything counts: the instruments, against what is known, and the scan."""

from __future__ import annotations

from pathlib import Path

import msgspec

from validation.contract.cases import Case
from validation.contract.errors import InstrumentError, UsageError
from validation.contract.lines import CalibrationCheck, CalibrationResult
from validation.contract.manifest import Scan
from validation.contract.tasks import CalibrateReply, ErrorReply, ScanReply, Task
from validation.measure.bench import Bench
from validation.measure.runner import Executor
from validation.subject.scans import BUILT_IN_SCAN


def read_instruments(bench: Bench, case: Case | None) -> tuple[CalibrationCheck, ...]:
    """Read what is known with every instrument; the seed with the inputs of a case.

    Raises
    ------
    InstrumentError
        If there is no reading.
    """
    answer = bench.executor.run(bench.task("calibrate", case=case), bench.timeout_s)
    if isinstance(answer.reply, CalibrateReply):
        return answer.reply.checks
    if isinstance(answer.reply, ErrorReply) and answer.reply.reason == "bad_input":
        raise UsageError(answer.reply.message)
    failure = answer.failure
    raise InstrumentError(
        "the calibration gave no result"
        + (f" ({failure.reason}: {failure.message})" if failure else "")
        + "; see python -m validation doctor"
    )


def misreadings(line: CalibrationResult) -> str:
    """Say what the instruments read that do not read right; empty if all do."""
    return "; ".join(
        f"{check.instrument} must read {check.expected:g} {check.unit} within {100 * check.limit:g} %, "
        f"got {check.measured:g}"
        for check in line.checks
        if not check.passed
    )


def require_calibrated(line: CalibrationResult) -> None:
    """Refuse to go on with instruments that do not read what is known.

    Raises
    ------
    InstrumentError
        If a check of the calibration did not pass.
    """
    readings = misreadings(line)
    if readings:
        raise InstrumentError(
            f"{readings}; nothing was measured, see python -m validation doctor, then start a new run"
        )


def read_scan(executor: Executor, path: str, given: str | None, paths: tuple[str, ...]) -> Scan:
    """Read and check a scan in a child process.

    Raises
    ------
    UsageError
        If it is not a scan.
    InstrumentError
        If the child that should read it was killed.
    """
    answer = executor.run(Task(action="scan", scan_path=path, paths=paths), 120.0)
    if isinstance(answer.reply, ScanReply):
        name = BUILT_IN_SCAN if given is None else Path(given).name
        return msgspec.structs.replace(answer.reply.scan, name=name, path=given)
    if isinstance(answer.reply, ErrorReply):
        raise UsageError(" ".join(answer.reply.message.split()))
    failure = answer.failure
    if failure is not None and failure.reason in ("signal", "timeout"):
        raise InstrumentError(
            f"the scan could not be read, since its child ended ({failure.reason}: {failure.message}); start again"
        )
    raise UsageError(
        f"--data must be a scan file that can be read, but reading {given or BUILT_IN_SCAN} failed "
        f"({failure.reason if failure else 'no reply'}: {' '.join(failure.message.split()) if failure else ''})"
    )
