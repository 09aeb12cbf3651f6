"""A run from its declaration to its last line: scan, manifest, calibration, cases.

Whatever happens to a case becomes a line; what ends the run leaves a folder that ``--resume`` continues.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.errors import InstrumentError, UsageError
from validation.contract.records import SCHEMA_VERSION, CalibrationResult, CaseResult, Check, ResultLine, Scan
from validation.contract.tasks import ErrorReply, ScanReply, Task
from validation.kernels import registry as kernels
from validation.machine.limits import available_bytes
from validation.machine.surroundings import cleared_note
from validation.measure import lines, parts, worst
from validation.measure.bench import Bench
from validation.measure.runner import Executor, LocalExecutor
from validation.plan.items import CaseItem, Item, MutantItem, ProbeItem, SuiteItem
from validation.run import lanes, provenance, results
from validation.run.declaration import Options, declare, now, open_to_continue
from validation.run.progress import Progress
from validation.run.summary import Summary, line_passed, summarise
from validation.subject import scans
from validation.subject.scans import BUILT_IN_SCAN, materialise

CALIBRATION_ATTEMPTS = 2


def read_scan(executor: Executor, path: str, given: str | None, ptycho_path: str | None) -> Scan:
    """Read and check a scan in a child process.

    Raises
    ------
    UsageError
        If it is not a scan.
    InstrumentError
        If the child that should read it was killed.
    """
    answer = executor.run(Task(action="scan", scan_path=path, ptycho_path=ptycho_path), 120.0)
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


class _Run:
    """One run while it goes on."""

    def __init__(
        self,
        folder: results.RunFolder,
        bench: Bench,
        side_by_side: lanes.Lanes,
        options: Options,
        memory_limit_bytes: int | None,
        progress: Progress,
    ) -> None:
        self.folder = folder
        self.bench = bench
        self.lanes = side_by_side
        self.options = options
        self.memory_limit_bytes = memory_limit_bytes
        self.progress = progress
        self.worst = worst.WorstPatches(folder.path / worst.PATCHES)
        self.target = kernels.target_of_others(options.candidate)
        self.scan_stamps = {path: scans.stamp(path) for path in (bench.scan_path, options.data) if path}
        self.parts: dict[str, list[CaseResult]] = {}
        self.ended: set[str] = set()
        self.checks: dict[str, tuple[Check, ...]] = {}

    def go(self, items: tuple[Item, ...]) -> None:
        """Do what is not done yet: what stays alone, all other times, what goes side by side, and the gallery."""
        done = {results.key_of(line): line for line in self.folder.lines()}
        todo = [item for item in items if item.key not in done]
        self.checks = {item.key: item.checks if isinstance(item, CaseItem) else () for item in items}
        self.ended.update(done)
        self.parts = {key: found for key, found in self.folder.parts().items() if key not in done}
        self.progress.begin(self.folder.manifest, len(items), len(items) - len(todo))
        calibration = done.get("calibration")
        if not isinstance(calibration, CalibrationResult):
            calibration = self.calibrate()
        require_calibrated(calibration)
        alone, shared = lanes.apart(todo, self.lanes.limit_bytes)
        for group in alone:
            self.do(self.bench, group)
        self.time_alone(shared)
        if shared:
            self.lanes.go(list(parts.beside(shared, self.parts)), self.do)
        mutants = tuple(item.mutant for item in todo if isinstance(item, MutantItem))
        if mutants:
            self.mutants(mutants)
        self.folder.forget_parts()

    def time_alone(self, groups: list[lanes.Group]) -> None:
        """Take all times of groups before other work runs beside them."""
        alone = parts.alone()
        for item in (item for group in groups for item in group):
            if isinstance(item, CaseItem):
                checks = tuple(check for check in parts.missing(item, self.parts) if check in alone)
                if checks:
                    self.case_part(self.bench, parts.only(item, checks))

    def do(self, bench: Bench, group: lanes.Group) -> None:
        """Do the items of a group on a bench, and write a line for each."""
        for item in group:
            if isinstance(item, ProbeItem):
                self.progress.step(f"probe {item.probe} of {item.candidate}")
                self.append(lines.probe_line(bench, item, self.head()))
            elif isinstance(item, SuiteItem):
                self.progress.step(f"test suite with the flag {item.flag}")
                found = lines.suite_line(bench, item, self.head())
                if found is not None:
                    self.append(found)
            elif isinstance(item, CaseItem):
                self.case_part(bench, parts.only(item, parts.missing(item, self.parts)))
        bench.forget_outputs()

    def case_part(self, bench: Bench, item: CaseItem) -> None:
        """Make some checks of a case; with the last of them, or one that fails, the case gets its line."""
        if item.key in self.ended:  # a check that was made beside this one has failed
            return
        part = lines.case_line(bench, item, self.memory_limit_bytes, self.head())
        with self.lanes.lock:
            self.require_counting()
            if item.key in self.ended:
                return
            self.worst.consider(bench, part)
            have = [*self.parts.get(item.key, ()), part]
            whole = parts.merge(have, self.checks[item.key])
            if whole is not None:
                self.append(whole)
                return
            self.folder.append_part(part)
            self.parts[item.key] = have
            self.progress.part_done(part)
            self.tell_work()

    def tell_work(self) -> None:
        """Tell how much of the work is done, the checks of a case counted one by one."""
        sizes = {key: max(1, len(checks)) for key, checks in self.checks.items()}
        done = sum(sizes[key] for key in self.ended if key in sizes)
        done += sum(len(part.checks) for key, of in self.parts.items() if key not in self.ended for part in of)
        self.progress.work(done, sum(sizes.values()))

    def head(self) -> dict[str, Any]:
        """Give the fields that every line has."""
        manifest = self.folder.manifest
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": manifest.run_id,
            "started_at": now(),
            "provenance": manifest.provenance,
        }

    def append(self, line: ResultLine) -> None:
        """Put a line on disk, then tell it.

        Raises
        ------
        UsageError
            If kernel, candidate or scan are no longer those that the line says were measured.
        """
        with self.lanes.lock:
            self.require_counting()
            self.folder.append(line)
            self.ended.add(results.key_of(line))
            self.progress.line_done(line, line_passed(line))
            self.tell_work()

    def require_counting(self) -> None:
        """Refuse what was measured once the run ends, or something is no longer what the manifest says.

        Raises
        ------
        Stopped
            If the lanes were told to end.
        UsageError
            If kernel, candidate or scan changed.
        """
        self.lanes.require_going()
        provenance.check_unchanged(self.options.ptycho, self.folder.manifest.provenance, self.target)
        for path, stamp in self.scan_stamps.items():
            scans.check_unchanged(path, stamp)

    def calibrate(self) -> CalibrationResult:
        """Read what is known with every instrument; once more where the first reading fails.

        Raises
        ------
        InstrumentError
            If there is no reading.
        """
        for attempt in range(CALIBRATION_ATTEMPTS):
            self.progress.step("calibration")
            head = self.head()
            line = CalibrationResult(checks=lines.read_instruments(self.bench), **head)
            if line_passed(line) or attempt + 1 == CALIBRATION_ATTEMPTS:
                break
            self.progress.note("the calibration failed; it is repeated once, other work may have disturbed it")
        self.append(line)
        return line

    def mutants(self, names: tuple[str, ...]) -> None:
        """Let the gate judge the known-bad, beside the true candidate as the control."""
        folder = self.folder.path / "mutants"
        found, note = lines.mutant_lines(self.bench, self.folder.manifest, folder, names, self.head)
        if note is not None:
            self.progress.note(note)
        for line in found:
            self.append(line)


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


def check_folder(options: Options) -> None:
    """See, before anything is started, that a new run has a folder that can be written and holds none.

    Raises
    ------
    UsageError
        If not.
    """
    if not options.resume:
        out = Path(options.out)
        there = out.exists()
        results.check_writable(out)
        if not there:  # what is refused below, or before the manifest is written, leaves no empty folder
            with contextlib.suppress(OSError):
                out.rmdir()
        if (out / results.MANIFEST).exists():
            raise UsageError(
                f"{options.out} already holds a run; continue it with --resume or give another folder to --out"
            )


def set_torn_line_aside(folder: results.RunFolder, progress: Progress) -> None:
    """Set a last line that was cut short aside, and say so."""
    for name in (results.RESULTS, results.PARTS):
        torn = folder.set_torn_line_aside(name)
        if torn is not None:
            progress.note(f"the last line was torn; it was set aside in {torn}, and its case runs again")


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
    if options.cluster is not None:
        try:
            from validation.cluster.session import run_on_cluster
        except ImportError as error:
            raise UsageError(
                f"a run on a cluster needs the extra distributed ({error}); "
                "install it with: pip install 'ptycho-validation[distributed]'"
            ) from None
        return run_on_cluster(options, progress)
    out = Path(options.out)
    check_folder(options)
    declared = declare(options)
    folder = open_to_continue(out, declared.manifest) if options.resume else None
    note = cleared_note(declared.manifest.provenance.cleared_env)
    if note is not None:
        progress.note(note)
    available = int(0.8 * available_bytes()) or None
    limit = options.memory_limit_bytes or available
    ptycho_path = None if options.ptycho is None else str(Path(options.ptycho).resolve())
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as scratch_name,
        LocalExecutor(
            Path(scratch_name),
            mode=options.start,
            threads=declared.threads,
            memory_limit_bytes=limit,
            keep_env=options.keep_env,
        ) as executor,
    ):
        scan_path = materialise(options.data, Path(scratch_name), options.reading, progress.note)
        bench = Bench(
            executor,
            scan_path=scan_path,
            ptycho_path=ptycho_path,
            protocol=declared.sweep.protocol,
            scratch=Path(scratch_name),
            timeout_s=options.timeout_s,
            step=progress.step,
        )
        if folder is None:
            progress.step("reading the scan")
            scan = read_scan(executor, scan_path, options.data, ptycho_path)
            if scan.sha256 != declared.manifest.scan.read_sha256:
                raise UsageError(f"{options.data} changed while it was read; start again")
            folder = results.RunFolder.create(out, declared.manifest)
        with folder.locked():
            set_torn_line_aside(folder, progress)
            shares = [bytes_ for bytes_ in (limit, available and available // lanes.LANES) if bytes_]
            side_by_side = lanes.Lanes(bench, executor, min(shares, default=None))
            running = _Run(folder, bench, side_by_side, options, limit, progress)
            running.go(declared.items)
            return summarise(folder)
