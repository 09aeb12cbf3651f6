"""One item of the plan in, its result line out: the same wherever the item runs.

Whatever happens to an item becomes its line. ``head`` holds the fields that every line has.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.errors import InstrumentError
from validation.contract.records import (
    CalibrationCheck,
    CaseResult,
    Failure,
    Manifest,
    Measurement,
    MutantResult,
    ProbeResult,
    SuiteResult,
)
from validation.contract.tasks import CalibrateReply, ProbeReply, Task
from validation.measure import case as measure
from validation.measure.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.plan.items import CaseItem, ProbeItem, SuiteItem, memory_shortage
from validation.subject.suite import find_suite, run_suite

SUITE_TIMEOUT_S = 1200.0
GALLERY_ATTEMPTS = 2


def _outputs_sha256(bench: Bench, item: CaseItem, measurement: Measurement | None) -> dict[str, str]:
    """Digests of the outputs that were compared."""
    if measurement is None or measurement.equivalence is None:
        return {}
    names = [item.candidate, ORACLE]
    if measurement.equivalence.candidate_vs_reference is not None:
        names.append(REFERENCE)
    return {name: bench.output(item.planned.case, name).sha256() for name in names}


def case_line(bench: Bench, item: CaseItem, memory_limit_bytes: int | None, head: dict[str, Any]) -> CaseResult:
    """Measure one case for one candidate."""
    started, measured_before, elsewhere_before = time.monotonic(), bench.measured_s, bench.elsewhere_s
    measurement = None
    failure: Failure | None = memory_shortage(item, memory_limit_bytes)
    if failure is None:
        try:
            measurement = measure.measure(bench, item.planned, item.candidate, item.checks)
        except CaseFailed as failed:
            failure = failed.failure
    return CaseResult(
        case=item.planned.case,
        candidate=item.candidate,
        role=item.role,
        checks=item.checks,
        measurement=measurement,
        failure=failure,
        outputs_sha256=_outputs_sha256(bench, item, measurement),
        wall_s=time.monotonic() - started + bench.elsewhere_s - elsewhere_before,
        measured_s=bench.measured_s - measured_before,
        **head,
    )


def probe_line(bench: Bench, item: ProbeItem, head: dict[str, Any]) -> ProbeResult:
    """Run one probe; a child that fails is a probe that did not pass."""
    task = Task(
        action="probe",
        scan_path=bench.scan_path,
        ptycho_path=bench.ptycho_path,
        case=item.case,
        implementation=item.candidate,
        probe=item.probe,
    )
    started = time.monotonic()
    answer = bench.executor.run(task, bench.timeout_s)
    reply, failure = answer.reply, answer.failure
    found = reply if isinstance(reply, ProbeReply) else None
    why = f"{failure.reason}: {failure.message}" if failure else f"expected a ProbeReply, got {reply}"
    return ProbeResult(
        probe=item.probe,
        case_id=item.case.case_id,
        candidate=item.candidate,
        passed=found is not None and found.passed,
        figure=found.figure if found else None,
        limit=found.limit if found else None,
        detail=found.detail if found else why,
        wall_s=time.monotonic() - started,
        measured_s=found.measured_s if found else 0.0,
        **head,
    )


def read_instruments(bench: Bench) -> tuple[CalibrationCheck, ...]:
    """Read what is known with every instrument.

    Raises
    ------
    InstrumentError
        If there is no reading.
    """
    task = Task(action="calibrate", scan_path=bench.scan_path, ptycho_path=bench.ptycho_path)
    answer = bench.executor.run(task, bench.timeout_s)
    if isinstance(answer.reply, CalibrateReply):
        return answer.reply.checks
    failure = answer.failure
    raise InstrumentError(
        "the calibration gave no result"
        + (f" ({failure.reason}: {failure.message})" if failure else "")
        + "; see python -m validation doctor"
    )


def suite_line(bench: Bench, item: SuiteItem, head: dict[str, Any]) -> SuiteResult | None:
    """Run the package's own tests with the flag in one state; ``None`` where it came without tests."""
    checkout = find_suite(bench.ptycho_path)
    if checkout is None:
        return None
    found = run_suite(checkout, item.flag, dict(head["provenance"].threads), SUITE_TIMEOUT_S, bench.require_going)
    return SuiteResult(flag=item.flag, **msgspec.to_builtins(found), **head)


def mutant_lines(
    bench: Bench, manifest: Manifest, folder: Path, names: tuple[str, ...], head: Callable[[], dict[str, Any]]
) -> tuple[tuple[MutantResult, ...], str | None]:
    """Let the gate judge the known-bad, beside the true candidate as the control.

    Returns
    -------
    lines : tuple of MutantResult
    note : str or None
        What is out of the ordinary.

    Raises
    ------
    InstrumentError
        If something that must work for it does not.
    """
    from validation.gallery.running import run_mutants

    try:
        for attempt in range(GALLERY_ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted or undecided gallery left
            gallery = run_mutants(
                bench,
                scan=manifest.scan,
                origin=manifest.provenance,
                folder=folder,
                line_fields=head,
                candidate=manifest.candidate,
                only=names,
            )
            # A control that noise leaves undecided shows nothing; a rejected one would be rejected again.
            if gallery.control_verdict != "INCONCLUSIVE" or attempt + 1 == GALLERY_ATTEMPTS:
                break
    except CaseFailed as failed:
        raise InstrumentError(
            f"the gallery of mutants cannot run ({failed.failure.arm}: {failed.failure.message}); "
            "mend that, then continue with --resume"
        ) from None
    if gallery.control_verdict == "ACCEPT":
        return gallery.mutants, None
    rejected = ", ".join(gallery.control_rejected_by)
    return gallery.mutants, f"the control of the gallery is {gallery.control_verdict}: {rejected}"
