"""Plausible runs, made of the contract's records: of the present schema, and as older ones are lifted.

A run of an older schema is one whose ``written_as`` says so; `write` writes it as it was written then.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from reports.reading.run import Run
from validation.contract.cards import KernelCard
from validation.contract.cases import Case, Judged, Protocol
from validation.contract.lines import (
    CalibrationCheck,
    CalibrationResult,
    CaseResult,
    MutantResult,
    PropertyResult,
    ResultLine,
    SuiteResult,
)
from validation.contract.manifest import SCHEMA_VERSION, Machine, Manifest, Planned, Provenance, Scan
from validation.contract.measurements import (
    ArmMemory,
    ArmTiming,
    Audit,
    Comparison,
    Equivalence,
    Failure,
    Measurement,
    Memory,
    MemoryPair,
    Timeline,
    Timing,
    TimingPair,
)
from validation.contract.upgrade import OLD_VERSIONS, PAIRED_VERSIONS, old_runs

CANDIDATE = "batched"
# The first schema, whose times are pairs, and the last before kernels had cards.
FIRST, LAST_OLD = OLD_VERSIONS[0], OLD_VERSIONS[-1]
DEFECTS = tuple(f"D{number}" for number in range(1, 11))
MACHINE = Machine(
    fingerprint="3f0c9a",
    cpu_model="Example CPU at 2.5 GHz",
    isa_flags=("avx2", "fma"),
    cores=2,
    memory_bytes=8 * 2**30,
    os_release="Linux 6.1",
    governor=None,
)
PROVENANCE = Provenance(
    commit="76be1cd0a1b2c3d4e5f60718293a4b5c6d7e8f90",
    dirty=False,
    commit_subject="Windowed patch extraction",
    kernel_digest="sha256:00ff",
    package_path="installed",
    machine=MACHINE,
    versions={"python": "3.11.9", "tensorflow": "2.21.0", "numpy": "2.2.0"},
    threads={"TF_NUM_INTRAOP_THREADS": "2"},
)
LINE: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "run_id": "20261121T120000Z-0a1b2c3d",
    "started_at": "2026-11-21T12:00:01.000+00:00",
    "provenance": PROVENANCE,
}


def kernels() -> tuple[KernelCard, ...]:
    """Cards of the two kernels that old runs knew, with what was promised of them."""
    return old_runs().kernels


def judged(first: str, placement: str | None = None) -> tuple[Judged, ...]:
    """Give what was promised of the first judged case and, where there is one, of a case of reassembly."""
    cases = {"reference_case_id": first, "reassembly_case_id": placement}
    return tuple(
        Judged(criterion=item.criterion, case_id=of, figure=item.figure, promise=item.promise, min_work=item.min_work)
        for item in old_runs().judged
        if (of := cases[item.field]) is not None
    )


def case(**fields: Any) -> Case:
    """Make a case of one of the two kernels; a field that is none of the record's is a parameter."""
    values: dict[str, Any] = {
        "kernel": "patch_extraction",
        "N": 64,
        "gridsize": 2,
        "batch": 5000,
        "dtype": "complex64",
        "height": 200,
        "width": 256,
        "pattern": "scan",
        "seed": 0,
    } | fields
    short = {"complex64": "c64", "complex128": "c128"}[values["dtype"]]
    name = "{kernel}-N{N}-g{gridsize}-B{batch}-{short}-{height}x{width}-{pattern}-s{seed}".format(short=short, **values)
    head = {"case_id": values.pop("case_id", name), "kernel": values.pop("kernel"), "seed": values.pop("seed")}
    return Case(**head, params=values, work=float(values["batch"] * values["gridsize"] ** 2))


def comparison(error: float | None = 0.0, **fields: Any) -> Comparison:
    values: dict[str, Any] = {
        "expected": "reference",
        "actual": CANDIDATE,
        "atol": 1e-6,
        "passed": error is not None and error <= 1e-6,
        "elements": 4096,
        "expected_shape": (1, 64, 64, 1),
        "actual_shape": (1, 64, 64, 1),
        "expected_dtype": "complex64",
        "actual_dtype": "complex64",
        "max_abs_error": error,
        "max_ulp": None if error is None else int(error * 2**23),
        "identical_share": 1.0 if error == 0.0 else 0.75,
        "worst_index": (0, 3, 5, 0),
        "nan_count": 0,
        "inf_count": 0,
    }
    return Comparison(**(values | fields))


