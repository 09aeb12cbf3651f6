"""Runs the gallery of mutants and lets the gate judge each: a gate that was never seen to fail proves nothing.

One control, the true candidate, is measured first. Then every mutant is measured in the check that its defect
concerns, in real children, and gets a run folder in which all else is the control's; so only its
defect can turn the verdict. The gate is asked as a user asks it, ``python -m reports gate DIR``, and its verdict
file says which criteria rejected.

The clock of the control is a standard: a reference that lasts 200 ms (its first call 1.5 s) and a candidate that
lasts 10, so that the gallery says the same on a busy machine. How fast the true candidate is, the run itself
measures.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from validation import probes
from validation.compare import compare
from validation.measure import Bench, CaseFailed
from validation.mutants import MUTANTS, STANDS_FOR, Mutant
from validation.records import (
    SCHEMA_VERSION,
    ArmMemory,
    ArmTiming,
    CalibrationCheck,
    CalibrationResult,
    Case,
    CaseResult,
    Comparison,
    Equivalence,
    Failure,
    Manifest,
    Measurement,
    Memory,
    MemoryPair,
    MutantResult,
    Planned,
    ProbeResult,
    Protocol,
    Provenance,
    Record,
    ResultLine,
    Scan,
    Timing,
    TimingPair,
)
from validation.results import RunFolder, key_of
from validation.tasks import CalibrateReply, CopyReply, MemoryReply, OutputReply, ProbeReply, Task, TimeReply

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
CONTROL = "control"
HANG_TIMEOUT_S = 3.0
# What a child of the memory hog may take above its start.
HOG_LIMIT_BYTES = 600 * 2**20
# More than 200 patches (D8), peaks above 20 MB (the meter), positions on every edge (D7).
MAIN = Case(
    case_id="gallery-main",
    kernel="patch_extraction",
    N=96,
    gridsize=2,
    batch=51,
    dtype="complex64",
    height=40,
    width=52,
    pattern="border",
    seed=0,
)
# A large object and few patches: translating all of it is what costs.
SLOW = msgspec.structs.replace(
    MAIN, case_id="gallery-slow", N=32, gridsize=1, batch=12, height=300, width=400, pattern="interior"
)
PROBED = msgspec.structs.replace(MAIN, case_id="gallery-probed", N=16, batch=10, height=61, width=83, pattern="fermat")
# The threads probe starts two more processes each time; the run itself has it.
PROBES = tuple(name for name in probes.names("patch_extraction") if name != "threads")


ReplyOf = TypeVar("ReplyOf", CalibrateReply, ProbeReply)


class Evidence(Record, frozen=True, kw_only=True):
    """What one run folder is made of."""

    case: Case
    candidate: str
    origin: Provenance
    calibration: tuple[CalibrationCheck, ...]
    equivalence: Equivalence | None = None
    timing: Timing | None = None
    memory: Memory | None = None
    failure: Failure | None = None
    probes: tuple[tuple[str, ProbeReply], ...] = ()
    never_run: str | None = None


class Gallery(Record, frozen=True, kw_only=True):
    """The control's verdict, the criteria that did not pass it, and the mutants in the order of the catalogue."""

    control_verdict: str
    control_rejected_by: tuple[str, ...]
    mutants: tuple[MutantResult, ...]

    @property
    def sound(self) -> bool:
        """Whether the control was accepted and every mutant rejected, each by the criterion named for it."""
        return self.control_verdict == "ACCEPT" and all(map(was_caught, self.mutants))


def was_caught(mutant: MutantResult) -> bool:
    """Whether the gate rejected a mutant by the criterion named for it."""
    return mutant.verdict != "ACCEPT" and mutant.expected_criterion in mutant.rejected_by


def _rounds(count: int, arms: Iterable[str], purpose: str) -> list[list[str]]:
    """Make ``count`` rounds of all arms, each in another order; the same every time."""
    generator = random.Random(purpose)
    rounds = []
    for _ in range(count):
        order = list(arms)
        generator.shuffle(order)
        rounds.append(order)
    return rounds


