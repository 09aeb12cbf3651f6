"""The cases of reassembly in the built-in sweeps. ``docs/validation.md`` says what they cover and leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from validation.contract.cases import ALL_CHECKS, PROTOCOL, QUICK_PROTOCOL, TIMED, PlannedCase, Sweep
from validation.contract.errors import UsageError
from validation.contract.manifest import Scan
from validation.kernels.patches.case import make_case
from validation.kernels.patches.promise import of_placement
from validation.kernels.patches.sweeps.design import OBJECT_SHAPES
from validation.kernels.patches.sweeps.extraction import QUICK_PROPERTIES, with_other_inputs

# Patches and patch sizes of the cases that are compared.
SIZES = ((1, 32), (10, 256), (100, 64), (1000, 128), (5000, 64), (10000, 64))


def _case(*, every_candidate: bool = False, **values: Any) -> PlannedCase:
    case = make_case("reassembly", gridsize=1, **values)
    return PlannedCase(case=case, every_candidate=every_candidate)


def smoke(scan: Scan, seed: int) -> Sweep:
    """Make one small case."""
    planned = _case(N=16, batch=9, pattern="fermat", M=10, shape=(70, 91), seed=seed)
    return Sweep(name="smoke", provisional=True, seed=seed, protocol=PROTOCOL, cases=(planned,), judged=())


def quick(scan: Scan, seed: int) -> Sweep:
    """Make one case, and check properties at another."""
    return Sweep(
        name="quick",
        provisional=True,
        seed=seed,
        protocol=QUICK_PROTOCOL,
        cases=(_case(N=64, batch=100, pattern="fermat", shape=(150, 181), seed=seed),),
        judged=(),
        probed=(_case(N=32, batch=30, pattern="fermat", shape=(61, 83), seed=seed),),
        properties=QUICK_PROPERTIES,
    )


def full(scan: Scan, seed: int) -> Sweep:
    """Make the promised case, timed ones, and comparisons over patches, sizes and patterns."""
    common: dict[str, Any] = {"N": 64, "gridsize": 1, "pattern": "scan", "shape": scan.object_shape, "seed": seed}
    promised = PlannedCase(case=make_case("reassembly", batch=500, **common), checks=ALL_CHECKS)
    cases: dict[str, PlannedCase] = {}
    timed = [
        PlannedCase(case=make_case("reassembly", batch=patches, **common), checks=TIMED, context=True)
        for patches in (100, 5000)
    ]
    compared = [
        _case(
            N=N,
            batch=patches,
            pattern=pattern,
            shape=OBJECT_SHAPES[index % 3],
            seed=seed,
            every_candidate=patches == 100 or (patches == 5000 and pattern == "border"),
        )
        for index, (patches, N) in enumerate(SIZES)
        # The loop takes half a minute for the largest, and which pattern it is was seen at fewer patches.
        for pattern in (("fermat", "raster", "border"), ("zero", "integer", "interior"))[index % 2][
            2 if patches >= 5000 else 0 :
        ]
    ]
    spread = [
        _case(N=64, batch=100, pattern=pattern, shape=OBJECT_SHAPES[2], seed=seed, every_candidate=True)
        for pattern in ("outside", "fading")
    ]
    for planned in (promised, with_other_inputs(promised), *timed, *compared, *spread):
        cases.setdefault(planned.case.case_id, planned)
    return Sweep(
        name="full",
        provisional=False,
        seed=seed,
        protocol=PROTOCOL,
        cases=tuple(cases.values()),
        judged=(of_placement(promised.case),),
        probed=tuple(
            _case(N=32, batch=batch, pattern=pattern, shape=(61, 83), seed=seed, every_candidate=pattern == "fermat")
            for batch, pattern in ((30, "fermat"), (2700, "border"))
        ),
        suite=True,
    )


def nightly(scan: Scan, seed: int) -> Sweep:
    """Make the full sweep; the gallery of mutants runs after it."""
    return msgspec.structs.replace(full(scan, seed), name="nightly", mutants=True)


_SWEEPS: dict[str, Callable[[Scan, int], Sweep]] = {"smoke": smoke, "quick": quick, "full": full, "nightly": nightly}


def sweep(name: str, scan: Scan | None, seed: int) -> Sweep | None:
    """Give the cases of reassembly in a sweep; ``None`` where it has none."""
    if name not in _SWEEPS:
        return None
    if scan is None:
        raise UsageError("reassembly takes its cases from a scan, got none")
    return _SWEEPS[name](scan, seed)
