import time

import numpy as np
import pytest

from tests.validation.children import make_case
from validation import oracle, timing, workloads
from validation.demo_scan import write_demo_scan
from validation.records import Protocol

PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)


@pytest.fixture(scope="module")
def scan_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    return str(path)


def arm(function, scan_path, name="candidate", **changed):
    case = make_case(**changed)
    return timing.measure_arm(function, name, case, workloads.build(case, scan_path), PROTOCOL)


def test_a_known_delay_is_read(scan_path):
    inside = []

    def delayed(**arguments):
        started = time.perf_counter()
        time.sleep(0.02)
        output = oracle.extract_patches(**arguments)
        inside.append(time.perf_counter() - started)  # on a busy machine a call takes longer, and that is its time
        return output

    found, spent = arm(delayed, scan_path)
    assert len(found.samples_s) == 5
    assert 0.02 <= np.median(inside[-5:]) <= np.median(found.samples_s) < 1.5 * np.median(inside[-5:])
    assert spent >= 8 * 0.02


def test_the_first_call_is_timed_apart(scan_path):
    calls = []

    def compiled_at_first(**arguments):
        if not calls:
            time.sleep(1.0)  # longer than a busy machine holds up a short call
        calls.append(1)
        return oracle.extract_patches(**arguments)

    found, _ = arm(compiled_at_first, scan_path)
    assert found.first_call_s >= 1.0
    assert max(found.samples_s) < 1.0


def test_samples_of_a_quick_function_last_ten_milliseconds(scan_path):
    found, _ = arm(oracle.extract_patches, scan_path, batch=1, N=2)
    assert found.calls_per_sample > 1
    assert np.median(found.samples_s) * found.calls_per_sample >= 0.008


def test_every_sample_of_a_function_that_gets_quicker_lasts_ten_milliseconds(scan_path):
    calls = []

    def warming_up(**arguments):
        calls.append(1)
        time.sleep(0.008 if len(calls) <= 6 else 0.001)
        return oracle.extract_patches(**arguments)

    found, _ = arm(warming_up, scan_path, batch=1, N=2)
    assert len(found.samples_s) == 5
    assert min(found.samples_s) * found.calls_per_sample >= PROTOCOL.min_sample_s


@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
def test_a_result_kept_from_an_earlier_call_is_no_time(scan_path, kernel):
    compute = oracle.extract_patches if kernel == "patch_extraction" else oracle.shift_and_sum
    kept = []

    def cached(**arguments):
        if not kept:
            kept.append(compute(**arguments))
        return kept[0]

    with pytest.raises(timing.WrongOutputError, match="kept between calls"):
        arm(cached, scan_path, kernel=kernel)


def test_a_wrong_result_is_still_timed(scan_path):
    found, _ = arm(lambda **arguments: 1.5 * oracle.extract_patches(**arguments), scan_path)
    assert len(found.samples_s) == 5


def test_a_long_reference_is_warmed_up_on_one_group(scan_path, monkeypatch):
    monkeypatch.setattr(timing, "LONG_LOOP_PATCHES", 20)
    monkeypatch.setattr(timing, "SLOW_CALL_S", 0.02)
    sizes, inside = [], []

    def looped(**arguments):
        sizes.append(len(arguments["global_offsets"]))
        started = time.perf_counter()
        time.sleep(0.01 * len(arguments["global_offsets"]) + (0.1 if len(sizes) == 1 else 0.0))
        output = oracle.extract_patches(**arguments)
        inside.append(time.perf_counter() - started)
        return output

    found, spent = arm(looped, scan_path, name="reference", batch=5)
    assert sizes == [1, 1, 1, 5]
    assert len(found.samples_s) == 1
    assert found.samples_s[0] >= 0.05
    above = inside[0] - min(inside[1:3])
    assert found.first_call_s == pytest.approx(found.samples_s[0] + above, abs=0.05)
    assert spent >= 0.18


@pytest.mark.parametrize("output", [None, "text", 3.0, np.array([object()])])
def test_what_is_no_array_of_numbers_is_refused(output):
    with pytest.raises(timing.WrongOutputError, match="array of numbers"):
        timing.as_array(output)


def test_the_copy_is_timed_fresh_and_warm():
    fresh, warm, spent = timing.time_copy(32 << 20, 5)
    assert len(fresh) == len(warm) == 5
    assert 0 < np.median(warm) < 1.0
    assert spent == pytest.approx(sum(fresh) + sum(warm))


@pytest.mark.parametrize(("first_s", "later_s", "expected"), [(0.02, 0.3, 5), (0.3, 0.02, 1)])
def test_the_first_long_call_decides_whether_there_are_more(scan_path, monkeypatch, first_s, later_s, expected):
    monkeypatch.setattr(timing, "LONG_LOOP_PATCHES", 20)
    monkeypatch.setattr(timing, "SLOW_CALL_S", 0.25)  # far from both
    sizes = []

    def looped(**arguments):
        sizes.append(len(arguments["global_offsets"]))
        patches = oracle.extract_patches(**arguments)
        if sizes[-1] > 1:
            time.sleep(first_s if sizes.count(sizes[-1]) == 1 else later_s)
        return patches

    found, _ = arm(looped, scan_path, name="reference", batch=5)
    assert len(found.samples_s) == expected
