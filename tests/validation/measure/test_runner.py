"""A child that goes wrong becomes one failure with its reason, and the next child is none the worse."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tests.validation.misbehaving import TARGET, WAYS
from validation.child.worker import Outcome
from validation.contract.errors import InstrumentError
from validation.contract.tasks import OutputReply, ScanReply, Task
from validation.kernels.patches.case import make_case
from validation.measure.endings import classify
from validation.measure.runner import LocalExecutor
from validation.subject.demo_scan import write_demo_scan


@pytest.fixture(scope="module")
def forking(tmp_path_factory, kernels):
    scratch = tmp_path_factory.mktemp("scratch")
    with LocalExecutor(scratch, mode="fork", threads=1, memory_limit_bytes=2**32, preload=kernels.preload) as executor:
        yield executor


def misbehave(executor, scan_path, way, timeout_s=60.0):
    case = make_case("patch_extraction", N=8, gridsize=1, batch=WAYS.index(way), shape=(20, 30), pattern="interior")
    task = Task(
        action="output",
        scan_path=scan_path,
        case=case,
        implementation=TARGET,
        output_path=str(executor.scratch / "output"),
    )
    return executor.run(task, timeout_s)


REASONS = {
    "hang": "timeout",
    "sleep": "timeout",
    "crash": "signal",
    "abort": "signal",
    "allocate": "out_of_memory",
    "hungry": "out_of_memory",
    "raise": "exception",
    "leave": "no_result",
    "exit_code": "exit_code",
    "no_array": "wrong_output",
}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("way", "reason"), REASONS.items())
def test_a_way_to_go_wrong_has_its_reason(forking, scan_path, way, reason):
    answer = misbehave(forking, scan_path, way, timeout_s=2.0 if reason == "timeout" else 60.0)
    assert answer.reply is None
    assert answer.failure.reason == reason, answer.failure
    assert answer.failure.arm == TARGET
    assert isinstance(misbehave(forking, scan_path, "wrong_dtype").reply, OutputReply)


@pytest.mark.tensorflow
def test_printing_does_not_extend_the_time(forking, scan_path):
    limit_s = 5.0  # long beside what a child needs until it prints
    answer = misbehave(forking, scan_path, "hang", timeout_s=limit_s)
    assert answer.failure.reason == "timeout"
    assert limit_s <= answer.wall_s < 2 * limit_s
    assert set(answer.failure.stderr_tail) == {"still here"}


@pytest.mark.tensorflow
def test_what_a_failure_keeps_tells_why(forking, scan_path):
    crashed = misbehave(forking, scan_path, "crash").failure
    assert (crashed.signal, crashed.exit_code) == ("SIGSEGV", None)
    left = misbehave(forking, scan_path, "exit_code").failure
    assert (left.signal, left.exit_code, left.stderr_tail[-1]) == (None, 7, "giving up")
    assert "offsets of an odd kind" in misbehave(forking, scan_path, "raise").failure.message


@pytest.mark.tensorflow
def test_a_spawned_child_fails_and_replies_like_a_forked_one(tmp_path, scan_path):
    with LocalExecutor(tmp_path, mode="spawn", threads=1, memory_limit_bytes=2**32) as executor:
        for way in ("leave", "exit_code", "crash", "raise"):
            assert misbehave(executor, scan_path, way).failure.reason == REASONS[way]
        assert isinstance(executor.run(Task(action="scan", scan_path=scan_path), 60.0).reply, ScanReply)


@pytest.mark.tensorflow
def test_children_of_a_child_die_with_it(forking, tmp_path):
    """A timeout takes the whole process group."""
    started = tmp_path / "started"
    module = tmp_path / "starts_a_process.py"
    module.write_text(
        "import subprocess, sys, time\n"
        "def behave(**arguments):\n"
        "    process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(started)!r}, 'w').write(str(process.pid))\n"
        "    time.sleep(600)\n"
    )
    case = make_case("patch_extraction", N=8, gridsize=1, batch=1, shape=(20, 30), pattern="interior")
    scan = tmp_path / "scan.npz"
    write_demo_scan(scan)
    task = Task(
        action="output",
        scan_path=str(scan),
        case=case,
        implementation="starts_a_process:behave",
        output_path=str(tmp_path / "output"),
        paths=(str(tmp_path),),
    )
    assert forking.run(task, 5.0).failure.reason == "timeout"
    pid = int(started.read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(60)
    assert not psutil.pid_exists(pid)


def child_of(executor, seconds=200):
    """Wait for the child of a task; it leads a session of its own, unlike what the server starts for itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        server = executor._server
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            for child in psutil.Process(server.pid).children() if server is not None else ():
                if os.getsid(child.pid) == child.pid:
                    return child
        time.sleep(0.01)
    raise AssertionError(f"a child of the server was expected within {seconds} s, got none")


