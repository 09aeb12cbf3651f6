"""The cases of patch extraction in the built-in sweeps. ``docs/validation.md`` says what they cover and leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from validation.contract.cases import (
    ALL_CHECKS,
    PROTOCOL,
    QUICK_PROTOCOL,
    TIMED,
    PlannedCase,
    Sweep,
)
from validation.contract.errors import UsageError
from validation.contract.manifest import Scan
from validation.kernels.patches.case import DTYPES, make_case, of
from validation.kernels.patches.promise import of_extraction
from validation.kernels.patches.sweeps.design import (
    GRIDSIZES,
    OBJECT_SHAPES,
    OUTPUT_LIMIT,
    PATCH_SIZES,
    corners,
    covering_rows,
    meets_every_candidate,
    output_bytes,
    pattern_and_dtype_with_every_N,
)

# Groups of the quick reference case: its loop takes seconds at most, its peaks can be read, and first calls told apart.
QUICK_GROUPS = 250
# Properties of the quick sweep: two of extraction, and what a call of any kernel owes to its caller.
QUICK_PROPERTIES = (
    "gradient",
    "integer_slicing",
    "special_values",
    "small_amplitude",
    "earlier_calls",
    "inputs_unchanged",
    "own_memory",
    "process_state",
)
# Patches of a cell of the map of speedups: the loop takes a few tenths of a second.
MAP_PATCHES = 100
# Patches of the scaling series; the last need more memory than most machines have, and are optional.
SCALING_PATCHES = (10**2, 10**3, 10**4, 10**5, 10**6)


def _case(*, every_candidate: bool = False, optional: bool = False, **values: Any) -> PlannedCase:
    case = make_case("patch_extraction", **values)
    return PlannedCase(case=case, every_candidate=every_candidate, optional=optional)


def _measured(**values: Any) -> PlannedCase:
    return PlannedCase(case=make_case("patch_extraction", **values), checks=ALL_CHECKS)


def _timed(*, optional: bool = False, **values: Any) -> PlannedCase:
    """Plan a case whose times are context."""
    case = make_case("patch_extraction", **values)
    return PlannedCase(case=case, checks=TIMED, optional=optional, context=True)


def smoke(scan: Scan, seed: int) -> Sweep:
    """Make two small cases: does it run at all."""
    reference = _case(N=32, gridsize=2, batch=4, pattern="scan", shape=scan.object_shape, seed=seed)
    other = _case(N=16, gridsize=1, batch=3, pattern="border", dtype="complex128", shape=(70, 91), seed=seed)
    return Sweep(
        name="smoke",
        provisional=True,
        seed=seed,
        protocol=PROTOCOL,
        cases=(reference, other),
        judged=of_extraction(reference.case),
    )


def quick(scan: Scan, seed: int) -> Sweep:
    """Make every pattern and dtype once, and a small reference case: less than three minutes.

    The extension is not declared, since it would double the time of a verdict that is provisional anyway.
    """
    reference = _measured(N=64, gridsize=2, batch=QUICK_GROUPS, pattern="scan", shape=scan.object_shape, seed=seed)
    others: tuple[dict[str, Any], ...] = (
        {"N": 32, "gridsize": 1, "batch": 1, "pattern": "interior", "shape": (120, 97)},
        {"N": 64, "gridsize": 2, "batch": 10, "pattern": "border", "dtype": "complex128", "shape": (131, 170)},
        {"N": 32, "gridsize": 3, "batch": 10, "pattern": "raster", "shape": (150, 121)},
        {"N": 128, "gridsize": 1, "batch": 10, "pattern": "outside", "shape": (90, 141)},
        {"N": 64, "gridsize": 1, "batch": 10, "pattern": "integer", "shape": (101, 160)},
        {"N": 32, "gridsize": 2, "batch": 10, "pattern": "zero", "dtype": "complex128", "shape": (24, 17)},
        {"N": 64, "gridsize": 2, "batch": 0, "pattern": "fermat", "shape": (101, 160)},
    )
    return Sweep(
        name="quick",
        provisional=True,
        seed=seed,
        protocol=QUICK_PROTOCOL,
        cases=(reference, *(_case(seed=seed, **values) for values in others)),
        judged=of_extraction(reference.case),
        probed=(_case(N=32, gridsize=2, batch=5, pattern="border", shape=(61, 83), seed=seed),),
        properties=QUICK_PROPERTIES,
    )


def _timed_cases(scan: Scan, seed: int) -> Iterator[PlannedCase]:
    """Give the cases whose times are context: how speed depends on N, gridsize, dtype and patches."""
    common: dict[str, Any] = {"pattern": "scan", "shape": scan.object_shape, "seed": seed}
    for N in PATCH_SIZES:
        for gridsize in GRIDSIZES:
            for dtype in DTYPES:
                batch = max(1, round(MAP_PATCHES / gridsize**2))
                yield _timed(N=N, gridsize=gridsize, batch=batch, dtype=dtype, **common)
    # A series at patches so small that 10**5 fit anywhere; the reference case is the far end of one at N 64.
    for patches in SCALING_PATCHES:
        yield _timed(N=32, gridsize=2, batch=patches // 4, optional=patches >= 10**6, **common)


def with_other_inputs(planned: PlannedCase) -> PlannedCase:
    """Give a judged case with another object, other patches and other positions, to be compared whole once more."""
    case = of(planned.case)
    again = make_case(
        case.kernel,
        N=case.N,
        gridsize=case.gridsize,
        batch=case.batch,
        pattern="fermat",
        shape=(case.height, case.width),
        dtype=case.dtype,
        seed=case.seed,
        M=case.M,
    )
    return PlannedCase(case=again, with_reference=True)


def full(scan: Scan, seed: int) -> Sweep:
    """Make the covering design, the corners, the timed cases, and the reference case of 5000 groups."""
    reference = _measured(N=64, gridsize=2, batch=5000, pattern="scan", shape=scan.object_shape, seed=seed)
    rows = covering_rows()
    cases: dict[str, PlannedCase] = {}
    for planned in (reference, with_other_inputs(reference), *_timed_cases(scan, seed)):
        cases.setdefault(planned.case.case_id, planned)
    timed = [of(planned.case) for planned in cases.values()]
    rows += pattern_and_dtype_with_every_N(
        {(row[0], row[3], row[5]) for row in rows} | {(case.N, case.pattern, case.dtype) for case in timed}
    )
    for N, gridsize, batch, pattern, shape, dtype in rows:
        planned = _case(
            N=N,
            gridsize=gridsize,
            batch=batch,
            pattern=pattern,
            shape=shape,
            dtype=dtype,
            seed=seed,
            every_candidate=meets_every_candidate(N, batch),
        )
        cases.setdefault(planned.case.case_id, planned)
    # Enough groups for several chunks and a rest, in every engine and fallback: some are wrong only there. Few patches:
    # the loop takes a tenth of a second for each where no graph may be compiled.
    chunked = _case(
        N=128, gridsize=2, batch=75, pattern="outside", shape=OBJECT_SHAPES[1], seed=seed, every_candidate=True
    )
    cases[chunked.case.case_id] = chunked
    covered = {row[:3] for row in rows}
    for N, gridsize, batch in corners():
        if (N, gridsize, batch) in covered:
            continue
        large = output_bytes(N, gridsize, batch) > OUTPUT_LIMIT
        planned = _case(
            N=N, gridsize=gridsize, batch=batch, pattern="raster", shape=OBJECT_SHAPES[0], seed=seed, optional=large
        )
        cases.setdefault(planned.case.case_id, planned)
    return Sweep(
        name="full",
        provisional=False,
        seed=seed,
        protocol=PROTOCOL,
        cases=tuple(cases.values()),
        judged=of_extraction(reference.case),
        probed=_probed(seed),
        suite=True,
    )


def _probed(seed: int) -> tuple[PlannedCase, ...]:
    """Give the probed cases: small ones, and one so large that threads share it."""
    cases: tuple[tuple[int, int, str, str], ...] = (
        (32, 5, "border", "complex64"),
        (64, 5, "fermat", "complex128"),
        (32, 300, "outside", "complex64"),
    )
    return tuple(
        _case(
            N=N,
            gridsize=2,
            batch=batch,
            pattern=pattern,
            dtype=dtype,
            shape=(61, 83),
            seed=seed,
            every_candidate=pattern == "border",
        )
        for N, batch, pattern, dtype in cases
    )


def nightly(scan: Scan, seed: int) -> Sweep:
    """Make the full sweep, and measure peers; the gallery of mutants runs after it."""
    base = full(scan, seed)
    measured = _measured(N=64, gridsize=2, batch=100, pattern="scan", shape=scan.object_shape, seed=seed)
    with_peers = msgspec.structs.replace(measured, peers=True, context=True)
    others = tuple(planned for planned in base.cases if planned.case != measured.case)
    return msgspec.structs.replace(base, name="nightly", cases=(*others, with_peers), mutants=True)


def peers(scan: Scan, seed: int) -> Sweep:
    """Make one case, measured for the candidate and for everything a user might pick instead."""
    measured = _measured(N=64, gridsize=2, batch=25, pattern="scan", shape=scan.object_shape, seed=seed)
    return Sweep(
        name="peers",
        provisional=True,
        seed=seed,
        protocol=PROTOCOL,
        cases=(msgspec.structs.replace(measured, peers=True),),
        judged=of_extraction(measured.case),
    )


_SWEEPS: dict[str, Callable[[Scan, int], Sweep]] = {
    "smoke": smoke,
    "quick": quick,
    "full": full,
    "nightly": nightly,
    "peers": peers,
}


def sweep(name: str, scan: Scan | None, seed: int) -> Sweep | None:
    """Give the cases of extraction in a sweep; ``None`` where it has none."""
    if name not in _SWEEPS:
        return None
    if scan is None:
        raise UsageError("patch extraction takes its cases from a scan, got none")
    return _SWEEPS[name](scan, seed)
