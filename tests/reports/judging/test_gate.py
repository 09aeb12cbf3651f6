from __future__ import annotations

import functools
import re
from collections.abc import Callable

import msgspec
import pytest

from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.run import Run
from reports.reading.verdict import Criterion, Verdict
from tests.reports import builders as b
from validation.contract.lines import CaseResult, ResultLine
from validation.contract.manifest import SCHEMA_VERSION
from validation.contract.measurements import Audit, Measurement, Timing
from validation.contract.upgrade import PAIRED_VERSIONS

POLICY = read_policy()


def verdict_of(run: Run) -> Verdict:
    return judge(run, POLICY, "runs/a")


def replaced(run: Run, chosen: Callable[[ResultLine], bool], **fields: object) -> Run:
    lines = tuple(msgspec.structs.replace(line, **fields) if chosen(line) else line for line in run.lines)
    assert lines != run.lines, "nothing was replaced"
    return msgspec.structs.replace(run, lines=lines)


def without(run: Run, chosen: Callable[[ResultLine], bool]) -> Run:
    lines = tuple(line for line in run.lines if not chosen(line))
    assert lines != run.lines, "nothing was left out"
    return msgspec.structs.replace(run, lines=lines)


def with_manifest(run: Run, **fields: object) -> Run:
    return msgspec.structs.replace(run, manifest=msgspec.structs.replace(run.manifest, **fields))


def kind(name: str) -> Callable[[ResultLine], bool]:
    return lambda line: b.KINDS[type(line)] == name


def criterion_of(run: Run, name: str) -> Criterion:
    return next(item for item in verdict_of(run).criteria if item.id == name)


def at_reference(line: ResultLine) -> bool:
    return isinstance(line, CaseResult) and "time" in line.checks


def away_from_reference(line: ResultLine) -> bool:
    return isinstance(line, CaseResult) and "time" not in line.checks and line.case.params["batch"] == 10


def measured(**parts: object) -> Measurement:
    return Measurement(**({"equivalence": b.equivalence()} | parts))


def provenance(**fields: object) -> dict[str, object]:
    return {"provenance": msgspec.structs.replace(b.PROVENANCE, **fields)}


# Criterion, state, verdict, run.
Row = tuple[str, str, str, Callable[[], Run]]


