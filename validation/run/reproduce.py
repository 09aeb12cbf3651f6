"""Reruns one case alone, with the same bits, and shows where and by how much the outputs differ."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.contract.records import (
    SCHEMA_VERSION,
    Case,
    CaseResult,
    Comparison,
    Equivalence,
    Failure,
    Manifest,
    ProbeResult,
    Provenance,
    Record,
)
from validation.kernels.patches import probes
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.measure import case as measure
from validation.measure import worst
from validation.measure.bench import Bench, CaseFailed
from validation.measure.lines import probe_line
from validation.measure.runner import LocalExecutor, Mode
from validation.plan.items import ProbeItem
from validation.plan.sweeps import PROTOCOL, parse_case_id
from validation.run import provenance
from validation.run.declaration import now
from validation.run.results import RunFolder, check_writable, key_of
from validation.run.session import read_scan
from validation.subject import scans
from validation.subject.scans import materialise

_ENTROPY = re.compile("[0-9a-f]{1,64}")
THREADS = "TF_NUM_INTRAOP_THREADS"


class Reproduced(Record, frozen=True, kw_only=True):
    """What the rerun of a case gave: comparisons, a probe's finding or a failure, and the files written.

    ``changed`` says what is no longer as it was when the run was made.
    """

    case: Case
    candidate: str
    equivalence: Equivalence | None
    failure: Failure | None
    recorded: CaseResult | ProbeResult | None
    files: tuple[str, ...]
    probed: ProbeResult | None = None
    changed: tuple[str, ...] = ()


def _recorded(folder: RunFolder, key: str) -> CaseResult | ProbeResult | None:
    """Line of the run with a key, where it is that of a case or a probe."""
    found = (line for line in folder.lines() if key_of(line) == key)
    return next((line for line in found if isinstance(line, (CaseResult, ProbeResult))), None)


def _changed(manifest: Manifest, present: Provenance) -> tuple[str, ...]:
    """Say what is not as it was when a run was made: figures from then and now need not agree."""
    then = manifest.provenance
    return tuple(
        f"{what}: {was} then, {is_now} now"
        for what, was, is_now in (
            ("the kernel's sources", then.kernel_digest[:12], present.kernel_digest[:12]),
            ("the machine", then.machine.fingerprint, present.machine.fingerprint),
            ("versions", then.versions, present.versions),
        )
        if was != is_now
    )


def _check_same_scan(manifest: Manifest, sha256: str) -> None:
    if manifest.scan.sha256 != sha256:
        raise UsageError(
            f"the scan {manifest.scan.path or manifest.scan.name} must be the one of the run "
            f"(sha256 {manifest.scan.sha256[:12]}...), got {sha256[:12]}...; give the old file with --data"
        )


def reproduce(
    case_id: str,
    *,
    source: str | None,
    data: str | None,
    ptycho: str | None,
    candidate: str | None,
    out: str,
    start: Mode,
    timeout_s: float,
    probe: str | None = None,
    entropy: str | None = None,
    reading: tuple[str, ...] = (),
) -> Reproduced:
    """Rerun one case for one candidate, with the threads of the run and a limit on its memory.

    Parameters
    ----------
    case_id : str
    source : str or None
        Folder of the run whose scan and candidate are taken, and whose figures are shown beside the new ones.
    data : str or None
        Scan, where it is not the run's.
    ptycho : str or None
        Folder that holds the ``ptycho`` package to measure.
    candidate : str or None
        ``None``: the run's, or ``batched``.
    out : str
        Folder for the outputs of the worst patch.
    start : {'fork', 'spawn'}
    timeout_s : float
    probe : str, optional
        A probe to ask at the case, instead of the comparison of outputs.
    entropy : str, optional
        Hexadecimal digits that a timed or metered call drew: its inputs are made again, instead of the case's own.
    reading : tuple of str
        Options that say how the scan is read; none: those of the run.

    Raises
    ------
    UsageError
        If the id is none, the scan is not the run's, or the kernel has no such probe.
    """
    case = parse_case_id(case_id)
    if entropy is not None and not _ENTROPY.fullmatch(entropy):
        raise UsageError(f"--entropy must be hexadecimal digits as a result line holds them, got {entropy!r}")
    if probe is not None and probe not in probes.names(case.kernel):
        raise UsageError(
            f"--probe of {case.kernel} must be one of {', '.join(probes.names(case.kernel))}, got {probe!r}"
        )
    folder = RunFolder.open(Path(source)) if source is not None else None
    if folder is not None:
        data = data or folder.manifest.scan.path
        recorded = folder.manifest.scan.reading
        reading = reading or recorded
        if reading != recorded:
            said = " ".join(recorded) or "without options"
            raise UsageError(f"the scan must be read as in the run ({said}), got {' '.join(reading)}")
        candidate = candidate or folder.manifest.candidate
        given = folder.manifest.provenance.ptycho_path
        ptycho = ptycho or (None if given == "installed" else given)
    candidate = candidate or "batched"
    threads = limits.usable_cores()
    if folder is not None:
        threads = int(folder.manifest.provenance.threads.get(THREADS, threads))
    origin = provenance.describe(ptycho, settings_on_record(threads))
    if probe is None:
        check_writable(Path(out))
    ptycho_path = None if ptycho is None else str(Path(ptycho).resolve())
    limit = int(0.8 * limits.available_bytes()) or None
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as name,
        LocalExecutor(Path(name), mode=start, threads=threads, memory_limit_bytes=limit) as executor,
    ):
        scan_path = materialise(data, Path(name), reading)
        read_scan(executor, scan_path, data, ptycho_path)
        if folder is not None:
            _check_same_scan(folder.manifest, scans.digest(Path(data or scan_path)))
        bench = Bench(
            executor,
            scan_path=scan_path,
            ptycho_path=ptycho_path,
            protocol=PROTOCOL,
            scratch=Path(name),
            timeout_s=timeout_s,
            entropy=entropy,
        )
        equivalence, failure, probed = None, None, None
        files: tuple[str, ...] = ()
        item = None if probe is None else ProbeItem(probe=probe, case=case, candidate=candidate)
        if item is not None:
            head = {"schema_version": SCHEMA_VERSION, "run_id": "reproduced", "started_at": now(), "provenance": origin}
            probed = probe_line(bench, item, head)
        else:
            try:
                # Whoever asks for one case wants the reference, however slow it is.
                equivalence = measure.compare_outputs(bench, case, candidate)
                files = _save_worst(bench, case, candidate, equivalence, Path(out))
            except CaseFailed as failed:
                failure = failed.failure
        key = f"{case_id}|{candidate}" if item is None else item.key
        return Reproduced(
            case=case,
            candidate=candidate,
            equivalence=equivalence,
            failure=failure,
            recorded=None if folder is None else _recorded(folder, key),
            files=files,
            probed=probed,
            changed=() if folder is None else _changed(folder.manifest, origin),
        )


def _save_worst(bench: Bench, case: Case, candidate: str, equivalence: Equivalence, out: Path) -> tuple[str, ...]:
    saved = worst.save(bench, case, candidate, worst.judged(equivalence), out)
    if saved is None:
        return ()
    path, cut = saved
    picture = path.with_suffix(".png")
    _draw(str(picture), cut["reference"], cut["candidate"], cut["difference"], candidate)
    return str(path), str(picture)


def _draw(path: str, reference: NDArray[Any], actual: NDArray[Any], difference: NDArray[Any], candidate: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    top = float(np.nanmax(np.abs(reference), initial=0.0)) or 1.0
    panels = (("reference", reference, top), (candidate, actual, top), ("difference", difference, None))
    for axes, (title, values, limit) in zip(figure.subplots(1, 3), panels, strict=True):
        image = axes.imshow(np.abs(values), vmin=0.0, vmax=limit, cmap="viridis", interpolation="nearest")
        axes.set_title(f"|{title}|")
        axes.set_xlabel("x, pixels")
        axes.set_ylabel("y, pixels")
        figure.colorbar(image, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=120)


def _describe(comparison: Comparison) -> str:
    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    share = None if comparison.identical_share is None else 100 * comparison.identical_share
    return (
        f"{'ok' if comparison.passed else 'DIFFERS':8} {comparison.actual} against {comparison.expected}: "
        f"max error {shown(comparison.max_abs_error, '.3e')} (allowed {comparison.atol:g}) of {comparison.scale:g}, "
        f"max ULP {shown(comparison.max_ulp, 'd')}, identical bits {shown(share, '.6g')} %, "
        f"worst at {comparison.worst_index}, NaN {comparison.nan_count}, Inf {comparison.inf_count}"
    )


def _comparisons(equivalence: Equivalence) -> tuple[Comparison, ...]:
    found = (equivalence.candidate_vs_oracle, equivalence.candidate_vs_reference, equivalence.reference_vs_oracle)
    return tuple(comparison for comparison in found if comparison is not None)


def _told(probed: ProbeResult) -> str:
    state = "ok" if probed.passed else "DIFFERS"
    return f"{state:8} probe {probed.probe}: {probed.detail}, figure {probed.figure}, limit {probed.limit}"


def lines(found: Reproduced) -> list[str]:
    """Tell what the rerun gave, and beside it what the run recorded."""
    told = [f"{found.case.case_id}, candidate {found.candidate}"]
    told += [f"changed since the run: {what}" for what in found.changed]
    if found.probed is not None:
        told.append(_told(found.probed))
    if found.equivalence is not None:
        told += [_describe(comparison) for comparison in _comparisons(found.equivalence)]
    if found.failure is not None:
        told.append(f"FAILED   {found.failure.reason} of {found.failure.arm}: {found.failure.message}")
        told += [f"         {line}" for line in found.failure.stderr_tail]
    recorded = found.recorded
    if recorded is not None:
        told.append(f"recorded in run {recorded.run_id}:")
        if isinstance(recorded, ProbeResult):
            told.append(_told(recorded))
        elif recorded.failure is not None:
            told.append(f"FAILED   {recorded.failure.reason}: {recorded.failure.message}")
        elif recorded.measurement is not None and recorded.measurement.equivalence is not None:
            told += [_describe(comparison) for comparison in _comparisons(recorded.measurement.equivalence)]
    told += [f"wrote {path}" for path in found.files]
    return told
