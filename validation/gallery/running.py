"""Runs the gallery of mutants and lets the gate judge each: a gate that was never seen to fail proves nothing.

The control of each kernel, the true candidate, is measured first. Then every mutant is measured in the check that its
defect concerns, in real children, and gets a run folder in which all else is the control's; so only its
defect can turn the verdict. The gate is asked as a user asks it, ``python -m reports gate DIR``, and its verdict
file says which criteria rejected.

The clock of the control is a standard: a reference that lasts 200 ms (its first call 1.5 s) and a candidate that
lasts 10, for reassembly 5, so that the gallery says the same on a busy machine. How fast the true candidate is, the
run itself measures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.mutant import Mutant
from validation.contract.records import Audit, Case, Memory, MutantResult, Provenance, Record, Scan, Timing
from validation.contract.tasks import CalibrateReply, Task
from validation.gallery.bench import (
    CLOCK,
    MAIN,
    NEVER_RUN,
    PLACED,
    PLACED_PROBED,
    PLACED_PROMISED,
    PROBED,
    SLOW,
    GalleryBench,
)
from validation.gallery.evidence import Evidence, Verdict, ask_gate, write_folder
from validation.kernels import registry as kernels
from validation.kernels.patches import probes
from validation.kernels.patches.cheats.caching import forgotten
from validation.kernels.patches.mutants import MUTANTS, STANDS_FOR
from validation.measure.bench import Bench, CaseFailed
from validation.plan.sweeps import CANDIDATE

# Folder of the control of each kernel.
CONTROLS = {"patch_extraction": "control", "reassembly": "control_reassembly"}
# Cases of the mutants that are refused in one process.
_PROCESS: dict[tuple[str, str], Case] = {
    ("patch_extraction", "timed"): CLOCK,
    ("patch_extraction", "metered"): MAIN,
    ("reassembly", "timed"): PLACED,
}


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


class _Shared(Record, frozen=True, kw_only=True):
    """Rounds that serve several mutants: times and peaks by name."""

    clock: dict[str, Timing]
    memory: dict[str, Memory]


def _probes_of(kernel: str) -> tuple[str, ...]:
    # The threads probe starts two more processes each time; the run itself has it.
    return tuple(name for name in probes.names(kernel) if name != "threads")


def _measure_shared(measuring: GalleryBench, chosen: list[Mutant]) -> _Shared:
    """Measure what is timed or metered in rounds: standards, and those of the chosen mutants."""
    candidate = measuring.candidate

    def named(measured: str, kernel: str = "patch_extraction") -> tuple[str, ...]:
        return tuple(mutant.name for mutant in chosen if mutant.measured == measured and mutant.kernel == kernel)

    timed = tuple(
        STANDS_FOR.get(mutant.name, mutant.name) for mutant in chosen if mutant.measured in ("clock", "promise")
    )
    with forgotten():
        clock = measuring.timings(CLOCK, "lasts_200_ms", tuple(dict.fromkeys(("lasts_10_ms", "lasts_5_ms", *timed))))
    memory = measuring.memories(MAIN, "reference", (candidate, *named("memory")))
    if named("memory", "reassembly"):
        memory |= measuring.memories(PLACED, "reference", named("memory", "reassembly"))
    if named("held"):
        memory |= measuring.memories(CLOCK, "holds_100_mib", ("holds_105_mib", "holds_130_mib"))
    slow = named("speed")
    if slow:
        clock |= measuring.timings(SLOW, "reference", slow)
    return _Shared(clock=clock, memory=memory)


def _candidate_of(kernel: str, candidate: str) -> str:
    """Name the control of a kernel: the candidate, or the project's where the candidate is another kernel's."""
    offered = {found.name for found in kernels.candidates(kernel)}
    return candidate if kernel == "patch_extraction" or candidate in offered else CANDIDATE


def _controls(measuring: GalleryBench, origin: Provenance, shared: _Shared, wanted: set[str]) -> dict[str, Evidence]:
    """Measure the true candidate of each wanted kernel."""
    measuring.bench.step("calibration")
    calibration = measuring.ask(CalibrateReply, Task(action="calibrate", scan_path=measuring.bench.scan_path))
    found = {}
    for kernel, case, probed in (("patch_extraction", MAIN, PROBED), ("reassembly", PLACED, PLACED_PROBED)):
        if kernel not in wanted:
            continue
        candidate = _candidate_of(kernel, measuring.candidate)
        found[kernel] = Evidence(
            case=case,
            candidate=candidate,
            origin=origin,
            calibration=calibration.checks,
            probed=probed,
            equivalence=measuring.equivalence(case, candidate),
            timing=shared.clock["lasts_10_ms"],
            memory=shared.memory[measuring.candidate],
            probes=tuple((name, measuring.probe(probed, candidate, name)) for name in _probes_of(kernel)),
            placement=(PLACED_PROMISED, shared.clock["lasts_5_ms"]) if kernel == "reassembly" else None,
        )
    return found


def _mutate(measuring: GalleryBench, control: Evidence, mutant: Mutant, shared: _Shared) -> Evidence:
    """Measure a mutant in the check its defect concerns; all else is the control's."""
    name, standard = mutant.name, STANDS_FOR.get(mutant.name, mutant.name)
    changed: dict[str, Any] = {}
    if mutant.measured in ("timed", "metered"):
        audits = measuring.audits(mutant, _PROCESS[mutant.kernel, mutant.measured])
        changed = _audited(control, mutant, audits)
    if name in measuring.refused:
        return msgspec.structs.replace(control, candidate=name, failure=measuring.refused[name])
    try:
        if mutant.measured == "output":
            changed["equivalence"] = measuring.equivalence(control.case, name, atol=mutant.atol)
        elif mutant.measured == "together":
            changed["equivalence"] = measuring.equivalence(control.case, name, reference=name)
        elif mutant.measured == "probe":
            probe = mutant.probe or ""
            others = tuple(pair for pair in control.probes if pair[0] != probe)
            changed["probes"] = (*others, (probe, measuring.probe(control.probed, name, probe)))
    except CaseFailed as failed:
        if failed.failure.arm != name:
            raise
        changed["failure"] = failed.failure
    if mutant.measured == "speed":
        changed = {"case": SLOW, "equivalence": measuring.equivalence(SLOW, name), "timing": shared.clock[name]}
    elif mutant.measured == "clock":
        changed["timing"] = shared.clock[standard]
    elif mutant.measured == "promise":
        changed["placement"] = (PLACED_PROMISED, shared.clock[standard])
    elif mutant.measured in ("memory", "held"):
        changed["memory"] = shared.memory[standard]
    elif mutant.measured == "failure":
        changed["failure"] = measuring.failure(mutant)
    elif mutant.measured == "meter":
        changed["calibration"] = measuring.readings(name, control.calibration)
    elif mutant.measured == "suite":
        changed["suites"] = measuring.suites(control.origin)
    elif mutant.measured in ("record", "gallery"):
        return _falsify(msgspec.structs.replace(control, candidate=name), mutant)
    return msgspec.structs.replace(control, candidate=name, **changed)