def equivalence(error: float | None = 0.0, oracle_error: float | None = 2e-7, **fields: Any) -> Equivalence:
    values: dict[str, Any] = {
        "candidate_vs_oracle": comparison(oracle_error, expected="oracle"),
        "candidate_vs_reference": comparison(error),
        "reference_vs_oracle": comparison(oracle_error, expected="oracle", actual="reference"),
    }
    return Equivalence(**(values | fields))


def audits(name: str, error: float = 2e-7) -> tuple[Audit, ...]:
    """Parts of two results of a process, compared with the oracle."""
    found = comparison(error, expected="oracle", actual=name)
    return tuple(Audit(call=call, entropy=f"{call:032x}", comparison=found) for call in (0, 4))


def arm(name: str, seconds: float, *, cold_s: float = 0.05, samples: int = 5, calls: int | None = None) -> ArmTiming:
    """Time one arm; without ``calls`` each sample lasts as long as it must."""
    calls = calls or max(1, math.ceil(0.011 / seconds))
    return ArmTiming(
        implementation=name,
        first_call_s=cold_s,
        samples_s=tuple(seconds * (1 + 0.001 * index) for index in range(samples)),
        calls_per_sample=calls,
        involuntary_switches=0,
    )


def paired(
    ratio: float = 40.0,
    *,
    cold_ratio: float = 14.0,
    spread: float = 0.03,
    noise: float = 0.02,
    replicates: int = 7,
    noise_pairs: int = 7,
    candidate_s: float = 0.1,
    samples: int = 5,
    calls: int | None = None,
) -> Timing:
    """Time pairs, as before schema 1.4, whose speedups lie within ``ratio * exp(+-spread)``."""
    steps = [spread * (2 * index / max(replicates - 1, 1) - 1) for index in range(replicates)]
    wobble = [noise * (2 * index / max(noise_pairs - 1, 1) - 1) for index in range(noise_pairs)]
    return Timing(
        pairs=tuple(
            TimingPair(
                order="reference_first",
                reference=arm(
                    "reference",
                    candidate_s * ratio * math.exp(step),
                    cold_s=2 * candidate_s * cold_ratio * math.exp(step),
                    samples=samples,
                ),
                candidate=arm(CANDIDATE, candidate_s, cold_s=2 * candidate_s, samples=samples, calls=calls),
            )
            for step in steps
        ),
        noise_pairs=tuple(
            TimingPair(
                order="reference_first",
                reference=arm(CANDIDATE, candidate_s * math.exp(step), cold_s=2 * candidate_s * math.exp(step)),
                candidate=arm(CANDIDATE, candidate_s, cold_s=2 * candidate_s),
            )
            for step in wobble
        ),
        copy_fresh_s=(0.04, 0.05),
        copy_warm_s=(0.02, 0.021),
        contended_rejected=1,
        extended=False,
    )


def apart(
    reference_s: tuple[float, ...] = (4.0,) * 7,
    candidate_s: tuple[float, ...] = (0.1,) * 28,
    *,
    cold: float = 2.0,
    reference_cold: float | None = None,
    samples: int = 5,
    calls: int | None = None,
    extended: bool = False,
    contended_kept: int = 0,
) -> Timing:
    """Time arms apart, as since schema 1.4; first calls take ``cold`` times as long (of the reference its own)."""
    colds = {"reference": cold if reference_cold is None else reference_cold, CANDIDATE: cold}
    made = {
        name: tuple(
            msgspec.structs.replace(
                arm(name, seconds, cold_s=colds[name] * seconds, calls=calls if name == CANDIDATE else None),
                samples_s=(seconds,) * samples,
                audits=audits(name),
            )
            for seconds in times
        )
        for name, times in (("reference", reference_s), (CANDIDATE, candidate_s))
    }
    return Timing(
        references=made["reference"],
        candidates=made[CANDIDATE],
        copy_fresh_s=(0.04, 0.05),
        copy_warm_s=(0.02, 0.021),
        contended_rejected=1,
        contended_kept=contended_kept,
        extended=extended,
    )


