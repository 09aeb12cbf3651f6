"""A sweep on a Dask cluster: the same plan, the same lines, the same run folder.

One item is one Dask task, and no more are handed out than workers can measure: what waits, waits here. Dask runs
an item elsewhere when its worker is lost, a bounded number of times; its result counts once because a task has
one result. A worker whose instruments do not read right is left out.
"""

from __future__ import annotations

import collections
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import msgspec

from validation.cluster.connection import Workers, connect
from validation.cluster.machines import describe_workers, home_of
from validation.cluster.sources import Sources, read_sources
from validation.cluster.worker import Done, Greeting, Outfit, Station, check_scan, work
from validation.contract import errors
from validation.contract.errors import CommandError, InstrumentError, UsageError
from validation.contract.lines import CalibrationResult, CaseResult, PropertyResult, ResultLine
from validation.contract.manifest import SCHEMA_VERSION, Manifest
from validation.contract.measurements import Failure
from validation.machine import limits
from validation.measure.instruments import misreadings
from validation.plan.items import CaseItem, Item, MutantItem, PropertyItem, SuiteItem
from validation.run import declaration, results
from validation.run.options import Options
from validation.run.progress import Progress
from validation.run.session import check_folder, set_torn_line_aside
from validation.run.summary import Summary, line_passed, summarise
from validation.subject import scans

# How often new and lost workers are looked for.
POLL_S = 1.0
# How often an item may lose its worker, however that leaves. Dask counts only those that die, and stops earlier.
MOST_MOVES = 20


def require_read_right(line: CalibrationResult) -> None:
    """Refuse to go on with a machine class that has a failed calibration on record.

    Raises
    ------
    InstrumentError
        If the calibration failed.
    """
    if not line_passed(line):
        raise InstrumentError(
            f"{misreadings(line)}; nothing was measured on machine class {line.provenance.machine.fingerprint}, "
            "see python -m validation doctor, then start a new run"
        )


