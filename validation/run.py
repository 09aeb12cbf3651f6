"""A run from its declaration to its last line: scan, manifest, calibration, cases.

Whatever happens to a case becomes a line; what ends the run leaves a folder that ``--resume`` continues.
"""

from __future__ import annotations

import datetime
import secrets
import tempfile
import time
from pathlib import Path

import msgspec

from validation import measure, provenance, results
from validation.catalogue import expand
from validation.errors import InstrumentError, NothingRanError, UsageError
from validation.plan import Item, memory_shortage, plan_items, planned_lines
from validation.progress import Progress
from validation.records import (
    SCHEMA_VERSION,
    CalibrationResult,
    CaseResult,
    Manifest,
    Provenance,
    Record,
    Scan,
)
from validation.runner import LocalExecutor, Mode, worker_environment
from validation.scans import BUILT_IN_SCAN, materialise, peek
from validation.summary import Summary, case_passed, summarise
from validation.sweeps import CANDIDATE, Sweep, select
from validation.tasks import CalibrateReply, ErrorReply, ScanReply, Task


class Options(Record, frozen=True, kw_only=True):
    """What the user asked for. ``data`` and ``ptycho`` are paths as given."""

    sweep: str
    out: str
    command: str
    data: str | None = None
    ptycho: str | None = None
    candidate: str = CANDIDATE
    seed: int = 0
    resume: bool = False
    start: Mode = "fork"
    threads: int | None = None
    timeout_s: float = 600.0
    memory_limit_bytes: int | None = None
    text: str | None = None
    N: tuple[int, ...] = ()
    gridsize: tuple[int, ...] = ()
    batch: tuple[int, ...] = ()
    dtype: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()

    def resume_command(self) -> str:
        """Give the command that continues this run."""
        return self.command if self.resume else f"{self.command} --resume"


