import numpy as np
import pytest

from tests.validation.children import ask, make_case, make_task
from validation.child.actions import execute
from validation.contract import tasks
from validation.outputs.compare import compare
from validation.outputs.saved import Output

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("implementation", ["reference", "batched", "oracle"])
def test_an_output_is_saved_and_agrees_with_the_oracle(scan_path, tmp_path, implementation):
    path = tmp_path / "out"
    case = make_case(pattern="border", dtype="complex128")
    task = make_task("output", scan_path, case=case, implementation=implementation, output_path=str(path))
    reply = ask(task, tmp_path)
    assert isinstance(reply, tasks.OutputReply)
    expected = tmp_path / "expected"
    execute(make_task("output", scan_path, case=case, implementation="oracle", output_path=str(expected)))
    trees = Output(expected).tree, Output(path).tree
    found = compare(*trees, expected_name="oracle", actual_name=implementation, atol=1e-6)
    assert found.passed, found


def test_a_time_arm_is_measured(scan_path, tmp_path):
    reply = ask(make_task("time", scan_path, implementation="batched"), tmp_path)
    assert isinstance(reply, tasks.TimeReply)
    assert reply.timing.first_call_s > max(reply.timing.samples_s) > 0
    assert reply.measured_s > reply.timing.first_call_s


def test_a_memory_arm_is_measured_warm(scan_path, tmp_path):
    case = make_case(N=64, batch=25, gridsize=2, height=40, width=50)
    reply = ask(make_task("memory", scan_path, case=case, implementation="batched"), tmp_path)
    assert isinstance(reply, tasks.MemoryReply)
    assert reply.output_bytes == 100 * 64 * 64 * 8
    assert reply.memory.peak_bytes - reply.memory.baseline_bytes > 0.9 * reply.output_bytes


def test_the_scan_is_read_by_ptycho(scan_path):
    reply = execute(make_task("scan", scan_path))
    assert isinstance(reply, tasks.ScanReply)
    assert reply.scan.object_shape == (200, 256)
    assert reply.scan.positions == 1000


def test_a_bad_scan_is_bad_input(tmp_path):
    np.savez(tmp_path / "bad.npz", objectGuess=np.ones((4, 5), complex), xcoords=np.ones(3))
    reply = execute(make_task("scan", tmp_path / "bad.npz"))
    assert isinstance(reply, tasks.ErrorReply)
    assert reply.reason == "bad_input"
    assert "ycoords" in reply.message


def raises(**arguments):
    raise RuntimeError("no luck\nat all")


def exhausts(**arguments):
    raise MemoryError("too much")


def gives_an_object(**arguments):
    return object()


@pytest.mark.parametrize(
    ("target", "reason", "text"),
    [
        ("raises", "exception", "RuntimeError: no luck at all"),
        ("exhausts", "out_of_memory", "too much"),
        ("gives_an_object", "wrong_output", "must be an array of numbers"),
        ("missing", "not_available", "cannot be imported"),
    ],
)
def test_a_failure_is_a_reply_with_its_reason(scan_path, tmp_path, target, reason, text):
    task = make_task("output", scan_path, implementation=f"{__name__}:{target}", output_path=str(tmp_path / "out"))
    reply = execute(task)
    assert isinstance(reply, tasks.ErrorReply)
    assert reply.reason == reason
    assert text in reply.message
    assert "\n" not in reply.message
