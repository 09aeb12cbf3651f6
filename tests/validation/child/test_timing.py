import time

import numpy as np
import pytest

from tests.validation.children import make_case
from validation.child import timing
from validation.child.channel import Channel
from validation.child.watch import Watch
from validation.contract.cases import Protocol
from validation.kernels import registry
from validation.kernels.patches import oracle
from validation.kernels.registry import Kernels

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
KERNELS = Kernels(registry.built_in())

pytestmark = pytest.mark.usefixtures("as_in_a_child")


def watched(function, scan_path, **changed):
    case = make_case(**changed)
    return Watch(lambda: function, KERNELS[case.kernel], case, scan_path, Channel(None))


def arm(function, scan_path, name="candidate", **changed):
    return timing.measure_arm(watched(function, scan_path, **changed), name, PROTOCOL)


def test_a_known_delay_is_read(scan_path):
    inside = []

    def delayed(**arguments):
        started = time.perf_counter()
        time.sleep(0.02)
        output = oracle.extract_patches(**arguments)
        inside.append(time.perf_counter() - started)  # on a busy machine a call takes longer, and that is its time
        return output

    found = arm(delayed, scan_path)
    assert len(found.samples_s) == 5
    assert min(found.samples_s) >= 0.02
    assert np.median(found.samples_s) < 1.5 * np.median(inside[-5:])


def test_the_first_call_is_timed_apart_and_holds_the_import(scan_path):
    calls = []

    def load():
        time.sleep(0.1)
        return compiled_at_first

    def compiled_at_first(**arguments):
        if not calls:
            time.sleep(1.0)  # longer than a busy machine holds up a short call
        calls.append(1)
        return oracle.extract_patches(**arguments)

    case = make_case()
    watch = Watch(load, KERNELS[case.kernel], case, scan_path, Channel(None))
    found = timing.measure_arm(watch, "x", PROTOCOL)
    assert found.import_s >= 0.1
    assert found.first_call_s >= found.import_s + 1.0
    assert max(found.samples_s) < found.first_call_s


def test_samples_of_a_quick_function_last_ten_milliseconds(scan_path):
    found = arm(oracle.extract_patches, scan_path, batch=1, N=2)
    assert found.calls_per_sample > 1
    assert min(found.samples_s) * found.calls_per_sample >= PROTOCOL.min_sample_s


def test_every_sample_of_a_function_that_gets_quicker_lasts_ten_milliseconds(scan_path):
    calls = []

    def warming_up(**arguments):
        calls.append(1)
        time.sleep(0.008 if len(calls) <= 6 else 0.001)
        return oracle.extract_patches(**arguments)

    found = arm(warming_up, scan_path, batch=1, N=2)
    assert len(found.samples_s) == 5
    assert min(found.samples_s) * found.calls_per_sample >= PROTOCOL.min_sample_s


def test_a_wrong_result_is_still_timed(scan_path):
    found = arm(lambda **arguments: 1.5 * oracle.extract_patches(**arguments), scan_path)
    assert len(found.samples_s) == 5


def test_the_calls_of_a_process_have_inputs_of_their_own(scan_path):
    met = []

    def noting(**arguments):
        met.append(b"".join(np.ascontiguousarray(value).tobytes() for value in arguments.values()))
        return oracle.extract_patches(**arguments)

    arm(noting, scan_path)
    arm(noting, scan_path)
    assert len(set(met)) == len(met) >= 16


def test_a_long_call_is_warmed_up_on_one_group_and_sampled_once(scan_path, monkeypatch):
    monkeypatch.setattr(timing, "LONG_CALL_S", 0.05)
    monkeypatch.setattr(timing, "SLOW_CALL_S", 0.05)
    sizes = []

    def looped(**arguments):
        sizes.append(len(arguments["global_offsets"]))
        time.sleep(0.02 * len(arguments["global_offsets"]))
        return oracle.extract_patches(**arguments)

    watch = watched(looped, scan_path, batch=5)
    found = timing.measure_arm(watch, "reference", PROTOCOL)
    assert sizes == [5, 1, 1, 5]
    assert watch.small == [1, 2]
    assert len(found.samples_s) == 1
    assert found.samples_s[0] >= 0.1 <= found.first_call_s


@pytest.mark.parametrize(("first_s", "later_s", "expected"), [(0.01, 0.5, 5), (0.5, 0.01, 1)])
def test_the_first_sample_decides_whether_there_are_more(scan_path, monkeypatch, first_s, later_s, expected):
    monkeypatch.setattr(timing, "LONG_CALL_S", 0.02)
    monkeypatch.setattr(timing, "SLOW_CALL_S", 0.45)
    sizes = []

    def looped(**arguments):
        sizes.append(len(arguments["global_offsets"]))
        if sizes[-1] > 1:
            time.sleep({1: 0.03, 2: first_s}.get(sizes.count(sizes[-1]), later_s))
        return oracle.extract_patches(**arguments)

    assert len(arm(looped, scan_path, batch=5).samples_s) == expected


def test_the_copy_is_timed_fresh_and_warm():
    found = timing.time_copy(32 << 20, 5)
    assert len(found.fresh_s) == len(found.warm_s) == len(found.fill_s) == 5
    assert 0 < np.median(found.fill_s) < np.median(found.warm_s) < 1.0
    assert found.measured_s == pytest.approx(sum(found.fresh_s) + sum(found.warm_s) + sum(found.fill_s))