class _Measuring:
    """The measurements of a gallery; each is made once and shared."""

    def __init__(self, bench: Bench, candidate: str) -> None:
        self.bench = bench
        self.candidate = candidate
        self._outputs: dict[tuple[str, str], Path] = {}

    def ask(self, expected: type[ReplyOf], task: Task) -> ReplyOf:
        """Run a task and insist on the kind of reply that belongs to it."""
        task = msgspec.structs.replace(task, ptycho_path=self.bench.ptycho_path)
        answer = self.bench.executor.run(task, self.bench.timeout_s)
        if answer.failure is not None:
            raise CaseFailed(answer.failure)
        if not isinstance(answer.reply, expected):
            raise CaseFailed(Failure(reason="wrong_output", message=str(answer.reply), arm=task.implementation))
        return answer.reply

    def output(self, case: Case, name: str) -> np.ndarray[Any, Any]:
        key = (case.case_id, name)
        if key not in self._outputs:
            path = self.bench.scratch / f"gallery-{len(self._outputs)}.npy"
            self.bench.ask("output", OutputReply, case=case, implementation=name, output_path=str(path))
            self._outputs[key] = path
        return np.load(self._outputs[key], mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    def comparison(self, case: Case, expected: str, actual: str, atol: float) -> Comparison:
        return compare(
            self.output(case, expected),
            self.output(case, actual),
            expected_name=expected,
            actual_name=actual,
            atol=atol,
        )

    def equivalence(self, case: Case, name: str, atol: float = 1e-6) -> Equivalence:
        self.bench.step(f"output of {name}")
        return Equivalence(
            candidate_vs_oracle=self.comparison(case, "oracle", name, atol),
            candidate_vs_reference=self.comparison(case, "reference", name, atol),
            reference_vs_oracle=self.comparison(case, "oracle", "reference", 1e-6),
        )

    def timings(self, case: Case, reference: str, twice: str, others: tuple[str, ...]) -> dict[str, Timing]:
        """Time arms in shuffled rounds, a fresh process each; ``twice`` gives the noise floor."""
        again = f"{twice} again"
        arms: dict[str, list[ArmTiming]] = {name: [] for name in (reference, *others, twice, again)}
        places: dict[str, list[int]] = {name: [] for name in arms}
        for number, order in enumerate(_rounds(PROTOCOL.replicates, arms, case.case_id + reference), 1):
            self.bench.step(f"{case.case_id}: round {number} of {PROTOCOL.replicates}")
            for place, arm in enumerate(order):
                name = twice if arm == again else arm
                reply, _ = self.bench.ask("time", TimeReply, case=case, implementation=name, protocol=PROTOCOL)
                arms[arm].append(reply.timing)
                places[arm].append(place)
        copies, _ = self.bench.ask("copy", CopyReply, case=case, protocol=PROTOCOL)

        def pairs(one: str, two: str) -> tuple[TimingPair, ...]:
            return tuple(
                TimingPair(
                    order="reference_first" if places[one][index] < places[two][index] else "candidate_first",
                    reference=arms[one][index],
                    candidate=arms[two][index],
                )
                for index in range(PROTOCOL.replicates)
            )

        noise = pairs(twice, again)
        return {
            name: Timing(
                pairs=pairs(reference, name),
                noise_pairs=noise,
                copy_fresh_s=copies.fresh_s,
                copy_warm_s=copies.warm_s,
                contended_rejected=0,
                extended=False,
            )
            for name in dict.fromkeys((*others, twice))
            if name != reference
        }

    def memories(self, case: Case, reference: str, others: tuple[str, ...]) -> dict[str, Memory]:
        """Read the peaks of arms in shuffled rounds, a fresh process each."""
        peaks: dict[str, list[ArmMemory]] = {name: [] for name in (reference, *others)}
        meters: set[str] = set()
        output_bytes = 0
        for number, order in enumerate(_rounds(PROTOCOL.memory_pairs, peaks, case.case_id + reference), 1):
            self.bench.step(f"{case.case_id}: memory, round {number} of {PROTOCOL.memory_pairs}")
            for name in order:
                reply, _ = self.bench.ask("memory", MemoryReply, case=case, implementation=name, protocol=PROTOCOL)
                peaks[name].append(reply.memory)
                meters.add(reply.meter)
                output_bytes = reply.output_bytes
        return {
            name: Memory(
                meter=" and ".join(sorted(meters)),
                pairs=tuple(
                    MemoryPair(reference=one, candidate=two)
                    for one, two in zip(peaks[reference], peaks[name], strict=True)
                ),
                output_bytes=output_bytes,
            )
            for name in others
        }

    def probe(self, name: str, probe: str) -> ProbeReply:
        self.bench.step(f"probe {probe} of {name}")
        task = Task(action="probe", scan_path=self.bench.scan_path, case=PROBED, implementation=name, probe=probe)
        return self.ask(ProbeReply, task)

    def failure(self, mutant: Mutant) -> Failure:
        """Let a mutant fail in a child of its own, and give what the runner made of it."""
        self.bench.step(f"failure of {mutant.name}")
        hog = mutant.expected_criterion == "memory"
        task = Task(
            action="memory" if hog else "time",
            scan_path=self.bench.scan_path,
            ptycho_path=self.bench.ptycho_path,
            case=MAIN,
            implementation=mutant.name,
            protocol=PROTOCOL,
            memory_limit_bytes=HOG_LIMIT_BYTES if hog else None,
        )
        answer = self.bench.executor.run(task, 60.0 if hog else HANG_TIMEOUT_S)
        if answer.failure is None:
            raise CaseFailed(Failure(reason="wrong_output", message=f"{mutant.name} did not fail", arm=mutant.name))
        return answer.failure

    def control(self, origin: Provenance) -> Evidence:
        """Measure the true candidate."""
        self.bench.step("calibration")
        calibration = self.ask(CalibrateReply, Task(action="calibrate", scan_path=self.bench.scan_path))
        return Evidence(
            case=MAIN,
            candidate=self.candidate,
            origin=origin,
            calibration=calibration.checks,
            equivalence=self.equivalence(MAIN, self.candidate),
            probes=tuple((name, self.probe(self.candidate, name)) for name in PROBES),
        )


def _mutate(measuring: _Measuring, control: Evidence, mutant: Mutant, shared: dict[str, Any]) -> Evidence:
    """Measure a mutant in the check its defect concerns; all else is the control's."""
    changed = msgspec.structs.replace(control, candidate=mutant.name)
    if mutant.measured == "output":
        try:
            found = measuring.equivalence(MAIN, mutant.name, mutant.atol)
        except CaseFailed as failed:
            return msgspec.structs.replace(changed, failure=failed.failure)
        return msgspec.structs.replace(changed, equivalence=found)
    if mutant.measured == "probe":
        name = mutant.probe or ""
        others = tuple(pair for pair in control.probes if pair[0] != name)
        return msgspec.structs.replace(changed, probes=(*others, (name, measuring.probe(mutant.name, name))))
    if mutant.measured == "speed":
        return msgspec.structs.replace(
            changed,
            case=SLOW,
            equivalence=measuring.equivalence(SLOW, mutant.name),
            timing=shared["slow"][mutant.name],
        )
    if mutant.measured == "clock":
        return msgspec.structs.replace(changed, timing=shared["clock"][STANDS_FOR[mutant.name]])
    if mutant.measured == "memory":
        return msgspec.structs.replace(changed, memory=shared["memory"][mutant.name])
    if mutant.measured == "held":
        return msgspec.structs.replace(changed, memory=shared["held"][STANDS_FOR[mutant.name]])
    if mutant.measured == "failure":
        return msgspec.structs.replace(changed, failure=measuring.failure(mutant))
    return _falsify(changed, mutant)


def _without_samples(timing: Timing) -> Timing:
    pair = timing.pairs[0]
    bare = TimingPair(
        order=pair.order,
        reference=msgspec.structs.replace(pair.reference, samples_s=pair.reference.samples_s[:1]),
        candidate=msgspec.structs.replace(pair.candidate, samples_s=pair.candidate.samples_s[:1]),
    )
    return msgspec.structs.replace(timing, pairs=(bare,), noise_pairs=())


def _falsify(evidence: Evidence, mutant: Mutant) -> Evidence:
    """Make a faulty record of sound measurements."""
    if mutant.name == "missing_case":
        return msgspec.structs.replace(evidence, never_run="gallery-never-run")
    machine = msgspec.structs.replace(evidence.origin.machine, fingerprint="", cpu_model="")
    origin = msgspec.structs.replace(evidence.origin, commit=None, dirty=None, machine=machine)
    timing = _without_samples(evidence.timing) if evidence.timing else None
    return msgspec.structs.replace(evidence, origin=origin, timing=timing)


def write_folder(path: Path, evidence: Evidence, scan: Scan, started_at: str) -> None:
    """Write evidence as the folder of a run."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "run_id": f"gallery-{path.name}",
        "started_at": started_at,
        "provenance": evidence.origin,
    }
    measurement = Measurement(equivalence=evidence.equivalence, timing=evidence.timing, memory=evidence.memory)
    lines: tuple[ResultLine, ...] = (
        CalibrationResult(checks=evidence.calibration, **head),  # type: ignore[arg-type]
        CaseResult(
            case=evidence.case,
            candidate=evidence.candidate,
            role="candidate",
            checks=("equivalence", "time", "memory"),
            wall_s=0.0,
            measured_s=0.0,
            measurement=None if evidence.failure else measurement,
            failure=evidence.failure,
            **head,  # type: ignore[arg-type]
        ),
        *(
            ProbeResult(
                probe=name,
                case_id=PROBED.case_id,
                candidate=evidence.candidate,
                passed=reply.passed,
                figure=reply.figure if reply.figure is None or np.isfinite(reply.figure) else None,
                limit=reply.limit,
                detail=reply.detail,
                **head,  # type: ignore[arg-type]
            )
            for name, reply in evidence.probes
        ),
    )
    kinds = ("calibration", "case", *("probe" for _ in evidence.probes))
    planned = [Planned(key=key_of(line), kind=kind) for line, kind in zip(lines, kinds, strict=True)]  # type: ignore[arg-type]
    if evidence.never_run is not None:
        planned.append(Planned(key=f"{evidence.never_run}|{evidence.candidate}", kind="case"))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=f"gallery-{path.name}",
        created_at=started_at,
        sweep="gallery",
        provisional=True,
        seed=0,
        command="python -m validation mutants",
        scan=scan,
        reference_case_id=evidence.case.case_id,
        reassembly_case_id=None,
        candidate=evidence.candidate,
        planned=tuple(planned),
        protocol=PROTOCOL,
        provenance=evidence.origin,
    )
    folder = RunFolder.create(path, manifest)
    for line in lines:
        folder.append(line)


class _Criterion(msgspec.Struct):
    id: str
    finding: str


class Verdict(msgspec.Struct, frozen=True):
    """The part of the gate's verdict file that is read here."""

    outcome: str
    rejected_by: tuple[str, ...]
    criteria: tuple[_Criterion, ...] = ()

    def finding(self, criterion: str) -> str:
        """Give what the gate found for a criterion."""
        return next((found.finding for found in self.criteria if found.id == criterion), "")


def ask_gate(path: Path) -> Verdict:
    """Let the gate judge a folder; the outcome is ``NO_VERDICT`` where it gives none."""
    done = subprocess.run(
        [sys.executable, "-m", "reports", "gate", str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    try:
        return msgspec.json.decode((path / "verdict.json").read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        said = ((done.stdout + done.stderr).strip().splitlines() or [""])[-1]
        return Verdict(outcome=f"NO_VERDICT: {said}", rejected_by=())


def run_mutants(
    bench: Bench,
    *,
    scan: Scan,
    origin: Provenance,
    folder: Path,
    line_fields: Callable[[], dict[str, Any]],
    candidate: str = "batched",
    only: tuple[str, ...] = (),
) -> Gallery:
    """Run the gallery.

    Parameters
    ----------
    bench : Bench
        Its executor runs the children, its scratch folder takes the outputs.
    scan : Scan
    origin : Provenance
    folder : Path
        Takes one run folder per mutant, and that of the control.
    line_fields : callable
        Gives the fields that every line of the calling run has (see `validation.records.Line`).
    candidate : str
        The true candidate, which serves as the control.
    only : tuple of str, optional
        Names of mutants to run; empty runs all.

    Returns
    -------
    Gallery

    Raises
    ------
    CaseFailed
        If something that must work does not: the control, the reference, the oracle, or a standard.
    """
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    kinds = {mutant.measured for mutant in chosen}
    measuring = _Measuring(bench, candidate)
    control = measuring.control(origin)
    tiled = tuple(mutant.name for mutant in chosen if mutant.measured == "memory")
    shared: dict[str, Any] = {
        "clock": measuring.timings(MAIN, "lasts_200_ms", "lasts_10_ms", ("lasts_22_ms",)),
        "memory": measuring.memories(MAIN, "reference", (candidate, *tiled)),
    }
    control = msgspec.structs.replace(
        control, timing=shared["clock"]["lasts_10_ms"], memory=shared["memory"][candidate]
    )
    if "held" in kinds:
        shared["held"] = measuring.memories(MAIN, "holds_100_mib", ("holds_105_mib", "holds_130_mib"))
    if "speed" in kinds:
        slow = tuple(mutant.name for mutant in chosen if mutant.measured == "speed")
        shared["slow"] = measuring.timings(SLOW, "reference", slow[0], slow[1:])
    evidence = {CONTROL: control}
    for mutant in chosen:
        evidence[mutant.name] = _mutate(measuring, control, mutant, shared)
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in evidence.items():
        write_folder(folder / name, found, scan, str(line_fields()["started_at"]))
    bench.step("the gate judges")
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = dict(zip(evidence, pool.map(ask_gate, (folder / name for name in evidence)), strict=True))
    return Gallery(
        control_verdict=verdicts[CONTROL].outcome,
        control_rejected_by=verdicts[CONTROL].rejected_by,
        mutants=tuple(
            MutantResult(
                mutant=mutant.name,
                defect=mutant.defect,
                description=mutant.description,
                expected_criterion=mutant.expected_criterion,
                rejected_by=verdicts[mutant.name].rejected_by,
                verdict=verdicts[mutant.name].outcome,
                detail=verdicts[mutant.name].finding(mutant.expected_criterion),
                **line_fields(),
            )
            for mutant in chosen
        ),
    )
