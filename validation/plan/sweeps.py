"""Sweeps: which cases are measured, and what of each.

A sweep is declared before it runs and knows the scan only by its shape. The built-in ones are in
`validation.kernels.patches.catalogue`; a user's own is a TOML file.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from validation.contract.errors import UsageError
from validation.contract.records import Case, Check, Dtype, Kernel, Protocol, Record, Scan

CANDIDATE = "batched"
EQUIVALENCE: tuple[Check, ...] = ("equivalence",)
TIMED: tuple[Check, ...] = ("equivalence", "time")
ALL_CHECKS: tuple[Check, ...] = ("equivalence", "time", "memory")
# The protocol of METHOD: seven processes of the reference, two A/A pairs of the candidate with each, one extension by
# as many, two calls discarded, five samples of ten milliseconds.
PROTOCOL = Protocol(replicates=7, max_replicates=14, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
# The quick sweep declares no extension.
QUICK_PROTOCOL = msgspec.structs.replace(PROTOCOL, max_replicates=PROTOCOL.replicates)
# Processes of the reference at a case whose times are context, and A/A pairs of the candidate beside them; where the
# loop is not timed, as many pairs as there would be processes of it.
CONTEXT_REPLICATES = 3
CONTEXT_NOISE_PAIRS = 2
_SHORT_DTYPE: dict[Dtype, str] = {"complex64": "c64", "complex128": "c128"}
_LONG_DTYPE = {short: dtype for dtype, short in _SHORT_DTYPE.items()}
_CASE_ID = re.compile(
    r"(?P<kernel>patch_extraction|reassembly)-N(?P<N>\d+)-g(?P<gridsize>\d+)-B(?P<batch>\d+)-(?P<dtype>c64|c128)"
    r"-(?P<height>\d+)x(?P<width>\d+)-(?P<pattern>[a-z]+)-s(?P<seed>\d+)(?:-M(?P<M>\d+))?"
)


class PlannedCase(Record, frozen=True, kw_only=True):
    """A case, what is measured of it, and whether the gate may do without it.

    ``every_candidate`` asks for all engines, fallbacks and flag states of ``ptycho`` besides the one
    that is judged, ``peers`` for what a user might pick instead. The times of a ``context`` case show how
    speed depends on the case and decide nothing: they come from fewer replicates, and the loop is not timed
    where `validation.kernels.patches.law` leaves it out. ``with_loop`` compares with the loop, however long that takes.
    """

    case: Case
    checks: tuple[Check, ...] = EQUIVALENCE
    optional: bool = False
    every_candidate: bool = False
    peers: bool = False
    context: bool = False
    with_loop: bool = False


class Schedule(NamedTuple):
    """How many blocks a timed case has, and what is in each: processes of the reference, A/A pairs of the candidate."""

    blocks: int
    references: int
    pairs: int


def schedule(planned: PlannedCase, protocol: Protocol, *, with_reference: bool) -> Schedule:
    """Give the schedule of a timed case; ``with_reference``: whether the reference is timed, too."""
    if not planned.context:
        return Schedule(protocol.replicates, int(with_reference), protocol.noise_pairs_per_reference)
    few = min(CONTEXT_REPLICATES, protocol.replicates)
    if not with_reference:
        return Schedule(1, 0, few)
    return Schedule(1, few, min(CONTEXT_NOISE_PAIRS, protocol.replicates))


class Sweep(Record, frozen=True, kw_only=True):
    """A declared set of cases.

    ``reference_case_id`` is the case that the speed and memory criteria are judged at.
    ``provisional`` marks a sweep whose verdict is no evidence. ``probed`` are the cases that probes run at,
    ``probes`` their names (empty: all of the kernel's); ``suite`` asks for the package's own tests with the
    flag in both states, ``mutants`` for the gallery of known-bad implementations.
    """

    name: str
    provisional: bool
    seed: int
    protocol: Protocol
    cases: tuple[PlannedCase, ...]
    reference_case_id: str
    reassembly_case_id: str | None = None
    probed: tuple[PlannedCase, ...] = ()
    probes: tuple[str, ...] = ()
    suite: bool = False
    mutants: bool = False

    def __post_init__(self) -> None:
        judged = (self.reference_case_id, self.reassembly_case_id)
        for planned in self.cases:
            if planned.context and planned.case.case_id in judged:
                raise UsageError(
                    f"the case that speed is judged at needs all its replicates, but {planned.case.case_id} "
                    "is declared as context"
                )


def require_sizes(N: int, gridsize: int, batch: int) -> None:
    """Raise UsageError unless patch size, grid size and number of groups are possible."""
    if N < 2 or N % 2:
        raise UsageError(f"N must be an even positive integer, got {N}")
    if gridsize < 1:
        raise UsageError(f"gridsize must be a positive integer, got {gridsize}")
    if batch < 0:
        raise UsageError(f"batch must not be negative, got {batch}")


def make_case(
    kernel: Kernel,
    *,
    N: int,
    gridsize: int,
    batch: int,
    shape: tuple[int, int],
    pattern: str,
    dtype: Dtype = "complex64",
    seed: int = 0,
    M: int | None = None,
) -> Case:
    """Make a case and its id; both say the same.

    Parameters
    ----------
    shape : tuple
        (height, width) of the object in pixels.

    Raises
    ------
    UsageError
        If a value is out of range.
    """
    from validation.kernels.patches.workloads import PATTERNS

    require_sizes(N, gridsize, batch)
    if min(shape) < 1:
        raise UsageError(f"height and width must be positive, got {shape[0]} and {shape[1]}")
    if pattern not in PATTERNS:
        raise UsageError(f"pattern must be one of {', '.join(PATTERNS)}, got {pattern!r}")
    if dtype not in _SHORT_DTYPE:
        raise UsageError(f"dtype must be one of {', '.join(_SHORT_DTYPE)}, got {dtype!r}")
    if kernel == "reassembly":
        M = 20 if M is None else M
        if not 1 <= M <= N:
            raise UsageError(f"M must lie in 1..N = 1..{N}, got {M}")
    elif kernel == "patch_extraction":
        M = None
    else:
        raise UsageError(f"kernel must be patch_extraction or reassembly, got {kernel!r}")
    name = f"{kernel}-N{N}-g{gridsize}-B{batch}-{_SHORT_DTYPE[dtype]}-{shape[0]}x{shape[1]}-{pattern}-s{seed}"
    return Case(
        case_id=name if M is None else f"{name}-M{M}",
        kernel=kernel,
        N=N,
        gridsize=gridsize,
        batch=batch,
        dtype=dtype,
        height=shape[0],
        width=shape[1],
        pattern=pattern,
        seed=seed,
        M=M,
    )


def with_groups(case: Case, groups: int) -> Case:
    """Give the same case with another number of groups, and the id that says so."""
    return make_case(
        case.kernel,
        N=case.N,
        gridsize=case.gridsize,
        batch=groups,
        shape=(case.height, case.width),
        pattern=case.pattern,
        dtype=case.dtype,
        seed=case.seed,
        M=case.M,
    )


def parse_case_id(case_id: str) -> Case:
    """Read a case from its id.

    Raises
    ------
    UsageError
        If it is not a case id.
    """
    found = _CASE_ID.fullmatch(case_id)
    if found is None:
        raise UsageError(
            f"CASE-ID must look like patch_extraction-N64-g2-B10-c64-200x256-fermat-s0, got {case_id!r}; "
            "see python -m validation list"
        )
    return make_case(
        cast(Kernel, found["kernel"]),
        N=int(found["N"]),
        gridsize=int(found["gridsize"]),
        batch=int(found["batch"]),
        shape=(int(found["height"]), int(found["width"])),
        pattern=found["pattern"],
        dtype=_LONG_DTYPE[found["dtype"]],
        seed=int(found["seed"]),
        M=None if found["M"] is None else int(found["M"]),
    )


def select(
    sweep: Sweep,
    *,
    text: str | None = None,
    N: tuple[int, ...] = (),
    gridsize: tuple[int, ...] = (),
    batch: tuple[int, ...] = (),
    dtype: tuple[str, ...] = (),
    kernel: tuple[str, ...] = (),
) -> Sweep:
    """Keep the cases that match every filter given.

    A filtered sweep is provisional, leaves out the test suite and the mutants, and keeps its cases as declared.

    Parameters
    ----------
    text : str, optional
        Words that a case id must contain, each of them.
    N, gridsize, batch, dtype, kernel : tuple, optional
        Values to keep; empty keeps all.

    Raises
    ------
    UsageError
        If no case can have such a value.
    """
    for value in N:
        require_sizes(value, 1, 0)
    for value in gridsize:
        require_sizes(2, value, 0)
    for value in batch:
        require_sizes(2, 1, value)
    wanted = {"N": N, "gridsize": gridsize, "batch": batch, "dtype": dtype, "kernel": kernel}
    words = (text or "").split()
    if not words and not any(wanted.values()):
        return sweep

    def keep(planned: PlannedCase) -> bool:
        return all(word in planned.case.case_id for word in words) and all(
            not values or getattr(planned.case, name) in values for name, values in wanted.items()
        )

    return msgspec.structs.replace(
        sweep,
        cases=tuple(filter(keep, sweep.cases)),
        probed=tuple(filter(keep, sweep.probed)),
        provisional=True,
        suite=False,
        mutants=False,
    )


class CaseTable(Record, frozen=True, kw_only=True):
    """One ``[[cases]]`` table of a sweep file: every list is multiplied out.

    ``shape`` holds [height, width] pairs; left out, the object has the scan's shape.
    """

    kernel: Kernel = "patch_extraction"
    N: tuple[int, ...] = (64,)
    gridsize: tuple[int, ...] = (2,)
    batch: tuple[int, ...] = (10,)
    dtype: tuple[Dtype, ...] = ("complex64",)
    pattern: tuple[str, ...] = ("scan",)
    shape: tuple[tuple[int, int], ...] | None = None
    M: int | None = None
    checks: tuple[Check, ...] = EQUIVALENCE
    optional: bool = False
    every_candidate: bool = False
    peers: bool = False
    context: bool = False
    reference: bool = False


class SweepFile(Record, frozen=True, kw_only=True):
    """A sweep of a user's own. ``provisional = false`` makes its verdict evidence."""

    cases: tuple[CaseTable, ...]
    provisional: bool = True
    protocol: Protocol = PROTOCOL


def read_sweep(path: Path, scan: Scan, seed: int) -> Sweep:
    """Read a sweep from a TOML file.

    Exactly one ``[[cases]]`` table, of one case, says ``reference = true``; without one the first case
    is the reference.

    Raises
    ------
    UsageError
        If the file cannot be read or does not describe a sweep.
    """
    try:
        declared = msgspec.toml.decode(path.read_bytes(), type=SweepFile)
    except OSError as error:
        raise UsageError(f"--sweep {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"--sweep {path} does not describe a sweep: {error}; see docs/validation.md") from None
    k = declared.protocol.replicates
    if declared.protocol.max_replicates not in (k, 2 * k):
        raise UsageError(
            f"--sweep {path}: max_replicates must be replicates ({k}, no extension) or twice that, "
            f"got {declared.protocol.max_replicates}"
        )
    cases: list[PlannedCase] = []
    references: list[str] = []
    for table in declared.cases:
        for N, gridsize, batch, dtype, pattern, shape in itertools.product(
            table.N, table.gridsize, table.batch, table.dtype, table.pattern, table.shape or (scan.object_shape,)
        ):
            case = make_case(
                table.kernel,
                N=N,
                gridsize=gridsize,
                batch=batch,
                shape=shape,
                pattern=pattern,
                dtype=dtype,
                seed=seed,
                M=table.M,
            )
            cases.append(
                PlannedCase(
                    case=case,
                    checks=table.checks,
                    optional=table.optional,
                    every_candidate=table.every_candidate,
                    peers=table.peers,
                    context=table.context,
                )
            )
            if table.reference:
                references.append(case.case_id)
    ids = [planned.case.case_id for planned in cases]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise UsageError(f"--sweep {path} must name each case once, but {repeated[0]} comes up again")
    if not cases:
        raise UsageError(f"--sweep {path} must hold at least one case, got none")
    if len(references) > 1:
        raise UsageError(f"--sweep {path} must mark one case with reference = true, got {len(references)}")
    return Sweep(
        name=path.stem,
        provisional=declared.provisional,
        seed=seed,
        protocol=declared.protocol,
        cases=tuple(cases),
        reference_case_id=references[0] if references else ids[0],
    )