@pytest.mark.tensorflow
def test_a_stopped_child_is_ended_at_its_time(forking, scan_path):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(misbehave(forking, scan_path, "sleep", timeout_s=5.0)))
    thread.start()
    child_of(forking).send_signal(signal.SIGSTOP)
    thread.join(60)
    assert [answer.failure.reason for answer in answers] == ["timeout"]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("times", "reason"), [(1, "timeout"), (2, "signal")])
def test_a_task_runs_once_more_where_its_server_is_lost_and_fails_where_that_happens_again(
    tmp_path, scan_path, times, reason
):
    killed = []

    def kill_servers():
        while len(killed) < times:
            child, server = child_of(executor), executor._server
            # A child that outlives its server has another parent, which is none of ours.
            with contextlib.suppress(psutil.NoSuchProcess):
                if server is not None and server.pid not in killed and child.ppid() == server.pid:
                    killed.append(server.pid)
                    os.kill(server.pid, signal.SIGKILL)

    with LocalExecutor(tmp_path, mode="spawn", threads=1, memory_limit_bytes=None) as executor:
        killer = threading.Thread(target=kill_servers)
        killer.start()
        answer = misbehave(executor, scan_path, "sleep", timeout_s=5.0)
        killer.join(60)
        assert answer.failure.reason == reason
        assert ("was lost twice" in answer.failure.message) == (times == 2)
        assert isinstance(executor.run(Task(action="scan", scan_path=scan_path), 60.0).reply, ScanReply)


@pytest.mark.tensorflow
def test_nothing_survives_a_parent_that_is_killed(tmp_path, scan_path):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.validation.measure.test_runner import misbehave\n"
        "from validation.measure.runner import LocalExecutor\n"
        "with LocalExecutor(Path(sys.argv[1]), mode='spawn', threads=1, memory_limit_bytes=None) as executor:\n"
        "    misbehave(executor, sys.argv[2], 'sleep', 600.0)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), scan_path])
    deadline = time.monotonic() + 200
    family = []
    while len(family) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch, scan_path):
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('broken on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        LocalExecutor(tmp_path, mode="fork", threads=1, memory_limit_bytes=None, preload=("tensorflow",)) as executor,
        pytest.raises(InstrumentError, match=r"did not get ready \(RuntimeError: broken on purpose\).*--start spawn"),
    ):
        executor.run(Task(action="scan", scan_path=scan_path), 60.0)


def outcome(**changes):
    base = {"exit_code": 0, "signal": None, "killed": False, "wall_s": 1.0, "cpu_s": 1.0, "stderr": ""}
    return Outcome(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "reply", "reason"),
    [
        ({"killed": True, "signal": 9, "exit_code": None}, None, "timeout"),
        ({"killed": True, "signal": 9, "exit_code": None, "stderr": "std::bad_alloc"}, None, "timeout"),
        ({"signal": 6, "exit_code": None, "stderr": "terminate called: std::bad_alloc"}, None, "out_of_memory"),
        ({"signal": 6, "exit_code": None, "stderr": "Check failed: a == b"}, None, "signal"),
        ({"signal": 9, "exit_code": None}, None, "signal"),
        ({"exit_code": 1, "stderr": "MemoryError"}, None, "out_of_memory"),
        ({"exit_code": 3}, b'{"action":"output"}', "exit_code"),
        ({}, None, "no_result"),
        ({}, b"", "wrong_output"),
        ({}, b'{"action":"output","output_path":"x","call_s":"soon"}', "wrong_output"),
        ({}, b'{"action":"error","reason":"exception","message":"m"}', "exception"),
        ({}, b'{"action":"error","reason":"not_available","message":"m"}', "not_available"),
    ],
)
def test_every_end_of_a_child_has_one_reason(changes, reply, reason):
    assert classify(outcome(**changes), reply, 5.0, "batched").reason == reason


def test_a_reply_of_a_child_that_ended_well_is_taken():
    reply = b'{"action":"output","output_path":"x","call_s":0.5}'
    assert classify(outcome(), reply, 5.0, "batched") == OutputReply(output_path="x", call_s=0.5)


def test_a_child_that_the_system_killed_at_the_limit_of_the_job_is_told_as_that():
    killed = outcome(signal=9, exit_code=None)
    failure = classify(killed, None, 5.0, "batched", job_killed=True)
    assert failure.reason == "out_of_memory"
    assert "the memory limit of this job or container" in failure.message
    assert classify(killed, None, 5.0, "batched").reason == "signal"