def _audited(control: Evidence, mutant: Mutant, audits: tuple[Audit, ...]) -> dict[str, Any]:
    """Give the control's times or peaks, of which one was found by the audits of the mutant."""
    if mutant.measured == "timed" and control.timing is not None:
        first, *others = control.timing.candidates
        first = msgspec.structs.replace(first, audits=audits)
        return {"timing": msgspec.structs.replace(control.timing, candidates=(first, *others))}
    if control.memory is None:
        return {}
    pair, *pairs = control.memory.pairs
    pair = msgspec.structs.replace(pair, candidate=msgspec.structs.replace(pair.candidate, audits=audits))
    return {"memory": msgspec.structs.replace(control.memory, pairs=(pair, *pairs))}


def _without_samples(timing: Timing) -> Timing:
    references, candidates = (
        tuple(msgspec.structs.replace(arm, samples_s=arm.samples_s[:1]) for arm in arms)
        for arms in (timing.references[:1], timing.candidates[:1])
    )
    return msgspec.structs.replace(timing, references=references, candidates=candidates)


def _falsify(evidence: Evidence, mutant: Mutant) -> Evidence:
    """Make a faulty record of sound measurements."""
    if mutant.name == "missing_case":
        return msgspec.structs.replace(evidence, never_run=NEVER_RUN.case_id)
    machine = msgspec.structs.replace(evidence.origin.machine, fingerprint="", cpu_model="")
    origin = msgspec.structs.replace(evidence.origin, commit=None, dirty=None, machine=machine)
    timing = _without_samples(evidence.timing) if evidence.timing else None
    return msgspec.structs.replace(evidence, origin=origin, timing=timing)