def table(version: str) -> list[Row]:
    """Every criterion in every state that it can have, of a run of a schema."""
    full, quick, make, lines = (
        functools.partial(build, version=version) for build in (b.full_run, b.quick_run, b.make, b.lines_of_full_run)
    )
    timing = b.paired if version in PAIRED_VERSIONS else b.timing
    return [
        *((name, "pass", "ACCEPT", full) for name in (
            "correctness", "oracle_agreement", "speed", "cold_speed", "memory", "completeness", "calibration",
            "mutants", "suite",
        )),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(2e-6))),
        ("correctness", "fail", "REJECT", lambda: replaced(
            full(), away_from_reference, measurement=measured(equivalence=b.equivalence(2e-3)))),
        ("correctness", "fail", "REJECT", lambda: replaced(
            full(), away_from_reference, measurement=None, failure=b.failure("signal"))),
        ("correctness", "fail", "REJECT", lambda: replaced(full(), kind("property"), passed=False)),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(
            candidate_vs_reference=b.comparison(2e-3, atol=5e-3, passed=True)))),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(
            candidate_vs_reference=b.comparison(2e-3, passed=True)))),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(
            candidate_vs_reference=b.comparison(0.0, actual_dtype="complex128")))),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(
            candidate_vs_reference=b.comparison(0.0, nan_count=1)))),
        ("correctness", "fail", "REJECT", lambda: full(equivalence=b.equivalence(
            candidate_vs_reference=b.comparison(None, passed=True)))),
        ("correctness", "fail", "REJECT", lambda: make(
            [*lines(), b.case_result(b.case(batch=7), candidate="fallback", failure=b.failure())])),
        ("correctness", "missing", "REJECT", lambda: without(full(), at_reference)),
        ("oracle_agreement", "fail", "REJECT", lambda: full(equivalence=b.equivalence(oracle_error=1.1e-6))),
        ("oracle_agreement", "missing", "NOTHING_RAN", lambda: without(full(), kind("case"))),
        ("speed", "fail", "REJECT", lambda: full(timing=timing(9.0))),
        ("speed", "fail", "REJECT", lambda: full(timing=timing(1.4, cold_ratio=30))),
        ("speed", "inconclusive", "INCONCLUSIVE", lambda: full(timing=timing(10.2, spread=0.1))),
        ("speed", "inconclusive", "INCONCLUSIVE", lambda: full(timing=timing(10.8, noise=0.3, cold_ratio=40))),
        ("speed", "missing", "REJECT", lambda: full(timing=timing(replicates=6))),
        ("speed", "missing", "REJECT", lambda: full(timing=timing(samples=4))),
        ("speed", "missing", "REJECT", lambda: full(timing=timing(noise_pairs=0))),
        ("speed", "missing", "REJECT", lambda: full(timing=None)),
        ("speed", "fail", "REJECT", lambda: replaced(
            full(), at_reference, measurement=None, failure=b.failure("timeout"))),
        ("cold_speed", "fail", "REJECT", lambda: full(timing=timing(cold_ratio=3.0))),
        ("cold_speed", "inconclusive", "INCONCLUSIVE", lambda: full(timing=timing(cold_ratio=10.1))),
        ("cold_speed", "missing", "REJECT", lambda: without(full(), at_reference)),
        ("memory", "fail", "REJECT", lambda: full(memory=b.memory(1.3))),
        ("memory", "fail", "REJECT", lambda: replaced(
            full(), at_reference, measurement=None, failure=b.failure("out_of_memory"))),
        ("memory", "inconclusive", "INCONCLUSIVE", lambda: full(memory=b.memory(1.1, reference_bytes=5_000_000))),
        ("memory", "inconclusive", "INCONCLUSIVE", lambda: full(memory=b.memory(0.9, reference_bytes=500_000))),
        ("memory", "inconclusive", "INCONCLUSIVE", lambda: full(memory=b.memory(meter="memory_profiler"))),
        ("memory", "missing", "REJECT", lambda: full(memory=b.memory(pairs=4))),
        ("memory", "missing", "REJECT", lambda: full(memory=None)),
        ("completeness", "fail", "REJECT", lambda: with_manifest(full(), **provenance(commit=None))),
        ("completeness", "fail", "REJECT", lambda: with_manifest(full(), **provenance(versions={"python": "3.11"}))),
        ("completeness", "fail", "REJECT", lambda: full(timing=timing(replicates=6))),
        ("completeness", "fail", "REJECT", lambda: without(full(), away_from_reference)),
        ("completeness", "missing", "INCONCLUSIVE", lambda: replaced(
            full(), away_from_reference, measurement=None, failure=b.failure("skipped_memory"))),
        ("completeness", "missing", "INCONCLUSIVE", lambda: replaced(
            full(), away_from_reference, measurement=None, failure=b.failure("timeout", arm="reference"))),
        ("completeness", "missing", "INCONCLUSIVE", lambda: make(
            [line for line in lines() if not away_from_reference(line)])),
        ("completeness", "missing", "INCONCLUSIVE", lambda: make([
            b.judged_result(b.case(batch=100), timing=timing()),
            *(line for line in lines() if not at_reference(line))])),
        ("completeness", "fail", "REJECT", lambda: without(
            quick(), lambda line: isinstance(line, CaseResult) and line.case.params["batch"] == 1)),
        ("completeness", "fail", "REJECT", lambda: with_manifest(full(), **provenance(dirty=None))),
        ("speed", "missing", "REJECT", lambda: full(timing=timing(candidate_s=1e-3, calls=2))),
        ("calibration", "fail", "INSTRUMENT_FAILURE", lambda: replaced(full(), kind("calibration"), checks=(
            msgspec.structs.replace(b.calibration().checks[0], passed=False, measured=0.2),))),
        ("calibration", "missing", "REJECT", lambda: without(full(), kind("calibration"))),
        ("calibration", "missing", "INCONCLUSIVE", lambda: replaced(full(), kind("calibration"), checks=())),
        ("mutants", "fail", "REJECT", lambda: replaced(
            full(), lambda line: line.key == "mutant|mutant-D3", verdict="ACCEPT", rejected_by=())),
        ("mutants", "fail", "REJECT", lambda: replaced(
            full(), lambda line: line.key == "mutant|mutant-D3", rejected_by=("completeness",))),
        ("mutants", "missing", "REJECT", lambda: without(full(), kind("mutant"))),
        ("mutants", "missing", "INCONCLUSIVE", lambda: make(
            [line for line in lines() if line.key != "mutant|mutant-D8"])),
        ("mutants", "not_judged", "ACCEPT", quick),
        ("suite", "fail", "REJECT", lambda: replaced(full(), lambda line: line.key == "suite|on", failed=1)),
        ("suite", "fail", "REJECT", lambda: replaced(full(), lambda line: line.key == "suite|on", passed=0)),
        ("suite", "pass", "ACCEPT", lambda: replaced(full(), kind("suite"), passed=1)),
        ("suite", "missing", "REJECT", lambda: without(full(), lambda line: line.key == "suite|on")),
        ("suite", "not_judged", "ACCEPT", quick),
    ]  # fmt: skip


