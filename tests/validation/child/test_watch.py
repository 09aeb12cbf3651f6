import gc
import threading
import time

import numpy as np
import pytest

from tests.validation.children import make_case
from validation.child.channel import Channel
from validation.child.instruments import TamperedError
from validation.child.watch import Watch
from validation.kernels import registry
from validation.kernels.patches import oracle
from validation.kernels.registry import Kernels
from validation.outputs.tree import WrongOutputError, complete

KERNELS = Kernels(registry.built_in())

pytestmark = pytest.mark.usefixtures("as_in_a_child")


def watched(function, scan_path, **changed):
    case = make_case(**changed)
    return Watch(lambda: function, KERNELS[case.kernel], case, scan_path, Channel(None))


class Lazy:
    """Does its work when it is looked at, as arrays of dask do."""

    def __init__(self, work):
        self.work = work

    def __array__(self, dtype=None, copy=None):
        return self.work()


class Endless:
    """Gives another of its kind instead of an array."""

    def __array__(self, dtype=None, copy=None):
        return Endless()


@pytest.mark.parametrize("output", [object(), np.array([object()]), Endless(), iter([1.0]), len, {"a": [object()]}])
def test_what_cannot_be_compared_is_refused(output):
    with pytest.raises(WrongOutputError, match="array of numbers"):
        complete(output)


@pytest.mark.parametrize(
    ("output", "arrays"),
    [(None, []), ("text", ["text"]), (3.0, [3.0]), ([[1.0], [1.0, 2.0]], [[1.0], [1.0, 2.0]]), ({"a": True}, [True])],
)
def test_scalars_texts_nothing_and_what_holds_them_are_taken(output, arrays):
    assert [array.tolist() for array in complete(output).arrays] == arrays


@pytest.mark.parametrize("make", [np.asfortranarray, np.array, lambda array: array[:, ::-1], memoryview])
def test_an_unusual_form_of_a_result_is_taken(make):
    array = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(complete(make(array)).array, np.asarray(make(array)))


def test_lists_of_numbers_keep_their_structure():
    array = np.arange(12.0).reshape(3, 4)
    (rows,) = complete(array.tolist()).arrays
    np.testing.assert_array_equal(rows, array)
    with pytest.raises(ValueError, match="one array, got one of kind list"):
        _ = complete(array.tolist()).array


def test_a_read_only_result_is_taken():
    array = np.arange(12.0)
    array.flags.writeable = False
    np.testing.assert_array_equal(complete(array).array, array)


def test_work_that_is_done_when_the_result_is_looked_at_counts(scan_path):
    def lazily(**arguments):
        def work():
            time.sleep(0.05)
            return oracle.extract_patches(**arguments)

        return Lazy(work)

    watch = watched(lazily, scan_path)
    assert watch.call() >= 0.05


@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
def test_a_static_buffer_is_refused(scan_path, kernel):
    compute = oracle.extract_patches if kernel == "patch_extraction" else oracle.shift_and_sum
    kept = []

    def static(**arguments):
        found = compute(**arguments)
        if not kept:
            kept.append(found)
        kept[0][...] = found
        return kept[0]

    watch = watched(static, scan_path, kernel=kernel)
    watch.call()
    with pytest.raises(WrongOutputError, match="that of an earlier call"):
        watch.call()


def test_an_earlier_result_that_a_later_call_writes_into_is_refused(scan_path):
    given = []

    def spoiling(**arguments):
        if given:
            given[-1][...] = 7
        given.append(oracle.extract_patches(**arguments))
        return given[-1]

    watch = watched(spoiling, scan_path)
    watch.call()
    with pytest.raises(WrongOutputError, match="changed after its call"):
        watch.call()


def test_a_result_that_is_finished_in_the_background_is_refused(scan_path):
    def later(**arguments):
        found = oracle.extract_patches(**arguments)
        given = np.zeros_like(found)

        def finish():
            time.sleep(0.05)
            given[...] = found

        thread = threading.Thread(target=finish)
        thread.start()
        threads.append(thread)
        return given

    threads = []
    watch = watched(later, scan_path)
    watch.call()
    threads[0].join()
    with pytest.raises(WrongOutputError, match="not complete"):
        watch.finish()


def test_a_result_that_is_a_view_of_an_input_is_refused(scan_path):
    watch = watched(lambda **arguments: arguments["gt_image"][:16], scan_path)
    with pytest.raises(WrongOutputError, match="share memory with an input"):
        watch.call()


def test_a_call_that_changes_its_inputs_is_refused(scan_path):
    def changing(**arguments):
        arguments["gt_image"][...] = 0
        return oracle.extract_patches(**arguments)

    with pytest.raises(WrongOutputError, match="must not change its inputs"):
        watched(changing, scan_path).call()


def test_a_clock_that_the_implementation_replaces_is_not_used_and_found(scan_path, monkeypatch):
    def cheating(**arguments):
        monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
        time.sleep(0.05)
        return oracle.extract_patches(**arguments)

    watch = watched(cheating, scan_path)
    with pytest.raises(TamperedError, match=r"time\.perf_counter"):
        watch.call()
    assert watch.calls_s[0] >= 0.05


@pytest.mark.parametrize("name", ["_same", "complete", "clocked"])
def test_a_check_that_the_implementation_replaces_is_found(scan_path, monkeypatch, name):
    import validation.child.watch

    true = getattr(validation.child.watch, name)

    def cheating(**arguments):
        monkeypatch.setattr(validation.child.watch, name, lambda *given: true(*given))
        return oracle.extract_patches(**arguments)

    with pytest.raises(TamperedError, match=name):
        watched(cheating, scan_path).call()


def test_code_that_is_exchanged_inside_a_check_is_found(scan_path, monkeypatch):
    import validation.child.watch

    def cheating(**arguments):
        monkeypatch.setattr(validation.child.watch._same, "__code__", (lambda one, two: True).__code__)
        return oracle.extract_patches(**arguments)

    with pytest.raises(TamperedError, match="_same"):
        watched(cheating, scan_path).call()


def test_parts_are_kept_of_the_first_and_of_one_later_result(scan_path):
    watch = watched(oracle.extract_patches, scan_path, batch=40)
    for _ in range(6):
        watch.call()
    assert watch.kept["first"][0] == 0
    assert 1 <= watch.kept["later"][0] <= 5
    assert all(part.array.shape == (32, 16, 16, 4) for _, part in watch.kept.values())


def test_every_later_call_is_as_likely_to_be_kept(scan_path):
    kept = []
    for _ in range(300):
        watch = watched(lambda **arguments: np.zeros((1, 2, 2, 1)), scan_path, N=2, gridsize=1, batch=1)
        for _ in range(4):
            watch.call()
        kept.append(watch.kept["later"][0])
    counts = [kept.count(number) for number in (1, 2, 3)]
    assert min(counts) >= 60  # of 100 expected each; less has a chance of one in a million


def test_a_hook_of_the_collector_never_meets_the_inputs_outside_the_clock(scan_path):
    import sys

    met = []

    def hook(phase, info):
        frame = sys._getframe(1)
        while frame is not None:
            met.extend(name for name in ("arguments", "inputs") if name in frame.f_locals and "started" not in met)
            frame = frame.f_back

    watch = watched(oracle.extract_patches, scan_path)
    watch.call()
    gc.callbacks.append(hook)
    try:
        watch.call()
    finally:
        gc.callbacks.remove(hook)
    assert not met
