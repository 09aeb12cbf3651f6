"""Runs the gallery of mutants and lets the gate judge each: a gate that was never seen to fail proves nothing.

The control of each kernel, the true candidate, is measured first. Then every mutant is measured in the check that its
defect concerns, in real children, and gets a run folder in which all else is the control's; so only its
defect can turn the verdict. The gate is asked as a user asks it, ``python -m reports gate DIR``, and its verdict
file says which criteria rejected.

Where a kernel has standards, the clock of the control is that of implementations which last what is known of them, so
that the gallery says the same on a busy machine. How fast the true candidate is, the run itself measures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.base import Record
from validation.contract.cases import Judged
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel
from validation.contract.lines import CalibrationCheck, MutantResult
from validation.contract.manifest import Provenance, Scan
from validation.contract.measurements import Audit, Memory, Timing
from validation.contract.mutant import Exhibition, Mutant
from validation.contract.tasks import CalibrateReply
from validation.gallery.bench import GalleryBench
from validation.gallery.evidence import Evidence, Verdict, ask_gate, write_folder
from validation.measure.bench import REFERENCE, Bench, CaseFailed
from validation.properties import generic

# Mutants whose clock is read beside the standards, and those that are measured against a standard of memory.
_CLOCKED = ("clock", "promised")


class Gallery(Record, frozen=True, kw_only=True):
    """The control's verdict, the criteria that did not pass it, and the mutants in the order of the catalogue."""

    control_verdict: str
    control_rejected_by: tuple[str, ...]
    mutants: tuple[MutantResult, ...]

    @property
    def sound(self) -> bool:
        """Whether the control was accepted and every mutant rejected, each by the criterion named for it."""
        return self.control_verdict == "ACCEPT" and all(mutant.caught for mutant in self.mutants)