VERSIONS = (b.FIRST, SCHEMA_VERSION)


@pytest.mark.parametrize(
    ("criterion", "state", "outcome", "make"),
    [row for version in VERSIONS for row in table(version)],
    ids=[f"{version}-{row[0]}-{row[1]}-{at}" for version in VERSIONS for at, row in enumerate(table(version))],
)
def test_each_criterion_in_each_state_gives_its_verdict(
    criterion: str, state: str, outcome: str, make: Callable[[], Run]
) -> None:
    verdict = verdict_of(make())
    found = {item.id: item for item in verdict.criteria}
    assert found[criterion].state == state, found[criterion].finding
    assert verdict.outcome == outcome
    assert bool(found[criterion].fixes) == (state not in ("pass", "not_judged"))
    assert (criterion in verdict.rejected_by) == (state not in ("pass", "not_judged"))
    assert all(fix.command and fix.action for fix in found[criterion].fixes)


def test_the_exit_codes_are_those_of_the_method() -> None:
    assert verdict_of(b.full_run()).exit_code == 0
    assert verdict_of(b.full_run(timing=b.timing(2.0))).exit_code == 1
    assert verdict_of(b.full_run(timing=b.timing(10.0))).exit_code == 3
    assert verdict_of(b.make([b.calibration(passed=False)])).exit_code == 4
    assert verdict_of(b.make([b.calibration()])).exit_code == 5


def test_a_provisional_run_says_so_in_its_verdict_line() -> None:
    assert verdict_of(b.quick_run()).line == "VERDICT: ACCEPT (provisional, quick sweep)"


def test_a_peer_never_decides() -> None:
    peer = b.case_result(b.case(batch=3), candidate="scipy", role="peer", failure=b.failure())
    assert verdict_of(b.make([*b.lines_of_full_run(), peer])).outcome == "ACCEPT"


def test_what_is_optional_may_be_skipped() -> None:
    skipped = b.case_result(b.case(batch=50000), failure=b.failure("skipped_memory"))
    run = b.make([*b.lines_of_full_run(), skipped])
    assert verdict_of(run).outcome == "INCONCLUSIVE"
    planned = tuple(msgspec.structs.replace(item, optional=item.key == skipped.key) for item in run.manifest.planned)
    assert verdict_of(with_manifest(run, planned=planned)).outcome == "ACCEPT"


