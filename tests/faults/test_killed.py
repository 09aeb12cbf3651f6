"""Processes of a run are killed at random points; every case ends up in the results, once."""

import contextlib
import os
import random
import time

import psutil
import pytest

from tests.faults import runs, waiting
from validation.contract.lines import CaseResult
from validation.contract.upgrade import decode_line
from validation.run import results
from validation.run.summary import case_passed

pytestmark = pytest.mark.tensorflow

VICTIMS = ("parent", "server", "child", "child")
# Kills are spread over the start of processes, a share of the calibrations, and one to two cases.
START_S, CASE_S, START_SHARE = 10.0, 2.0, 0.25
NOT_READY = ("the process that starts children did not get ready", "the calibration gave no result")


class Sweep:
    """A sweep that is killed, continued, and started anew where it got to its end."""

    def __init__(self, folder, text, rng, row):
        self.folder, self.rng, self.row = folder, rng, row
        self.sweep = folder / "sweep.toml"
        self.sweep.write_text(text)
        self.number = 0
        self.seen = []
        self.killed = dict.fromkeys(VICTIMS, 0)
        self.torn = self.whole_runs = 0

    @property
    def out(self):
        return self.folder / f"run-{self.number}"

    def go_on(self, kills):
        """Start or continue the run, and kill its processes until its parent is gone, it ends, or it is enough."""
        resume = ["--resume"] if (self.out / results.MANIFEST).exists() else []
        with (self.folder / "stderr").open("w+") as stderr, (self.folder / "stdout").open("w+") as stdout:
            process = runs.start(self.sweep, self.out, "--timeout", 3600, *resume, stdout=stdout, stderr=stderr)
            parent = psutil.Process(process.pid)
            victim, family = "none", []
            if self.seen or self.rng.random() < START_SHARE:
                self.pause(START_S)
            else:
                runs.until(lambda: runs.whole_lines(self.out), process, 1200)
            while victim != "parent" and sum(self.killed.values()) < kills:
                if process.poll() is not None:
                    break
                with contextlib.suppress(psutil.NoSuchProcess):
                    family = parent.children(recursive=True)
                victim = kill_one(parent, self.rng.choice(VICTIMS), self.rng)
                if victim != "none":
                    self.killed[victim] += 1
                    self.row.tries += 1
                self.pause(START_S if victim == "server" else CASE_S)
            enough = victim != "parent" and process.poll() is None
            code = process.wait(timeout=3600)
            if not enough:
                _, alive = psutil.wait_procs(family, timeout=300)
                assert not alive, f"processes outlived their run: {alive}"
            stderr.seek(0)
            said = stderr.read()
        if code == 4:  # killed before anything could be measured, and the run says so
            assert any(text in said for text in NOT_READY), said
        else:
            assert code == (-9 if victim == "parent" else 0), said
        self.row.ended(code)
        self.look()
        if code == 0:
            self.end()

    def pause(self, longest_s):
        time.sleep(self.rng.uniform(0.0, longest_s))

    def look(self):
        """Whole lines that were there stay there, unchanged and in order."""
        whole = runs.whole_lines(self.out)
        self.row.lost += whole[: len(self.seen)] != self.seen
        self.seen = whole

    def end(self):
        """A run that ended holds what was planned; then the next one starts."""
        self.row.count(runs.keys(self.seen), runs.planned(self.out))
        for line in map(decode_line, self.seen):
            if isinstance(line, CaseResult):
                assert (line.failure and line.failure.reason == "signal") or case_passed(line)
        self.torn += len(list(self.out.glob("torn-*.txt")))
        self.whole_runs += 1
        self.number += 1
        self.seen = []


def kill_one(parent, wanted, rng):
    """Kill one process of the run, and say which; "none" where there is none of that kind.

    Where two lanes are at work, each with a server of its own, one of them is met.
    """
    try:
        if wanted == "parent":
            parent.kill()
            return wanted
        server = rng.choice([child for child in parent.children() if "validation.child.server" in child.cmdline()])
        if wanted == "server":
            server.kill()
            return wanted
        for child in server.children():
            child.kill()
            return wanted
    except (psutil.NoSuchProcess, IndexError):
        pass
    return "none"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_case_counts_once_whatever_is_killed(tmp_path, fault):
    """``KILLS=200`` is the whole of it; ``SEED`` repeats the kills of an earlier run, as far as processes can."""
    row = fault("parent, server or child killed (SIGKILL)")
    kills = int(os.environ.get("KILLS", "12"))
    seed = int(os.environ.get("SEED", time.time_ns()))
    print(f"SEED={seed}")  # noqa: T201  # pytest shows it where the test fails
    sweep = Sweep(tmp_path, runs.SIXTY, random.Random(seed), row)
    while row.tries < kills:
        sweep.go_on(kills)
    if (sweep.out / results.MANIFEST).exists():
        sweep.go_on(kills)
    killed = ", ".join(f"{number} times the {victim}" for victim, number in sweep.killed.items())
    row.said = (
        f"SEED={seed}: killed {killed}; {sweep.whole_runs} runs of 64 lines ended, {sweep.torn} torn lines set aside"
    )
    assert (row.lost, row.twice) == (0, 0)
    assert row.tries == kills
    assert sweep.whole_runs > 0


def test_a_parent_and_a_child_are_killed_and_the_run_goes_on(tmp_path, fault):
    row = fault("child, then parent killed (reduced)")
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(runs.FEW)
    out = tmp_path / "run"
    process, waiting_child = runs.start_waiting(sweep, out, 600)
    waiting_child().kill()
    row.tries += 1
    second = waiting_child()
    process.kill()
    row.tries += 1
    process.communicate(timeout=60)
    row.ended(process.returncode)
    _, alive = psutil.wait_procs([second], timeout=60)
    assert not alive, "a child outlived its run"
    before = runs.whole_lines(out)
    done = runs.finish(sweep, out, "--resume", "--candidate", waiting.TARGET, timeout=200)
    row.ended(done.returncode, "killed by signal 9, as a recorded failure; then --resume")
    assert done.returncode == 0, done.stderr
    after = runs.whole_lines(out)
    row.lost += after[: len(before)] != before
    row.count(runs.keys(after), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    failures = [line.failure for line in map(decode_line, after) if isinstance(line, CaseResult)]
    assert [failure and failure.signal for failure in failures] == ["SIGKILL", None]
