"""What a run is, declared before it starts: its kernels, its sweep, its planned lines, its manifest."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from typing import NamedTuple

from validation.contract.cases import Case, Sweep
from validation.contract.errors import NothingRanError, UsageError
from validation.contract.kernel import Kernel
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Scan
from validation.kernels.pair import PairKernel
from validation.kernels.registry import Kernels
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.plan.items import Item, plan_items, planned_lines
from validation.plan.sweeps import expand, parse_filters, select
from validation.run import provenance, results
from validation.run.options import Options, judged_candidate, kernels_of, sources_of
from validation.subject import scans
from validation.subject.suite import find_suite


class Declaration(NamedTuple):
    """A run as it is meant to be."""

    kernels: Kernels
    sources: provenance.Sources
    sweep: Sweep
    items: tuple[Item, ...]
    manifest: Manifest
    threads: int


def now() -> str:
    """Give the time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def sweep_of(options: Options, kernels: Kernels, scan: Scan | None) -> Sweep:
    """Make the cases that are asked for.

    Raises
    ------
    UsageError
        If there is no such sweep, or nothing in it is judged.
    """
    first: Kernel = next(iter(kernels))
    if options.pair is not None and isinstance(first, PairKernel):
        return first.plan(options.pair.sizes, options.pair.promises, options.seed)
    found = select(
        expand(options.sweep, kernels, scan, options.seed),
        text=options.text,
        where=parse_filters(kernels, options.where),
    )
    return found


def declared_cases(sweep: Sweep) -> tuple[Case, ...]:
    """Give all cases of a sweep, each once."""
    found = {planned.case.case_id: planned.case for planned in (*sweep.cases, *sweep.probed)}
    return tuple(found.values())


def seeded(manifest: Manifest) -> Case | None:
    """Give the case with the least work, whose inputs show that a seed gives the same bits."""
    return min((case for case in manifest.cases if case.work > 0), key=lambda case: case.work, default=None)


def arm_paths(manifest: Manifest) -> dict[str, str]:
    """Give the folders that come first for one implementation alone, by its name."""
    origin = manifest.provenance
    own = {"reference": origin.reference_path, manifest.candidate: origin.candidate_path}
    return {name: str(Path(path).resolve()) for name, path in own.items() if path is not None}


def declare(options: Options) -> Declaration:
    """Declare a run; reads headers and sources only, and starts nothing.

    Raises
    ------
    UsageError
        If an option is at fault.
    NothingRanError
        If no case is left after the filters.
    """
    kernels = kernels_of(options)
    takes_scan = any(kernel.takes_scan for kernel in kernels)
    if options.data is not None and not takes_scan:
        raise UsageError(f"--data is for kernels that take a scan, but {next(iter(kernels)).name} takes none")
    scan = scans.peek(options.data, options.reading) if takes_scan else None
    sweep = sweep_of(options, kernels, scan)
    if not sweep.cases:
        raise NothingRanError(f"no case of the sweep {sweep.name} matches the filters; nothing ran")
    threads = options.threads or limits.usable_cores()
    sources = sources_of(options, kernels)
    candidate = judged_candidate(options.candidate, kernels)
    origin = provenance.describe(sources, settings_on_record(threads, options.keep_env))
    items = tuple(
        item
        for item in plan_items(sweep, candidate, kernels)
        if not item.key.startswith("suite|") or find_suite(options.package) is not None
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
        kernels=tuple(kernel.card() for kernel in kernels),
        cases=declared_cases(sweep),
        judged=sweep.judged,
        candidate=candidate,
        planned=planned_lines(items),
        protocol=sweep.protocol,
        provenance=origin,
    )
    return Declaration(kernels, sources, sweep, items, manifest, threads)


def open_to_continue(path: Path, fresh: Manifest) -> results.RunFolder:
    """Open the run to continue, and see that it is the same run on the same machine and kernel."""
    folder = results.RunFolder.open(path)
    old, new = folder.manifest, fresh
    then, this = old.provenance, new.provenance
    scans_of = [(None, (), None) if scan is None else (scan.sha256, scan.reading, scan.read_sha256)
                for scan in (old.scan, new.scan)]  # fmt: skip
    for what, was, is_now in (
        ("the schema version", old.written_as, new.written_as),
        ("the kernel's sources (digest)", then.kernel_digest, this.kernel_digest),
        ("the candidate's sources (digest)", then.candidate_digest, this.candidate_digest),
        ("the reference's sources (digest)", then.reference_digest, this.reference_digest),
        ("the harness's sources (digest)", then.harness_digest, this.harness_digest),
        ("the machine (fingerprint)", then.machine.fingerprint, this.machine.fingerprint),
        ("the versions", then.versions, this.versions),
        ("the thread settings", then.threads, this.threads),
        ("the scan (sha256)", scans_of[0][0], scans_of[1][0]),
        ("how the scan is read", " ".join(scans_of[0][1]), " ".join(scans_of[1][1])),
        ("what the scan is read as (sha256)", scans_of[0][2], scans_of[1][2]),
        ("the sweep", old.sweep, new.sweep),
        ("the kernels", old.kernels, new.kernels),
        ("the planned cases", old.planned, new.planned),
        ("what is judged", old.judged, new.judged),
        ("the protocol", old.protocol, new.protocol),
    ):
        if was != is_now:
            shown = f": {was} then, {is_now} now" if isinstance(was, str) else ""
            raise UsageError(
                f"{path} can only be continued where nothing changed, but {what} did{shown}; "
                "start a new run in another folder"
            )
    return folder
