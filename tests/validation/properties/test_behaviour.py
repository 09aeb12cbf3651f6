"""What a call owes to its caller: its inputs, its result's memory, its process, and the same bits tomorrow."""

import ctypes
import gc
import locale
import os
import random
import signal
import sys
import time

import numpy as np
import pytest

from tests.validation.children import make_case
from validation.kernels.patches import oracle
from validation.kernels.patches.properties import BLOCKS, COMPUTE
from validation.properties import behaviour, generic, tested

RIGHT = {"patch_extraction": oracle.extract_patches, "reassembly": oracle.shift_and_sum}
KERNELS = sorted(RIGHT)


@pytest.fixture
def find(kernels, scan_path):
    """Gives what the check of a property finds of a function."""

    def found(name, function, kernel="patch_extraction"):
        case = make_case(kernel, pattern="fermat")
        asked = tested.Tested(function, kernels[kernel], case, scan_path, afresh=lambda counts: "not asked here")
        return generic.find(kernels[kernel], case, name)(asked)

    return found


class After:
    """The right function until a number of calls was made, and a little off from then on."""

    def __init__(self, right, calls):
        self.right, self.calls = right, calls

    def __call__(self, **arguments):
        self.calls -= 1
        out = self.right(**arguments)
        return out if self.calls >= 0 else out * np.float32(1 + 1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("calls", [1, 2, 40, 64])
def test_another_result_after_some_calls_is_seen(find, kernel, calls):
    assert not find("earlier_calls", After(RIGHT[kernel], calls), kernel).passed
    assert find("earlier_calls", After(RIGHT[kernel], 1000), kernel).passed


def test_a_slow_implementation_makes_fewer_other_calls_and_it_is_told(find, monkeypatch):
    monkeypatch.setattr(behaviour, "OTHER_CALLS_S", 0.2)

    def slow(**arguments):
        time.sleep(0.05)
        return RIGHT["patch_extraction"](**arguments)

    found = find("earlier_calls", slow)
    assert found.passed
    assert 1 < int(found.detail.split()[1]) < 10


class Arena:
    """One buffer, made larger where it must be, for the results of all calls."""

    def __init__(self, right):
        self.right, self.buffer = right, np.empty(0, np.complex64)

    def __call__(self, **arguments):
        out = self.right(**arguments)
        if out.size > self.buffer.size:
            self.buffer = np.empty(out.size, np.complex64)
        view = self.buffer[: out.size].reshape(out.shape)
        view[...] = out
        return view


class KeptByContent:
    """Gives the very array of an earlier call again."""

    def __init__(self, right):
        self.right, self.kept = right, {}

    def __call__(self, **arguments):
        key = b"".join(np.asarray(value).tobytes() for value in arguments.values())
        if key not in self.kept:
            self.kept[key] = self.right(**arguments)
        return self.kept[key]


class RefillsItsLastResult:
    """Gives memory of its own, and writes the next result into the last one, too."""

    def __init__(self, right):
        self.right, self.last = right, None

    def __call__(self, **arguments):
        out = self.right(**arguments)
        if self.last is not None and self.last.shape == out.shape:
            self.last[...] = out
        self.last = out
        return out.copy() if self.last is None else out


class KeepsACopyOfItsResult:
    """Reads what its caller made of an earlier result."""

    def __init__(self, right):
        self.right, self.first = right, None

    def __call__(self, **arguments):
        out = self.right(**arguments)
        if self.first is None:
            self.first = out
        elif self.first.shape == out.shape and not self.first.any():
            return self.first.copy()
        return out


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("broken", [Arena, KeptByContent, RefillsItsLastResult, KeepsACopyOfItsResult])
def test_a_result_that_is_not_the_callers_own_is_seen(find, kernel, broken):
    assert not find("own_memory", broken(RIGHT[kernel]), kernel).passed
    assert find("own_memory", RIGHT[kernel], kernel).passed


def test_a_result_in_the_memory_of_an_input_is_seen_and_named(find):
    def shared(**arguments):
        flat = arguments["obj_tensor"].reshape(-1)
        out = RIGHT["reassembly"](**arguments)
        flat[: out.size] = out.reshape(-1)[: flat.size]
        return flat[: out.size]

    found = find("own_memory", shared, "reassembly")
    assert (found.passed, found.detail) == (False, "the result uses the memory of ['obj_tensor']")


def test_a_result_that_cannot_be_written_into_is_its_own(find):
    def read_only(**arguments):
        out = RIGHT["patch_extraction"](**arguments)
        out.flags.writeable = False
        return out

    assert find("own_memory", read_only).passed


def flush_subnormals():
    library, environment = ctypes.CDLL(None), (ctypes.c_uint32 * 8)()
    library.fegetenv(environment)
    environment[7] |= 0x8040
    library.fesetenv(environment)


def keep_subnormals():
    library, environment = ctypes.CDLL(None), (ctypes.c_uint32 * 8)()
    library.fegetenv(environment)
    environment[7] &= ~0x8040
    library.fesetenv(environment)


def not_another_locale():
    locale.setlocale(locale.LC_ALL, "C.UTF-8")


X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the layout of the floating-point environment")
# What a call does to its process, how it is put back, and what the property calls it.
CHANGES = [
    pytest.param(flush_subnormals, keep_subnormals, "floating-point mode", marks=X86),
    pytest.param(
        lambda: ctypes.CDLL(None).fesetround(0x400),
        lambda: ctypes.CDLL(None).fesetround(0),
        "floating-point mode",
        marks=X86,
    ),
    (lambda: np.seterr(over="ignore"), lambda: np.seterr(over="warn"), "NumPy's error state"),
    (lambda: os.environ.update(HOME="/"), lambda: None, "environment variables"),
    (lambda: os.environ.pop("HOME"), lambda: None, "environment variables"),
    (lambda: os.chdir("/"), lambda: None, "working folder"),
    (lambda: os.umask(0o077), lambda: os.umask(0o022), "file mode mask"),
    (lambda: signal.signal(signal.SIGUSR1, lambda *_: None), lambda: None, "signal handlers"),
    (gc.disable, gc.enable, "collector"),
    (lambda: gc.set_threshold(10**6), lambda: None, "collector"),
    (lambda: sys.setswitchinterval(1.0), lambda: None, "switch interval"),
    (lambda: sys.setrecursionlimit(5000), lambda: None, "recursion limit"),
    (not_another_locale, lambda: None, "locale"),
    (random.random, lambda: None, "random numbers of Python"),
    (lambda: np.random.seed(3), lambda: None, "random numbers of NumPy"),  # noqa: NPY002  # what is tested
    (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}), lambda: None, "processors"),
]


