"""Runs of kernels that have nothing to do with those of old runs: a pair of functions, and a kernel with a promise."""

from __future__ import annotations

from typing import Any

import msgspec

from reports.reading.run import Run
from tests.reports import builders as b
from validation.contract.cards import Coverage, KernelCard, KernelSource, Pair, Words
from validation.contract.cases import Case, Judged, Parameter, case_id
from validation.contract.lines import CaseResult
from validation.contract.measurements import Audit, Equivalence, Measurement

FAST = "sort.fast:sort"
COMMAND = "python -m validation pair --slow sort.slow:sort --fast sort.fast:sort --inputs sort.made:make --out runs/p"
PAIR = KernelCard(
    name="sort",
    title="sort numbers",
    source=KernelSource(name="sort", pair=Pair(slow="sort.slow:sort", fast=FAST, inputs="sort.made:make")),
    parameters=(Parameter(name="size", short="n", label="size", unit="numbers"),),
    work_unit="numbers",
    reference="sort.slow:sort",
    oracle=None,
    atol=0.0,
    rtol=1e-9,
    words=Words(columns=("size",), along="size"),
)
KERNEL = KernelCard(
    name="spectrum",
    title="power spectrum of signals",
    source=KernelSource(name="spectrum", folder="kernels/spec trum"),
    parameters=(
        Parameter(name="length", label="length of a signal", unit="samples"),
        Parameter(name="window", label="window"),
        Parameter(name="signals", label="signals"),
    ),
    work_unit="samples",
    reference="direct sum",
    oracle="long double",
    atol=1e-3,
    coverage=Coverage(values={"window": ("hann", "none")}, judged={"length": 256}, defects=("D1",)),
    words=Words(
        titles={"batch_speed": "Speed of batches"},
        meanings={"batch_speed": "Many signals at once."},
        promises={"batch_speed": "{promise:g} times the speed from {min_work:g} samples on"},
        columns=("length", "window"),
        rows="window",
        by="length",
        groups="window",
        along="signals",
    ),
    promise_digest="sha256:77aa",
)


def case(card: KernelCard, work: float = 1.0, seed: int = 0, **params: Any) -> Case:
    name = case_id(card.name, card.parameters, params, seed)
    return Case(case_id=name, kernel=card.name, params=params, seed=seed, work=work)


def against_reference(error: float = 0.0, share: float | None = None, **fields: Any) -> Equivalence:
    """Compare with the reference alone, by a relative tolerance: what a kernel without an oracle has."""
    values = {"actual": FAST, "atol": 0.0, "rtol": 1e-9, "worst_share": error if share is None else share} | fields
    found = b.comparison(error, passed=values["worst_share"] <= 1.0, **values)
    return Equivalence(candidate_vs_oracle=None, candidate_vs_reference=found, reference_vs_oracle=None)


def audits(share: float = 0.0) -> tuple[Audit, ...]:
    found = against_reference(share=share).candidate_vs_reference
    assert found is not None
    return (Audit(call=3, entropy=f"{7:032x}", comparison=found),)


def timed(
    of: Case, ratio: float = 40.0, candidate: str = FAST, found: tuple[Audit, ...] = (), **parts: Any
) -> CaseResult:
    """Result of a case of the pair with all checks; each process has the audits that are given."""
    timing, memory = b.timing(ratio), b.memory()
    timing = msgspec.structs.replace(
        timing,
        references=tuple(msgspec.structs.replace(arm, audits=found or audits()) for arm in timing.references),
        candidates=tuple(msgspec.structs.replace(arm, audits=found or audits()) for arm in timing.candidates),
    )
    pairs = tuple(
        msgspec.structs.replace(
            pair,
            reference=msgspec.structs.replace(pair.reference, audits=audits()),
            candidate=msgspec.structs.replace(pair.candidate, audits=audits()),
        )
        for pair in memory.pairs
    )
    memory = msgspec.structs.replace(memory, pairs=pairs)
    measured = Measurement(**({"equivalence": against_reference(), "timing": timing, "memory": memory} | parts))
    return b.case_result(of, candidate=candidate, checks=("equivalence", "time", "memory"), measurement=measured)


def judged(of: Case, speed: float | None = 10.0, memory: float | None = None) -> tuple[Judged, ...]:
    return (
        Judged(criterion="speed", case_id=of.case_id, figure="warm", promise=speed),
        Judged(criterion="memory", case_id=of.case_id, figure="memory", promise=memory),
    )


SIZES = (100, 1000, 10_000)


def pair_run(speed: float | None = 10.0, memory: float | None = None, **parts: Any) -> Run:
    """Run of the pair at three sizes, judged at the largest; ``parts`` replaces parts of what was measured there."""
    small, middle, large = (case(PAIR, float(size), size=size) for size in SIZES)
    lines = [b.calibration(), timed(small), timed(middle), timed(large, **parts)]
    origin = msgspec.structs.replace(
        b.PROVENANCE, commit=None, dirty=None, commit_subject=None, versions={"numpy": "2.2.0"},
        reference_path="../old sort",
    )  # fmt: skip
    return b.make(
        lines,
        kernels=(PAIR,),
        judged=judged(large, speed, memory),
        candidate=FAST,
        sweep="pair",
        command=COMMAND,
        scan=None,
        provenance=origin,
    )


def kernel_run(candidate: str = b.CANDIDATE, **fields: Any) -> Run:
    """Run of the kernel with a promise that covers what its card asks for; fields of the manifest may be replaced."""
    lengths = [(length, window, 2.0 * length) for length in (64, 256) for window in ("hann", "none")]
    cases = [case(KERNEL, work, length=length, window=window, signals=2) for length, window, work in lengths]
    found = b.comparison(1e-4, atol=1e-3, passed=True)
    compared = b.equivalence(
        candidate_vs_reference=found,
        candidate_vs_oracle=msgspec.structs.replace(found, expected="oracle"),
        reference_vs_oracle=msgspec.structs.replace(found, expected="oracle", actual="reference"),
    )
    measured = Measurement(equivalence=compared, timing=b.timing(), memory=b.memory())
    checks = ("equivalence", "time", "memory")
    lines = [
        b.calibration(),
        *(b.case_result(of, candidate=candidate, checks=checks, measurement=measured) for of in cases),
        b.mutant("D1"),
    ]
    first = cases[2].case_id
    values: dict[str, Any] = {
        "kernels": (KERNEL,),
        "judged": (
            Judged(criterion="speed", case_id=first, figure="warm", promise=8.0),
            Judged(criterion="batch_speed", case_id=first, figure="warm", promise=20.0, min_work=500.0),
        ),
        "candidate": candidate,
        "scan": None,
    }
    return b.make(lines, **(values | fields))
