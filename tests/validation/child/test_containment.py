"""What a child starts, changes or leaves ends with it, is told, and cannot be found by the next."""

import contextlib
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from tests.validation.escaping import MEBIBYTES, TARGET, WAYS
from validation.child import calibration, memory
from validation.contract.cases import Protocol
from validation.contract.tasks import MemoryReply, OutputReply, Task
from validation.kernels.patches.case import make_case
from validation.machine.descendants import descendants
from validation.measure.runner import LocalExecutor
from validation.subject.demo_scan import write_demo_scan

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the process table is Linux's")
PROTOCOL = Protocol(replicates=1, max_replicates=1, samples=1, discarded=0, min_sample_s=0.0001, memory_pairs=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contained")
    write_demo_scan(folder / "scan.npz")
    return folder


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    with LocalExecutor(
        tmp_path_factory.mktemp("scratch"), mode="fork", threads=1, memory_limit_bytes=2**32
    ) as executor:
        yield executor


def ask(executor, folder, way, action="output", **fields):
    case = make_case("patch_extraction", N=8, gridsize=1, batch=WAYS.index(way), shape=(20, 30), pattern="interior")
    task = Task(
        action=action,
        scan_path=str(folder / "scan.npz"),
        case=case,
        implementation=TARGET,
        output_path=str(folder / "out"),
        protocol=PROTOCOL,
        **fields,
    )
    return executor.run(task, 60.0)


def server_of(executor, folder):
    ask(executor, folder, "well")
    return psutil.Process(executor._server.pid)


def test_a_daemon_is_ended_and_fails_the_arm_that_left_it(executor, folder):
    server = server_of(executor, folder)
    own = set(server.children(recursive=True))
    failure = ask(executor, folder, "daemon").failure
    assert (failure.reason, failure.arm) == ("left_processes", TARGET)
    assert server.name() in failure.message
    assert set(server.children(recursive=True)) == own
    assert isinstance(ask(executor, folder, "well").reply, OutputReply)


@pytest.mark.parametrize("way", ["pool", "kept_pool"])
def test_a_pool_of_workers_is_none_that_was_left_behind(executor, folder, way):
    server = server_of(executor, folder)
    own = set(server.children(recursive=True))
    answer = ask(executor, folder, way)
    assert isinstance(answer.reply, OutputReply), answer.failure
    assert set(server.children(recursive=True)) == own


SETTINGS = {"priority": "nice", "processors": "affinity", "limit": "RLIMIT_NOFILE"}


@pytest.mark.parametrize(("way", "named"), SETTINGS.items())
def test_a_setting_of_the_server_is_put_back_and_charged_to_who_changed_it(executor, folder, way, named):
    server = server_of(executor, folder)
    if way == "processors" and len(server.cpu_affinity()) == 1:
        pytest.skip("one processor cannot be taken from one")

    def settings():
        return server.nice(), server.cpu_affinity(), server.rlimit(psutil.RLIMIT_NOFILE)

    before = settings()
    failure = ask(executor, folder, way).failure
    assert failure.reason == "tampered"
    assert named in failure.message
    assert "of the server from" in failure.message
    assert settings() == before or executor._server is None  # else the next one is new
    assert isinstance(ask(executor, folder, "well").reply, OutputReply)


def descriptions(executor, folder):
    for old in folder.glob("*.json"):
        old.unlink()
    ask(executor, folder, "leave_files")
    found = []
    for action in ("output", "time", "memory"):
        answer = ask(executor, folder, "look_round", action, paths=(str(folder),))
        assert answer.failure is None, answer.failure
        for path in folder.glob("*.json"):
            found.append(json.loads(path.read_text()))
            path.unlink()
    return found


@pytest.mark.parametrize("mode", ["fork", "spawn"])
def test_processes_of_all_actions_look_alike_and_find_nothing_of_each_other(executor, folder, tmp_path, mode):
    with contextlib.ExitStack() as stack:
        if mode == "spawn":
            executor = stack.enter_context(LocalExecutor(tmp_path, mode=mode, threads=1, memory_limit_bytes=None))
        found = descriptions(executor, folder)
    assert len(found) >= 3
    for each in found:
        assert each == found[0]
    assert found[0]["temporary"] == []
    assert set(found[0]["caches"]) <= {"numba"}
    assert "left-by-a-test" not in found[0]["shared"]
    assert found[0]["input"] == ""
    with contextlib.suppress(OSError):
        os.unlink("/dev/shm/left-by-a-test")  # where a mount of its own is not allowed


def test_a_child_leaves_nothing_in_the_scratch_folder(executor, folder):
    server_of(executor, folder)
    before = sorted(os.listdir(executor.scratch))
    ask(executor, folder, "leave_files")
    assert sorted(os.listdir(executor.scratch)) == before


@pytest.mark.skipif(memory.meter() != memory.KERNEL_METER, reason="the mark is Linux's")
class TestMemory:
    def increment(self, executor, folder, way):
        answer = ask(executor, folder, way, "memory")
        assert isinstance(answer.reply, MemoryReply), answer.failure
        found = answer.reply.memory
        return answer.reply.meter, (found.peak_bytes - found.baseline_bytes) / 2**20

    def test_a_process_alone_is_read_by_its_own_mark(self, executor, folder):
        meter, increment = self.increment(executor, folder, "well")
        assert meter == "VmHWM"
        assert increment < 8

    def test_what_a_subprocess_takes_counts(self, executor, folder):
        meter, increment = self.increment(executor, folder, "hungry_subprocess")
        assert meter == "VmHWM and sampled descendants"
        # The interpreter of the subprocess takes some MiB, too.
        assert MEBIBYTES <= increment < MEBIBYTES + 32

    def test_what_a_fork_shares_with_its_parent_counts_once(self, executor, folder):
        meter, increment = self.increment(executor, folder, "idle_fork")
        assert meter == "VmHWM and sampled descendants"
        assert increment < 32

    def test_what_a_daemon_takes_fails(self, executor, folder):
        assert ask(executor, folder, "hungry_daemon", "memory").failure.reason == "left_processes"

    def test_a_mark_that_is_reset_during_the_call_is_seen(self, executor, folder):
        failure = ask(executor, folder, "reset", "memory").failure
        assert failure.reason == "tampered"
        assert "it was reset" in failure.message


def test_what_a_subprocess_holds_is_calibrated_from_outside(executor, folder):
    reply = executor.run(Task(action="calibrate", scan_path=str(folder / "scan.npz")), 120.0).reply
    found = {check.instrument: check for check in reply.checks}["descendants: subprocess"]
    assert found.passed, found
    assert found.measured > found.expected  # the interpreter counts, too
    assert not calibration.descendants((), reply.held_s).passed


def test_descendants_are_found_over_generations_and_less_those_apart():
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as middle:
        deadline = time.monotonic() + 30
        while len(found := descendants(middle.pid)) < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [process.parent for process in found] == [middle.pid]
        mine = {process.pid for process in descendants(os.getpid())}
        assert {middle.pid, found[0].pid} <= mine
        assert not {middle.pid, found[0].pid} & {
            process.pid for process in descendants(os.getpid(), frozenset({middle.pid}))
        }
        middle.communicate(b"\n")