@pytest.mark.parametrize("times", [b.timing(3.0, replicates=3, noise_pairs=3), b.timing(replicates=0, noise_pairs=3)])
def test_the_times_of_other_cases_are_context(times: Timing) -> None:
    """Ten times was promised at the judged case; elsewhere the loop may be fast, or not timed at all."""
    of = b.case(N=32, gridsize=2, batch=25)
    other = b.case_result(of, checks=("equivalence", "time"), measurement=measured(timing=times))
    run = b.make([*b.lines_of_full_run(), other], first=b.case().case_id)
    assert verdict_of(run).outcome == "ACCEPT"
    speed = criterion_of(run, "speed")
    assert (speed.worst_case, speed.judged) == (b.case().case_id, 28)


def test_a_reassembly_case_that_falls_short_blocks_the_whole_verdict() -> None:
    of = b.case(kernel="reassembly", gridsize=1, batch=500)
    timed = b.case_result(of, checks=("equivalence", "time"), measurement=measured(timing=b.timing(15.0)))
    lines = [timed, *b.lines_of_full_run()]
    assert verdict_of(b.make(lines, first=b.case().case_id)).outcome == "ACCEPT"
    verdict = verdict_of(b.make(lines, first=b.case().case_id, placement=of.case_id))
    assert (verdict.outcome, verdict.rejected_by) == ("REJECT", ("reassembly",))


def test_a_reassembly_case_is_judged_where_there_is_one() -> None:
    for ratio, batch, state in (
        (40.0, 500, "pass"),
        (15.0, 500, "fail"),
        (20.3, 500, "inconclusive"),
        (40.0, 499, "missing"),
    ):
        of = b.case(kernel="reassembly", gridsize=1, batch=batch)
        timed = b.case_result(of, checks=("equivalence", "time"), measurement=measured(timing=b.timing(ratio)))
        run = b.make([timed, *b.lines_of_full_run()], first=b.case().case_id, placement=of.case_id)
        assert criterion_of(run, "reassembly").state == state


def test_required_fixes_carry_case_and_command() -> None:
    verdict = verdict_of(b.full_run(timing=b.timing(2.0)))
    criterion, fix = verdict.fixes[0]
    assert criterion.id == "speed"
    assert fix.case_id == b.case().case_id
    assert fix.command == (
        f"python -m validation run --sweep full --candidate batched -k {b.case().case_id} --out NEW-DIR"
    )
    criterion, fix = verdict_of(b.full_run(equivalence=b.equivalence(1.0))).fixes[0]
    assert criterion.id == "correctness"
    assert fix.command == (f"python -m validation reproduce {b.case().case_id} --from runs/a --out runs/a/patches")


def test_the_counts_add_up() -> None:
    run = replaced(b.full_run(), away_from_reference, measurement=None, failure=b.failure("skipped_memory"))
    run = without(run, lambda line: line.key == "suite|on")
    run = replaced(run, kind("property"), passed=False)
    counts = verdict_of(run).counts
    assert (counts.planned, counts.missing, counts.skipped, counts.failed) == (19, 1, 1, 1)
    assert counts.planned + counts.unplanned == counts.ran + counts.skipped + counts.missing
    assert counts.ran == counts.passed + counts.failed


def peers() -> list[ResultLine]:
    """Peers, by name before the candidate: sound, out of time, wrong and without its times, absent."""
    of = b.case(batch=50)
    timed = ("equivalence", "time")
    return [
        b.case_result(of, candidate="a-sound", role="peer"),
        b.case_result(of, candidate="a-slow", role="peer", failure=b.failure("timeout", arm="reference")),
        b.case_result(
            of, candidate="a-wrong", role="peer", checks=timed, measurement=measured(equivalence=b.equivalence(1.0))
        ),
        b.case_result(of, candidate="a-absent", role="peer", failure=b.failure("not_available", arm=None)),
    ]


