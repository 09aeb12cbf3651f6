"""A run from its declaration to its last line: scan, manifest, calibration, cases.

Whatever happens to a case becomes a line; what ends the run leaves a folder that ``--resume`` continues.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from validation.contract.cases import Check
from validation.contract.errors import InstrumentError, UsageError
from validation.contract.lines import CalibrationResult, CaseResult, MutantResult, ResultLine
from validation.contract.manifest import SCHEMA_VERSION, Manifest
from validation.machine.limits import available_bytes
from validation.machine.surroundings import cleared_note
from validation.measure import lines, parts, worst
from validation.measure.bench import Bench, Step
from validation.measure.instruments import read_instruments, read_scan, require_calibrated
from validation.measure.runner import LocalExecutor
from validation.plan.items import CaseItem, Item, MutantItem, PropertyItem, SuiteItem
from validation.run import lanes, provenance, results
from validation.run.declaration import Declaration, arm_paths, declare, now, open_to_continue, seeded
from validation.run.options import Options
from validation.run.progress import Progress
from validation.run.summary import Summary, line_passed, summarise
from validation.subject import scans
from validation.subject.scans import materialise

CALIBRATION_ATTEMPTS = 2

# Lets the gate judge the known-bad of some names, and gives their lines and a note; see `validation.gallery.lines`.
Gallery = Callable[
    [Bench, Manifest, Path, tuple[str, ...], Callable[[], dict[str, Any]]], tuple[tuple[MutantResult, ...], str | None]
]


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
        sources: provenance.Sources,
        gallery: Gallery | None,
    ) -> None:
        self.folder = folder
        self.bench = bench
        self.lanes = side_by_side
        self.options = options
        self.memory_limit_bytes = memory_limit_bytes
        self.progress = progress
        self.worst = worst.WorstPatches(folder.path / worst.PATCHES)
        self.sources = sources
        self.gallery = gallery
        self.scan_stamps = {path: scans.stamp(path) for path in (bench.scan_path, options.data) if path}
        self.parts: dict[str, list[CaseResult]] = {}
        self.ended: set[str] = set()
        self.checks: dict[str, tuple[Check, ...]] = {}

    def go(self, items: tuple[Item, ...]) -> None:
        """Do what is not done yet: what stays alone, all other times, what goes side by side, and the gallery."""
        done = {line.key: line for line in self.folder.lines()}
        todo = [item for item in items if item.key not in done]
        self.checks = {item.key: item.checks if isinstance(item, CaseItem) else () for item in items}
        self.ended.update(done)
        self.parts = {key: found for key, found in self.folder.parts().items() if key not in done}
        self.progress.begin(self.folder.manifest, len(items), len(items) - len(todo))
        calibration = done.get("calibration")
        if not isinstance(calibration, CalibrationResult):
            calibration = self.calibrate()
        require_calibrated(calibration)
        alone, shared = lanes.apart(todo, self.lanes.limit_bytes, self.bench.kernels)
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
            if isinstance(item, PropertyItem):
                self.progress.step(f"property {item.name} of {item.candidate}")
                self.append(lines.property_line(bench, item, self.head()))
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
            self.ended.add(line.key)
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
        provenance.check_unchanged(self.sources, self.folder.manifest.provenance)
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
            line = CalibrationResult(checks=read_instruments(self.bench, seeded(self.folder.manifest)), **head)
            if line_passed(line) or attempt + 1 == CALIBRATION_ATTEMPTS:
                break
            self.progress.note("the calibration failed; it is repeated once, other work may have disturbed it")
        self.append(line)
        return line

    def mutants(self, names: tuple[str, ...]) -> None:
        """Let the gate judge the known-bad, beside the true candidate as the control."""
        if self.gallery is None:
            raise InstrumentError("this run plans mutants, but nothing here lets the gate judge them")
        found, note = self.gallery(self.bench, self.folder.manifest, self.folder.path / "mutants", names, self.head)
        if note is not None:
            self.progress.note(note)
        for line in found:
            self.append(line)


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


def bench_of(
    declared: Declaration, options: Options, executor: LocalExecutor, scan_path: str | None, scratch: Path, step: Step
) -> Bench:
    """Make the place where the cases of a run are measured."""
    return Bench(
        executor,
        kernels=declared.kernels,
        scan_path=scan_path,
        package=None if options.package is None else str(Path(options.package).resolve()),
        arm_paths=arm_paths(declared.manifest),
        protocol=declared.sweep.protocol,
        judged=declared.sweep.judged,
        scratch=scratch,
        timeout_s=options.timeout_s,
        step=step,
    )


def run(options: Options, progress: Progress, gallery: Gallery | None = None) -> Summary:
    """Run a sweep, or continue one.

    Parameters
    ----------
    options : Options
    progress : Progress
    gallery : callable, optional
        Lets the gate judge the known-bad, where the sweep has them.

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
    check_folder(options)
    declared = declare(options)
    folder = open_to_continue(out, declared.manifest) if options.resume else None
    note = cleared_note(declared.manifest.provenance.cleared_env)
    if note is not None:
        progress.note(note)
    available = int(0.8 * available_bytes()) or None
    limit = options.memory_limit_bytes or available
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as scratch_name,
        LocalExecutor(
            Path(scratch_name),
            mode=options.start,
            threads=declared.threads,
            memory_limit_bytes=limit,
            keep_env=options.keep_env,
            preload=declared.kernels.preload,
        ) as executor,
    ):
        declared_scan = declared.manifest.scan
        scan_path = None
        if declared_scan is not None:
            scan_path = materialise(options.data, Path(scratch_name), options.reading, progress.note)
        bench = bench_of(declared, options, executor, scan_path, Path(scratch_name), progress.step)
        if folder is None:
            if declared_scan is not None and scan_path is not None:
                progress.step("reading the scan")
                scan = read_scan(executor, scan_path, options.data, bench.paths)
                if scan.sha256 != declared_scan.read_sha256:
                    raise UsageError(f"{options.data} changed while it was read; start again")
            folder = results.RunFolder.create(out, declared.manifest)
        with folder.locked():
            set_torn_line_aside(folder, progress)
            shares = [bytes_ for bytes_ in (limit, available and available // lanes.LANES) if bytes_]
            side_by_side = lanes.Lanes(bench, executor, min(shares, default=None))
            running = _Run(folder, bench, side_by_side, options, limit, progress, declared.sources, gallery)
            running.go(declared.items)
            return summarise(folder)
