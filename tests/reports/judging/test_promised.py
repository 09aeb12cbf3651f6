"""What is judged stands in the run: its promises, what its kernels must cover, how they are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.run import Run
from reports.reading.verdict import Criterion, Verdict
from tests.reports import builders as b
from tests.reports import strangers
from tests.reports.judging.test_gate import replaced, verdict_of, with_manifest
from validation.contract.cards import Coverage
from validation.contract.cases import Judged
from validation.contract.lines import CaseResult
from validation.contract.measurements import Measurement, Timing

OWN = ["correctness", "oracle_agreement"]
EVIDENCE = ["completeness", "calibration", "mutants", "suite"]


def found(run: Run) -> dict[str, Criterion]:
    return {item.id: item for item in verdict_of(run).criteria}


def judged_at(ratios: dict[int, float], promise: float | None = 10.0) -> Run:
    """Judge one speed at several cases, each as much faster as is said, by the number of its groups."""
    cases = {batch: b.case(batch=batch) for batch in ratios}
    lines = [b.judged_result(cases[batch], timing=b.timing(ratio)) for batch, ratio in ratios.items()]
    items = tuple(
        Judged(criterion="speed", case_id=of.case_id, figure="warm", promise=promise) for of in cases.values()
    )
    return b.make([b.calibration(), *lines], provisional=True, judged=items)


def test_criteria_of_judged_figures_stand_in_the_order_of_the_run() -> None:
    run = strangers.kernel_run()
    assert list(found(run)) == [*OWN, "speed", "batch_speed", *EVIDENCE]
    turned = with_manifest(run, judged=run.manifest.judged[::-1])
    assert list(found(turned)) == [*OWN, "batch_speed", "speed", *EVIDENCE]


def test_a_criterion_at_several_cases_holds_where_all_of_them_do() -> None:
    speed = found(judged_at({1: 40.0, 2: 30.0, 3: 50.0}))["speed"]
    assert (speed.state, speed.judged, speed.passed) == ("pass", 84, 84)
    # The smallest margin is told.
    assert speed.worst_case == b.case(batch=2).case_id
    assert speed.finding.startswith("30x median")


@pytest.mark.parametrize(
    ("ratios", "state", "worst"),
    [({1: 40.0, 2: 2.0, 3: 5.0}, "fail", 2), ({1: 40.0, 2: 10.1, 3: 50.0}, "inconclusive", 2)],
)
def test_the_worst_of_several_cases_is_told(ratios: dict[int, float], state: str, worst: int) -> None:
    speed = found(judged_at(ratios))["speed"]
    assert (speed.state, speed.worst_case) == (state, b.case(batch=worst).case_id)
    assert {fix.case_id for fix in speed.fixes} == {
        b.case(batch=batch).case_id for batch, ratio in ratios.items() if ratio < 11.0
    }


def test_a_case_that_is_missing_is_worse_than_one_that_is_undecided_and_better_than_one_that_fails() -> None:
    run = judged_at({1: 10.1, 2: 40.0})
    gone = msgspec.structs.replace(run.manifest.judged[0], case_id="gone")
    with_gap = with_manifest(run, judged=(*run.manifest.judged, gone))
    assert (found(with_gap)["speed"].state, found(with_gap)["speed"].worst_case) == ("missing", "gone")
    slow = judged_at({1: 2.0})
    both = with_manifest(slow, judged=(*slow.manifest.judged, gone))
    assert found(both)["speed"].state == "fail"


def test_a_figure_that_nothing_was_promised_of_is_told_and_not_judged() -> None:
    run = strangers.pair_run(speed=None)
    verdict = verdict_of(run)
    speed, memory = found(run)["speed"], found(run)["memory"]
    assert verdict.outcome == "ACCEPT"
    assert (speed.state, speed.threshold, speed.margin, speed.promise) == ("not_judged", None, None, "nothing")
    assert speed.finding == (
        "measured 40x median, at least 38.6x and at most 41.4x (99.0 % each; 7 and 28 processes); nothing is promised"
    )
    assert speed.value == pytest.approx(38.64, abs=0.1)
    assert memory.finding.startswith("measured worst pair 0.904x in what the call adds")
    assert memory.finding.endswith("; nothing is promised")
    assert speed.fixes == memory.fixes == ()


def without_audits(timing: Timing) -> Timing:
    return msgspec.structs.replace(
        timing,
        references=tuple(msgspec.structs.replace(arm, audits=()) for arm in timing.references),
        candidates=tuple(msgspec.structs.replace(arm, audits=()) for arm in timing.candidates),
    )


@pytest.mark.parametrize(
    ("timing", "finding"),
    [
        (None, "the case was not timed; nothing is promised"),
        (without_audits(b.timing(replicates=2, noise_pairs=3)), "measured 40x median, at least 38x"),
        (msgspec.structs.replace(b.timing(), references=()), "no evidence: 0 of 7 processes of the reference"),
    ],
)
def test_without_a_promise_few_processes_are_told_and_none_are_no_fault(timing: Timing | None, finding: str) -> None:
    few = without_audits(timing) if timing else None
    run = replaced(
        strangers.pair_run(speed=None),
        lambda line: isinstance(line, CaseResult) and line.case.params["size"] == strangers.SIZES[-1],
        checks=("equivalence", "memory"),
        measurement=Measurement(equivalence=strangers.against_reference(), timing=few, memory=b.memory(audited=False)),
    )
    speed = found(run)["speed"]
    assert verdict_of(run).outcome == "ACCEPT", verdict_of(run).fixes
    assert speed.state == "not_judged"
    assert speed.finding.startswith(finding)
    assert speed.finding.endswith("; nothing is promised")


def test_a_promise_of_a_pair_is_judged_like_any_other() -> None:
    assert verdict_of(strangers.pair_run(speed=30.0, memory=1.2)).outcome == "ACCEPT"
    assert verdict_of(strangers.pair_run(speed=50.0)).rejected_by == ("speed",)
    assert verdict_of(strangers.pair_run(memory=0.5)).rejected_by == ("memory",)


def test_a_criterion_of_the_kernels_own_is_told_in_its_words() -> None:
    own = found(strangers.kernel_run())["batch_speed"]
    assert (own.state, own.title, own.meaning) == ("pass", "Speed of batches", "Many signals at once.")
    assert own.promise == "20 times the speed from 500 samples on"


def test_a_criterion_without_words_is_told_by_its_figure() -> None:
    card = msgspec.structs.replace(strangers.KERNEL, words=msgspec.structs.replace(strangers.KERNEL.words, promises={}))
    run = strangers.kernel_run(kernels=(card,))
    assert found(run)["batch_speed"].promise == (
        "at least 20x the speed of the reference once warmed up from 500 samples on"
    )
    first = run.manifest.judged[0]
    items = (
        msgspec.structs.replace(first, criterion="start", figure="cold"),
        msgspec.structs.replace(first, criterion="small_memory", figure="memory", promise=0.5),
    )
    criteria = found(with_manifest(run, judged=items))
    assert criteria["start"].promise == "at least 8x the speed of the reference in the first call of a process"
    assert (criteria["small_memory"].state, criteria["small_memory"].threshold) == ("fail", 0.5)


def test_a_promise_in_words_is_no_format_of_its_own() -> None:
    words = msgspec.structs.replace(
        strangers.KERNEL.words, promises={"batch_speed": "{promise!r} {0} {promise:99999999}"}
    )
    run = strangers.kernel_run(kernels=(msgspec.structs.replace(strangers.KERNEL, words=words),))
    assert found(run)["batch_speed"].promise == "{promise!r} {0} {promise:99999999}"


def test_a_case_below_the_work_that_was_promised_is_missing() -> None:
    run = strangers.kernel_run()
    first, own = run.manifest.judged
    small = with_manifest(run, judged=(first, msgspec.structs.replace(own, min_work=513.0)))
    assert found(small)["batch_speed"].state == "missing"
    assert found(small)["batch_speed"].finding == (
        "the speed of batches case has 512 samples, the promise begins at 513"
    )


def test_a_criterion_that_a_kernel_knows_and_a_sweep_does_not_judge_is_named() -> None:
    run = strangers.kernel_run()
    less = with_manifest(run, judged=run.manifest.judged[:1])
    assert list(found(less)) == [*OWN, "speed", "batch_speed", *EVIDENCE]
    assert found(less)["batch_speed"].state == "not_judged"
    assert found(less)["batch_speed"].finding == "this sweep has no timed speed of batches case"
    assert verdict_of(less).outcome == "ACCEPT"


@pytest.mark.parametrize("version", [b.FIRST, b.LAST_OLD])
def test_what_old_runs_were_promised_is_told_where_they_did_not_measure_it(version: str) -> None:
    old = found(b.full_run(version))["reassembly"]
    assert (old.state, old.finding) == ("not_judged", "this sweep has no timed reassembly case")
    assert old.promise == "at least 20x the speed of the loop from 500 patches on"


def test_a_run_that_judges_no_figure_is_not_accepted() -> None:
    verdict = verdict_of(with_manifest(b.full_run(), judged=()))
    assert verdict.outcome == "INCONCLUSIVE"
    assert "no figure is judged" in {item.id: item for item in verdict.criteria}["completeness"].finding


def test_without_coverage_nothing_is_asked_of_the_evidence() -> None:
    run = strangers.pair_run()
    verdict = verdict_of(run)
    assert not run.manifest.provisional
    assert verdict.outcome == "ACCEPT", verdict.fixes
    assert found(run)["mutants"].state == found(run)["suite"].state == "not_judged"
    assert found(run)["mutants"].finding == "no known-bad implementation is asked for"
    assert found(run)["suite"].finding == "no test suite is asked for"


def covering(run: Run, **coverage: Any) -> Criterion:
    """Completeness where the kernel asks for more."""
    card = run.manifest.kernels[0]
    asked = msgspec.structs.replace(card, coverage=Coverage(**coverage))
    return found(with_manifest(run, kernels=(asked,)))["completeness"]


def test_a_kernel_asks_for_values_of_its_own_parameters() -> None:
    run = strangers.kernel_run()
    assert verdict_of(run).outcome == "ACCEPT", verdict_of(run).fixes
    gaps = covering(run, values={"window": ("hann", "flat"), "length": (64, 65)})
    assert (gaps.state, gaps.finding) == ("missing", "no compared case has window flat; no compared case has length 65")
    gaps = covering(run, judged={"length": 512, "window": "hann"})
    assert gaps.finding == "the judged case must have length 512 and window hann"
    assert covering(run, judged={"length": 256}).state == "pass"
    assert covering(run, defects=("D1",)).state == "pass"
    assert covering(run, suite=True).finding == (
        "the test suite with the flag off is not planned; the test suite with the flag on is not planned"
    )
    assert covering(run, versions=("fftw",)).fixes[0].action == "Record the provenance: version of fftw not on record"


def test_values_that_two_kernels_ask_for_are_told_apart() -> None:
    other = msgspec.structs.replace(
        strangers.PAIR, coverage=Coverage(values={"size": (5,)}), source=strangers.KERNEL.source
    )
    run = strangers.kernel_run(kernels=(strangers.KERNEL, other))
    assert found(run)["completeness"].finding == "no compared case of sort has size 5"


@pytest.mark.parametrize("fields", [{"commit": None}, {"dirty": None}])
def test_a_commit_is_asked_for_by_a_kernel_that_asks_for_evidence(fields: dict[str, None]) -> None:
    origin = msgspec.structs.replace(b.PROVENANCE, **fields)
    assert found(with_manifest(strangers.kernel_run(), provenance=origin))["completeness"].state == "fail"
    assert found(with_manifest(strangers.pair_run(), provenance=origin))["completeness"].state == "pass"


def test_a_verdict_names_kernels_figures_and_promises() -> None:
    verdict: Verdict = verdict_of(strangers.kernel_run())
    assert (verdict.kernels, verdict.promise_digests) == (("spectrum",), {"spectrum": "sha256:77aa"})
    assert [(item.criterion, item.promise) for item in verdict.judged] == [("speed", 8.0), ("batch_speed", 20.0)]
    assert (verdict.scan, verdict.scan_sha256) == (None, None)
    assert verdict_of(strangers.pair_run()).reference_path == "../old sort"


def test_the_commands_of_a_pair_are_its_own_with_another_folder() -> None:
    verdict = verdict_of(strangers.pair_run(speed=50.0))
    again = strangers.COMMAND.replace("runs/p", "NEW-DIR")
    assert {fix.command for _, fix in verdict.fixes} == {again}
    wrong = strangers.pair_run(equivalence=strangers.against_reference(share=3.0))
    ((criterion, fix),) = verdict_of(wrong).fixes
    assert criterion.id == "correctness"
    assert fix.command.startswith(f"python -m validation reproduce {wrong.first_judged} --from runs/a")


def test_the_commands_of_a_kernel_in_a_folder_say_where_it_is() -> None:
    run = strangers.kernel_run()
    slow = with_manifest(run, judged=tuple(msgspec.structs.replace(item, promise=99.0) for item in run.manifest.judged))
    commands = {fix.command for _, fix in verdict_of(slow).fixes}
    assert commands == {
        "python -m validation run --sweep full --kernel-folder 'kernels/spec trum' --candidate batched "
        f"-k {run.first_judged} --out NEW-DIR"
    }


def test_the_policy_of_a_user_judges_a_pair_that_promised_nothing() -> None:
    policy = msgspec.structs.replace(read_policy(), promise={"speed": 50.0})
    verdict = judge(strangers.pair_run(speed=None), policy)
    assert (verdict.rejected_by, verdict.relaxed) == (("speed",), ())
