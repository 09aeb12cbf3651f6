import functools
import sys
import time

import numpy as np
import pytest

from tests.validation.children import ask, make_case, make_task
from validation.child import calibration, memory, watch
from validation.contract import tasks
from validation.kernels.patches import workloads
from validation.outputs.tree import Tree


def failed(checks):
    return {found.instrument for found in checks if not found.passed}


@pytest.mark.tensorflow
def test_every_instrument_is_checked_in_a_fresh_child_and_passes(scan_path, tmp_path):
    reply = ask(make_task("calibrate", scan_path), tmp_path)
    assert isinstance(reply, tasks.CalibrateReply)
    assert not failed(reply.checks), reply.checks
    assert {found.instrument.split(":")[0] for found in reply.checks} == {"clock", "memory", "comparison", "seed"}
    assert {"memory: NumPy", "memory: TensorFlow"} <= {found.instrument for found in reply.checks}


def test_without_a_kernel_all_that_needs_none_is_checked_and_tensorflow_is_not_started(scan_path, tmp_path):
    reply = ask(make_task("calibrate", scan_path, case=None), tmp_path)
    assert not failed(reply.checks), reply.checks
    assert {found.instrument.split(":")[0] for found in reply.checks} == {"clock", "memory", "comparison"}
    assert "memory: TensorFlow" not in {found.instrument for found in reply.checks}


def test_a_clock_that_runs_slow_is_found(monkeypatch):
    slow = functools.partial(watch.clocked, clock=lambda: 0.9 * time.perf_counter())
    monkeypatch.setattr(calibration, "clocked", slow)
    assert failed(calibration.clock()) == {"clock: sleep"}


def test_a_timer_that_costs_too_much_is_found(monkeypatch):
    def dear(work):
        def delayed():
            time.sleep(0.001)
            return work()

        return watch.clocked(delayed)

    monkeypatch.setattr(calibration, "clocked", dear)
    assert "clock: no-op" in failed(calibration.clock())


@pytest.mark.parametrize("factor", [0.9, 1.05])
def test_a_memory_meter_that_reads_wrong_is_found(monkeypatch, factor):
    block = calibration.BLOCK_BYTES
    monkeypatch.setattr(memory, "high_water", lambda touch: (1000, 1000 + int(factor * block), None))
    monkeypatch.setattr(calibration, "_touch_tensorflow", calibration._touch_numpy)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were imported
    assert failed(calibration.memory_meter()) == {"memory: NumPy", "memory: TensorFlow"}


def test_a_comparison_that_looks_away_is_found(monkeypatch):
    true_compare = calibration.compare

    def rounded(expected, actual, **names):
        blurred = (Tree.of(np.round(tree.array, 4)) for tree in (expected, actual))
        return true_compare(*blurred, **names)

    monkeypatch.setattr(calibration, "compare", rounded)
    assert "comparison: one ULP" in failed(calibration.equivalence())


def test_a_comparison_with_a_raised_tolerance_is_found(monkeypatch):
    true_compare = calibration.compare
    monkeypatch.setattr(
        calibration,
        "compare",
        lambda expected, actual, **names: true_compare(expected, actual, **{**names, "atol": 5e-3}),
    )
    assert failed(calibration.equivalence()) == {"comparison: refused"}


@pytest.fixture
def seed(kernels, scan_path):
    """Gives the checks of a seed, at a case of extraction."""
    return lambda: calibration.seed(kernels["patch_extraction"], make_case(), scan_path)


def test_a_workload_without_a_seed_is_found(monkeypatch, seed):
    rng = np.random.default_rng(5)
    monkeypatch.setattr(workloads, "generator", lambda case, purpose: rng)
    assert failed(seed()) >= {"seed: same bits"}


def test_a_workload_that_ignores_its_seed_is_found(monkeypatch, seed):
    monkeypatch.setattr(workloads, "generator", lambda case, purpose: np.random.default_rng(5))
    assert failed(seed()) == {"seed: another seed differs"}