class _ClusterRun:
    """One run on a cluster while it goes on."""

    def __init__(self, folder: results.RunFolder, workers: Workers, progress: Progress) -> None:
        self.folder = folder
        self.workers = workers
        self.progress = progress
        self.calibrated: set[str] = set()
        self.moved: collections.Counter[str] = collections.Counter()

    @property
    def home(self) -> str:
        """The machine class of the manifest."""
        return self.folder.manifest.provenance.machine.fingerprint

    def go(self, items: tuple[Item, ...]) -> None:
        """Do what is not done yet: cases, properties and suite on all workers, then the mutants on one."""
        done = {line.key: line for line in self.folder.lines()}
        todo = [item for item in items if item.key not in done]
        self.progress.begin(self.folder.manifest, len(items), len(items) - len(todo))
        for line in done.values():
            if isinstance(line, CalibrationResult):
                require_read_right(line)
                self.calibrated.add(line.other_machine or self.home)
        # The first calibration runs alone, so that no other worker disturbs it.
        rounds: list[list[tuple[Item, ...]]] = [[] if self.calibrated else [()]]
        rounds.append([(item,) for item in todo if not isinstance(item, MutantItem)])
        mutants = tuple(item for item in todo if isinstance(item, MutantItem))
        rounds.append([mutants] if mutants else [])
        for pending in rounds:
            self.drive(collections.deque(pending))

    def drive(self, waiting: collections.deque[tuple[Item, ...]]) -> None:
        """Keep every worker that can measure at one task until nothing is left."""
        running: dict[Any, tuple[Item, ...]] = {}
        run_id = self.folder.manifest.run_id
        try:
            while waiting or running:
                capacity = self.workers.capacity()
                self.progress.step(f"{len(running)} under way on {capacity} workers")
                self.take_back(running, waiting)
                while waiting and len(running) < capacity:
                    items = waiting.popleft()
                    running[self.workers.submit(work, run_id, items, tuple(sorted(self.calibrated)))] = items
                for future in self.workers.wait(list(running), POLL_S):
                    items = running.pop(future)
                    if not self.take(future, items):
                        waiting.appendleft(items)
                    future.release()
        finally:
            self.workers.cancel(list(running))

    def take_back(self, running: dict[Any, tuple[Item, ...]], waiting: collections.deque[tuple[Item, ...]]) -> None:
        """Take back the tasks that no worker is left for, and give up items that lost too many workers."""
        for future, items in list(running.items()):
            name = items[0].key if items else "calibration"
            moves = self.moved[name] + self.workers.moves(future)
            given_up = moves >= MOST_MOVES
            if future.done() or not (given_up or self.workers.stranded(future)):
                continue
            del running[future]
            self.workers.cancel([future])
            if given_up:
                for line in self.lost(items, f"{moves} workers left or were lost while it ran"):
                    self.append(line)
            else:
                self.moved[name] = moves
                waiting.appendleft(items)

    def take(self, future: Any, items: tuple[Item, ...]) -> bool:
        """Record what a task gave, or that all its workers were lost.

        Returns
        -------
        bool
            Whether the items are done with; if not, their worker was left out and another one must take them.
        """
        if future.status != "finished":
            error = future.exception() if future.status == "error" else None
            if not isinstance(error, distributed.KilledWorker):
                raise InstrumentError(
                    f"the cluster gave up a task ({future.status}: {error or 'the scheduler was lost'}); "
                    "what was measured is kept, continue with --resume"
                )
            for line in self.lost(items, f"each of {error.allowed_failures + 1} workers was lost while it ran"):
                self.append(line)
            return True
        done: Done = future.result()
        raise_refusal(done)
        if done.calibration is not None and not self.take_calibration(done.calibration, done.worker):
            return False
        if done.files is not None:
            shutil.rmtree(self.folder.path / "mutants", ignore_errors=True)  # what an interrupted gallery left
            with tarfile.open(fileobj=io.BytesIO(done.files)) as archive:
                archive.extractall(self.folder.path, filter="data")
        if done.note is not None:
            self.progress.note(done.note)
        for line in done.lines:
            self.append(line)
        return True

    def take_calibration(self, line: CalibrationResult, worker: str | int) -> bool:
        """Keep the first good calibration of a machine class, and leave out a worker that does not read right.

        A failed one goes on record only for the run's own machine class, where it ends the run for good.

        Returns
        -------
        bool
            Whether the worker may measure.

        Raises
        ------
        InstrumentError
            If it failed and the run's own machine class has no good one yet.
        """
        machine = line.provenance.machine.fingerprint
        passed = line_passed(line)
        if machine not in self.calibrated and (passed or machine == self.home):
            self.append(msgspec.structs.replace(line, other_machine=None if machine == self.home else machine))
            require_read_right(line)
            self.calibrated.add(machine)
        if not passed:
            self.workers.leave_out(worker)
            self.progress.note(
                f"worker {worker} of machine class {machine} is left out, and its item goes to another: "
                f"{misreadings(line)}"
            )
        return passed

    def lost(self, items: tuple[Item, ...], message: str) -> Iterator[ResultLine]:
        """Make the lines of items that no worker lived through."""
        manifest = self.folder.manifest
        head: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "run_id": manifest.run_id,
            "started_at": declaration.now(),
            "provenance": manifest.provenance,
        }
        for item in items or (None,):
            if isinstance(item, CaseItem):
                yield CaseResult(
                    case=item.planned.case,
                    candidate=item.candidate,
                    role=item.role,
                    checks=item.checks,
                    wall_s=0.0,
                    measured_s=0.0,
                    failure=Failure(reason="worker_lost", message=message, arm=item.candidate),
                    **head,
                )
            elif isinstance(item, PropertyItem):
                yield PropertyResult(
                    name=item.name,
                    case_id=item.case.case_id,
                    candidate=item.candidate,
                    passed=False,
                    figure=None,
                    limit=None,
                    detail=f"worker_lost: {message}",
                    **head,
                )
            else:
                what = "the calibration" if item is None else item.key
                raise InstrumentError(f"{what} gave no result: {message}; see the logs of the workers")

    def append(self, line: ResultLine) -> None:
        """Put a line on disk, then tell it."""
        self.folder.append(line)
        self.progress.line_done(line, line_passed(line))