def now() -> str:
    """Now, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def available_bytes() -> int:
    """Memory that new processes can have without swapping."""
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def read_scan(executor: LocalExecutor, path: str, given: str | None, ptycho_path: str | None) -> Scan:
    """Read and check a scan in a child process.

    Raises
    ------
    UsageError
        If it is not a scan.
    """
    answer = executor.run(Task(action="scan", scan_path=path, ptycho_path=ptycho_path), 120.0)
    if isinstance(answer.reply, ScanReply):
        name = BUILT_IN_SCAN if given is None else Path(given).name
        return msgspec.structs.replace(answer.reply.scan, name=name, path=given)
    if isinstance(answer.reply, ErrorReply):
        raise UsageError(" ".join(answer.reply.message.split()))
    failure = answer.failure
    raise UsageError(
        f"--data must be a scan file that can be read, but reading {given or BUILT_IN_SCAN} failed "
        f"({failure.reason if failure else 'no reply'}: {' '.join(failure.message.split()) if failure else ''})"
    )


class _Run:
    """One run while it goes on."""

    def __init__(
        self, folder: results.RunFolder, bench: measure.Bench, memory_limit_bytes: int | None, progress: Progress
    ) -> None:
        self.folder = folder
        self.bench = bench
        self.memory_limit_bytes = memory_limit_bytes
        self.progress = progress

    def line_fields(self) -> dict[str, object]:
        manifest = self.folder.manifest
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": manifest.run_id,
            "started_at": now(),
            "provenance": manifest.provenance,
        }

    def calibrate(self) -> None:
        """See that the instruments read what is known.

        Raises
        ------
        InstrumentError
            If one does not, or cannot be read.
        """
        self.progress.step("calibration")
        fields = self.line_fields()
        task = Task(action="calibrate", scan_path=self.bench.scan_path, ptycho_path=self.bench.ptycho_path)
        answer = self.bench.executor.run(task, self.bench.timeout_s)
        if not isinstance(answer.reply, CalibrateReply):
            failure = answer.failure
            raise InstrumentError(
                "the calibration gave no result"
                + (f" ({failure.reason}: {failure.message})" if failure else "")
                + "; see python -m validation doctor"
            )
        line = CalibrationResult(checks=answer.reply.checks, **fields)  # type: ignore[arg-type]
        bad = [check for check in line.checks if not check.passed]
        if bad:
            # Not recorded, so that --resume calibrates again.
            raise InstrumentError(
                "; ".join(
                    f"{check.instrument} must read {check.expected:g} {check.unit} within {100 * check.limit:g} %, "
                    f"got {check.measured:g}"
                    for check in bad
                )
                + "; nothing was measured, see python -m validation doctor"
            )
        self.folder.append(line)
        self.progress.calibrated(line)

    def case(self, item: Item) -> None:
        """Measure one case for one candidate and append its line."""
        fields = self.line_fields()
        started, measured_before = time.monotonic(), self.bench.measured_s
        measurement = None
        failure = memory_shortage(item, self.memory_limit_bytes)
        if failure is None:
            self.progress.case_started(item.planned.case, item.candidate)
            try:
                measurement = measure.measure(self.bench, item.planned, item.candidate, item.checks)
            except measure.CaseFailed as failed:
                failure = failed.failure
        line = CaseResult(
            case=item.planned.case,
            candidate=item.candidate,
            role=item.role,
            checks=item.checks,
            wall_s=time.monotonic() - started,
            measured_s=self.bench.measured_s - measured_before,
            measurement=measurement,
            failure=failure,
            **fields,  # type: ignore[arg-type]
        )
        self.folder.append(line)
        self.progress.case_done(line, case_passed(line))

    def cases(self, items: list[Item]) -> None:
        """Measure the cases; candidates of the same case follow each other and share its reference output."""
        for number, item in enumerate(items):
            self.case(item)
            if number + 1 == len(items) or items[number + 1].planned.case != item.planned.case:
                self.bench.forget_outputs()


def _manifest(options: Options, sweep: Sweep, items: tuple[Item, ...], scan: Scan, origin: Provenance) -> Manifest:
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=f"{stamp}-{secrets.token_hex(4)}",
        created_at=now(),
        sweep=sweep.name,
        provisional=sweep.provisional,
        seed=sweep.seed,
        command=options.command,
        scan=scan,
        reference_case_id=sweep.reference_case_id,
        reassembly_case_id=sweep.reassembly_case_id,
        candidate=options.candidate,
        planned=planned_lines(items),
        protocol=sweep.protocol,
        provenance=origin,
    )


def _continue(path: Path, fresh: Manifest) -> results.RunFolder:
    """Open the run to continue, and see that it is the same run on the same machine and kernel."""
    folder = results.RunFolder.open(path)
    old, new = folder.manifest, fresh
    for what, was, is_now in (
        ("the kernel's sources (digest)", old.provenance.kernel_digest, new.provenance.kernel_digest),
        ("the machine (fingerprint)", old.provenance.machine.fingerprint, new.provenance.machine.fingerprint),
        ("the versions", old.provenance.versions, new.provenance.versions),
        ("the thread settings", old.provenance.threads, new.provenance.threads),
        ("the scan (sha256)", old.scan.sha256, new.scan.sha256),
        ("the sweep", old.sweep, new.sweep),
        ("the planned cases", old.planned, new.planned),
    ):
        if was != is_now:
            shown = f": {was} then, {is_now} now" if isinstance(was, str) else ""
            raise UsageError(
                f"{path} can only be continued where nothing changed, but {what} did{shown}; "
                "start a new run in another folder"
            )
    return folder


def run(options: Options, progress: Progress) -> Summary:
    """Run a sweep, or continue one.

    Raises
    ------
    UsageError
        If an argument, the scan or the run folder is at fault.
    InstrumentError
        If the calibration fails.
    NothingRanError
        If no case is left after the filters.
    """
    out = Path(options.out)
    if options.resume:
        results.RunFolder.open(out)
    else:
        results.check_writable(out)
        if (out / results.MANIFEST).exists():
            raise UsageError(f"{out} already holds a run; continue it with --resume or give another folder to --out")
    peeked = peek(options.data)
    sweep = select(
        expand(options.sweep, peeked, options.seed),
        text=options.text,
        N=options.N,
        gridsize=options.gridsize,
        batch=options.batch,
        dtype=options.dtype,
        kernel=options.kernel,
    )
    if not sweep.cases:
        raise NothingRanError(f"no case of the sweep {sweep.name} matches the filters; nothing ran")
    threads = options.threads or provenance.usable_cores()
    origin = provenance.describe(options.ptycho, worker_environment(threads))
    limit = options.memory_limit_bytes or int(0.8 * available_bytes()) or None
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as scratch_name,
        LocalExecutor(Path(scratch_name), mode=options.start, threads=threads, memory_limit_bytes=limit) as executor,
    ):
        scratch = Path(scratch_name)
        scan_path = materialise(options.data, scratch)
        ptycho_path = None if options.ptycho is None else str(Path(options.ptycho).resolve())
        progress.step("reading the scan")
        scan = read_scan(executor, scan_path, options.data, ptycho_path)
        if scan.sha256 != peeked.sha256:
            raise UsageError(f"{options.data} changed while it was read; start again")
        items = plan_items(sweep, options.candidate)
        fresh = _manifest(options, sweep, items, scan, origin)
        folder = _continue(out, fresh) if options.resume else results.RunFolder.create(out, fresh)
        with folder.locked():
            torn = folder.set_torn_line_aside()
            if torn is not None:
                progress.note(f"the last line was torn; it was set aside in {torn}, and its case runs again")
            done = {results.key_of(line) for line in folder.lines()}
            todo = [item for item in items if item.key not in done]
            bench = measure.Bench(
                executor,
                scan_path=scan_path,
                ptycho_path=ptycho_path,
                protocol=sweep.protocol,
                scratch=scratch,
                timeout_s=options.timeout_s,
                step=progress.step,
            )
            running = _Run(folder, bench, limit, progress)
            progress.begin(folder.manifest, len(items), len(items) - len(todo))
            if "calibration" not in done:
                running.calibrate()
            running.cases(todo)
            return summarise(folder)