class _Room:
    """The gallery of one kernel: what is measured there, and what it gave."""

    def __init__(self, bench: Bench, kernel: Kernel, candidate: str, chosen: list[Mutant]) -> None:
        if kernel.exhibition is None:
            raise UsageError(f"the kernel {kernel.name} has mutants and must have an exhibition: where they are shown")
        self.kernel = kernel
        self.shown: Exhibition = kernel.exhibition
        self.chosen = chosen
        self.candidate = self._candidate(bench, candidate)
        self.measuring = GalleryBench(bench, kernel, self.shown, self.candidate)
        self.clock: dict[str, Timing] = {}
        self.memory: dict[str, Memory] = {}

    def _candidate(self, bench: Bench, candidate: str) -> str:
        """Name the control: the candidate, or the first of the kernel's where the candidate is another kernel's."""
        meant = self.kernel.name in {kernel.name for kernel in bench.kernels.offering(candidate)}
        return candidate if meant or not self.kernel.candidates else self.kernel.candidates[0].name

    @property
    def control(self) -> str:
        """Folder of the control."""
        return f"control_{self.kernel.name}"

    def named(self, *measured: str) -> tuple[str, ...]:
        """Names of what is timed or metered for mutants: themselves or their standards, each once."""
        names = (mutant.standard or mutant.name for mutant in self.chosen if mutant.measured in measured)
        return tuple(dict.fromkeys(names))

    def measure(self, rooms: list[_Room]) -> None:
        """Measure what is timed or metered in rounds: standards, the control, and those of the chosen mutants.

        Rooms with the same standards, or whose controls are metered at the same case, share what was measured.
        """
        shown, measuring, standards = self.shown, self.measuring, self.shown.standards
        if standards is None:
            self.clock = measuring.timings(shown.clock, REFERENCE, (self.candidate, *self.named(*_CLOCKED)))
        else:
            alike = [room for room in rooms if room.shown.standards == standards]
            if alike[0] is self:
                names = [standards.candidate, *([standards.promised] if standards.promised else [])]
                names += [name for room in alike for name in room.named(*_CLOCKED)]
                self.clock = measuring.timings(standards.case, standards.reference, tuple(dict.fromkeys(names)))
            else:
                self.clock = dict(alike[0].clock)
        metered = shown.metered or shown.main
        of_main = self.named("memory")
        found = next((room.memory for room in rooms if metered == room.shown.main and room.memory), None)
        if found is not None and self.candidate in found:
            self.memory = dict(found)
        else:
            others = (self.candidate, *of_main) if metered == shown.main else (self.candidate,)
            self.memory = measuring.memories(metered, REFERENCE, others)
        if metered != shown.main and of_main:
            self.memory |= measuring.memories(shown.main, REFERENCE, of_main)
        if standards is not None and self.named("held"):
            self.memory |= measuring.memories(standards.case, standards.held, (standards.more, *self.named("held")))
        if self.named("speed"):
            self.clock |= measuring.timings(shown.slow or shown.main, REFERENCE, self.named("speed"))

    def evidence(self, origin: Provenance, calibration: tuple[CalibrationCheck, ...]) -> Evidence:
        """Measure the true candidate."""
        shown, measuring, standards = self.shown, self.measuring, self.shown.standards
        # The property of threads starts two more processes each time; the run itself has it.
        names = [name for name in generic.names(self.kernel) if name != "threads"]
        promised = None
        judged = self.kernel.judged(shown.main)
        if shown.promised is not None:
            own = next(item for item in self.kernel.judged(shown.promised) if item.criterion == shown.criterion)
            timing = self.clock[standards.promised if standards and standards.promised else self.candidate]
            promised = (own, shown.promised, timing)
        return Evidence(
            cards=tuple(kernel.card() for kernel in measuring.bench.kernels),
            case=shown.main,
            candidate=self.candidate,
            judged=self._judged(judged),
            origin=origin,
            calibration=calibration,
            probed=shown.probed,
            equivalence=measuring.equivalence(shown.main, self.candidate),
            timing=self.clock[standards.candidate if standards else self.candidate],
            memory=self.memory[self.candidate],
            properties=tuple((name, measuring.property(shown.probed, self.candidate, name)) for name in names),
            promised=promised,
        )

    def _judged(self, own: tuple[Judged, ...]) -> tuple[Judged, ...]:
        """Give what is promised of speed, first call and memory: by this kernel, or by the one of the standards."""
        if any(item.criterion == "speed" for item in own) or self.shown.standards is None:
            return own
        case = self.shown.standards.case
        return self.measuring.bench.kernel(case).judged(case)

    def mutate(self, control: Evidence, mutant: Mutant) -> Evidence:
        """Measure a mutant in the check its defect concerns; all else is the control's."""
        measuring, name, measured = self.measuring, mutant.name, mutant.standard or mutant.name
        changed: dict[str, Any] = {}
        if mutant.measured in ("timed", "metered"):
            case = self.shown.clock if mutant.measured == "timed" else self.shown.main
            changed = _audited(control, mutant, measuring.audits(mutant, case))
        if name in measuring.refused:
            return msgspec.structs.replace(control, candidate=name, failure=measuring.refused[name])
        try:
            if mutant.measured == "output":
                changed["equivalence"] = measuring.equivalence(control.case, name, atol=mutant.atol)
            elif mutant.measured == "together":
                changed["equivalence"] = measuring.equivalence(control.case, name, reference=name)
            elif mutant.measured == "property":
                checked = mutant.property or ""
                others = tuple(pair for pair in control.properties if pair[0] != checked)
                found = measuring.property(control.probed, name, checked)
                changed["properties"] = (*others, (checked, found))
            elif mutant.measured == "speed":
                case = self.shown.slow or self.shown.main
                equivalence = measuring.equivalence(case, name)
                changed = {"case": case, "equivalence": equivalence, "timing": self.clock[name]}
        except CaseFailed as failed:
            if failed.failure.arm != name:
                raise
            changed["failure"] = failed.failure
        if mutant.measured == "clock":
            changed["timing"] = self.clock[measured]
        elif mutant.measured == "promised" and control.promised is not None:
            judged, case, _ = control.promised
            changed["promised"] = (judged, case, self.clock[measured])
        elif mutant.measured in ("memory", "held"):
            changed["memory"] = self.memory[measured]
        elif mutant.measured == "failure":
            changed["failure"] = measuring.failure(mutant)
        elif mutant.measured == "meter":
            changed["calibration"] = measuring.readings(name, control.calibration)
        elif mutant.measured == "suite":
            changed["suites"] = measuring.suites(control.origin)
        elif mutant.measured in ("record", "gallery"):
            return self._falsify(msgspec.structs.replace(control, candidate=name), mutant)
        return msgspec.structs.replace(control, candidate=name, **changed)

    def _falsify(self, evidence: Evidence, mutant: Mutant) -> Evidence:
        """Make a faulty record of sound measurements."""
        if mutant.name == "missing_case" and self.shown.never_run is not None:
            return msgspec.structs.replace(evidence, never_run=self.shown.never_run.case_id)
        machine = msgspec.structs.replace(evidence.origin.machine, fingerprint="", cpu_model="")
        origin = msgspec.structs.replace(evidence.origin, commit=None, dirty=None, machine=machine)
        timing = _without_samples(evidence.timing) if evidence.timing else None
        return msgspec.structs.replace(evidence, origin=origin, timing=timing)


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


