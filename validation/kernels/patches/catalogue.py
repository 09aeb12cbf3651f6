"""The built-in sweeps. ``docs/validation.md`` says what each of them covers and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

import msgspec

from validation.contract.errors import UsageError
from validation.contract.records import Dtype, Kernel, Scan
from validation.kernels.patches.law import PIXELS_PER_PASS, PRIOR_S
from validation.plan.sweeps import ALL_CHECKS, PROTOCOL, QUICK_PROTOCOL, TIMED, PlannedCase, Sweep, make_case

PATCH_SIZES = (32, 64, 128, 256)
GRIDSIZES = (1, 2, 3)
BATCHES = (0, 1, 10, 100, 1000, 5000)
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
# Not square, and smaller than every patch.
OBJECT_SHAPES = ((200, 256), (301, 150), (97, 131), (24, 17))
# Output above which a combination is left to the optional corners, bytes.
OUTPUT_LIMIT = 3 * 2**30
PIXEL_BYTES = 8
# What a row of the covering design costs, roughly: the loop over an object of this extent (see `law`), and
# for each pixel of the output the oracle, three files and their comparison, seconds.
COMMON_EXTENT = 220
PIXEL_S = 2e-7
# Rows that take less are not worth an exchange, seconds.
WORTH_S = 3.0
# Groups of the quick reference case: its loop takes seconds at most, its peaks can be read, and first calls told apart.
QUICK_GROUPS = 250
# Probes of the quick sweep: two of extraction, and what a call of any kernel owes to its caller.
QUICK_PROBES = (
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


def output_bytes(N: int, gridsize: int, batch: int) -> int:
    """Size of the patches, complex64."""
    return PIXEL_BYTES * batch * gridsize**2 * N**2


def _case(kernel: Kernel, *, every_candidate: bool = False, optional: bool = False, **values: Any) -> PlannedCase:
    return PlannedCase(case=make_case(kernel, **values), every_candidate=every_candidate, optional=optional)


def _measured(kernel: Kernel, **values: Any) -> PlannedCase:
    return PlannedCase(case=make_case(kernel, **values), checks=ALL_CHECKS)


def _timed(kernel: Kernel, *, optional: bool = False, **values: Any) -> PlannedCase:
    """Plan a case whose times are context."""
    return PlannedCase(case=make_case(kernel, **values), checks=TIMED, optional=optional, context=True)


def smoke(scan: Scan, seed: int) -> Sweep:
    """Make three small cases: does it run at all."""
    reference = _case("patch_extraction", N=32, gridsize=2, batch=4, pattern="scan", shape=scan.object_shape, seed=seed)
    cases = (
        reference,
        _case(
            "patch_extraction",
            N=16,
            gridsize=1,
            batch=3,
            pattern="border",
            dtype="complex128",
            shape=(70, 91),
            seed=seed,
        ),
        _case("reassembly", N=16, gridsize=1, batch=9, pattern="fermat", M=10, shape=(70, 91), seed=seed),
    )
    return Sweep(
        name="smoke",
        provisional=True,
        seed=seed,
        protocol=PROTOCOL,
        cases=cases,
        reference_case_id=reference.case.case_id,
    )


def quick(scan: Scan, seed: int) -> Sweep:
    """Make every pattern and dtype once, and a small reference case: less than three minutes.

    The extension is not declared, since it would double the time of a verdict that is provisional anyway.
    """
    reference = _measured(
        "patch_extraction", N=64, gridsize=2, batch=QUICK_GROUPS, pattern="scan", shape=scan.object_shape, seed=seed
    )
    extraction: tuple[dict[str, Any], ...] = (
        {"N": 32, "gridsize": 1, "batch": 1, "pattern": "interior", "shape": (120, 97)},
        {"N": 64, "gridsize": 2, "batch": 10, "pattern": "border", "dtype": "complex128", "shape": (131, 170)},
        {"N": 32, "gridsize": 3, "batch": 10, "pattern": "raster", "shape": (150, 121)},
        {"N": 128, "gridsize": 1, "batch": 10, "pattern": "outside", "shape": (90, 141)},
        {"N": 64, "gridsize": 1, "batch": 10, "pattern": "integer", "shape": (101, 160)},
        {"N": 32, "gridsize": 2, "batch": 10, "pattern": "zero", "dtype": "complex128", "shape": (24, 17)},
        {"N": 64, "gridsize": 2, "batch": 0, "pattern": "fermat", "shape": (101, 160)},
    )
    reassembly = _case("reassembly", N=64, gridsize=1, batch=100, pattern="fermat", shape=(150, 181), seed=seed)
    cases = (reference, *(_case("patch_extraction", seed=seed, **values) for values in extraction), reassembly)
    return Sweep(
        name="quick",
        provisional=True,
        seed=seed,
        protocol=QUICK_PROTOCOL,
        cases=cases,
        reference_case_id=reference.case.case_id,
        probed=(
            _case("patch_extraction", N=32, gridsize=2, batch=5, pattern="border", shape=(61, 83), seed=seed),
            _case("reassembly", N=32, gridsize=1, batch=30, pattern="fermat", shape=(61, 83), seed=seed),
        ),
        probes=QUICK_PROBES,
    )


def _meets_every_candidate(N: int, batch: int) -> bool:
    """Whether a row of the covering design is for all engines, fallbacks and flag states."""
    return N == 64 and 1 <= batch <= 10


def covering_rows() -> list[tuple[Any, ...]]:
    """Choose rows (N, gridsize, batch, pattern, shape, dtype) such that every pair of values occurs.

    Rows whose output is too large are left out, a complex128 object counting twice; every pair still
    occurs in another row (a test counts them). Large values are then put together with small ones, as far as the pairs
    allow, and the loop runs in time at nearly all of them. Rows for every candidate stay as they are, and no row
    counts as cheaper for its object: the one that is smaller than every patch leaves little to compare.
    """
    from allpairspy import AllPairs  # type: ignore[import-untyped]  # it ships no type information

    from validation.kernels.patches.workloads import PATTERNS
    from validation.plan.covering import lighten

    def fits(row: Sequence[Any]) -> bool:
        weight = 2 if row[3:4] in (["complex128"], ("complex128",)) else 1
        return len(row) < 3 or weight * output_bytes(*row[:3]) <= OUTPUT_LIMIT

    def cost_s(row: Sequence[Any]) -> float:
        N, gridsize, batch, dtype = row[:4]
        weight = 2 if dtype == "complex128" else 1
        pixels = (COMMON_EXTENT + N) ** 2 + PIXELS_PER_PASS
        return float(batch * gridsize**2 * (PRIOR_S[2] * pixels + weight * N**2 * PIXEL_S))

    axes: list[list[Any]] = [
        list(PATCH_SIZES),
        list(GRIDSIZES),
        list(BATCHES),
        list(DTYPES),
        list(PATTERNS),
        list(OBJECT_SHAPES),
    ]
    rows = lighten(
        [tuple(row) for row in AllPairs(axes, filter_func=fits)],
        axes,
        cost_s,
        worth=WORTH_S,
        may_change=lambda row: not _meets_every_candidate(row[0], row[2]),
        fits=fits,
    )
    return [(N, gridsize, batch, pattern, shape, dtype) for N, gridsize, batch, dtype, pattern, shape in rows]


def _pattern_and_dtype_with_every_N(seen: set[tuple[int, str, Dtype]]) -> Iterator[tuple[Any, ...]]:
    """Give the rows that are missing for every (N, pattern, dtype), at a small batch."""
    from validation.kernels.patches.workloads import PATTERNS

    for index, N in enumerate(PATCH_SIZES):
        for pattern in PATTERNS:
            for dtype in DTYPES:
                if (N, pattern, dtype) not in seen:
                    yield N, GRIDSIZES[index % 3], 4, pattern, OBJECT_SHAPES[index % 4], dtype


def _corners() -> Iterator[tuple[int, int, int]]:
    """Give the corners of the ranges of N, gridsize and batch (0 and 1 are both low ends of the batch)."""
    for N in (min(PATCH_SIZES), max(PATCH_SIZES)):
        for gridsize in (min(GRIDSIZES), max(GRIDSIZES)):
            for batch in (0, 1, max(BATCHES)):
                yield N, gridsize, batch


def _timed_cases(scan: Scan, seed: int) -> Iterator[PlannedCase]:
    """Give the cases whose times are context: how speed depends on N, gridsize, dtype and patches."""
    shape = scan.object_shape
    for N in PATCH_SIZES:
        for gridsize in GRIDSIZES:
            for dtype in DTYPES:
                batch = max(1, round(MAP_PATCHES / gridsize**2))
                yield _timed(
                    "patch_extraction",
                    N=N,
                    gridsize=gridsize,
                    batch=batch,
                    pattern="scan",
                    shape=shape,
                    dtype=dtype,
                    seed=seed,
                )
    # A series at patches so small that 10**5 fit anywhere; the reference case is the far end of one at N 64.
    for patches in SCALING_PATCHES:
        yield _timed(
            "patch_extraction",
            N=32,
            gridsize=2,
            batch=patches // 4,
            pattern="scan",
            shape=shape,
            seed=seed,
            optional=patches >= 10**6,
        )
    for patches in (100, 5000):
        yield _timed("reassembly", N=64, gridsize=1, batch=patches, pattern="scan", shape=shape, seed=seed)


def _with_other_inputs(judged: tuple[PlannedCase, ...]) -> Iterator[PlannedCase]:
    """Give the judged cases with another object, other patches and other positions, to be compared whole once more."""
    for planned in judged:
        case = planned.case
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
        yield PlannedCase(case=again, with_loop=True)


def full(scan: Scan, seed: int) -> Sweep:
    """Make the covering design, the corners, the timed cases, and the reference case of 5000 groups."""
    reference = _measured(
        "patch_extraction", N=64, gridsize=2, batch=5000, pattern="scan", shape=scan.object_shape, seed=seed
    )
    reassembly = _measured(
        "reassembly", N=64, gridsize=1, batch=500, pattern="scan", shape=scan.object_shape, seed=seed
    )
    rows = covering_rows()
    cases: dict[str, PlannedCase] = {}
    for planned in (reference, reassembly, *_with_other_inputs((reference, reassembly)), *_timed_cases(scan, seed)):
        cases.setdefault(planned.case.case_id, planned)
    timed = [planned.case for planned in cases.values() if planned.case.kernel == "patch_extraction"]
    rows += _pattern_and_dtype_with_every_N(
        {(row[0], row[3], row[5]) for row in rows} | {(case.N, case.pattern, case.dtype) for case in timed}
    )
    for N, gridsize, batch, pattern, shape, dtype in rows:
        planned = _case(
            "patch_extraction",
            N=N,
            gridsize=gridsize,
            batch=batch,
            pattern=pattern,
            shape=shape,
            dtype=dtype,
            seed=seed,
            every_candidate=_meets_every_candidate(N, batch),
        )
        cases.setdefault(planned.case.case_id, planned)
    # Enough groups for several chunks and a rest, in every engine and fallback: some are wrong only there. Few patches:
    # the loop takes a tenth of a second for each where no graph may be compiled.
    chunked = _case(
        "patch_extraction",
        N=128,
        gridsize=2,
        batch=75,
        pattern="outside",
        shape=OBJECT_SHAPES[1],
        seed=seed,
        every_candidate=True,
    )
    cases[chunked.case.case_id] = chunked
    covered = {row[:3] for row in rows}
    for N, gridsize, batch in _corners():
        if (N, gridsize, batch) in covered:
            continue
        planned = _case(
            "patch_extraction",
            N=N,
            gridsize=gridsize,
            batch=batch,
            pattern="raster",
            shape=OBJECT_SHAPES[0],
            seed=seed,
            optional=output_bytes(N, gridsize, batch) > OUTPUT_LIMIT,
        )
        cases.setdefault(planned.case.case_id, planned)
    for index, (patches, N) in enumerate(((1, 32), (10, 256), (100, 64), (1000, 128), (5000, 64), (10000, 64))):
        patterns = (("fermat", "raster", "border"), ("zero", "integer", "interior"))[index % 2]
        # The loop takes half a minute for the largest, and which pattern it is was seen at fewer patches.
        for pattern in patterns[2:] if patches >= 5000 else patterns:
            planned = _case(
                "reassembly",
                N=N,
                gridsize=1,
                batch=patches,
                pattern=pattern,
                shape=OBJECT_SHAPES[index % 3],
                seed=seed,
                every_candidate=patches == 100 or (patches == 5000 and pattern == "border"),
            )
            cases.setdefault(planned.case.case_id, planned)
    for pattern in ("outside", "fading"):
        planned = _case(
            "reassembly",
            N=64,
            gridsize=1,
            batch=100,
            pattern=pattern,
            shape=OBJECT_SHAPES[2],
            seed=seed,
            every_candidate=True,
        )
        cases.setdefault(planned.case.case_id, planned)
    return Sweep(
        name="full",
        provisional=False,
        seed=seed,
        protocol=PROTOCOL,
        cases=tuple(cases.values()),
        reference_case_id=reference.case.case_id,
        reassembly_case_id=reassembly.case.case_id,
        probed=_probed(seed),
        suite=True,
    )


def _probed(seed: int) -> tuple[PlannedCase, ...]:
    """Give the probed cases: small ones, and for either kernel one so large that threads share it."""
    extraction: tuple[tuple[int, int, str, Dtype], ...] = (
        (32, 5, "border", "complex64"),
        (64, 5, "fermat", "complex128"),
        (32, 300, "outside", "complex64"),
    )
    placement = ((30, "fermat"), (2700, "border"))
    return (
        *(
            _case(
                "patch_extraction",
                N=N,
                gridsize=2,
                batch=batch,
                pattern=pattern,
                dtype=dtype,
                shape=(61, 83),
                seed=seed,
                every_candidate=pattern == "border",
            )
            for N, batch, pattern, dtype in extraction
        ),
        *(
            _case(
                "reassembly",
                N=32,
                gridsize=1,
                batch=batch,
                pattern=pattern,
                shape=(61, 83),
                seed=seed,
                every_candidate=pattern == "fermat",
            )
            for batch, pattern in placement
        ),
    )


def nightly(scan: Scan, seed: int) -> Sweep:
    """Make the full sweep, and measure peers; the gallery of mutants runs after it."""
    base = full(scan, seed)
    measured = _measured(
        "patch_extraction", N=64, gridsize=2, batch=100, pattern="scan", shape=scan.object_shape, seed=seed
    )
    with_peers = msgspec.structs.replace(measured, peers=True, context=True)
    others = tuple(planned for planned in base.cases if planned.case != measured.case)
    return msgspec.structs.replace(base, name="nightly", cases=(*others, with_peers), mutants=True)


def peers(scan: Scan, seed: int) -> Sweep:
    """Make one case, measured for the candidate and for everything a user might pick instead."""
    measured = _measured(
        "patch_extraction", N=64, gridsize=2, batch=25, pattern="scan", shape=scan.object_shape, seed=seed
    )
    return Sweep(
        name="peers",
        provisional=True,
        seed=seed,
        protocol=PROTOCOL,
        cases=(msgspec.structs.replace(measured, peers=True),),
        reference_case_id=measured.case.case_id,
    )


BUILT_IN: dict[str, Callable[[Scan, int], Sweep]] = {
    "smoke": smoke,
    "quick": quick,
    "full": full,
    "nightly": nightly,
    "peers": peers,
}


def expand(name: str, scan: Scan, seed: int) -> Sweep:
    """Make the cases of a sweep, built-in or from a TOML file, for a scan.

    Raises
    ------
    UsageError
        If there is no such sweep.
    """
    if name in BUILT_IN:
        return BUILT_IN[name](scan, seed)
    if name.endswith(".toml"):
        from pathlib import Path

        from validation.plan.sweeps import read_sweep

        return read_sweep(Path(name), scan, seed)
    raise UsageError(f"--sweep must be one of {', '.join(BUILT_IN)} or a file that ends in .toml, got {name!r}")
