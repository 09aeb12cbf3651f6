"""Sweeps: which cases are measured, and what of each.

A sweep is declared before it runs and knows a scan only by its shape. The built-in ones are the kernels' own; a
user's is a TOML file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.base import Record
from validation.contract.cases import EQUIVALENCE, PROTOCOL, Case, Check, PlannedCase, Protocol, Scalar, Sweep
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel
from validation.contract.manifest import Scan
from validation.kernels.registry import Kernels

BUILT_IN = ("smoke", "quick", "full", "nightly", "peers")


def expand(name: str, kernels: Kernels, scan: Scan | None, seed: int) -> Sweep:
    """Make the cases of a sweep, built-in or from a TOML file: those of all kernels together.

    Raises
    ------
    UsageError
        If there is no such sweep.
    """
    if name.endswith(".toml"):
        return read_sweep(Path(name), kernels, scan, seed)
    parts = [part for kernel in kernels if (part := kernel.sweep(name, scan, seed)) is not None]
    if not parts:
        offered = ", ".join(known for known in BUILT_IN if any(kernel.sweep(known, scan, seed) for kernel in kernels))
        raise UsageError(f"--sweep must be one of {offered} or a file that ends in .toml, got {name!r}")
    first = parts[0]
    return msgspec.structs.replace(
        first,
        provisional=any(part.provisional for part in parts),
        cases=tuple(planned for part in parts for planned in part.cases),
        judged=tuple(item for part in parts for item in part.judged),
        probed=tuple(planned for part in parts for planned in part.probed),
        suite=any(part.suite for part in parts),
        mutants=any(part.mutants for part in parts),
    )


def find_case(case_id: str, kernels: Kernels, scan: Scan | None, declared: Iterable[Case] = ()) -> Case:
    """Look a case up by its id: among those that a run declared, else in the built-in sweeps.

    Raises
    ------
    UsageError
        If none has that id.
    """
    for case in declared:
        if case.case_id == case_id:
            return case
    for kernel in kernels:
        for name in BUILT_IN:
            sweep = kernel.sweep(name, scan, 0)
            for planned in () if sweep is None else (*sweep.cases, *sweep.probed):
                if planned.case.case_id == case_id:
                    return planned.case
    raise UsageError(
        f"CASE-ID must be that of a case of the run or of a built-in sweep, got {case_id!r}; "
        "see python -m validation list"
    )


def parse_filters(kernels: Kernels, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``NAME=VALUE`` filters; the same name may come again, and then either value is kept.

    Raises
    ------
    UsageError
        If no kernel has such a parameter.
    """
    found: dict[str, tuple[str, ...]] = {}
    known = dict.fromkeys(card.name for kernel in kernels for card in kernel.parameters)
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or name not in known:
            raise UsageError(f"--where must be NAME=VALUE with NAME one of {', '.join(known)}, got {word!r}")
        found[name] = (*found.get(name, ()), value)
    return found


def select(sweep: Sweep, *, text: str | None = None, where: Mapping[str, tuple[str, ...]] | None = None) -> Sweep:
    """Keep the cases that match every filter given.

    A filtered sweep is provisional, leaves out the test suite and the mutants, and keeps its cases as declared.

    Parameters
    ----------
    text : str, optional
        Words that a case id must contain, each of them.
    where : dict, optional
        Values to keep, by parameter.
    """
    words = (text or "").split()
    if not words and not where:
        return sweep

    def keep(planned: PlannedCase) -> bool:
        case = planned.case
        return all(word in case.case_id for word in words) and all(
            str(case.params.get(name)) in values for name, values in (where or {}).items()
        )

    return msgspec.structs.replace(
        sweep,
        cases=tuple(filter(keep, sweep.cases)),
        probed=tuple(filter(keep, sweep.probed)),
        provisional=True,
        suite=False,
        mutants=False,
    )


class SweepFile(Record, frozen=True, kw_only=True):
    """A sweep of a user's own. ``provisional = false`` makes its verdict evidence.

    Each ``[[cases]]`` table holds a ``kernel``, values of its parameters (lists are multiplied out), and what is
    measured: ``checks``, ``optional``, ``every_candidate``, ``peers``, ``context``; ``reference = true`` marks the case
    that is judged.
    """

    cases: tuple[dict[str, Any], ...]
    provisional: bool = True
    protocol: Protocol = PROTOCOL


class _Asked(Record, frozen=True, kw_only=True):
    """What a table says besides parameters."""

    kernel: str | None = None
    checks: tuple[Check, ...] = EQUIVALENCE
    optional: bool = False
    every_candidate: bool = False
    peers: bool = False
    context: bool = False
    reference: bool = False


def _table(table: dict[str, Any], kernels: Kernels, scan: Scan | None, seed: int) -> tuple[_Asked, list[Case]]:
    """Multiply a table out."""
    asked = msgspec.convert({name: table[name] for name in table if name in _Asked.__struct_fields__}, type=_Asked)
    kernel: Kernel = kernels[asked.kernel] if asked.kernel else next(iter(kernels))
    given = kernel.given({name: table[name] for name in table if name not in _Asked.__struct_fields__}, scan)
    lists: dict[str, list[Scalar]] = {
        name: list(value) if isinstance(value, (list, tuple)) else [value] for name, value in given.items()
    }
    combined = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    return asked, [kernel.case(seed=seed, **kernel.joined(params)) for params in combined]


def read_sweep(path: Path, kernels: Kernels, scan: Scan | None, seed: int) -> Sweep:
    """Read a sweep from a TOML file.

    At most one ``[[cases]]`` table, of one case, says ``reference = true``; without one the first case is judged.

    Raises
    ------
    UsageError
        If the file cannot be read or does not describe a sweep.
    """
    try:
        declared = msgspec.toml.decode(path.read_bytes(), type=SweepFile)
        tables = [_table(table, kernels, scan, seed) for table in declared.cases]
    except OSError as error:
        raise UsageError(f"--sweep {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise UsageError(f"--sweep {path} does not describe a sweep: {error}; see docs/validation.md") from None
    k = declared.protocol.replicates
    if declared.protocol.max_replicates not in (k, 2 * k):
        raise UsageError(
            f"--sweep {path}: max_replicates must be replicates ({k}, no extension) or twice that, "
            f"got {declared.protocol.max_replicates}"
        )
    cases: list[PlannedCase] = []
    references: list[Case] = []
    for asked, found in tables:
        for case in found:
            cases.append(
                PlannedCase(
                    case=case,
                    checks=asked.checks,
                    optional=asked.optional,
                    every_candidate=asked.every_candidate,
                    peers=asked.peers,
                    context=asked.context,
                )
            )
            if asked.reference:
                references.append(case)
    ids = [planned.case.case_id for planned in cases]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise UsageError(f"--sweep {path} must name each case once, but {repeated[0]} comes up again")
    if not cases:
        raise UsageError(f"--sweep {path} must hold at least one case, got none")
    if len(references) > 1:
        raise UsageError(f"--sweep {path} must mark one case with reference = true, got {len(references)}")
    reference = references[0] if references else cases[0].case
    return Sweep(
        name=path.stem,
        provisional=declared.provisional,
        seed=seed,
        protocol=declared.protocol,
        cases=tuple(cases),
        judged=kernels[reference.kernel].judged(reference),
    )
