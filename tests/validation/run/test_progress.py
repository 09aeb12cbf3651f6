"""Progress says for every line what it holds."""

import io
import json

import msgspec
import pytest

from tests.validation.builders import make_calibration, make_manifest, make_result
from validation.contract.lines import MutantResult, PropertyResult, SuiteResult
from validation.contract.measurements import ArmTiming, Timing
from validation.run.peer_table import lines as peer_lines
from validation.run.progress import BarProgress, JsonProgress, Progress
from validation.run.results import RunFolder


def head():
    line = make_calibration()
    return {name: getattr(line, name) for name in ("schema_version", "run_id", "started_at", "provenance")}


LINES = [
    (make_calibration(), True, "calibration: 1 of 1 instruments read right"),
    (make_result(), True, "case-0 batched: error 1.2e-07 to the oracle, 100 % of the bits like the reference (2.0 s)"),
    (make_result(failure="timeout"), False, "case-0 batched: timeout: a message (2.0 s)"),
    (
        PropertyResult(
            name="delta", case_id="c", candidate="batched", passed=True, figure=1e-8, limit=1e-7, detail="d", **head()
        ),
        True,
        "delta c batched: 1.0e-08 of 1.0e-07, d",
    ),
    (
        SuiteResult(flag="on", passed=5, failed=1, skipped=2, command="pytest", **head()),
        False,
        "suite on: 5 passed, 1 failed, 2 skipped",
    ),
    (
        MutantResult(
            mutant="D1",
            defect="D1",
            description="d",
            expected_criterion="correctness",
            rejected_by=(),
            verdict="ACCEPT",
            detail="",
            **head(),
        ),
        False,
        "mutant D1: rejected by nothing, must be by correctness",
    ),
]


@pytest.mark.parametrize(("line", "passed", "text"), LINES)
def test_every_kind_of_line_is_told(line, passed, text):
    stream = io.StringIO()
    shown = Progress(stream)
    shown.begin(make_manifest(), 3, 1)
    shown.line_done(line, passed)
    told = stream.getvalue().splitlines()[-1]
    assert told.endswith(text)
    assert ("FAILED" in told) == (not passed)


def test_a_part_is_told_and_is_no_line():
    stream = io.StringIO()
    shown = Progress(stream)
    shown.begin(make_manifest(), 3, 1)
    shown.part_done(msgspec.structs.replace(make_result(), checks=("time",)))
    assert stream.getvalue().splitlines()[-1] == "[1/3] part   case-0 batched: time (2.0 s)"
    assert shown.done == 1


def test_machines_read_of_a_part_what_it_holds():
    stream = io.StringIO()
    JsonProgress(stream).part_done(msgspec.structs.replace(make_result(), checks=("equivalence", "memory")))
    assert json.loads(stream.getvalue()) == {
        "event": "part",
        "key": "case-0|batched",
        "checks": ["equivalence", "memory"],
    }


def test_what_was_not_run_did_not_fail():
    stream = io.StringIO()
    shown = Progress(stream)
    shown.line_done(make_result(failure="skipped_memory"), False)
    assert "FAILED" not in stream.getvalue()
    assert "skip   case-0 batched: skipped_memory" in stream.getvalue()
    assert shown.failed == 0


@pytest.mark.parametrize(("line", "passed", "text"), LINES)
def test_machines_read_json(line, passed, text):
    stream = io.StringIO()
    JsonProgress(stream).line_done(line, passed)
    event = json.loads(stream.getvalue())
    assert event["passed"] is passed


def test_the_bar_shows_counts_and_the_worst_case(capsys):
    with BarProgress() as shown:
        shown.begin(make_manifest(("case-0", "case-1")), 2, 0)
        shown.step("output of batched")
        shown.line_done(make_result("case-0", error=3e-7), True)
        shown.line_done(make_result("case-1", failure="signal"), False)
        shown.work(3, 6)
        (task,) = shown.bar.tasks
        assert (task.completed, task.total) == (3, 6)
        assert task.fields["lines"] == "2/2"
        assert task.description == "1 failed, worst error 3.0e-07"
    assert "case-1 batched: signal" in capsys.readouterr().out


def test_peers_stand_beside_the_candidate(tmp_path):
    def arm(name, seconds):
        return ArmTiming(
            implementation=name, first_call_s=1.0, samples_s=(seconds,) * 5, calls_per_sample=1, involuntary_switches=0
        )

    folder = RunFolder.create(tmp_path / "run", make_manifest())
    for name, role, seconds in (("batched", "candidate", 0.1), ("scipy", "peer", 0.5)):
        timing = Timing(
            references=(arm("reference", 2.0),),
            candidates=(arm(name, seconds),) * 2,
            copy_fresh_s=(),
            copy_warm_s=(),
            contended_rejected=0,
            extended=False,
        )
        line = make_result()
        folder.append(
            msgspec.structs.replace(
                line,
                candidate=name,
                role=role,
                measurement=msgspec.structs.replace(line.measurement, timing=timing),
            )
        )
    absent = make_result(failure="not_available")
    folder.append(msgspec.structs.replace(absent, candidate="opencv", role="peer"))
    _, _, candidate, scipy, opencv = peer_lines(folder)
    assert candidate.split()[0] == "batched"
    assert "20.0x" in candidate
    assert "4.0x" in scipy
    assert "not_available: a message" in opencv
