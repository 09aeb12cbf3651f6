"""Plausible runs, made of the reader's own records."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from reports.reading.records import (
    SCHEMA_VERSIONS,
    ArmMemory,
    ArmTiming,
    Audit,
    CalibrationCheck,
    CalibrationResult,
    Case,
    CaseResult,
    Comparison,
    Equivalence,
    Failure,
    Machine,
    Manifest,
    Measurement,
    Memory,
    MemoryPair,
    MutantResult,
    Planned,
    ProbeResult,
    Protocol,
    Provenance,
    ResultLine,
    Run,
    Scan,
    SuiteResult,
    Timeline,
    Timing,
    TimingPair,
)

CANDIDATE = "batched"
PRESENT = SCHEMA_VERSIONS[-1]
DEFECTS = tuple(f"D{number}" for number in range(1, 11))
MACHINE = Machine(
    fingerprint="3f0c9a",
    cpu_model="Example CPU at 2.5 GHz",
    isa_flags=("avx2", "fma"),
    cores=2,
    memory_bytes=8 * 2**30,
    kernel="Linux 6.1",
    governor=None,
)
PROVENANCE = Provenance(
    commit="76be1cd0a1b2c3d4e5f60718293a4b5c6d7e8f90",
    dirty=False,
    commit_subject="Windowed patch extraction",
    kernel_digest="sha256:00ff",
    ptycho_path="installed",
    machine=MACHINE,
    versions={"python": "3.11.9", "tensorflow": "2.21.0", "numpy": "2.2.0"},
    threads={"TF_NUM_INTRAOP_THREADS": "2"},
)
LINE: dict[str, Any] = {
    "schema_version": "1.0",
    "run_id": "20261121T120000Z-0a1b2c3d",
    "started_at": "2026-11-21T12:00:01.000+00:00",
    "provenance": PROVENANCE,
}


def case(**fields: Any) -> Case:
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
    name = "{kernel}-N{N}-g{gridsize}-B{batch}-{short}-{height}x{width}-{pattern}-s{seed}"
    return Case(**({"case_id": name.format(short=short, **values)} | values))


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
    )


def timing(
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
    """Time pairs whose speedups lie within ``ratio * exp(+-spread)``."""
    steps = [spread * (2 * index / max(replicates - 1, 1) - 1) for index in range(replicates)]
    wobble = [noise * (2 * index / max(noise_pairs - 1, 1) - 1) for index in range(noise_pairs)]
    return Timing(
        pairs=tuple(
            TimingPair(
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


def apart_timing(
    reference_s: tuple[float, ...] = (4.0,) * 7,
    candidate_s: tuple[float, ...] = (0.1,) * 28,
    *,
    cold: float = 2.0,
    extended: bool = False,
    contended_kept: int = 0,
) -> Timing:
    """Time arms apart, as schema 1.4 does; first calls take ``cold`` times as long."""
    arms = [
        tuple(arm(name, seconds, cold_s=cold * seconds) for seconds in times)
        for name, times in (("reference", reference_s), (CANDIDATE, candidate_s))
    ]
    arms = [
        tuple(
            msgspec.structs.replace(one, samples_s=(seconds,) * 5, audits=audits(one.implementation))
            for one, seconds in zip(of, times, strict=True)
        )
        for of, times in zip(arms, (reference_s, candidate_s), strict=True)
    ]
    return Timing(
        references=arms[0],
        candidates=arms[1],
        copy_fresh_s=(0.04, 0.05),
        copy_warm_s=(0.02, 0.021),
        contended_rejected=1,
        contended_kept=contended_kept,
        extended=extended,
    )


def memory(ratio: float = 0.9, *, pairs: int = 5, reference_bytes: int = 400_000_000, meter: str = "VmHWM") -> Memory:
    baseline = 500_000_000
    return Memory(
        meter=meter,
        pairs=tuple(
            MemoryPair(
                reference=ArmMemory(
                    implementation="reference",
                    baseline_bytes=baseline,
                    peak_bytes=baseline + reference_bytes,
                ),
                candidate=ArmMemory(
                    implementation=CANDIDATE,
                    baseline_bytes=baseline,
                    peak_bytes=baseline + int(reference_bytes * ratio * (1 + 0.001 * index)),
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


def reference_result(of: Case, **fields: Any) -> CaseResult:
    parts = {"equivalence": equivalence(), "timing": timing(), "memory": memory()} | fields
    return case_result(of, checks=("equivalence", "time", "memory"), measurement=Measurement(**parts))


def calibration(**fields: Any) -> CalibrationResult:
    check = CalibrationCheck(
        instrument="clock", expected=0.1, measured=0.1001, limit=0.02, unit="s", passed=True, detail="a known sleep"
    )
    return CalibrationResult(checks=(msgspec.structs.replace(check, **fields),), **LINE)


def probe(name: str = "ramp", **fields: Any) -> ProbeResult:
    values = {"probe": name, "case_id": "probe-N32", "candidate": CANDIDATE, "passed": True, "figure": 0.0,
              "limit": 1e-6, "detail": "object = x + 1j*y"}  # fmt: skip
    return ProbeResult(**(values | LINE | fields))


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
    ProbeResult: "probe",
    MutantResult: "mutant",
    SuiteResult: "suite",
}


def make(lines: list[ResultLine], **fields: Any) -> Run:
    """Run that planned exactly the lines it holds; fields of the manifest may be replaced."""
    reference = next(
        (line.case.case_id for line in lines if isinstance(line, CaseResult) and "time" in line.checks), ""
    )
    values: dict[str, Any] = {
        "schema_version": "1.0",
        "run_id": LINE["run_id"],
        "created_at": "2026-11-21T12:00:00.000+00:00",
        "sweep": "full",
        "provisional": False,
        "seed": 0,
        "command": "python -m validation run --sweep full --out runs/a",
        "scan": Scan(name="built-in scan", path=None, sha256="ab12", object_shape=(200, 256), positions=900),
        "reference_case_id": reference,
        "reassembly_case_id": None,
        "candidate": CANDIDATE,
        "planned": tuple(Planned(key=line.key, kind=KINDS[type(line)]) for line in lines),  # type: ignore[arg-type]
        "protocol": Protocol(
            replicates=7, max_replicates=14, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5
        ),
        "provenance": PROVENANCE,
    }
    manifest = Manifest(**(values | fields))
    return Run(manifest=manifest, lines=tuple(sorted(lines, key=lambda line: line.key)))


def covering_cases() -> list[Case]:
    """Cases that hold every value the promised policy asks for."""
    return [
        case(N=32, gridsize=1, batch=0, pattern="border", dtype="complex128"),
        case(N=64, gridsize=2, batch=1, pattern="outside"),
        case(N=128, gridsize=3, batch=10, pattern="zero"),
        case(N=256, gridsize=1, batch=100, pattern="integer"),
    ]


def lines_of_full_run(**reference: Any) -> list[ResultLine]:
    """All lines of a run that deserves ACCEPT; ``reference`` replaces parts of the reference case."""
    return [
        calibration(),
        reference_result(case(), **reference),
        *(case_result(of) for of in covering_cases()),
        probe(),
        *(mutant(defect) for defect in DEFECTS),
        suite("off"),
        suite("on"),
    ]


def full_run(**reference: Any) -> Run:
    return make(lines_of_full_run(**reference))


def _peaks_audited(line: Any) -> Any:
    """Give the line with the results of its metered calls checked, where it has any."""
    measurement = getattr(line, "measurement", None)
    if measurement is None or measurement.memory is None:
        return line
    pairs = tuple(
        MemoryPair(
            **{
                name: msgspec.structs.replace(arm, audits=arm.audits or audits(arm.implementation))
                for name, arm in (("reference", pair.reference), ("candidate", pair.candidate))
            }
        )
        for pair in measurement.memory.pairs
    )
    found = msgspec.structs.replace(measurement.memory, pairs=pairs)
    return msgspec.structs.replace(line, measurement=msgspec.structs.replace(measurement, memory=found))


def present_run(run: Run | None = None, **reference: Any) -> Run:
    """Run of the present schema, timed apart; ``run``: one to be brought to it, its times left as they are."""
    run = run or full_run(**{"timing": apart_timing()} | reference)
    lines = tuple(msgspec.structs.replace(_peaks_audited(line), schema_version=PRESENT) for line in run.lines)
    return msgspec.structs.replace(
        run, manifest=msgspec.structs.replace(run.manifest, schema_version=PRESENT), lines=lines
    )


def one_arm_audited(found: tuple[Audit, ...]) -> Timing:
    """Time arms apart, one process of the candidate with these audits."""
    made = apart_timing()
    first, *others = made.candidates
    return msgspec.structs.replace(made, candidates=(msgspec.structs.replace(first, audits=found), *others))


# Times of runs of the present schema, by what they show.
APART: dict[str, dict[str, Timing]] = {
    "all is well": {"timing": apart_timing()},
    "extended, one of fourteen loops and thirteen of the candidate are outvoted": {
        "timing": apart_timing((0.5,) + (4.0,) * 13, (0.1,) * 43 + (1.0,) * 13, extended=True)
    },
    "five slow processes of the candidate": {"timing": apart_timing(candidate_s=(0.1,) * 23 + (1.0,) * 5)},
    "six slow processes of the candidate": {"timing": apart_timing(candidate_s=(0.1,) * 22 + (1.0,) * 6)},
    "one loop as quick as the candidate": {"timing": apart_timing((0.1,) + (4.0,) * 6)},
    "exactly the promise": {"timing": apart_timing((1.0,) * 7)},
    "nine times": {"timing": apart_timing((0.9,) * 7)},
    "a bias of 3 per cent": {"timing": apart_timing((1.02,) * 7, (0.1, 0.103) * 14)},
    "a biased instrument": {"timing": apart_timing(candidate_s=(0.1, 0.106) * 14)},
    "disturbed processes kept": {"timing": apart_timing((1.9,) * 7, contended_kept=2)},
    "disturbed processes kept, twice the margin": {"timing": apart_timing((2.1,) * 7, contended_kept=2)},
    "too few loops": {"timing": apart_timing((4.0,) * 6)},
    "too few of the candidate": {"timing": apart_timing(candidate_s=(0.1,) * 26)},
    "one without a neighbour": {"timing": apart_timing(candidate_s=(0.1,) * 29)},
    "more than declared": {"timing": apart_timing((4.0,) * 8, (0.1,) * 32)},
    "half an extension": {"timing": apart_timing((4.0,) * 13, (0.1,) * 54, extended=True)},
    "timed in pairs": {"timing": timing()},
    "a call that was wrong": {"timing": one_arm_audited(audits(CANDIDATE, 0.5))},
    "a process whose results nobody checked": {"timing": one_arm_audited(())},
}


def quick_run(**reference: Any) -> Run:
    small = case(batch=25)
    lines: list[ResultLine] = [calibration(), reference_result(small, **reference)]
    lines += [case_result(case(N=32, gridsize=1, batch=1, pattern="interior"))]
    return make(lines, provisional=True, sweep="quick", command="python -m validation run --out runs/quick")


def write(run: Run, folder: Path) -> Path:
    """Write a run as the folder that the reader takes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(run.manifest))
    (folder / "results.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in run.lines))
    return folder
