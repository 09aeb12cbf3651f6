"""What a run is, declared before it starts: its options, its sweep, its planned lines, its manifest."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path

from validation.contract.errors import NothingRanError, UsageError
from validation.contract.records import SCHEMA_VERSION, Manifest, Record
from validation.kernels import registry as kernels
from validation.kernels.patches.catalogue import expand
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.measure.runner import Mode
from validation.plan.items import Item, plan_items, planned_lines
from validation.plan.sweeps import CANDIDATE, Sweep, select
from validation.run import provenance, results
from validation.subject import scans
from validation.subject.suite import find_suite


class ClusterOptions(Record, frozen=True, kw_only=True):
    """The Dask cluster to run on: exactly one of the address of a scheduler, a number of workers, and a class.

    ``cluster_class`` is ``package.module:Class``, ``class_options`` the YAML file of its arguments;
    ``worker_wait_s`` is how long the run waits while the cluster has no worker.
    """

    scheduler: str | None = None
    local_workers: int | None = None
    cluster_class: str | None = None
    class_options: str | None = None
    tls_ca_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    worker_wait_s: float = 600.0

    def __post_init__(self) -> None:
        given = [self.scheduler, self.local_workers, self.cluster_class]
        if sum(value is not None for value in given) != 1:
            raise UsageError("give exactly one of --scheduler ADDRESS, --local-cluster N and --cluster CLASS")
        if self.class_options is not None and self.cluster_class is None:
            raise UsageError("--cluster-options holds the arguments of a class; name the class with --cluster")
        tls = [self.tls_ca_file, self.tls_cert, self.tls_key]
        if any(tls) and not all(tls):
            raise UsageError("--tls-ca-file, --tls-cert and --tls-key belong together; give all three or none")


class Options(Record, frozen=True, kw_only=True):
    """What the user asked for. ``data`` and ``ptycho`` are paths as given, ``reading`` options on how to read data."""

    sweep: str
    out: str
    command: str
    data: str | None = None
    reading: tuple[str, ...] = ()
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
    keep_env: tuple[str, ...] = ()
    cluster: ClusterOptions | None = None

    def resume_command(self) -> str:
        """Give the command that continues this run."""
        return self.command if self.resume else f"{self.command} --resume"


class Declaration(Record, frozen=True, kw_only=True):
    """A run as it is meant to be."""

    sweep: Sweep
    items: tuple[Item, ...]
    manifest: Manifest
    threads: int


def now() -> str:
    """Give the time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def declare(options: Options) -> Declaration:
    """Declare a run; reads headers and sources only, and starts nothing.

    Parameters
    ----------
    options : Options

    Raises
    ------
    UsageError
        If an option is at fault.
    NothingRanError
        If no case is left after the filters.
    """
    scan = scans.peek(options.data, options.reading)
    try:
        offered = kernels.kernels_of(options.candidate)
    except kernels.NotAvailableError as error:
        raise UsageError(f"--{error}") from None
    # One that stands in for some kernels is measured on their cases; --kernel says otherwise.
    kernel = options.kernel or (() if len(offered) == len(kernels.KERNELS) else offered)
    sweep = select(
        expand(options.sweep, scan, options.seed),
        text=options.text,
        N=options.N,
        gridsize=options.gridsize,
        batch=options.batch,
        dtype=options.dtype,
        kernel=kernel,
    )
    if not sweep.cases:
        raise NothingRanError(f"no case of the sweep {sweep.name} matches the filters; nothing ran")
    threads = options.threads or limits.usable_cores()
    target = kernels.target_of_others(options.candidate)
    origin = provenance.describe(options.ptycho, settings_on_record(threads, options.keep_env), target)
    items = tuple(
        item
        for item in plan_items(sweep, options.candidate)
        if not item.key.startswith("suite|") or find_suite(options.ptycho) is not None
    )
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    manifest = Manifest(
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
    return Declaration(sweep=sweep, items=items, manifest=manifest, threads=threads)


def open_to_continue(path: Path, fresh: Manifest) -> results.RunFolder:
    """Open the run to continue, and see that it is the same run on the same machine and kernel."""
    folder = results.RunFolder.open(path)
    old, new = folder.manifest, fresh
    for what, was, is_now in (
        ("the schema version", old.schema_version, new.schema_version),
        ("the kernel's sources (digest)", old.provenance.kernel_digest, new.provenance.kernel_digest),
        ("the candidate's sources (digest)", old.provenance.candidate_digest, new.provenance.candidate_digest),
        ("the harness's sources (digest)", old.provenance.harness_digest, new.provenance.harness_digest),
        ("the machine (fingerprint)", old.provenance.machine.fingerprint, new.provenance.machine.fingerprint),
        ("the versions", old.provenance.versions, new.provenance.versions),
        ("the thread settings", old.provenance.threads, new.provenance.threads),
        ("the scan (sha256)", old.scan.sha256, new.scan.sha256),
        ("how the scan is read", " ".join(old.scan.reading), " ".join(new.scan.reading)),
        ("what the scan is read as (sha256)", old.scan.read_sha256, new.scan.read_sha256),
        ("the sweep", old.sweep, new.sweep),
        ("the planned cases", old.planned, new.planned),
        ("the reference case", old.reference_case_id, new.reference_case_id),
        ("the protocol", old.protocol, new.protocol),
    ):
        if was != is_now:
            shown = f": {was} then, {is_now} now" if isinstance(was, str) else ""
            raise UsageError(
                f"{path} can only be continued where nothing changed, but {what} did{shown}; "
                "start a new run in another folder"
            )
    return folder