def test_bits_of_the_candidate_are_told_apart_from_those_of_its_engines_and_fallbacks() -> None:
    of = b.case(batch=3)
    lines = [
        b.case_result(of, candidate="batched_xla"),
        b.case_result(of, candidate="batched_eager", measurement=measured(equivalence=b.equivalence(1e-7))),
        *b.lines_of_full_run(),
    ]
    criteria = {criterion.id: criterion for criterion in verdict_of(b.make(lines, first=b.case().case_id)).criteria}
    finding = criteria["correctness"].finding
    own = re.search(r"every bit equal in (\d+) of the (\d+) comparisons with the reference", finding)
    assert own
    assert own[1] == own[2]
    assert finding.endswith(", and in 1 of the 2 of other engines and fallbacks")


def test_failed_peers_are_counted_apart_and_decide_nothing() -> None:
    verdict = verdict_of(b.make([*peers(), *b.lines_of_full_run()], first=b.case().case_id))
    assert verdict.outcome == "ACCEPT", verdict.fixes
    assert (verdict.counts.failed, verdict.counts.failed_peers, verdict.counts.skipped) == (2, 2, 1)


def test_a_candidate_behind_a_peer_still_has_to_show_its_data() -> None:
    bare = b.case_result(b.case(batch=50), checks=("equivalence", "time"))
    run = b.make([*peers(), bare, *b.lines_of_full_run()], first=b.case().case_id)
    found = {item.id: item for item in verdict_of(run).criteria}["completeness"]
    assert found.state == "fail"
    assert found.finding == "1 measurements without their raw data"
    assert found.fixes[0].case_id == bare.case.case_id


def test_more_pairs_than_were_declared_are_no_evidence_for_completeness_either() -> None:
    for run, said in (
        (b.full_run(b.FIRST, timing=b.paired(40.0, cold_ratio=40.0, replicates=8)), "8 replicate pairs where 7"),
        (b.full_run(timing=b.timing(replicates=8)), "8 processes of the reference where 7"),
    ):
        found = criterion_of(run, "completeness")
        assert found.state == "fail"
        assert f"{said} are declared" in found.fixes[0].action


def test_a_run_whose_every_case_was_skipped_ran_nothing() -> None:
    run = replaced(b.full_run(), kind("case"), measurement=None, failure=b.failure("skipped_memory", arm=None))
    assert verdict_of(run).outcome == "NOTHING_RAN"


@pytest.mark.parametrize(
    ("lines", "planned", "provisional", "mutants", "suite"),
    [
        # Nothing of it planned: a small sweep may do without, evidence may not.
        ([], [], True, ("not_judged", "not part of this sweep"), ("not_judged", "not part of this sweep")),
        ([], [], False, ("missing", "never tried: D1"), ("missing", "not run with the flag off and on")),
        # Planned and absent, also in a small sweep.
        (
            [], [b.mutant("D1"), b.suite("off"), b.suite("on")], True, ("missing", "never tried: any"),
            ("missing", "not run with the flag off and on"),
        ),
        # A part of it: a small sweep need not try every defect, but a suite has two states.
        (
            [b.mutant("D1"), b.suite("off")], [], True, ("pass", "each was stopped for its own reason"),
            ("missing", "not run with the flag on"),
        ),
    ],
)  # fmt: skip
def test_mutants_and_suite_are_missing_where_they_were_planned_or_evidence_is_claimed(
    lines: list[ResultLine],
    planned: list[ResultLine],
    provisional: bool,
    mutants: tuple[str, str],
    suite: tuple[str, str],
) -> None:
    small = b.quick_run()
    run = b.make([*small.lines, *lines], provisional=provisional, first=small.first_judged)
    absent = tuple(b.make(planned).manifest.planned)
    found = {
        item.id: item for item in verdict_of(with_manifest(run, planned=(*run.manifest.planned, *absent))).criteria
    }
    for name, (state, finding) in (("mutants", mutants), ("suite", suite)):
        assert found[name].state == state
        assert found[name].finding.startswith(finding)