def timing(
    ratio: float = 40.0,
    *,
    cold_ratio: float = 14.0,
    spread: float = 0.03,
    noise: float = 0.02,
    replicates: int = 7,
    noise_pairs: int | None = None,
    candidate_s: float = 0.1,
    samples: int = 5,
    calls: int | None = None,
) -> Timing:
    """Time arms apart: references within ``exp(+-spread)``, every other process of the candidate within noise."""
    pairs = 2 * replicates if noise_pairs is None else noise_pairs
    steps = [spread * (2 * index / max(replicates - 1, 1) - 1) for index in range(replicates)]
    wobble = [noise * (2 * index / max(pairs - 1, 1) - 1) for index in range(pairs)]
    return apart(
        tuple(candidate_s * ratio * math.exp(step) for step in steps),
        tuple(candidate_s * factor for step in wobble for factor in (math.exp(step), 1.0)),
        reference_cold=2.0 * cold_ratio / ratio,
        samples=samples,
        calls=calls,
    )


def memory(
    ratio: float = 0.9,
    *,
    pairs: int = 5,
    reference_bytes: int = 400_000_000,
    meter: str = "VmHWM",
    audited: bool = True,
) -> Memory:
    """Read peaks; ``audited``: what the metered calls gave was checked, as since schema 1.4."""
    baseline = 500_000_000
    return Memory(
        meter=meter,
        pairs=tuple(
            MemoryPair(
                reference=ArmMemory(
                    implementation="reference",
                    baseline_bytes=baseline,
                    peak_bytes=baseline + reference_bytes,
                    audits=audits("reference") if audited else (),
                ),
                candidate=ArmMemory(
                    implementation=CANDIDATE,
                    baseline_bytes=baseline,
                    peak_bytes=baseline + int(reference_bytes * ratio * (1 + 0.001 * index)),
                    audits=audits(CANDIDATE) if audited else (),
                ),
            )
            for index in range(pairs)
        ),
        output_bytes=327_680_000,
        timelines=tuple(
            Timeline(
                implementation=name,
                time_s=tuple(0.01 * index for index in range(20)),
                resident_bytes=tuple(baseline + int(top * min(index, 15) / 15) for index in range(20)),
            )
            for name, top in (("reference", reference_bytes), (CANDIDATE, int(ratio * reference_bytes)))
        ),
    )


def failure(reason: str = "exception", **fields: Any) -> Failure:
    return Failure(**({"reason": reason, "message": f"it ended with {reason}", "arm": CANDIDATE} | fields))


def case_result(of: Case, *, candidate: str = CANDIDATE, role: str = "candidate", **fields: Any) -> CaseResult:
    if fields.get("failure") is None and "measurement" not in fields:
        fields["measurement"] = Measurement(equivalence=equivalence())
    return CaseResult(
        **({"case": of, "candidate": candidate, "role": role, "checks": ("equivalence",), "wall_s": 3.0,
            "measured_s": 1.0} | LINE | fields)
    )  # fmt: skip


def judged_result(of: Case, **fields: Any) -> CaseResult:
    """Result of a case with all checks; ``fields`` replaces parts of the measurement."""
    parts = {"equivalence": equivalence(), "timing": timing(), "memory": memory()} | fields
    return case_result(of, checks=("equivalence", "time", "memory"), measurement=Measurement(**parts))


def calibration(**fields: Any) -> CalibrationResult:
    check = CalibrationCheck(
        instrument="clock", expected=0.1, measured=0.1001, limit=0.02, unit="s", passed=True, detail="a known sleep"
    )
    return CalibrationResult(checks=(msgspec.structs.replace(check, **fields),), **LINE)


def property_(name: str = "ramp", **fields: Any) -> PropertyResult:
    values = {"name": name, "case_id": "probe-N32", "candidate": CANDIDATE, "passed": True, "figure": 0.0,
              "limit": 1e-6, "detail": "object = x + 1j*y"}  # fmt: skip
    return PropertyResult(**(values | LINE | fields))


def mutant(defect: str, **fields: Any) -> MutantResult:
    values = {"mutant": f"mutant-{defect}", "defect": defect, "description": "pixels of patches interleaved",
              "expected_criterion": "correctness", "rejected_by": ("correctness", "speed"), "verdict": "REJECT",
              "detail": ""}  # fmt: skip
    return MutantResult(**(values | LINE | fields))


