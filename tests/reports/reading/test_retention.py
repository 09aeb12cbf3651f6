"""Old nightly runs make room, and nothing else does."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading import evidence, retention
from reports.reading.retention import prune
from tests.reports import builders as b


def make(runs: Path, day: int, *, sweep: str = "nightly", **changes: object) -> Path:
    """Write a run of a day in January."""
    run = b.full_run()
    manifest = msgspec.structs.replace(
        run.manifest, sweep=sweep, created_at=f"2026-01-{day:02d}T02:17:00.000+00:00", **changes
    )
    return b.write(msgspec.structs.replace(run, manifest=manifest), runs / f"{day:02d}-{sweep}")


def names(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir())


def test_the_oldest_runs_of_the_sweep_are_removed(tmp_path: Path) -> None:
    for day in (4, 1, 3, 2, 5):
        make(tmp_path, day)
    assert prune(tmp_path, 2) == ("01-nightly", "02-nightly", "03-nightly")
    assert names(tmp_path) == ["04-nightly", "05-nightly"]
    assert prune(tmp_path, 2) == ()


def test_other_sweeps_and_what_is_no_run_stay(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        make(tmp_path, day)
    make(tmp_path, 1, sweep="full")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "night.txt").write_text("quiet")
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "manifest.json").write_text("{")
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "first").symlink_to("01-nightly")
    prune(tmp_path, 2)
    assert names(tmp_path) == [
        "01-full", "02-nightly", "03-nightly", "first", "index.html", "notes", "unreadable",
    ]  # fmt: skip
    assert (tmp_path / "notes" / "night.txt").read_text() == "quiet"


def test_a_link_to_a_run_is_not_followed(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", 1)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "linked").symlink_to(elsewhere)
    make(runs, 2)
    make(runs, 3)
    assert prune(runs, 1) == ("02-nightly",)
    assert elsewhere.is_dir()
    assert (runs / "linked").is_symlink()


def test_a_run_that_is_being_written_stays(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        make(tmp_path, day)
    with (tmp_path / "01-nightly" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert prune(tmp_path, 1) == ("02-nightly",)
    assert prune(tmp_path, 1) == ("01-nightly",)


def test_where_nothing_can_be_locked_nothing_is_removed_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2):
        make(tmp_path, day)

    def flock(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(retention.fcntl, "flock", flock)
    with pytest.raises(
        InputError, match=r"01-nightly cannot be removed: .* gave: no locks available; remove it by hand"
    ):
        prune(tmp_path, 1)
    assert (tmp_path / "01-nightly").is_dir()


def test_a_run_that_evidence_rests_on_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for day in (1, 2, 3):
        make(runs, day)
    verdict = judge(b.full_run(), read_policy())
    monkeypatch.setattr(retention, "RECORDED", tmp_path / "verdicts")
    manifest = (runs / "01-nightly" / "manifest.json").read_text().replace(verdict.run_id, "backed")
    (runs / "01-nightly" / "manifest.json").write_text(manifest)
    evidence.record(msgspec.structs.replace(verdict, run_id="backed"), tmp_path / "verdicts")
    assert prune(runs, 1) == ("02-nightly",)
    assert names(runs) == ["01-nightly", "03-nightly"]
    assert len(list((tmp_path / "verdicts").iterdir())) == 1


def test_the_spared_run_stays_and_counts(tmp_path: Path) -> None:
    """The clock was set back: tonight's run is the oldest."""
    for day in (1, 2, 3, 4):
        make(tmp_path, day)
    assert prune(tmp_path, 2, spare=tmp_path / "01-nightly") == ("02-nightly", "03-nightly")
    assert names(tmp_path) == ["01-nightly", "04-nightly"]


def test_an_interrupted_removal_is_ended_by_the_next(tmp_path: Path) -> None:
    make(tmp_path, 1)
    left = make(tmp_path / "old", 2).rename(tmp_path / ".pruned-02-nightly")
    (left / "results.jsonl").unlink()
    (tmp_path / "old").rmdir()
    assert prune(tmp_path, 1) == ()
    assert names(tmp_path) == ["01-nightly"]


@pytest.mark.parametrize(("runs", "keep", "message"), [("no", 1, "no folder"), (".", 0, "at least 1, got 0")])
def test_bad_arguments_are_refused(tmp_path: Path, runs: str, keep: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prune(tmp_path / runs, keep)


def test_the_command_names_what_it_removed(tmp_path: Path) -> None:
    for day in (1, 2):
        make(tmp_path, day)
    command = [sys.executable, "-m", "reports", "prune", str(tmp_path), "--keep", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["removed 01-nightly", "removed 1 runs of the sweep nightly"]


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root ignores modes, setpriv is missing"
)
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for day in (1, 2):
        make(tmp_path, day)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555)
    command = [sys.executable, "-m", "reports", "prune", str(tmp_path), "--keep", "1"]
    if os.geteuid() == 0:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tmp_path.chmod(0o755)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)
    assert done.returncode == 2
    assert "01-nightly cannot be removed: permission denied" in done.stderr
    assert names(tmp_path) == ["01-nightly", "02-nightly"]
