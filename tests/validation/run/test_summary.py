"""What a run folder is said to hold."""

import json

import msgspec
import pytest

from tests.validation.builders import make_calibration, make_comparison, make_manifest, make_result
from validation.contract.lines import MutantResult, PropertyResult, SuiteResult
from validation.contract.measurements import Equivalence, Measurement
from validation.run import results
from validation.run.summary import as_json, case_passed, is_skipped, line_passed, one_line, summarise

HEAD = {name: getattr(make_calibration(), name) for name in ("schema_version", "run_id", "started_at", "provenance")}


def mutant(**changes):
    fields = {
        "mutant": "shuffled", "defect": "D1", "description": "x", "expected_criterion": "correctness",
        "rejected_by": ("correctness", "speed"), "verdict": "REJECT", "detail": "",
    }  # fmt: skip
    return MutantResult(**(fields | HEAD | changes))


def suite(**changes):
    return SuiteResult(**({"flag": "on", "passed": 3, "failed": 0, "skipped": 1, "command": "pytest"} | HEAD | changes))


def checked(**changes):
    fields = {"name": "ramp", "case_id": "case-9", "candidate": "batched", "passed": True, "figure": 0.0,
              "limit": 1e-6, "detail": ""}  # fmt: skip
    return PropertyResult(**(fields | HEAD | changes))


@pytest.mark.parametrize("bad", ["candidate_vs_oracle", "candidate_vs_reference", "reference_vs_oracle"])
def test_one_comparison_that_does_not_hold_fails_its_case(bad):
    good = make_result()
    comparisons = {name: make_comparison() for name in Equivalence.__struct_fields__} | {
        bad: make_comparison(passed=False)
    }
    measurement = Measurement(equivalence=Equivalence(**comparisons))
    assert case_passed(good)
    assert not case_passed(msgspec.structs.replace(good, measurement=measurement))


def test_a_case_without_comparison_passes_and_one_without_measurement_does_not():
    assert case_passed(msgspec.structs.replace(make_result(), measurement=Measurement(equivalence=None)))
    assert not case_passed(make_result(failure="timeout"))


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        (make_result(), True),
        (make_result(passed=False), False),
        (make_calibration(), True),
        (make_calibration(passed=False), False),
        (checked(), True),
        (checked(passed=False), False),
        (mutant(), True),
        (mutant(verdict="ACCEPT"), False),
        (mutant(rejected_by=("speed",)), False),
        (mutant(verdict="INCONCLUSIVE"), True),
        (suite(), True),
        (suite(failed=1), False),
        (suite(passed=0), False),
        (suite(passed=1), True),
    ],
)
def test_each_kind_of_line_says_whether_it_is_as_it_should_be(line, passed):
    assert line_passed(line) is passed


def test_what_is_no_result_line_is_refused():
    with pytest.raises(TypeError, match=r"^expected a result line, got str$"):
        line_passed("a line")


@pytest.mark.parametrize(
    ("reason", "skipped"), [("skipped_memory", True), ("not_available", True), ("timeout", False), (None, False)]
)
def test_only_what_was_not_started_is_skipped(reason, skipped):
    assert is_skipped(make_result(failure=reason)) is skipped


def test_the_denominators_of_a_run_add_up_and_are_told(tmp_path):
    names = ("case-0", "case-1", "case-2", "case-3", "case-4")
    folder = results.RunFolder.create(tmp_path / "a run", make_manifest(names))
    for line in (
        make_calibration(),
        make_result("case-0"),
        make_result("case-1", failure="timeout"),
        make_result("case-2", failure="skipped_memory"),
    ):
        folder.append(line)
    summary = summarise(folder)
    counted = (summary.planned, summary.ran, summary.passed, summary.failed, summary.skipped, summary.missing)
    assert counted == (6, 3, 2, 1, 1, 2)
    assert summary.run_id == "run-1"
    assert summary.overhead_share == pytest.approx(0.5)  # 1 s measured of 2 s, in each of three cases
    assert one_line(summary) == (
        "planned 6, ran 3, passed 2, failed 1, skipped 1, missing 2, 50 % outside measured calls; "
        f"judge it with: python -m reports gate '{folder.path}'"
    )
    told = json.loads(as_json(summary))
    assert told["event"] == "end"
    assert told["planned"] == 6
    assert told["out"] == str(folder.path)


def test_a_run_that_took_no_time_has_no_share(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    folder.append(make_calibration())
    summary = summarise(folder)
    assert summary.overhead_share is None
    assert ", missing 1; judge it with" in one_line(summary)


def test_time_that_is_not_known_does_not_count(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1")))
    folder.append(make_result("case-0"))
    folder.append(msgspec.structs.replace(make_result("case-1"), wall_s=0.0, measured_s=0.0))
    assert summarise(folder).overhead_share == pytest.approx(0.5)
    share = msgspec.structs.replace(summarise(folder), overhead_share=0.996)
    assert "100 % outside measured calls" in one_line(share)