def suite(flag: str, **fields: Any) -> SuiteResult:
    values = {"flag": flag, "passed": 120, "failed": 0, "skipped": 1, "command": "python -m pytest"}
    return SuiteResult(**(values | LINE | fields))


KINDS = {
    CaseResult: "case",
    CalibrationResult: "calibration",
    PropertyResult: "property",
    MutantResult: "mutant",
    SuiteResult: "suite",
}


def as_of(line: Any, version: str) -> Any:
    """Give a line as a run of that schema holds it: before 1.4 nobody checked what metered calls gave."""
    line = msgspec.structs.replace(line, schema_version=version)
    measurement = getattr(line, "measurement", None)
    if version not in PAIRED_VERSIONS or measurement is None or measurement.memory is None:
        return line
    pairs = tuple(
        MemoryPair(
            reference=msgspec.structs.replace(pair.reference, audits=()),
            candidate=msgspec.structs.replace(pair.candidate, audits=()),
        )
        for pair in measurement.memory.pairs
    )
    found = msgspec.structs.replace(measurement.memory, pairs=pairs)
    return msgspec.structs.replace(line, measurement=msgspec.structs.replace(measurement, memory=found))


def make(
    lines: list[ResultLine],
    *,
    version: str = SCHEMA_VERSION,
    first: str | None = None,
    placement: str | None = None,
    **fields: Any,
) -> Run:
    """Make a run that planned exactly the lines it holds; fields of the manifest may be replaced.

    ``first`` is the case that is judged (left out: the first that was timed), ``placement`` one of reassembly.
    """
    timed = (line.case.case_id for line in lines if isinstance(line, CaseResult) and "time" in line.checks)
    first = next(timed, "") if first is None else first
    values: dict[str, Any] = {
        "schema_version": version,
        "written_as": version,
        "run_id": LINE["run_id"],
        "created_at": "2026-11-21T12:00:00.000+00:00",
        "sweep": "full",
        "provisional": False,
        "seed": 0,
        "command": "python -m validation run --sweep full --out runs/a",
        "scan": Scan(name="built-in scan", path=None, sha256="ab12", object_shape=(200, 256), positions=900),
        "kernels": kernels(),
        "cases": () if version in OLD_VERSIONS else tuple(line.case for line in lines if isinstance(line, CaseResult)),
        "judged": judged(first, placement),
        "candidate": CANDIDATE,
        "planned": tuple(Planned(key=line.key, kind=KINDS[type(line)]) for line in lines),  # type: ignore[arg-type]
        "protocol": Protocol(
            replicates=7, max_replicates=14, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5
        ),
        "provenance": PROVENANCE,
    }  # fmt: skip
    manifest = Manifest(**(values | fields))
    return Run(
        manifest=manifest, lines=tuple(sorted((as_of(line, version) for line in lines), key=lambda line: line.key))
    )


def covering_cases() -> list[Case]:
    """Cases that hold every value that the kernels' cards ask for."""
    return [
        case(N=32, gridsize=1, batch=0, pattern="border", dtype="complex128"),
        case(N=64, gridsize=2, batch=1, pattern="outside"),
        case(N=128, gridsize=3, batch=10, pattern="zero"),
        case(N=256, gridsize=1, batch=100, pattern="integer"),
    ]


def lines_of_full_run(version: str = SCHEMA_VERSION, **parts: Any) -> list[ResultLine]:
    """All lines of a run that deserves ACCEPT; ``parts`` replaces parts of what was measured at the judged case."""
    times = {"timing": paired()} if version in PAIRED_VERSIONS else {}
    return [
        calibration(),
        judged_result(case(), **(times | parts)),
        *(case_result(of) for of in covering_cases()),
        property_(),
        *(mutant(defect) for defect in DEFECTS),
        suite("off"),
        suite("on"),
    ]


def full_run(version: str = SCHEMA_VERSION, **parts: Any) -> Run:
    return make(lines_of_full_run(version, **parts), version=version)