def _rooms(bench: Bench, candidate: str, only: tuple[str, ...]) -> list[_Room]:
    """Give a room to each kernel that has chosen mutants."""
    rooms = []
    for kernel in bench.kernels:
        chosen = [mutant for mutant in kernel.mutants if not only or mutant.name in only]
        if chosen:
            rooms.append(_Room(bench, kernel, candidate, chosen))
    return rooms


def command_of(mutant: str | None) -> str:
    """Give the command that makes a folder of the gallery again: that of a mutant, or of a control."""
    return "python -m validation mutants --out runs/mutants" + (f" --only {mutant}" if mutant else "")


def run_mutants(
    bench: Bench,
    *,
    scan: Scan | None,
    origin: Provenance,
    folder: Path,
    line_fields: Callable[[], dict[str, Any]],
    candidate: str,
    only: tuple[str, ...] = (),
) -> Gallery:
    """Run the gallery.

    Parameters
    ----------
    bench : Bench
        Its executor runs the children, its scratch folder takes the outputs.
    scan : Scan or None
    origin : Provenance
    folder : Path
        Takes one run folder per mutant, and that of the control of each kernel.
    line_fields : callable
        Gives the fields that every line of the calling run has (see `validation.contract.lines.Line`).
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
    rooms = _rooms(bench, candidate, only)
    with ExitStack() as cleaned:
        for room in rooms:
            cleaned.enter_context(room.kernel.cleaned())
        for room in rooms:
            room.measure(rooms)
    bench.step("calibration")
    evidence: dict[str, Evidence] = {}
    for room in rooms:
        calibration = room.measuring.ask(CalibrateReply, bench.task("calibrate", case=room.shown.probed))
        evidence[room.control] = room.evidence(origin, calibration.checks)
    folder.mkdir(parents=True, exist_ok=True)

    def judge(name: str) -> Verdict:
        command = command_of(None if name in controls else name)
        write_folder(folder / name, evidence[name], scan, str(line_fields()["started_at"]), command)
        return ask_gate(folder / name)

    controls = set(evidence)
    bench.step("the gate judges the control")
    verdicts = {name: judge(name) for name in tuple(evidence)}
    for room in rooms:
        control = evidence[room.control]
        for mutant in room.chosen:
            if mutant.measured == "gallery":
                # The control under the name of a mutant: the gate finds nothing, which the gallery must not pass over.
                missed = _result(mutant, verdicts[room.control], line_fields())
                evidence[mutant.name] = msgspec.structs.replace(control, let_through=missed)
            else:
                evidence[mutant.name] = room.mutate(control, mutant)
    bench.step("the gate judges")
    names = [mutant.name for room in rooms for mutant in room.chosen]
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts |= zip(names, pool.map(judge, names), strict=True)
    bad = [room.control for room in rooms if verdicts[room.control].outcome != "ACCEPT"]

    def result(room: _Room, mutant: Mutant) -> MutantResult:
        found = _result(mutant, verdicts[mutant.name], line_fields())
        if mutant.expected_criterion not in verdicts[room.control].rejected_by:
            return found
        # What stops the true candidate as well says nothing about the defect.
        why = f"not shown: {mutant.expected_criterion} did not accept the control either"
        return msgspec.structs.replace(found, rejected_by=(), detail=why)

    return Gallery(
        control_verdict=verdicts[bad[0]].outcome if bad else "ACCEPT",
        control_rejected_by=tuple(dict.fromkeys(found for name in bad for found in verdicts[name].rejected_by)),
        mutants=tuple(result(room, mutant) for room in rooms for mutant in room.chosen),
    )
