"""Lines that are torn, there twice or of another run; a clock that goes back; a kernel that changed."""

import json
import shutil
import subprocess

import pytest

from tests.faults import runs
from validation.contract.upgrade import decode_line
from validation.run import results
from validation.subject.package import find as find_ptycho

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_torn_line_is_set_aside_and_its_case_runs_again(copied, fault):
    row = fault("torn last line")
    out, path = copied / "run", copied / "run" / results.RESULTS
    before = runs.whole_lines(out)
    path.write_bytes(path.read_bytes()[:-30])
    for package, command in (("reports", "gate"), ("reports", "build"), ("validation", "status")):
        done = runs.ask(package, command, out)
        row.tries += 1
        row.ended(done.returncode, runs.error_line(done).replace(str(copied), ""))
        assert done.returncode == 2
        assert "torn" in row.said
        assert "--resume" in row.said
    done = runs.finish(copied / "sweep.toml", out, "--resume", timeout=250)
    row.ended(done.returncode)
    assert "the last line was torn; it was set aside in" in done.stdout, done.stderr
    assert (out / "torn-1.txt").read_bytes() == before[-1][:-30]
    after = runs.whole_lines(out)
    row.lost += after[:-1] != before[:-1]
    row.count(runs.keys(after), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)


@pytest.mark.parametrize("kind", ["duplicated", "foreign", "of another schema", "empty, cut at its start"])
def test_a_line_that_is_not_the_runs_is_refused_by_all_who_read(copied, fault, kind):
    row = fault(f"line {kind}")
    out, path = copied / "run", copied / "run" / results.RESULTS
    lines = runs.whole_lines(out)
    run_id = results.RunFolder.open(out).manifest.run_id.encode()
    bad = {
        "duplicated": lines[1],
        "foreign": lines[1].replace(run_id, b"20200101T000000Z-00000000"),
        "of another schema": lines[1].replace(b'"schema_version":"2.', b'"schema_version":"7.'),
        "empty, cut at its start": lines[1][40:],
    }[kind]
    assert bad != lines[1] or kind == "duplicated"
    if kind != "duplicated":
        del lines[1]
    path.write_bytes(b"".join([*lines, bad]))
    before = path.read_bytes()
    for done in (
        runs.ask("reports", "gate", out),
        runs.ask("reports", "build", out),
        runs.ask("validation", "status", out),
        runs.finish(copied / "sweep.toml", out, "--resume", timeout=250),
    ):
        row.tries += 1
        row.ended(done.returncode, runs.error_line(done).replace(str(copied), ""))
        assert done.returncode == 2, done.stdout
    assert path.read_bytes() == before
    assert not (out / "verdict.json").exists()


BACKWARDS = """
import datetime, sys
from validation.run import declaration
real, calls = declaration.now, [0]
def now():
    calls[0] += 1
    back = datetime.datetime.fromisoformat(real()) - calls[0] * datetime.timedelta(hours=1)
    return back.isoformat(timespec="milliseconds")
declaration.now = now
sys.argv[0] = "validation"
from validation.cli import main
main()
"""


def test_a_clock_that_goes_back_changes_no_result_and_no_verdict(finished, tmp_path, fault):
    """The parent's wall clock is all that reaches a line; in a real run it goes back an hour at every reading."""
    row = fault("clock set back an hour between lines")
    out = tmp_path / "run"
    whole = runs.command(finished / "sweep.toml", out)
    whole[1:3] = ["-c", BACKWARDS]
    done = subprocess.run(whole, cwd=runs.ROOT, capture_output=True, text=True, timeout=250)
    row.tries += 1
    row.ended(done.returncode)
    assert done.returncode == 0, done.stderr
    lines = [decode_line(line) for line in runs.whole_lines(out)]
    started = [line.started_at for line in lines]
    assert started == sorted(started, reverse=True)
    assert len(set(started)) == len(started)
    row.count([line.key for line in lines], runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    verdicts = []
    for run in (finished / "run", out):
        judged = tmp_path / f"judged-{len(verdicts)}"
        shutil.copytree(run, judged)
        gate = runs.ask("reports", "gate", judged)
        verdict = json.loads((judged / "verdict.json").read_text())
        states = {item["id"]: (item["state"], item["passed"], item["judged"]) for item in verdict["criteria"]}
        verdicts.append((gate.returncode, verdict["outcome"], states))
    assert verdicts[0] == verdicts[1]
    row.said = f"the verdict is that of the run with a right clock: {verdicts[1][1]}"
    # The order of the lines says nothing either.
    shuffled = tmp_path / "judged-1" / results.RESULTS
    before = json.loads((tmp_path / "judged-1" / "verdict.json").read_text())
    shuffled.write_bytes(b"".join(reversed(runs.whole_lines(tmp_path / "judged-1"))))
    runs.ask("reports", "gate", tmp_path / "judged-1")
    assert json.loads((tmp_path / "judged-1" / "verdict.json").read_text()) == before


def test_a_kernel_that_changed_between_run_and_resume_is_refused(copied, fault):
    row = fault("kernel changed by one character between run and --resume")
    shutil.copytree(find_ptycho(None), copied / "ptycho", ignore=shutil.ignore_patterns("__pycache__"))
    out, path = copied / "run", copied / "run" / results.RESULTS
    path.write_bytes(b"".join(runs.whole_lines(out)[:-1]))
    before = path.read_bytes()
    with (copied / "ptycho" / "patches.py").open("a") as file:
        file.write("\n")
    done = runs.finish(copied / "sweep.toml", out, "--resume", "--package", copied, timeout=60)
    row.tries += 1
    row.ended(done.returncode, runs.error_line(done).replace(str(copied), ""))
    assert done.returncode == 2
    assert "can only be continued where nothing changed, but the kernel's sources (digest) did" in row.said
    row.lost += path.read_bytes() != before
    assert row.lost == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kernel_that_changes_while_the_run_goes_on_ends_it(tmp_path, fault):
    """Each child imports the kernel anew: from the change on its lines would be another kernel's."""
    row = fault("kernel changed by one character while the run goes on")
    sweep, out, source = tmp_path / "sweep.toml", tmp_path / "run", tmp_path / "ptycho" / "patches.py"
    sweep.write_text(runs.SIXTY)
    shutil.copytree(find_ptycho(None), tmp_path / "ptycho", ignore=shutil.ignore_patterns("__pycache__"))
    before = source.read_bytes()
    process = runs.start(sweep, out, "--package", tmp_path)
    runs.until(lambda: len(runs.whole_lines(out)) >= 3, process)
    source.write_bytes(before + b"\n")
    lines = len(runs.whole_lines(out))
    _, errors = process.communicate(timeout=250)
    row.tries += 1
    row.ended(process.returncode, errors.replace(str(tmp_path), ""))
    assert process.returncode == 2
    assert "the kernel's sources changed" in errors
    assert len(runs.whole_lines(out)) <= lines + 1  # the one that was being appended
    source.write_bytes(before)
    done = runs.finish(sweep, out, "--package", tmp_path, "--resume", timeout=900)
    row.ended(done.returncode)
    assert done.returncode == 0, done.stderr
    row.count(runs.keys(runs.whole_lines(out)), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
