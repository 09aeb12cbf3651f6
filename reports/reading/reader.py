"""Run folder in, `reports.reading.run.Run` out; whatever cannot be judged together is refused here."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from reports.errors import InputError
from reports.reading.run import Run, resume_command
from reports.reading.verdict import OWN_CRITERIA
from validation.contract.errors import UNDECODABLE
from validation.contract.lines import CalibrationResult, CaseResult, ResultLine
from validation.contract.manifest import Manifest
from validation.contract.upgrade import READABLE_VERSIONS, decode_line, decode_manifest

MANIFEST = "manifest.json"
RESULTS = "results.jsonl"


class _Head(msgspec.Struct):
    schema_version: str = ""


def _check_version(raw: bytes, where: str) -> None:
    version = msgspec.json.decode(raw, type=_Head).schema_version
    if version not in READABLE_VERSIONS:
        raise InputError(
            f"{where}: schema_version must be one of {', '.join(READABLE_VERSIONS)}, got {version!r}; "
            "judge it with the version of reports that goes with the run, or run the sweep again"
        )


def _fault(error: Exception) -> str:
    """Tell in one line why bytes are not of the schema."""
    told = f"Object missing required field `{error.args[0]}`" if isinstance(error, KeyError) else str(error)
    return " ".join(told.split()) or type(error).__name__


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` of a run folder.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or has another schema.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(
            f"{folder} must be the folder of a run, but there is no such folder; "
            f"make one with: python -m validation run --sweep quick --out {shlex.quote(str(folder))}"
        )
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{folder} must be the folder of a run, but it holds no {MANIFEST}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        _check_version(raw, str(path))
        return decode_manifest(raw)
    except UNDECODABLE as error:
        raise InputError(f"{path} is not the manifest of a run: {_fault(error)}") from None


def _read_lines(path: Path, manifest: Manifest) -> list[ResultLine]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    rows = raw.split(b"\n")
    torn = rows.pop()
    lines: list[ResultLine] = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, line {number}"
        if not row.strip():
            continue
        try:
            _check_version(row, where)
            lines.append(decode_line(row))
        except UNDECODABLE as error:
            raise InputError(f"{where} is not a result line: {_fault(error)}") from None
    if torn.strip():
        raise InputError(
            f"{path}, line {len(rows) + 1} (the last) is torn: it must end with a line break; "
            f"mend it with: {resume_command(manifest)}"
        )
    return lines


def _single(what: str, values: Iterable[tuple[str, str]]) -> None:
    """See that all lines say the same; ``values`` are pairs of (value, the line it comes from)."""
    seen: dict[str, str] = {}
    for value, where in values:
        seen.setdefault(value, where)
        if len(seen) > 1:
            (first, first_where), (second, second_where) = seen.items()
            raise InputError(
                f"all lines of a run must have the same {what}, got {first!r} ({first_where}) and "
                f"{second!r} ({second_where}); results of different {what}s are never mixed in one verdict"
            )


def _one_machine(manifest: Manifest, lines: Sequence[ResultLine]) -> None:
    """See that all lines are of the manifest's machine."""
    classes = Counter(line.provenance.machine.fingerprint for line in lines)
    if set(classes) <= {manifest.provenance.machine.fingerprint}:
        return
    shown = ", ".join(f"{name} ({count} lines)" for name, count in sorted(classes.items()))
    raise InputError(
        f"all lines of a run must have the same machine fingerprint, {manifest.provenance.machine.fingerprint} of "
        f"{MANIFEST}, got {shown}; results of different machines are never mixed in one verdict: "
        "judge one machine class with --machine FINGERPRINT"
    )


def of_machine(manifest: Manifest, lines: Sequence[ResultLine], machine: str) -> tuple[Manifest, list[ResultLine]]:
    """Leave out the lines of other machines: what is left is a run of that machine, the rest of its plan elsewhere.

    Raises
    ------
    InputError
        If no line is of that machine.
    """
    kept = [line for line in lines if line.provenance.machine.fingerprint == machine]
    if not kept:
        there = sorted({line.provenance.machine.fingerprint for line in lines})
        raise InputError(f"--machine must be one of {', '.join(there) or 'none, as nothing ran'}, got {machine!r}")
    origin = msgspec.structs.replace(manifest.provenance, machine=kept[0].provenance.machine)
    own = [
        msgspec.structs.replace(line, other_machine=None) if isinstance(line, CalibrationResult) else line
        for line in kept
    ]
    return msgspec.structs.replace(manifest, provenance=origin), own


def _told_apart(manifest: Manifest, lines: Sequence[ResultLine]) -> None:
    """See that each kernel has one card, each case a kernel, and no judged figure a name that the gate itself uses."""
    names = Counter(card.name for card in manifest.kernels)
    for name, count in names.items():
        if count > 1:
            raise InputError(
                f"each kernel of a run must have a card of its own, but {name!r} comes twice in {MANIFEST}"
            )
    for case, where in (
        *((case, MANIFEST) for case in manifest.cases),
        *((line.case, line.key) for line in lines if isinstance(line, CaseResult)),
    ):
        if case.kernel not in names:
            known = ", ".join(names) or "none"
            raise InputError(
                f"the kernel of a case must be one of {known} of {MANIFEST}, got {case.kernel!r} ({where})"
            )
    for item in manifest.judged:
        if item.criterion in OWN_CRITERIA:
            raise InputError(
                f"a judged figure must have a criterion of its own, but {item.criterion!r} in {MANIFEST} is the gate's"
            )


def make_run(manifest: Manifest, lines: Iterable[ResultLine], machine: str | None = None) -> Run:
    """Put manifest and lines together, and see that they may be judged together.

    Parameters
    ----------
    manifest : Manifest
    lines : iterable of ResultLine
    machine : str, optional
        Fingerprint of the one machine whose lines count.

    Raises
    ------
    InputError
        If run ids, machines or kernel digests are mixed, a line comes twice, or a kernel has no card.
    """
    lines = list(lines)
    everywhere = {line.key for line in lines}
    if machine is not None:
        manifest, lines = of_machine(manifest, lines, machine)
    ordered = tuple(sorted(lines, key=lambda line: line.key))
    for before, after in itertools.pairwise(ordered):
        if before.key == after.key:
            raise InputError(
                f"each line of a run must have a key of its own, but {after.key!r} comes twice in {RESULTS}"
            )
    planned: set[str] = set()
    for item in manifest.planned:
        if item.key in planned:
            raise InputError(
                f"each planned line must have a key of its own, but {item.key!r} comes twice in {MANIFEST}"
            )
        planned.add(item.key)
    _told_apart(manifest, ordered)
    sources = [(MANIFEST, manifest.provenance), *((line.key, line.provenance) for line in ordered)]
    _single("run_id", [(manifest.run_id, MANIFEST), *((line.run_id, line.key) for line in ordered)])
    _one_machine(manifest, ordered)
    _single("kernel digest", ((origin.kernel_digest, where) for where, origin in sources))
    return Run(
        manifest=manifest, lines=ordered, elsewhere=frozenset(everywhere).difference(line.key for line in ordered)
    )


def read_run(folder: str | Path, machine: str | None = None) -> Run:
    """Read a run folder.

    Parameters
    ----------
    folder : str or Path
        Holds ``manifest.json`` and ``results.jsonl`` (which may be absent: then nothing ran).
    machine : str, optional
        Fingerprint of the one machine whose lines count; a run on a cluster may hold several.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If something is missing, torn, of an unknown schema, mixed, or there twice.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return make_run(manifest, _read_lines(folder / RESULTS, manifest), machine)
