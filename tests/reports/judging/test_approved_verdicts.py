"""What a reader is told about each kind of run of the old schemas, word for word, as somebody read and approved it.

After a change of words or figures that is meant: ``APPROVE=1 pytest tests/reports/judging/test_approved_verdicts.py``,
then read the difference of ``approved_verdicts.txt``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from reports.reading.run import Run
from reports.reading.verdict import Criterion, Verdict
from tests.reports import builders as b
from tests.reports.judging.test_gate import (
    at_reference,
    away_from_reference,
    kind,
    measured,
    provenance,
    replaced,
    table,
    verdict_of,
    with_manifest,
    without,
)
from validation.contract.manifest import Scan

APPROVED = Path(__file__).with_name("approved_verdicts.txt")


# The first schema, whose times are pairs; stories of 1.4 say so.
old, quick, make, lines = (
    functools.partial(build, version=b.FIRST) for build in (b.full_run, b.quick_run, b.make, b.lines_of_full_run)
)


def reassembly(ratio: float, batch: int = 500) -> Run:
    of = b.case(kernel="reassembly", gridsize=1, batch=batch)
    timed = b.case_result(of, checks=("equivalence", "time"), measurement=measured(timing=b.paired(ratio)))
    return make([timed, *lines()], first=b.case().case_id, placement=of.case_id)


def all_wrong() -> Run:
    """Seven cases wrong, each by more than the one before, and an oracle that disagrees."""
    wrong = [
        b.case_result(b.case(batch=batch), measurement=measured(equivalence=b.equivalence(batch * 1e-5, batch * 1e-4)))
        for batch in range(2, 9)
    ]
    return make([*wrong, *lines()], first=b.case().case_id)


def no_provenance() -> Run:
    machine = msgspec.structs.replace(b.MACHINE, fingerprint="", cpu_model="")
    origin = provenance(commit=None, kernel_digest="", machine=machine, threads={}, dirty=None, versions={})
    scan = Scan(name="a scan", path="/data/my scan.npz", sha256="", object_shape=(200, 256), positions=900)
    return with_manifest(old(timing=b.paired(noise=0.5)), scan=scan, **origin)


def nothing_planned() -> Run:
    return with_manifest(old(), planned=())


def failed_at_reference(reason: str, arm: str | None) -> Run:
    failure = b.failure(reason, arm=arm, message="first line\n  second line " + "x" * 300)
    return replaced(old(), at_reference, measurement=None, failure=failure)


def escaped() -> Run:
    run = replaced(old(), lambda line: line.key == "mutant|mutant-D3", verdict="ACCEPT", rejected_by=())
    return replaced(run, lambda line: line.key == "mutant|mutant-D4", rejected_by=("completeness", "memory"))


def instruments_wrong() -> Run:
    clock = b.calibration().checks[0]
    meter = msgspec.structs.replace(clock, instrument="meter", measured=0.3, unit="B", passed=False)
    wrong = (msgspec.structs.replace(clock, measured=0.2, passed=False), clock, meter)
    return replaced(old(), kind("calibration"), checks=wrong)


def suite_of(off: tuple[int, int], on: tuple[int, int]) -> Run:
    run = replaced(old(), lambda line: line.key == "suite|off", passed=off[0], failed=off[1])
    return replaced(run, lambda line: line.key == "suite|on", passed=on[0], failed=on[1])


def optional_and_skipped() -> Run:
    skipped = [b.case_result(b.case(batch=batch), failure=b.failure("skipped_memory")) for batch in (6000, 7000)]
    other = b.case_result(b.case(batch=8000), failure=b.failure("timeout", arm="oracle"))
    run = make([*skipped, other, *lines()], first=b.case().case_id)
    planned = tuple(msgspec.structs.replace(item, optional="B6000" in item.key) for item in run.manifest.planned)
    return with_manifest(run, planned=planned)


MORE: dict[str, Callable[[], Run]] = {
    "reassembly fast": lambda: reassembly(40.0),
    "reassembly slow": lambda: reassembly(15.0),
    "reassembly undecided": lambda: reassembly(20.3),
    "reassembly too small": lambda: reassembly(40.0, 499),
    "reassembly not there": lambda: make(lines(), placement="none"),
    "seven wrong cases": all_wrong,
    "no provenance": no_provenance,
    "nothing planned": nothing_planned,
    "nothing planned, provisional": lambda: with_manifest(quick(), planned=()),
    "reference out of memory": lambda: failed_at_reference("out_of_memory", "reference"),
    "oracle timed out": lambda: failed_at_reference("timeout", "oracle"),
    "candidate timed out, arm unknown": lambda: failed_at_reference("timeout", None),
    "candidate out of memory": lambda: failed_at_reference("out_of_memory", b.CANDIDATE),
    "candidate crashed": lambda: failed_at_reference("signal", b.CANDIDATE),
    "reference case skipped": lambda: failed_at_reference("skipped_memory", None),
    "two mutants escaped": escaped,
    "mutants planned but absent": lambda: without(old(), kind("mutant")),
    "suite absent in a quick run": lambda: with_manifest(quick(), sweep="<b>own</b> [sweep].toml"),
    "two instruments wrong": instruments_wrong,
    "suite red in both states": lambda: suite_of((0, 0), (119, 1)),
    "optional and skipped": optional_and_skipped,
    "no comparison anywhere": lambda: replaced(old(), kind("case"), measurement=b.Measurement(equivalence=None)),
    "only the oracle to compare with": lambda: old(
        equivalence=b.equivalence(candidate_vs_reference=None, reference_vs_oracle=None)
    ),
    "wrong shape": lambda: old(
        equivalence=b.equivalence(candidate_vs_reference=b.comparison(None, actual_shape=(1, 64, 64, 4)))
    ),
    "empty output": lambda: old(
        equivalence=b.equivalence(candidate_vs_reference=b.comparison(None, elements=0, passed=True))
    ),
    "writer says no": lambda: old(equivalence=b.equivalence(candidate_vs_reference=b.comparison(0.0, passed=False))),
    "infinite": lambda: old(equivalence=b.equivalence(candidate_vs_reference=b.comparison(0.0, inf_count=2))),
    "nine times, memory 1.19": lambda: old(timing=b.paired(9.0), memory=b.memory(1.19)),
    "unplanned line": lambda: with_manifest(
        old(), planned=tuple(item for item in old().manifest.planned if item.kind != "property")
    ),
    "wrong reference case": lambda: make(
        [b.judged_result(b.case(kernel="reassembly"), timing=b.paired()), *(n for n in lines() if not at_reference(n))]
    ),
    "no time and no memory": lambda: old(timing=None, memory=None),
    "seven cases missing": lambda: without(old(), lambda line: kind("case")(line) or kind("mutant")(line)),
    "reference compared with nothing": lambda: replaced(
        old(), at_reference, measurement=measured(equivalence=None, timing=b.paired(), memory=b.memory(audited=False))
    ),
    **{f"schema 1.4, {name}": functools.partial(b.full_run, b.LAST_OLD, **parts) for name, parts in b.APART.items()},
    "fine elsewhere, failed by the oracle": lambda: replaced(
        old(), away_from_reference, measurement=None, failure=b.failure("exception", arm="oracle")
    ),
}


def told(criterion: Criterion, known: tuple[str, ...] = ()) -> str:
    """A criterion as text, every field of it but a promise that is known."""
    figures = f"{criterion.passed}/{criterion.judged} {criterion.what}"
    numbers = [
        f"{name} {value:.6g}"
        for name, value in (
            ("value", criterion.value), ("threshold", criterion.threshold), ("margin", criterion.margin),
        )
        if value is not None
    ]  # fmt: skip
    lines = [f"  {criterion.id}: {criterion.state}", f"    {criterion.finding}"]
    if criterion.promise not in known:
        lines.append(f"    promised: {criterion.promise}")
    lines.append(f"    {', '.join([figures, *numbers])}; worst: {criterion.worst_case}")
    for fix in criterion.fixes:
        lines += [f"    fix ({fix.case_id}): {fix.action}", f"      {fix.command}"]
    return "\n".join(lines)


def story(name: str, verdict: Verdict, usual: tuple[Criterion, ...]) -> str:
    """A verdict as text: what differs from the run in which all is well."""
    counts = " ".join(f"{field}={getattr(verdict.counts, field)}" for field in verdict.counts.__struct_fields__)
    head = [
        f"# {name}",
        f"{verdict.line} | exit {verdict.exit_code} | kept from ACCEPT by {verdict.rejected_by}",
        counts,
    ]
    promises = tuple(item.promise for item in usual)
    return "\n".join(head + [told(item, promises) for item in verdict.criteria if item not in usual])


def present() -> str:
    named: dict[str, Callable[[], Run]] = {}
    for criterion, state, outcome, make in table(b.FIRST):
        if outcome != "ACCEPT":
            number = sum(name.startswith(f"{criterion} {state} ") for name in named)
            named[f"{criterion} {state} {number + 1}"] = make
    good = verdict_of(old())
    stories = [story("all is well", good, ())]
    stories += [story(name, verdict_of(make()), good.criteria) for name, make in (named | MORE).items()]
    return "\n\n".join(stories) + "\n"


def test_every_verdict_reads_as_it_was_approved() -> None:
    text = present()
    if os.environ.get("APPROVE"):
        APPROVED.write_text(text, encoding="utf-8")
        pytest.skip("written; read the difference, then run without APPROVE")
    assert text == APPROVED.read_text(encoding="utf-8"), f"read it, then: APPROVE=1 pytest {__file__}"


def test_each_story_tells_something_of_its_own() -> None:
    bodies = [part.partition("\n")[2] for part in APPROVED.read_text(encoding="utf-8").split("\n\n")]
    assert len(bodies) > 80
    assert len(set(bodies)) > 0.9 * len(bodies)


def test_the_facts_of_a_run_stand_in_its_verdict() -> None:
    run = quick()
    verdict, manifest = verdict_of(run), run.manifest
    assert (verdict.run_id, verdict.created_at, verdict.sweep) == (manifest.run_id, manifest.created_at, "quick")
    assert (verdict.seed, verdict.candidate) == (0, b.CANDIDATE)
    assert verdict.kernels == ("patch_extraction", "reassembly")
    assert verdict.judged == run.manifest.judged == b.judged(b.case(batch=25).case_id)
    assert verdict.promise_digests == {"patch_extraction": None, "reassembly": None}
    assert (verdict.scan, verdict.scan_sha256) == ("built-in scan", "ab12")
    assert (verdict.commit, verdict.commit_subject, verdict.dirty) == (
        b.PROVENANCE.commit, "Windowed patch extraction", False,
    )  # fmt: skip
    assert (verdict.kernel_digest, verdict.machine) == ("sha256:00ff", "3f0c9a")
    assert (verdict.cpu_model, verdict.versions) == (b.MACHINE.cpu_model, b.PROVENANCE.versions)
    assert (verdict.provisional, verdict.relaxed, verdict.verdict_version) == (True, (), "2.0")
