"""A run on a cluster may hold lines of several machine classes; a verdict is about one of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from reports.cli import cli
from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.reader import make_run, read_run
from reports.reading.run import Run
from tests.reports import builders
from validation.contract.lines import CalibrationResult, CaseResult

HOME = builders.full_run().manifest.provenance.machine.fingerprint
OTHER = "another0machine0"


def moved(line: CaseResult | CalibrationResult) -> CaseResult | CalibrationResult:
    machine = msgspec.structs.replace(line.provenance.machine, fingerprint=OTHER, cpu_model="Another processor")
    return msgspec.structs.replace(line, provenance=msgspec.structs.replace(line.provenance, machine=machine))


def mixed_run() -> Run:
    """One case was measured on another machine class, which has a calibration of its own."""
    run = builders.full_run()
    last = run.cases[-1]
    (calibration,) = (line for line in run.lines if isinstance(line, CalibrationResult))
    other = msgspec.structs.replace(moved(calibration), other_machine=OTHER)
    kept = [line for line in run.lines if line != last]
    return msgspec.structs.replace(run, lines=(*kept, moved(last), other))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return builders.write(mixed_run(), tmp_path / "run")


def test_a_mixed_run_is_refused_and_the_classes_are_named(folder: Path) -> None:
    count = len(mixed_run().lines) - 2
    with pytest.raises(InputError, match=rf"{OTHER} \(2 lines\), {HOME} \({count} lines\)|{HOME} \({count} lines\)"):
        read_run(folder)
    with pytest.raises(InputError, match="judge one machine class with --machine FINGERPRINT"):
        read_run(folder)


def test_the_lines_of_other_machines_are_missing_from_a_verdict_about_one(folder: Path) -> None:
    whole = judge(builders.full_run(), read_policy())
    verdict = judge(read_run(folder, HOME), read_policy())
    assert whole.outcome == "ACCEPT"
    assert verdict.outcome != "ACCEPT"
    assert (verdict.counts.missing, verdict.counts.unplanned) == (whole.counts.missing + 1, 0)
    completeness = next(item for item in verdict.criteria if item.id == "completeness")
    assert completeness.state == "missing"  # a sound kernel is not rejected for what another machine measured
    assert "were measured on another machine class" in completeness.finding


def test_the_calibration_of_a_class_counts_for_that_class(folder: Path) -> None:
    run = read_run(folder, OTHER)
    assert [line.key for line in run.lines if isinstance(line, CalibrationResult)] == ["calibration"]
    assert len(run.cases) == 1
    verdict = judge(run, read_policy())
    assert (verdict.machine, verdict.cpu_model) == (OTHER, "Another processor")
    assert {item.id: item.state for item in verdict.criteria}["calibration"] == "pass"


def test_a_class_that_measured_everything_is_accepted_beside_another() -> None:
    run = builders.full_run()
    (calibration,) = (line for line in run.lines if isinstance(line, CalibrationResult))
    other = msgspec.structs.replace(moved(calibration), other_machine=OTHER)
    assert judge(make_run(run.manifest, (*run.lines, other), HOME), read_policy()).outcome == "ACCEPT"


def test_an_unknown_class_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(InputError, match=f"--machine must be one of .*{OTHER}.*, got 'none0such'"):
        read_run(folder, "none0such")


def test_the_command_line_judges_one_class(folder: Path) -> None:
    refused = CliRunner().invoke(cli, ["gate", str(folder)])
    assert isinstance(refused.exception, InputError)
    judged = CliRunner().invoke(cli, ["gate", str(folder), "--machine", OTHER])
    assert judged.exit_code in (1, 3), judged.output
    assert "VERDICT:" in judged.output
