from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reports.reading.run import Run
from tests.reports import builders as b


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reports", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_gate_prints_the_verdict_last_and_leaves_with_its_code(tmp_path: Path) -> None:
    folder = b.write(b.quick_run(timing=b.timing(2.1), memory=b.memory(9.0)), tmp_path / "run")
    done = call("gate", str(folder))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "VERDICT: REJECT (provisional, quick sweep)"
    assert [line.split()[0] for line in lines if "✗" in line] == ["speed", "memory", "Faster,", "Memory"]
    assert [line.split()[0] for line in lines[-5:-1]] == ["Right", "Faster,", "Faster,", "Memory"]
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["outcome"] == "REJECT"
    assert verdict["rejected_by"] == ["speed", "memory"]
    review = (folder / "review.md").read_text()
    assert review.startswith("VERDICT: REJECT")
    assert "## Required Fixes" in review


def test_an_accepted_run_has_no_required_fixes(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    assert call("gate", str(folder)).returncode == 0
    assert "Required Fixes" not in (folder / "review.md").read_text()


def test_build_writes_the_verdict_and_what_failed(tmp_path: Path) -> None:
    folder = b.write(b.full_run(timing=b.timing(2.1)), tmp_path / "run")
    done = call("build", str(folder))
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text()
    assert "Verdict: REJECT" in page
    assert "✗ Speed: fail" in page


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    for arguments in (("gate", str(folder)), ("build", str(folder)), ("gate", str(tmp_path / "no")), ("gate",)):
        done = call(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stdout == ""


def test_a_report_that_is_there_survives_a_failure(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    (folder / "report.html").write_text("the last report")
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert call("build", str(folder)).returncode == 2
    assert (folder / "report.html").read_text() == "the last report"
    assert sorted(item.name for item in folder.iterdir()) == ["manifest.json", "report.html", "results.jsonl"]


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    (folder / "verdict.json").mkdir()
    done = call("gate", str(folder))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "verdict.json cannot be written" in done.stderr
    assert not list(folder.glob(".verdict.json*"))


def test_help_answers_at_once() -> None:
    call("--help")
    times = []
    for _ in range(3):
        before = os.times()
        assert call("--help").returncode == 0
        after = os.times()
        # Processor time: on a busy machine everybody waits, and that is not what is asked.
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < 0.25


def test_reports_imports_nothing_of_validation_but_the_contract_and_no_ptycho(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    script = (
        "import sys; from reports.cli import cli; "
        f"cli.main(['build', {str(folder)!r}], standalone_mode=False); "
        "print([name for name in sys.modules if name.split('.')[0] in ('validation', 'ptycho', 'tensorflow')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = ast.literal_eval(done.stdout.splitlines()[-1])
    assert [name for name in found if name != "validation" and not name.startswith("validation.contract")] == []


def compared(tmp_path: Path, before: Run, after: Run, *options: str, **environment: str) -> tuple[int, str]:
    """Compare two runs; exit code and what is told."""
    folders = [str(b.write(run, tmp_path / name)) for name, run in (("before", before), ("after", after))]
    done = call("compare", *folders, *options, **environment)
    assert done.stderr == ""
    return done.returncode, done.stdout


SLOW, FAST = b.full_run(timing=b.timing(20.0)), b.full_run(timing=b.timing(40.0))
OTHER_SCAN = msgspec.structs.replace(
    FAST,
    manifest=msgspec.structs.replace(FAST.manifest, scan=msgspec.structs.replace(FAST.manifest.scan, sha256="f" * 64)),
)


@pytest.mark.parametrize(
    ("before", "after", "code", "line"),
    [
        (SLOW, FAST, 0, "COMPARISON: NOT WORSE"),
        (FAST, FAST, 0, "COMPARISON: NOT WORSE"),
        (FAST, SLOW, 1, "COMPARISON: WORSE"),
        (FAST, b.full_run(timing=b.timing(40.0), equivalence=b.equivalence(1.0)), 1, "COMPARISON: WORSE"),
        (FAST, OTHER_SCAN, 3, "COMPARISON: UNDECIDED: the runs are of different scans"),
        (FAST, b.make(list(FAST.lines)[:1]), 3, "COMPARISON: UNDECIDED: no time and no peak is in both runs"),
        (FAST, b.make([b.calibration(passed=False)]), 3, "COMPARISON: UNDECIDED: the instruments of B"),
    ],
    ids=["better", "same", "slower", "broken", "another scan", "nothing in both", "instruments"],
)
def test_a_comparison_ends_with_what_came_of_it(tmp_path: Path, before: Run, after: Run, code: int, line: str) -> None:
    ended, told = compared(tmp_path, before, after)
    assert (ended, told.splitlines()[-1][: len(line)]) == (code, line)


def test_what_b_lacks_is_undecided_and_not_good(tmp_path: Path) -> None:
    """A case that is gone may be one that got slower."""
    less = msgspec.structs.replace(FAST, lines=tuple(line for line in FAST.lines if line is not FAST.cases[0]))
    code, told = compared(tmp_path, FAST, less)
    assert code == 3
    assert "1 cases of A are not in B" in told.splitlines()[-1]
    assert compared(tmp_path / "other", less, FAST)[0] == 0


def test_a_comparison_of_bad_input_ends_with_2(tmp_path: Path) -> None:
    folder = str(b.write(FAST, tmp_path / "run"))
    assert call("compare", folder, str(tmp_path / "none")).returncode == 2
    assert call("compare", folder, folder, "--json", "--markdown").returncode == 2


def test_a_comparison_as_json_holds_every_figure(tmp_path: Path) -> None:
    code, told = compared(tmp_path, FAST, SLOW, "--json")
    found = json.loads(told)
    assert (code, found["exit_code"], found["outcome"]) == (1, 1, "worse")
    assert {item["change"] for item in found["differences"]} == {"worse", "same"}
    assert found["counts"]["worse"] == sum(item["change"] == "worse" for item in found["differences"])


def test_a_pull_request_gets_the_table_of_a_comparison(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    hostile = msgspec.structs.replace(SLOW, manifest=msgspec.structs.replace(SLOW.manifest, sweep="<b>|x"))
    code, told = compared(tmp_path, FAST, hostile, "--markdown", GITHUB_STEP_SUMMARY=str(summary))
    assert code == 1
    assert summary.read_text().strip() == told.strip()
    assert told.startswith("### COMPARISON: WORSE\n")
    rows = [line for line in told.splitlines() if line.startswith("| ✗ worse | ")]
    assert rows
    assert {line.count(" | ") for line in rows} == {4}
    assert "<b>" not in told
