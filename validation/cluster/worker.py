"""What a Dask worker of a sweep does: one item at a time, in child processes of its own.

The worker process never imports TensorFlow: its children are started by a server that it executes, as on one
machine. Everything a worker needs (scan, settings, another checkout's sources) comes with its `Station`, which
Dask gives to every worker, those that join later included.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import signal
import socket
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
from distributed import WorkerPlugin, get_worker

from validation.cluster.sources import Sources, lay_out
from validation.contract.base import Record
from validation.contract.errors import CommandError, UsageError
from validation.contract.lines import CalibrationResult, ResultLine
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Provenance
from validation.gallery.lines import mutant_lines
from validation.kernels.registry import Kernels
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.measure import lines
from validation.measure.bench import Bench
from validation.measure.instruments import read_instruments
from validation.measure.runner import LocalExecutor, Mode
from validation.plan.items import CaseItem, Item, MutantItem, PropertyItem, SuiteItem
from validation.run import provenance
from validation.run.declaration import arm_paths, now, seeded
from validation.run.summary import line_passed
from validation.subject.suite import find_suite

RESOURCE = "measure"


class Outfit(Record, frozen=True, kw_only=True):
    """What every worker of a run needs.

    ``scan`` is the content of the scan as children read it (``None``: no kernel takes one), ``judged`` says what is
    judged, ``sources`` holds the files of the checkout to measure (``None``: what is installed on the worker).
    ``threads`` and ``memory_limit_bytes`` are ``None`` where the worker decides; ``neighbours`` is the number of
    workers that share its memory.
    """

    manifest: Manifest
    scan: bytes | None
    sources: Sources | None
    start: Mode
    threads: int | None
    memory_limit_bytes: int | None
    neighbours: int
    timeout_s: float
    needs_suite: bool
    ignore_interrupts: bool
    keep_env: tuple[str, ...] = ()
    judged: provenance.Sources = provenance.Sources()


class Greeting(Record, frozen=True, kw_only=True):
    """What a worker says of itself before a run is declared."""

    origin: Provenance
    host: str


class Done(Record, frozen=True, kw_only=True):
    """What a worker gives back: lines, and what came with them.

    ``files`` is a tar of the mutants' run folders. ``refused`` holds the name and the message of the error
    that must end the run; then nothing was measured, as after a ``calibration`` that failed. ``worker`` is the
    worker's name.
    """

    calibration: CalibrationResult | None = None
    lines: tuple[ResultLine, ...] = ()
    files: bytes | None = None
    note: str | None = None
    refused: tuple[str, str] | None = None
    worker: str | int = ""


def greet(sources: Sources | None, judged: provenance.Sources, threads: int | None) -> Greeting:
    """Describe this worker: its machine, versions, and the kernel that it would measure."""
    environment = settings_on_record(threads or limits.usable_cores())
    with tempfile.TemporaryDirectory(prefix="validation-") as folder:
        path = None if sources is None else lay_out(sources, Path(folder))
        origin = provenance.describe(msgspec.structs.replace(judged, package=path), environment)
    return Greeting(origin=origin, host=socket.gethostname())


def refusal(mine: Greeting, outfit: Outfit, suite_found: bool) -> str | None:
    """Say why this worker cannot take part in a run, or ``None`` where it can."""
    theirs = outfit.manifest.provenance
    for what, got, expected in (
        ("kernel sources (digest)", mine.origin.kernel_digest, theirs.kernel_digest),
        ("harness sources (digest)", mine.origin.harness_digest, theirs.harness_digest),
        ("versions", mine.origin.versions, theirs.versions),
    ):
        if got != expected:
            return (
                f"a worker on {mine.host} must have the {what} of the run, expected {expected}, got {got}; "
                "install the same on all workers, or take it out of the cluster, then continue with --resume"
            )
    if outfit.needs_suite and not suite_found:
        return (
            f"a worker on {mine.host} must have the package as a checkout with its tests, because the sweep runs the "
            "test suite, but found none; install it from a checkout there, or run a sweep without it"
        )
    return None


class Station(WorkerPlugin):  # type: ignore[misc]  # distributed is not typed
    """The measuring place on one worker; Dask makes one on each."""

    def __init__(self, outfit: Outfit) -> None:
        self.outfit = outfit
        self.name = station_name(outfit.manifest.run_id)
        self._lock: threading.Lock | None = None

    def setup(self, worker: Any) -> None:
        """Take the place; what costs time waits for the first item."""
        self._lock = threading.Lock()
        self._bench: Bench | None = None
        self._executor: LocalExecutor | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._case_id: str | None = None
        if self.outfit.ignore_interrupts and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's own process answers Ctrl-C

    async def teardown(self, worker: Any) -> None:
        """Leave: end a child that is still running, and remove the files."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the children for good."""
        if self._executor is not None:
            self._executor.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def open(self) -> Bench:
        """Lay out scan and sources, check them and this worker, and start the server of the children.

        Raises
        ------
        UsageError
            If this worker cannot take part.
        """
        if self._bench is not None:
            return self._bench
        outfit = self.outfit
        manifest = outfit.manifest
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="validation-")
        folder = Path(self._scratch.name)
        package = None if outfit.sources is None else lay_out(outfit.sources, folder / "checkout")
        scan_path = self._lay_out_scan(folder)
        kernels = Kernels.of(card.source for card in manifest.kernels)
        self.judged = msgspec.structs.replace(outfit.judged, package=package)
        threads = outfit.threads or limits.usable_cores()
        mine = Greeting(
            origin=provenance.describe(self.judged, settings_on_record(threads, outfit.keep_env)),
            host=socket.gethostname(),
        )
        refused = refusal(mine, outfit, not outfit.needs_suite or find_suite(package) is not None)
        if refused is not None:
            raise UsageError(refused)
        # Commit and path are those of the run: the digest says that the sources are the same.
        self.origin = msgspec.structs.replace(
            manifest.provenance, machine=mine.origin.machine, threads=mine.origin.threads
        )
        self.memory_limit_bytes = (
            outfit.memory_limit_bytes or int(0.8 * limits.available_bytes() / outfit.neighbours) or None
        )
        self._executor = LocalExecutor(
            folder,
            mode=outfit.start,
            threads=threads,
            memory_limit_bytes=self.memory_limit_bytes,
            keep_env=outfit.keep_env,
            preload=kernels.preload,
        )
        self._bench = Bench(
            self._executor,
            kernels=kernels,
            scan_path=scan_path,
            package=package,
            arm_paths=arm_paths(manifest),
            protocol=manifest.protocol,
            judged=manifest.judged,
            scratch=folder,
            timeout_s=outfit.timeout_s,
        )
        return self._bench

    def _lay_out_scan(self, folder: Path) -> str | None:
        """Write the scan where children read it."""
        scan, content = self.outfit.manifest.scan, self.outfit.scan
        if scan is None or content is None:
            return None
        found = hashlib.sha256(content).hexdigest()
        if found != scan.read_sha256:
            raise UsageError(f"the scan must have the SHA-256 {scan.read_sha256}, got {found}; start again")
        (folder / "scan.npz").write_bytes(content)
        return str(folder / "scan.npz")

    def head(self) -> dict[str, Any]:
        """Give the fields that every line has; the machine is this worker's."""
        run_id = self.outfit.manifest.run_id
        return {"schema_version": SCHEMA_VERSION, "run_id": run_id, "started_at": now(), "provenance": self.origin}

    def calibrate(self) -> CalibrationResult:
        """Read the instruments, once more where the first reading fails."""
        bench = self.open()
        head = self.head()
        line = CalibrationResult(checks=read_instruments(bench, seeded(self.outfit.manifest)), **head)
        if line_passed(line):
            return line
        head = self.head()
        return CalibrationResult(checks=read_instruments(bench, seeded(self.outfit.manifest)), **head)

    def do(self, items: tuple[Item, ...], calibrated: tuple[str, ...]) -> Done:
        """Do items of the plan, after a calibration where this machine class has none on record.

        Never more than one call at a time, whatever resources the worker was given.
        """
        if self._lock is None:
            raise RuntimeError("a station must be set up by its worker before it works")
        with self._lock:
            try:
                bench = self.open()
                calibration = None
                if self.origin.machine.fingerprint not in calibrated:
                    calibration = self.calibrate()
                    if not line_passed(calibration):
                        return Done(calibration=calibration)
                mutants = tuple(item.mutant for item in items if isinstance(item, MutantItem))
                if mutants:
                    done = self._mutants(bench, mutants, calibration)
                    provenance.check_unchanged(self.judged, self.origin)
                    return done
                found = tuple(line for item in items if (line := self._line(bench, item)) is not None)
                provenance.check_unchanged(self.judged, self.origin)
                return Done(calibration=calibration, lines=found)
            except CommandError as error:
                return Done(refused=(type(error).__name__, str(error)))

    def _line(self, bench: Bench, item: Item) -> ResultLine | None:
        if isinstance(item, PropertyItem):
            return lines.property_line(bench, item, self.head())
        if isinstance(item, SuiteItem):
            return lines.suite_line(bench, item, self.head())
        if not isinstance(item, CaseItem):
            raise UsageError(f"expected an item of the plan, got {type(item).__name__}")
        if item.planned.case.case_id != self._case_id:
            bench.forget_outputs()  # kept while candidates of the same case may follow
            self._case_id = item.planned.case.case_id
        return lines.case_line(bench, item, self.memory_limit_bytes, self.head())

    def _mutants(self, bench: Bench, names: tuple[str, ...], calibration: CalibrationResult | None) -> Done:
        folder = bench.scratch / "mutants"
        manifest = msgspec.structs.replace(self.outfit.manifest, provenance=self.origin)
        found, note = mutant_lines(bench, manifest, folder, names, self.head)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(folder, arcname="mutants")
        return Done(calibration=calibration, lines=found, files=packed.getvalue(), note=note)


def station_name(run_id: str) -> str:
    """Name of a run's stations among the plugins of a worker."""
    return f"validation-{run_id}"


def work(run_id: str, items: tuple[Item, ...], calibrated: tuple[str, ...]) -> Done:
    """Do items at this worker's station: the Dask task."""
    worker = get_worker()
    station: Station = worker.plugins[station_name(run_id)]
    return msgspec.structs.replace(station.do(items, calibrated), worker=worker.name)


def check_scan(run_id: str) -> Done:
    """Read and check the scan in a child of this worker: the Dask task before a run has a folder."""
    from validation.measure.instruments import read_scan

    station: Station = get_worker().plugins[station_name(run_id)]
    try:
        bench = station.open()
        scan = station.outfit.manifest.scan
        if scan is None or bench.scan_path is None:
            return Done()
        found = read_scan(bench.executor, bench.scan_path, scan.path, bench.paths)
    except CommandError as error:
        return Done(refused=(type(error).__name__, str(error)))
    if found.sha256 != scan.read_sha256:
        return Done(refused=("UsageError", f"{scan.path} changed while it was read; start again"))
    return Done()