@pytest.fixture
def restored(monkeypatch):
    """Put the process back as it was."""
    monkeypatch.setenv("HOME", os.environ.get("HOME", "/root-of-nobody"))
    folder, interval, recursion = os.getcwd(), sys.getswitchinterval(), sys.getrecursionlimit()
    thresholds, place, usr1 = gc.get_threshold(), locale.setlocale(locale.LC_ALL), signal.getsignal(signal.SIGUSR1)
    processors = os.sched_getaffinity(0)
    locale.setlocale(locale.LC_ALL, "C")
    yield
    os.chdir(folder)
    sys.setswitchinterval(interval)
    sys.setrecursionlimit(recursion)
    gc.set_threshold(*thresholds)
    locale.setlocale(locale.LC_ALL, place)
    signal.signal(signal.SIGUSR1, usr1)
    os.sched_setaffinity(0, processors)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("change", "back", "name"), CHANGES)
def test_a_call_that_changes_its_process_is_seen_and_what_it_changed_is_named(find, change, back, name):
    def changing(**arguments):
        change()
        return RIGHT["patch_extraction"](**arguments)

    try:
        found = find("process_state", changing)
    finally:
        back()
    if name == "processors" and len(os.sched_getaffinity(0)) == 1 and found.passed:
        pytest.skip("one processor")
    assert not found.passed
    assert found.detail.startswith(f"the first call changed the {name}")


