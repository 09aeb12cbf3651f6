"""The lines of the mutants in a run: each judged by the gate, beside the true candidate as the control."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from validation.contract.errors import InstrumentError
from validation.contract.lines import MutantResult
from validation.contract.manifest import Manifest
from validation.gallery.session import run_mutants
from validation.measure.bench import Bench, CaseFailed

ATTEMPTS = 2


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
    try:
        for attempt in range(ATTEMPTS):
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
            if gallery.control_verdict != "INCONCLUSIVE" or attempt + 1 == ATTEMPTS:
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