def quick_run(version: str = SCHEMA_VERSION, **parts: Any) -> Run:
    times = {"timing": paired()} if version in PAIRED_VERSIONS else {}
    lines: list[ResultLine] = [calibration(), judged_result(case(batch=25), **(times | parts))]
    lines += [case_result(case(N=32, gridsize=1, batch=1, pattern="interior"))]
    command = "python -m validation run --out runs/quick"
    return make(lines, version=version, provisional=True, sweep="quick", command=command)


def one_arm_audited(found: tuple[Audit, ...]) -> Timing:
    """Time arms apart, one process of the candidate with these audits."""
    made = apart()
    first, *others = made.candidates
    return msgspec.structs.replace(made, candidates=(msgspec.structs.replace(first, audits=found), *others))


# Times taken apart, by what they show.
APART: dict[str, dict[str, Timing]] = {
    "all is well": {"timing": apart()},
    "extended, one of fourteen loops and thirteen of the candidate are outvoted": {
        "timing": apart((0.5,) + (4.0,) * 13, (0.1,) * 43 + (1.0,) * 13, extended=True)
    },
    "five slow processes of the candidate": {"timing": apart(candidate_s=(0.1,) * 23 + (1.0,) * 5)},
    "six slow processes of the candidate": {"timing": apart(candidate_s=(0.1,) * 22 + (1.0,) * 6)},
    "one loop as quick as the candidate": {"timing": apart((0.1,) + (4.0,) * 6)},
    "exactly the promise": {"timing": apart((1.0,) * 7)},
    "nine times": {"timing": apart((0.9,) * 7)},
    "a bias of 3 per cent": {"timing": apart((1.02,) * 7, (0.1, 0.103) * 14)},
    "a biased instrument": {"timing": apart(candidate_s=(0.1, 0.106) * 14)},
    "disturbed processes kept": {"timing": apart((1.9,) * 7, contended_kept=2)},
    "disturbed processes kept, twice the margin": {"timing": apart((2.1,) * 7, contended_kept=2)},
    "too few loops": {"timing": apart((4.0,) * 6)},
    "too few of the candidate": {"timing": apart(candidate_s=(0.1,) * 26)},
    "one without a neighbour": {"timing": apart(candidate_s=(0.1,) * 29)},
    "more than declared": {"timing": apart((4.0,) * 8, (0.1,) * 32)},
    "half an extension": {"timing": apart((4.0,) * 13, (0.1,) * 54, extended=True)},
    "timed in pairs": {"timing": paired()},
    "a call that was wrong": {"timing": one_arm_audited(audits(CANDIDATE, 0.5))},
    "a process whose results nobody checked": {"timing": one_arm_audited(())},
}


def _without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def _old_provenance(origin: dict[str, Any]) -> dict[str, Any]:
    machine = {**_without(origin["machine"], "os_release"), "kernel": origin["machine"]["os_release"]}
    kept = _without(origin, "package_path", "reference_path", "reference_digest")
    return {**kept, "ptycho_path": origin["package_path"], "machine": machine}


def _as_written(record: Manifest | ResultLine) -> Any:
    """Give a record as its own schema wrote it: the other way round than `validation.contract.upgrade`."""
    plain = msgspec.to_builtins(record)
    if record.schema_version == SCHEMA_VERSION:
        return plain
    plain["provenance"] = _old_provenance(plain["provenance"])
    if isinstance(record, Manifest):
        kept = _without(plain, "written_as", "kernels", "cases", "judged")
        named = {item.field: None for item in old_runs().judged}
        fields = {item.criterion: item.field for item in old_runs().judged}
        named |= {fields[item.criterion]: item.case_id for item in record.judged}
        planned = [
            {**item, "kind": "probe" if item["kind"] == "property" else item["kind"]} for item in kept["planned"]
        ]
        return {**kept, **named, "planned": planned}
    if isinstance(record, PropertyResult):
        return {**_without(plain, "name"), "kind": "probe", "probe": record.name}
    if isinstance(record, CaseResult):
        plain["case"] = {**_without(plain["case"], "params", "work"), **record.case.params}
    return plain


def write(run: Run, folder: Path) -> Path:
    """Write a run as the folder that the reader takes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(_as_written(run.manifest)))
    (folder / "results.jsonl").write_bytes(
        b"".join(msgspec.json.encode(_as_written(line)) + b"\n" for line in run.lines)
    )
    return folder