def raise_refusal(done: Done) -> None:
    """Raise the error with which a worker refused.

    Raises
    ------
    CommandError
        If it did.
    """
    if done.refused is not None:
        name, message = done.refused
        kind: type[CommandError] = getattr(errors, name, InstrumentError)
        raise kind(message)


def _declared_on(declared: declaration.Declaration, home: Greeting) -> declaration.Declaration:
    """Put the machine, versions and threads of the workers into the manifest; the sources are the parent's."""
    mine, theirs = declared.manifest.provenance, home.origin
    origin = msgspec.structs.replace(mine, machine=theirs.machine, versions=theirs.versions, threads=theirs.threads)
    manifest = msgspec.structs.replace(declared.manifest, provenance=origin)
    return declared._replace(manifest=manifest)


def _outfit(options: Options, declared: declaration.Declaration, manifest: Manifest, sources: Sources | None) -> Outfit:
    local = options.cluster.local_workers if options.cluster else None
    scan = None
    if manifest.scan is not None:
        with tempfile.TemporaryDirectory(prefix="validation-") as folder:
            scan = Path(scans.materialise(options.data, Path(folder), options.reading)).read_bytes()
    return Outfit(
        manifest=manifest,
        scan=scan,
        sources=sources,
        start=options.start,
        threads=threads_of(options),
        memory_limit_bytes=options.memory_limit_bytes,
        neighbours=local or 1,
        timeout_s=options.timeout_s,
        needs_suite=any(isinstance(item, SuiteItem) for item in declared.items),
        ignore_interrupts=local is not None,
        keep_env=options.keep_env,
        judged=declared.sources,
    )


def threads_of(options: Options) -> int | None:
    """Threads of the kernels: as given; on local workers their share of the cores; else all cores of a worker."""
    local = options.cluster.local_workers if options.cluster else None
    if options.threads is None and local is not None:
        return max(1, limits.usable_cores() // local)
    return options.threads


def run_on_cluster(options: Options, progress: Progress) -> Summary:
    """Run a sweep on a cluster, or continue one there.

    Raises
    ------
    UsageError
        If an argument, the scan, the run folder or a worker is at fault.
    InstrumentError
        If the calibration of the run's machine class fails, no worker that reads right is left, or the cluster is
        lost.
    NothingRanError
        If no case is left after the filters.
    """
    if options.cluster is None:
        raise UsageError("a run on a cluster needs one of --scheduler, --local-cluster and --cluster")
    out = Path(options.out)
    check_folder(options)
    declared = declaration.declare(options)
    sources = read_sources(options.package)
    continued = results.RunFolder.open(out) if options.resume else None
    wanted = continued.manifest.provenance.machine.fingerprint if continued else None
    progress.step(f"waiting for workers, at most {options.cluster.worker_wait_s:g} s")
    with connect(options.cluster) as workers:
        greetings = workers.greet(sources, declared.sources, threads_of(options), wanted)
        declared = _declared_on(declared, home_of(greetings, wanted))
        folder = declaration.open_to_continue(out, declared.manifest) if options.resume else None
        manifest = declared.manifest if folder is None else folder.manifest
        for told in (*workers.notes(), *describe_workers(greetings)):
            progress.note(told)
        workers.station(Station(_outfit(options, declared, manifest, sources)))
        if folder is None:
            progress.step("reading the scan")
            raise_refusal(workers.result_of(check_scan, manifest.run_id))
            folder = results.RunFolder.create(out, manifest)
        with folder.locked():
            set_torn_line_aside(folder, progress)
            _ClusterRun(folder, workers, progress).go(declared.items)
            folder.forget_parts()  # of a run that was begun without a cluster
            return summarise(folder)