def test_the_worst_fault_is_named_a_case_without_a_result_before_any_error_and_any_error_before_a_property() -> None:
    run = replaced(b.full_run(), kind("property"), passed=False, case_id="zz-property")
    small = replaced(run, away_from_reference, measurement=measured(equivalence=b.equivalence(0.01)))
    large = replaced(
        small, lambda line: isinstance(line, CaseResult) and line.case.params["batch"] == 0,
        measurement=measured(equivalence=b.equivalence(0.5)),
    )  # fmt: skip
    silent = replaced(
        large, lambda line: isinstance(line, CaseResult) and line.case.params["batch"] == 1,
        measurement=None, failure=b.failure("signal", arm=b.CANDIDATE),
    )  # fmt: skip
    batches = {case.case_id: case.params["batch"] for case in b.covering_cases()}
    worst = [
        {item.id: item for item in verdict_of(made).criteria}["correctness"].worst_case
        for made in (run, small, large, silent)
    ]
    assert worst[0] == "zz-property"
    assert [batches[str(name)] for name in worst[1:]] == [10, 0, 1]


def test_a_reference_that_leaves_the_oracle_is_named_also_behind_a_case_that_has_none() -> None:
    apart = b.comparison(0.25, expected="oracle", actual="reference")
    wrong = measured(equivalence=b.equivalence(candidate_vs_oracle=None, reference_vs_oracle=apart))
    run = replaced(
        b.full_run(), lambda line: isinstance(line, CaseResult) and line.case.params["batch"] == 100, measurement=wrong
    )
    found = {item.id: item for item in verdict_of(run).criteria}["oracle_agreement"]
    assert found.state == "fail"
    assert found.finding.startswith("the reference ")
    assert found.value == 0.25


def test_what_subprocesses_held_decides_with_the_mark_and_is_told() -> None:
    for ratio, state in ((0.9, "pass"), (1.5, "fail")):
        memory = b.memory(ratio, meter="VmHWM and sampled descendants")
        found = next(each for each in verdict_of(b.full_run(memory=memory)).criteria if each.id == "memory")
        assert found.state == state
        assert "with the processes that were started" in found.finding


@pytest.mark.parametrize(
    ("audits", "outcome", "speed", "correctness"),
    [
        (b.audits(b.CANDIDATE, 0.5), "REJECT", "missing", "fail"),
        ((), "REJECT", "missing", "pass"),
        (b.audits(b.CANDIDATE), "ACCEPT", "pass", "pass"),
    ],
)
def test_a_time_counts_only_where_its_calls_gave_what_they_had_to(
    audits: tuple[Audit, ...], outcome: str, speed: str, correctness: str
) -> None:
    verdict = verdict_of(b.full_run(timing=b.one_arm_audited(audits)))
    states = {item.id: item for item in verdict.criteria}
    assert (verdict.outcome, states["speed"].state, states["correctness"].state) == (outcome, speed, correctness)
    if correctness == "fail":
        assert "--entropy 00000000000000000000000000000000" in states["correctness"].fixes[0].command


def test_a_peak_counts_only_where_the_metered_calls_were_checked() -> None:
    run = b.full_run()
    line = next(line for line in run.cases if line.measurement and line.measurement.memory)
    assert line.measurement is not None
    bare = msgspec.structs.replace(line.measurement, memory=b.memory(audited=False))
    verdict = verdict_of(replaced(run, lambda each: each is line, measurement=bare))
    states = {item.id: item for item in verdict.criteria}
    assert states["memory"].state == "missing"
    assert "10 of 10 processes whose results were not checked" in states["memory"].finding
