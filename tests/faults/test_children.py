"""A child that is stopped or takes all memory is one failure on record; the run goes on to its end."""

import json
import signal

import psutil
import pytest

from tests.faults import runs
from tests.validation.misbehaving import TARGET, WAYS
from validation.contract.lines import CaseResult
from validation.contract.upgrade import decode_line

pytestmark = pytest.mark.tensorflow

HUNGRY = f"""
[[cases]]
N = [8]
gridsize = [1]
batch = [{WAYS.index("well")}, {WAYS.index("hungry")}]
pattern = ["interior"]
shape = [[20, 30]]
"""


def failures_of(out):
    lines = map(decode_line, runs.whole_lines(out))
    return {line.case.params["batch"]: line.failure for line in lines if isinstance(line, CaseResult)}


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["child", "server", "parent"])
def test_a_stopped_process_holds_nothing_up_for_good(tmp_path, fault, stopped):
    """A stopped child ends at its wall-clock limit; a stopped server soon after, and its task runs again."""
    row = fault(f"{stopped} stopped (SIGSTOP)")
    sweep, out = tmp_path / "sweep.toml", tmp_path / "run"
    sweep.write_text(runs.FEW)
    # The limit holds for every child, also for that of the reference, which compiles; the candidate waits far less.
    process, waiting_child = runs.start_waiting(sweep, out, 5, "--timeout", 20)
    child, parent = waiting_child(), psutil.Process(process.pid)
    victim = {"parent": parent, "server": child.parent(), "child": child}[stopped]
    victim.send_signal(signal.SIGSTOP)
    row.tries += 1
    if stopped == "parent":
        with pytest.raises(psutil.TimeoutExpired):
            parent.wait(8)  # longer than its child takes
        parent.send_signal(signal.SIGCONT)
    told, errors = process.communicate(timeout=250)
    row.ended(process.returncode)
    assert process.returncode == 0, errors
    row.count(runs.keys(runs.whole_lines(out)), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    failures = [failure for failure in failures_of(out).values() if failure]
    if stopped == "child":
        (failure,) = failures
        row.said = f"{failure.reason}: {failure.message}"
        assert failure.reason == "timeout"
    else:
        row.said = {"parent": "waits, then goes on", "server": "a new one is started, and the task runs again"}[stopped]
        assert not failures, told


def test_a_child_that_takes_all_memory_dies_alone(tmp_path, fault):
    row = fault("out of memory (5 GiB wanted, 2 GiB allowed)")
    sweep, out = tmp_path / "sweep.toml", tmp_path / "run"
    sweep.write_text(HUNGRY)
    done = runs.finish(sweep, out, "--candidate", TARGET, "--memory-limit", 2, timeout=250)
    row.tries += 1
    row.ended(done.returncode)
    assert done.returncode == 0, done.stderr
    row.count(runs.keys(runs.whole_lines(out)), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    failures = failures_of(out)
    failure = failures[WAYS.index("hungry")]
    row.said = f"{failure.reason}: {failure.message}"
    assert failure.reason == "out_of_memory"
    assert failures[WAYS.index("well")] is None
    gate = runs.ask("reports", "gate", out)
    row.ended(gate.returncode)
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["outcome"] != "ACCEPT"
    assert gate.returncode not in (0, 2)