@pytest.mark.usefixtures("restored")
def test_a_variable_may_be_added_by_the_imports_of_a_first_call_and_by_no_later_one(find, monkeypatch):
    monkeypatch.setenv("ADDED_0", "")
    monkeypatch.delenv("ADDED_0")
    added = []

    def adding(every):
        def call(**arguments):
            if every or not added:
                added.append(f"ADDED_{len(added)}")
                os.environ[added[-1]] = "1"
            return RIGHT["patch_extraction"](**arguments)

        return call

    try:
        assert find("process_state", adding(every=False)).passed
        found = find("process_state", adding(every=True))
    finally:
        for name in added:
            os.environ.pop(name, None)
    assert found.detail == "the second call changed the environment variables"


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_holds_for_every_kernel_holds_for_the_oracle(find, kernel):
    for name in generic.GENERIC:
        if name != "threads":
            found = find(name, RIGHT[kernel], kernel)
            assert found.passed, (name, found)


def by_parts(change):
    """The right function of an object whose parts were changed."""

    def make(kernel):
        name, right = COMPUTE[kernel]

        def call(**arguments):
            given = arguments[name].copy()
            given.real, given.imag = change(given.real), change(given.imag)
            return right(**{**arguments, name: given})

        return call

    return make


def ends_finite(kernel):
    return lambda **arguments: np.nan_to_num(RIGHT[kernel](**arguments))


def ends_in_nan(kernel):
    def call(**arguments):
        out = RIGHT[kernel](**arguments)
        out[~np.isfinite(out).all(axis=-1)] = np.nan
        return out * np.where(np.isfinite(out).all(), np.float32(1), np.float32(np.nan))

    return call


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "broken",
    [
        by_parts(np.nan_to_num),
        by_parts(lambda part: np.clip(part, -3e38, 3e38)),
        by_parts(lambda part: np.where(np.isinf(part), np.abs(part), part)),
        by_parts(lambda part: np.where(np.isnan(part), np.float32(np.inf), part)),
        ends_finite,
        ends_in_nan,
    ],
)
def test_special_values_that_are_lost_changed_or_spread_are_seen(find, kernel, broken):
    found = find("special_values", broken(kernel), kernel)
    assert not found.passed
    right = find("special_values", by_parts(lambda part: part)(kernel), kernel)
    assert right.passed
    assert int(right.detail.split()[4]) > 20, "special values must be met"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("batch", BLOCKS)
def test_a_wrong_patch_in_one_batch_of_offsets_at_half_a_pixel_is_seen(find, kernel, batch):
    def wrong(**arguments):
        out = RIGHT[kernel](**arguments)
        if len(arguments["global_offsets"]) == batch:
            out.flat[out.size // 2] += np.complex64(2e-6)
        return out

    assert not find("half_pixels", wrong, kernel).passed


@pytest.mark.parametrize("kernel", KERNELS)
def test_all_positions_of_the_property_are_at_half_a_pixel(find, kernel):
    def sees(**arguments):
        offsets = arguments["global_offsets"].astype(np.float64).reshape(len(arguments["global_offsets"]), -1)
        if kernel == "reassembly":
            offsets = offsets - offsets.mean(axis=0)
            offsets = offsets[: len(offsets) // 2 * 2]
        else:
            offsets = offsets + arguments["local_offsets"].reshape(len(offsets), -1)
        assert np.array_equal(offsets % 1.0, np.full_like(offsets, 0.5))
        return RIGHT[kernel](**arguments)

    assert find("half_pixels", sees, kernel).passed


@pytest.mark.parametrize("kernel", KERNELS)
def test_small_values_that_are_left_out_are_seen(find, kernel):
    def flushing(**arguments):
        out = RIGHT[kernel](**arguments)
        return np.where(np.abs(out) < 5e-7, np.complex64(0), out)

    assert not find("small_amplitude", flushing, kernel).passed
    assert find("small_amplitude", RIGHT[kernel], kernel).passed


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_result_kept_for_the_same_arrays_is_seen(find, kernel):
    kept = {}

    def by_identity(**arguments):
        arrays = [value for value in arguments.values() if isinstance(value, np.ndarray)]
        key = tuple(map(id, arrays))
        if key not in kept:
            kept[key] = arrays, RIGHT[kernel](**arguments)
        return kept[key][1].copy()

    found = find("earlier_calls", by_identity, kernel)
    assert not found.passed
    assert "other values in the arrays of the first call" in found.detail
