from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    assert [line.split()[0] for line in lines if "✗" in line] == ["speed", "memory"]
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


def test_reports_imports_neither_validation_nor_ptycho(tmp_path: Path) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    script = (
        "import sys; from reports.cli import cli; "
        f"cli.main(['build', {str(folder)!r}], standalone_mode=False); "
        "print([name for name in sys.modules if name.split('.')[0] in ('validation', 'ptycho', 'tensorflow')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
