"""A night of ``make nightly`` in a clone: its verdict, its lock, what it continues and what it removes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.faults import runs
from tests.reports.history.test_history import BATCHED, FAILED, NOT_THERE, PEAK, RATIO, VALUES, Made

SMOKE = ("SWEEP=smoke", "BENCH=no")


class Clone:
    """A clone of this repository with the working tree's files, and the present environment in it."""

    def __init__(self, folder):
        self.folder = folder
        self.runs = folder / "runs"
        subprocess.run(["git", "clone", "--quiet", "--shared", str(runs.ROOT), str(folder)], check=True)
        self.git("config", "user.name", "test")
        self.git("config", "user.email", "test@example.org")
        for name in ("ptycho", "validation", "reports", "asv_bench", ".ci"):
            shutil.rmtree(folder / name)
            shutil.copytree(runs.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(runs.ROOT / name, folder / name)
        self.commit("working tree")
        binaries = folder / ".venv" / "bin"
        binaries.mkdir(parents=True)
        # The environment of these tests stands for the one that `make setup` would make for minutes.
        (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (binaries / "python").chmod(0o755)
        (folder / ".venv" / ".installed").touch()

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, subject):
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", subject)

    def start(self, *variables):
        return subprocess.Popen(
            ["make", "nightly", f"PYTHON={sys.executable}", *variables],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def night(self, *variables):
        """Run a night to its end; what it wrote, what it said of errors, and the last line of its own."""
        process = self.start(*variables)
        told, errors = process.communicate(timeout=1500)
        last = [line for line in told.splitlines() if line.startswith("nightly: ")][-1:]
        return process.returncode, told, errors, *last

    def folders(self):
        return sorted(path.parent.name for path in self.runs.glob("*/manifest.json"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("night") / "clone")


def test_a_second_night_is_refused_at_once(tmp_path, fault):
    """The lock is taken before anything is set up, so that two nights cannot make one environment."""
    row = fault("two nightly jobs at once")
    night = [sys.executable, runs.ROOT / ".ci" / "nightly.py", "--runs", tmp_path, "--python", "true", "--bench", "no"]
    # A first night whose `make` waits on a pipe.
    waiting = tmp_path / "make"
    waiting.write_text("#!/bin/sh\nread line\nexit 1\n")
    waiting.chmod(0o755)
    first = subprocess.Popen(
        [*night, "--make", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        runs.until(lambda: (tmp_path / ".nightly.lock").exists() and (tmp_path / ".nightly.lock").read_text(), first)
        second = subprocess.run(
            [*night, "--make", waiting], capture_output=True, text=True, timeout=20, stdin=first.stdout
        )
        row.tries += 1
        row.ended(second.returncode, second.stderr.replace(str(tmp_path), "runs").replace(str(first.pid), "PID"))
        assert second.returncode == 2
        assert f"another nightly job (process {first.pid}) holds" in second.stderr
        assert second.stdout == ""
        # Where the first night's own process is killed, its command still holds the lock.
        (command,) = psutil.Process(first.pid).children()
        first.kill()
        first.wait()
        third = subprocess.run([*night, "--make", waiting], capture_output=True, text=True, timeout=20)
        row.tries += 1
        row.ended(third.returncode)
        assert third.returncode == 2
    finally:
        first.stdin.close()
        command.wait(20)
        first.stdout.close()
        first.stderr.close()
    fourth = subprocess.run(
        [*night, "--make", waiting], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    assert "the environment cannot be made (make setup ended with 1)" in fourth.stderr
    assert fourth.returncode == 2


# Starts the night where the file system answers whoever wants a lock with the error given first.
WITHOUT_LOCKS = """
import fcntl, os, runpy, sys
code, sys.argv = int(sys.argv[1]), sys.argv[2:]
def flock(file, how):
    raise OSError(code, os.strerror(code))
fcntl.flock = flock
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_as_that_and_not_as_another_night(tmp_path, code):
    night = [runs.ROOT / ".ci" / "nightly.py", "--runs", tmp_path / "runs", "--python", "true", "--make", "true"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LOCKS, str(code), *night], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert f"{tmp_path / 'runs'} must be on a file system with locks" in told
    assert os.strerror(code).lower() in told
    assert "make nightly RUNS=FOLDER" in told
    assert "another" not in told
    assert done.stdout == ""


def test_a_night_leaves_out_what_failed_in_an_earlier_one(tmp_path):
    """A commit that cannot be built would end every night with 6."""
    calls = tmp_path / "calls"
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\n')
    make.chmod(0o755)
    night = [sys.executable, runs.ROOT / ".ci" / "nightly.py", "--runs", tmp_path / "runs", "--python", "true"]
    done = subprocess.run([*night, "--make", make], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert calls.read_text().splitlines() == ["setup", "bench RETRY=no", "bench-html"]


def night_over(made, folder, *options):
    """Run a night whose ``make bench-html`` draws the history of a made repository; its code and last line."""
    make = folder / "make"
    draw = (
        f'cd "{runs.ROOT}" && "{sys.executable}" -m reports history --config "{made.config}" -o "{folder}/history.html"'
    )
    make.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/calls"\ncase "$1" in bench-html) {draw};; esac\n')
    make.chmod(0o755)
    night = [sys.executable, runs.ROOT / ".ci" / "nightly.py", "--runs", folder / "runs", "--python", "true"]
    done = subprocess.run([*night, "--make", make, *options], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.splitlines()[-1]


def test_a_night_tells_once_what_vanished_and_what_fails_and_at_which_commit(tmp_path):
    made = Made(tmp_path)
    for index in range(6):
        made.write(index, {name: values[index] for name, values in VALUES.items()})
    code, last = night_over(made, tmp_path)
    assert (code, "vanished" in last, "failing" in last) == (0, False, False)
    made.write(5, {**{name: values[5] for name, values in VALUES.items()}, BATCHED: NOT_THERE, RATIO: NOT_THERE})
    code, last = night_over(made, tmp_path)
    assert code == 6
    assert f"asv measured; vanished at {made.hashes[5][:8]}: {BATCHED}(64) and 1 more; " in last
    assert (tmp_path / "runs" / ".nightly-last").read_text() == f"{last}\n"
    assert night_over(made, tmp_path)[0] == 0
    made.write(5, {name: values[5] for name, values in VALUES.items()})
    assert night_over(made, tmp_path)[0] == 0
    made.write(5, {**{name: values[5] for name, values in VALUES.items()}, PEAK: FAILED})
    code, last = night_over(made, tmp_path)
    assert (code, f"failing at {made.hashes[5][:8]}: {PEAK}(64);" in last) == (6, True)


def test_a_night_hands_a_regular_expression_on_to_asv(tmp_path):
    made = Made(tmp_path)
    made.write(0, {name: values[0] for name, values in VALUES.items()})
    night_over(made, tmp_path, "--bench", "time_|peak$")
    assert (tmp_path / "calls").read_text().splitlines() == ["setup", "bench RETRY=no BENCH=time_|peak$", "bench-html"]


@pytest.mark.parametrize(
    ("waits", "doing", "told"),
    [
        # Like `validation run`, it ends with 130 where it is stopped.
        ("validation", "trap 'exit 130' TERM; while true; do sleep 0.05; done", "stopped; the next night continues"),
        ("gate", "sleep 2", "stopped by SIGTERM before: "),  # it is not interrupted, but no other follows
        ("bench", "exec sleep 600", "stopped by SIGTERM during: "),
    ],
)
def test_sigterm_to_a_night_ends_the_command_that_runs_and_starts_no_other(tmp_path, waits, doing, told):
    """``kill`` reaches the night alone; it passes it on, and tells what was stopped."""
    calls = tmp_path / "calls"
    stand_in = tmp_path / "stand_in"
    stand_in.write_text(f'#!/bin/sh\necho "$*" >> "{calls}"\ncase "$*" in *{waits}*) {doing};; esac\n')
    stand_in.chmod(0o755)
    night = [sys.executable, runs.ROOT / ".ci" / "nightly.py", "--runs", tmp_path / "runs", "--python", stand_in]
    process = subprocess.Popen([*night, "--make", stand_in], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    runs.until(lambda: calls.exists() and waits in calls.read_text().splitlines()[-1], process)
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert told in output.splitlines()[-1]
    assert waits in calls.read_text().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_night_from_start_to_verdict_interrupted_and_continued(clone, fault):
    row = fault("a night is killed (its whole process group), and the next continues it")
    process = clone.start(*SMOKE)
    runs.until(lambda: any(len(runs.whole_lines(folder)) >= 3 for folder in clone.runs.glob("*-smoke")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    row.tries += 1
    row.ended(process.returncode)
    (folder,) = clone.runs.glob("*-smoke")
    before = runs.whole_lines(folder)
    code, told, errors, last = clone.night(*SMOKE)
    assert f"nightly: continuing runs/{folder.name}, which an earlier night left unfinished" in told, errors
    after = runs.whole_lines(folder)
    row.lost += after[: len(before)] != before
    row.count(runs.keys(after), runs.planned(folder))
    row.ended(code, last.removeprefix("nightly: "))
    assert (row.lost, row.twice) == (0, 0)
    # The verdict of a smoke sweep is whatever the gate says: the night says the same, with the gate's code.
    gate = runs.ask("reports", "gate", folder)
    assert f"gate {gate.returncode};" in last
    assert last.endswith(f"exit {gate.returncode}")
    assert gate.stdout.splitlines()[-1] in last
    assert "asv left out (BENCH=no)" in last
    assert code == (2 if gate.returncode else 0)  # GNU make has one code for all failures
    assert f"Error {gate.returncode}" in errors
    for name in ("report.html", "verdict.json", "review.md"):
        assert (folder / name).is_file()
    assert (clone.runs / "index.html").is_file()
    assert not (clone.runs / ".nightly-unfinished").exists()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_another_commit_starts_a_new_run_and_old_ones_make_room(clone):
    process = clone.start(*SMOKE)
    before = set(clone.folders())
    runs.until(lambda: set(clone.folders()) - before, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (unfinished,) = set(clone.folders()) - before
    assert json.loads((clone.runs / ".nightly-unfinished").read_text())["folder"] == unfinished
    clone.commit("another commit")
    _, told, errors, _ = clone.night(*SMOKE, "KEEP=1")
    assert "continuing" not in told, errors
    assert f"removed {unfinished}" in told
    (left,) = clone.folders()
    assert left not in {*before, unfinished}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_failing_asv_takes_no_verdict_away(clone):
    """Without asv in the environment, ``make bench`` fails after the verdict is formed."""
    code, told, errors, last = clone.night("SWEEP=smoke")
    assert "VERDICT: " in last, errors
    assert "asv FAILED; make bench failed (2)" in last
    gate = runs.ask("reports", "gate", sorted(clone.runs.glob("*-smoke"))[-1])
    assert last.endswith(f"exit {gate.returncode or 6}")
    assert code == 2
    assert told.index("VERDICT: ") < told.index("$ make bench")
