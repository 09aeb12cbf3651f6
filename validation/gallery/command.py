"""The gallery of mutants as a command of its own: what must reject each, and what did."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import Any

from validation.contract.errors import InstrumentError, UsageError
from validation.contract.manifest import SCHEMA_VERSION
from validation.gallery.bench import PROTOCOL
from validation.gallery.session import Gallery, run_mutants
from validation.kernels.registry import Kernels
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.measure.bench import Bench, CaseFailed
from validation.measure.runner import LocalExecutor
from validation.run import provenance
from validation.run.declaration import now
from validation.run.options import Options, judged_candidate, kernels_of, sources_of
from validation.run.results import check_writable
from validation.subject import scans

TIMEOUT_S = 300.0


def _kernels(options: Options, only: tuple[str, ...]) -> Kernels:
    """Find the kernels, all that have mutants; and see that those that are asked for are among them."""
    kernels = Kernels(kernel for kernel in kernels_of(options) if kernel.mutants)
    known = [mutant.name for kernel in kernels for mutant in kernel.mutants]
    if not known:
        raise UsageError("none of the kernels has mutants; see docs/adding-a-kernel.md")
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise UsageError(f"--only must be one of {', '.join(known)}, got {unknown[0]}")
    return kernels


def show(options: Options, only: tuple[str, ...]) -> tuple[bool, list[str]]:
    """Run the gallery.

    Returns
    -------
    sound : bool
        Whether the control passed and every mutant was rejected by the criterion named for it.
    told : list of str
        One line per mutant and a last one that sums up.

    Raises
    ------
    UsageError
        If a mutant is not known, or the folder is not empty.
    InstrumentError
        If something that must work does not.
    """
    kernels = _kernels(options, only)
    folder = Path(options.out)
    check_writable(folder)
    if any(folder.iterdir()):
        raise UsageError(f"--out must be an empty folder, but {options.out} is not; give another one")
    threads = limits.usable_cores()
    origin = provenance.describe(sources_of(options, kernels), settings_on_record(threads))
    run_id = f"mutants-{secrets.token_hex(4)}"
    takes_scan = any(kernel.takes_scan for kernel in kernels)

    def line_fields() -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, "run_id": run_id, "started_at": now(), "provenance": origin}

    with (
        tempfile.TemporaryDirectory(prefix="validation-") as scratch,
        LocalExecutor(
            Path(scratch), mode=options.start, threads=threads, memory_limit_bytes=None, preload=kernels.preload
        ) as executor,
    ):
        bench = Bench(
            executor,
            kernels=kernels,
            scan_path=scans.materialise(None, Path(scratch)) if takes_scan else None,
            package=None if options.package is None else str(Path(options.package).resolve()),
            protocol=PROTOCOL,
            scratch=Path(scratch),
            timeout_s=TIMEOUT_S,
        )
        try:
            gallery = run_mutants(
                bench,
                scan=scans.peek(None) if takes_scan else None,
                origin=origin,
                folder=folder,
                line_fields=line_fields,
                candidate=judged_candidate(options.candidate, kernels),
                only=only,
            )
        except CaseFailed as failed:
            raise InstrumentError(
                f"the gallery cannot run: {failed.failure.arm} failed ({failed.failure.message})"
            ) from None
    return gallery.sound, lines(gallery)


def lines(gallery: Gallery) -> list[str]:
    """Tell each mutant with the criterion that must reject it and those that did."""
    width = max((len(mutant.mutant) for mutant in gallery.mutants), default=0)
    told = [
        f"{'ok' if mutant.caught else 'MISSED':6} {mutant.mutant:{width}} {mutant.defect:6} "
        f"must be rejected by {mutant.expected_criterion}, was rejected by {', '.join(mutant.rejected_by) or 'nothing'}"
        for mutant in gallery.mutants
    ]
    caught = sum(mutant.caught for mutant in gallery.mutants)
    control = gallery.control_verdict
    if gallery.control_rejected_by:
        control += f" ({', '.join(gallery.control_rejected_by)})"
    told.append(f"{caught} of {len(gallery.mutants)} rejected for their own reason; the true candidate: {control}")
    return told