def _result(mutant: Mutant, verdict: Verdict, line_fields: dict[str, Any]) -> MutantResult:
    rejected_by, finding = verdict.rejected_by, verdict.finding(mutant.expected_criterion)
    if mutant.expected_criterion in rejected_by and not re.search(mutant.because, finding):
        rejected_by, finding = (), f"not for its own reason, which says {mutant.because!r}: {finding}"
    return MutantResult(
        mutant=mutant.name,
        defect=mutant.defect,
        description=mutant.description,
        expected_criterion=mutant.expected_criterion,
        rejected_by=rejected_by,
        verdict=verdict.outcome,
        detail=finding,
        **line_fields,
    )


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
        Gives the fields that every line of the calling run has (see `validation.contract.records.Line`).
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
    measuring = GalleryBench(bench, candidate)
    shared = _measure_shared(measuring, chosen)
    controls = _controls(measuring, origin, shared, {mutant.kernel for mutant in chosen})
    evidence = {CONTROLS[kernel]: found for kernel, found in controls.items()}
    folder.mkdir(parents=True, exist_ok=True)

    def judge(name: str) -> Verdict:
        write_folder(folder / name, evidence[name], scan, str(line_fields()["started_at"]))
        return ask_gate(folder / name)

    bench.step("the gate judges the control")
    verdicts = {name: judge(name) for name in tuple(evidence)}
    for mutant in chosen:
        control = controls[mutant.kernel]
        if mutant.measured == "gallery":
            # The control under the name of a mutant: the gate finds nothing, which the gallery must not pass over.
            missed = _result(mutant, verdicts[CONTROLS[mutant.kernel]], line_fields())
            evidence[mutant.name] = msgspec.structs.replace(control, let_through=missed)
        else:
            evidence[mutant.name] = _mutate(measuring, control, mutant, shared)
    bench.step("the gate judges")
    names = [mutant.name for mutant in chosen]
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts |= zip(names, pool.map(judge, names), strict=True)
    bad = [CONTROLS[kernel] for kernel in controls if verdicts[CONTROLS[kernel]].outcome != "ACCEPT"]

    def result(mutant: Mutant) -> MutantResult:
        control = verdicts[CONTROLS[mutant.kernel]]
        found = _result(mutant, verdicts[mutant.name], line_fields())
        if mutant.expected_criterion not in control.rejected_by:
            return found
        # What stops the true candidate as well says nothing about the defect.
        why = f"not shown: {mutant.expected_criterion} did not accept the control either"
        return msgspec.structs.replace(found, rejected_by=(), detail=why)

    return Gallery(
        control_verdict=verdicts[bad[0]].outcome if bad else "ACCEPT",
        control_rejected_by=tuple(dict.fromkeys(found for name in bad for found in verdicts[name].rejected_by)),
        mutants=tuple(map(result, chosen)),
    )
