"""Reruns one case alone, with the same bits, and shows where and by how much the outputs differ."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from validation.contract.base import Record
from validation.contract.cases import CANDIDATE, PROTOCOL, Case
from validation.contract.errors import UsageError
from validation.contract.lines import CaseResult, PropertyResult
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Provenance
from validation.contract.measurements import Comparison, Equivalence, Failure
from validation.kernels.pair import PairKernel
from validation.kernels.registry import Kernels
from validation.machine import limits
from validation.machine.surroundings import settings_on_record
from validation.measure import case as measure
from validation.measure import worst
from validation.measure.bench import Bench, CaseFailed
from validation.measure.instruments import read_scan
from validation.measure.lines import property_line
from validation.measure.runner import LocalExecutor, Mode
from validation.plan.items import PropertyItem
from validation.plan.sweeps import find_case
from validation.properties import generic
from validation.run import provenance
from validation.run.declaration import arm_paths, now
from validation.run.options import Options, find_kernels, sources_of
from validation.run.results import RunFolder, check_writable
from validation.subject import scans
from validation.subject.scans import materialise

_ENTROPY = re.compile("[0-9a-f]{1,64}")
THREADS = "TF_NUM_INTRAOP_THREADS"


class Reproduced(Record, frozen=True, kw_only=True):
    """What the rerun of a case gave: comparisons, a property's finding or a failure, and the files written.

    ``changed`` says what is no longer as it was when the run was made.
    """

    case: Case
    candidate: str
    equivalence: Equivalence | None
    failure: Failure | None
    recorded: CaseResult | PropertyResult | None
    files: tuple[str, ...]
    checked: PropertyResult | None = None
    changed: tuple[str, ...] = ()


def _recorded(folder: RunFolder, key: str) -> CaseResult | PropertyResult | None:
    """Line of the run with a key, where it is that of a case or a property."""
    found = (line for line in folder.lines() if line.key == key)
    return next((line for line in found if isinstance(line, (CaseResult, PropertyResult))), None)


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
    if manifest.scan is not None and manifest.scan.sha256 != sha256:
        raise UsageError(
            f"the scan {manifest.scan.path or manifest.scan.name} must be the one of the run "
            f"(sha256 {manifest.scan.sha256[:12]}...), got {sha256[:12]}...; give the old file with --data"
        )


class Asked(Record, frozen=True, kw_only=True):
    """What is rerun: a case of a run, or of a built-in sweep.

    Attributes
    ----------
    case_id : str
    source : str or None
        Folder of the run whose kernels, scan and candidate are taken, and whose figures are shown beside the new ones.
    data : str or None
        Scan, where it is not the run's.
    package : str or None
        Folder that holds the package to measure.
    candidate : str or None
        ``None``: the run's, or the first that comes with the kernel.
    out : str
        Folder for the outputs of the worst part.
    property : str or None
        A property to check at the case, instead of the comparison of outputs.
    entropy : str or None
        Hexadecimal digits that a timed or metered call drew: its inputs are made again, instead of the case's own.
    reading : tuple of str
        Options that say how the scan is read; none: those of the run.
    kernel_folder : tuple of str
        Folders that hold kernels, where there is no run that names them.
    """

    case_id: str
    source: str | None = None
    data: str | None = None
    package: str | None = None
    candidate: str | None = None
    out: str = "reproduced"
    start: Mode = "fork"
    timeout_s: float = 1800.0
    property: str | None = None
    entropy: str | None = None
    reading: tuple[str, ...] = ()
    kernel_folder: tuple[str, ...] = ()


def _kernels(asked: Asked, folder: RunFolder | None) -> Kernels:
    """Find the kernels of the run, or those that are asked for."""
    if folder is None:
        return find_kernels((), asked.kernel_folder, CANDIDATE)
    found = Kernels.of(card.source for card in folder.manifest.kernels)
    for card, kernel in zip(folder.manifest.kernels, found, strict=True):
        if isinstance(kernel, PairKernel):
            kernel.atol, kernel.rtol = card.atol, card.rtol
    return found


def _like_the_run(asked: Asked, manifest: Manifest) -> Asked:
    """Take from a run what is not asked for otherwise."""
    scan, given = manifest.scan, manifest.provenance.package_path
    recorded = () if scan is None else scan.reading
    reading = asked.reading or recorded
    if reading != recorded:
        said = " ".join(recorded) or "without options"
        raise UsageError(f"the scan must be read as in the run ({said}), got {' '.join(reading)}")
    return msgspec.structs.replace(
        asked,
        data=asked.data or (None if scan is None else scan.path),
        reading=reading,
        candidate=asked.candidate or manifest.candidate,
        package=asked.package or (None if given == "installed" else given),
    )


def reproduce(asked: Asked) -> Reproduced:
    """Rerun one case for one candidate, with the threads of the run and a limit on its memory.

    Raises
    ------
    UsageError
        If the id is none, the scan is not the run's, or the kernel has no such property.
    """
    if asked.entropy is not None and not _ENTROPY.fullmatch(asked.entropy):
        raise UsageError(f"--entropy must be hexadecimal digits as a result line holds them, got {asked.entropy!r}")
    folder = RunFolder.open(Path(asked.source)) if asked.source is not None else None
    threads = limits.usable_cores()
    declared: tuple[Case, ...] = ()
    if folder is not None:
        asked = _like_the_run(asked, folder.manifest)
        threads = int(folder.manifest.provenance.threads.get(THREADS, threads))
        declared = _cases_of(folder)
    kernels = _kernels(asked, folder)
    takes_scan = any(kernel.takes_scan for kernel in kernels)
    scan = scans.peek(asked.data, asked.reading) if takes_scan else None
    case = find_case(asked.case_id, kernels, scan, declared)
    if asked.property is not None:
        generic.find(kernels[case.kernel], case, asked.property)
    if asked.property is None:
        check_writable(Path(asked.out))
    limit = int(0.8 * limits.available_bytes()) or None
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as name,
        LocalExecutor(
            Path(name), mode=asked.start, threads=threads, memory_limit_bytes=limit, preload=kernels.preload
        ) as executor,
    ):
        scan_path = materialise(asked.data, Path(name), asked.reading) if takes_scan else None
        bench = Bench(
            executor,
            kernels=kernels,
            scan_path=scan_path,
            package=None if asked.package is None else str(Path(asked.package).resolve()),
            arm_paths={} if folder is None else arm_paths(folder.manifest),
            protocol=PROTOCOL,
            scratch=Path(name),
            timeout_s=asked.timeout_s,
            entropy=asked.entropy,
        )
        if scan_path is not None:
            read_scan(executor, scan_path, asked.data, bench.paths)
            if folder is not None:
                _check_same_scan(folder.manifest, scans.digest(Path(asked.data or scan_path)))
        return _rerun(bench, asked, case, folder, threads)


def _cases_of(folder: RunFolder) -> tuple[Case, ...]:
    """Give the cases of a run; those of an older schema stand in its lines alone."""
    lines = (line.case for line in folder.lines() if isinstance(line, CaseResult))
    return folder.manifest.cases or tuple(lines)


def _rerun(bench: Bench, asked: Asked, case: Case, folder: RunFolder | None, threads: int) -> Reproduced:
    """Measure the case again."""
    candidate = asked.candidate or bench.kernel(case).candidates[0].name
    options = Options(sweep="", out="", command="", package=asked.package, candidate=candidate)
    origin = provenance.describe(sources_of(options, bench.kernels), settings_on_record(threads))
    equivalence, failure, checked = None, None, None
    files: tuple[str, ...] = ()
    item = None if asked.property is None else PropertyItem(name=asked.property, case=case, candidate=candidate)
    if item is not None:
        head = {"schema_version": SCHEMA_VERSION, "run_id": "reproduced", "started_at": now(), "provenance": origin}
        checked = property_line(bench, item, head)
    else:
        try:
            # Whoever asks for one case wants the reference, however slow it is.
            equivalence = measure.compare_outputs(bench, case, candidate)
            files = _save_worst(bench, case, candidate, equivalence, Path(asked.out))
        except CaseFailed as failed:
            failure = failed.failure
    key = f"{case.case_id}|{candidate}" if item is None else item.key
    return Reproduced(
        case=case,
        candidate=candidate,
        equivalence=equivalence,
        failure=failure,
        recorded=None if folder is None else _recorded(folder, key),
        files=files,
        checked=checked,
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
        axes.set_xlabel("last axis")
        axes.set_ylabel("axis before it")
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


def _told(checked: PropertyResult) -> str:
    state = "ok" if checked.passed else "DIFFERS"
    return f"{state:8} property {checked.name}: {checked.detail}, figure {checked.figure}, limit {checked.limit}"


def lines(found: Reproduced) -> list[str]:
    """Tell what the rerun gave, and beside it what the run recorded."""
    told = [f"{found.case.case_id}, candidate {found.candidate}"]
    told += [f"changed since the run: {what}" for what in found.changed]
    if found.checked is not None:
        told.append(_told(found.checked))
    if found.equivalence is not None:
        told += [_describe(comparison) for comparison in _comparisons(found.equivalence)]
    if found.failure is not None:
        told.append(f"FAILED   {found.failure.reason} of {found.failure.arm}: {found.failure.message}")
        told += [f"         {line}" for line in found.failure.stderr_tail]
    recorded = found.recorded
    if recorded is not None:
        told.append(f"recorded in run {recorded.run_id}:")
        if isinstance(recorded, PropertyResult):
            told.append(_told(recorded))
        elif recorded.failure is not None:
            told.append(f"FAILED   {recorded.failure.reason}: {recorded.failure.message}")
        elif recorded.measurement is not None and recorded.measurement.equivalence is not None:
            told += [_describe(comparison) for comparison in _comparisons(recorded.measurement.equivalence)]
    told += [f"wrote {path}" for path in found.files]
    return told
