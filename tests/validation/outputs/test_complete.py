"""What a result may be, and that it is taken as it lies in memory."""

import asyncio
import enum
import io
import math
import subprocess
import sys

import numpy as np
import pytest

from tests.validation.outputs.judging import Fit, judged, refusal
from validation.outputs.tree import Tree, arrays_in, complete


class Length(float):
    """A number with a meaning."""


class Colour(enum.IntEnum):
    RED = 1


class Lazy:
    """Does its work when it is looked at, as arrays of dask do."""

    def __init__(self, work):
        self.work = work

    def __array__(self, dtype=None, copy=None):
        return self.work()


class Capsule:
    """Gives its memory through DLPack and nothing else."""

    def __init__(self, array, device=None):
        self.of = array
        self.device = device

    def __dlpack__(self, **options):
        if self.device is not None:
            raise BufferError(f"on {self.device}")
        return self.of.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.of.__dlpack_device__()


ARRAY = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda array: array,
        np.asfortranarray,
        memoryview,
        lambda array: array.view(np.matrix),
        lambda array: array.view(np.recarray),
        np.ma.masked_array,
        lambda array: Lazy(lambda: array),
        Capsule,
    ],
)
def test_an_array_of_any_make_is_the_same_numbers_in_the_same_memory(make):
    array = np.asfortranarray(ARRAY) if make is np.asfortranarray else ARRAY
    tree = complete(make(array))
    assert type(tree.array) is np.ndarray
    assert np.shares_memory(tree.array, array)
    assert judged(ARRAY, tree.array, 0.0).passed
    assert (tree.paths, tree.nbytes) == (("",), array.nbytes)
    assert tree.skeleton == Tree.of(array).skeleton


def test_a_plain_array_is_taken_as_it_is():
    assert complete(ARRAY).array is ARRAY
    assert Tree.of(ARRAY).array is ARRAY


@pytest.mark.parametrize("result", [[ARRAY], (ARRAY, ARRAY), None, {}, [1.0, 2.0], np.zeros(2, [("a", int)])])
def test_the_array_of_a_result_that_is_no_single_one_is_refused(result):
    with pytest.raises(ValueError, match="a result that is one array"):
        _ = complete(result).array


@pytest.mark.parametrize(
    ("scalar", "dtype"),
    [
        (True, "bool"),
        (3, "int64"),
        (-(2**63), "int64"),
        (3.5, "float64"),
        (1j, "complex128"),
        ("text", "<U4"),
        ("", "<U1"),
        (np.float32(2), "float32"),
        (np.uint8(2), "uint8"),
        (np.bool_(True), "bool"),
        (np.str_("ab"), "<U2"),
        (np.datetime64("2020-01-01", "ns"), "datetime64[ns]"),
        (np.longdouble(2), "longdouble"),
        (np.array(2.5), "float64"),
        (Length(2.5), "float64"),
        (Colour.RED, "int64"),
    ],
)
def test_a_scalar_is_an_array_without_axes(scalar, dtype):
    array = complete(scalar).array
    assert (array.shape, array.dtype) == ((), np.dtype(dtype))
    assert array[()] == scalar


def test_each_array_has_the_path_that_python_would_write():
    result = (
        {"x": np.ones(2), 3: [np.zeros(1), np.zeros(2)], ("a", 1): (1.0, 2.0)},
        Fit(0.5, np.ma.masked_array([1.0], [True])),
        np.zeros(1, [("u", "f4")]),
        np.array([None, np.ones(1)], object),
    )
    paths = complete(result).paths
    assert paths == (
        *("[0]['x']", "[0][('a', 1)][:]", "[0][3][0]", "[0][3][1]"),
        *("[1].mean", "[1].residuals", "[1].residuals.mask", "[2]['u']", "[3][1]"),
    )


async def coroutine():
    pass


def nothing():
    yield


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (nothing, "generator"),
        (lambda: iter([1.0]), "list_iterator"),
        (lambda: map(float, []), "map"),
        (lambda: zip([], strict=True), "zip"),
        (lambda: io.BytesIO(b"x"), "_io.BytesIO"),
        (lambda: nothing, "function"),
        (lambda: len, "builtin_function_or_method"),
        (lambda: math, "module"),
        (lambda: np.float64, "type"),
        (lambda: object(), "object"),
        (lambda: {object(): 1.0}, "dict whose keys or elements are no scalars"),
        (lambda: {frozenset()}, "set whose keys or elements are no scalars"),
        (lambda: Ellipsis, "ellipsis"),
    ],
)
def test_what_is_no_result_is_refused_by_name_and_place(make, name):
    assert refusal(make()).startswith("the result must be an array of numbers")
    assert refusal(make()).endswith(f", got {name}")
    assert refusal([{"x": make()}]).startswith("the result at [0]['x'] must be an array of numbers")
    assert refusal(np.array([None, make()], object)).startswith("the result at [1] must be")


def test_a_coroutine_is_refused():
    waiting = coroutine()
    assert refusal(waiting).endswith("got coroutine")
    asyncio.run(waiting)


def test_what_says_that_it_is_an_array_and_gives_none_is_refused_with_the_reason():
    assert "Lazy, which gives none: " in refusal(Lazy(lambda: "text"))
    assert refusal(Capsule(ARRAY, device="another device")).endswith("Capsule, which gives none: on another device")


@pytest.mark.parametrize("error", [ZeroDivisionError, RuntimeError, MemoryError])
def test_a_failure_of_work_that_is_done_when_the_result_is_looked_at_is_its_own(error):
    def work():
        raise error

    with pytest.raises(error):
        complete({"x": Lazy(work)})


class Labelled:
    """An array whose axes have names."""

    dims, coords = ("x",), {"x": [1.0]}

    def __array__(self, dtype=None, copy=None):
        return np.ones(1)


def test_an_array_whose_names_would_be_lost_is_refused():
    assert refusal(Labelled()).endswith("Labelled, whose names would be lost")


def test_a_result_that_is_inside_itself_is_refused():
    circle = []
    circle.append(circle)
    assert "levels deep" in refusal(circle)


def test_a_device_is_waited_for():
    class Dispatched(Lazy):
        waited = False

        def block_until_ready(self):
            self.waited = True

    result = Dispatched(lambda: np.ones(1))
    complete([result])
    assert result.waited


def test_the_arrays_in_arguments_are_found_by_their_paths_and_shared():
    arguments = {"image": ARRAY, "options": {"weights": [ARRAY[0], 2.0], "rng": np.random.default_rng(0)}, "f": len}
    found = arrays_in(arguments)
    assert set(found) == {"['image']", "['options']['weights'][0]", "['options']['weights'][1]"}
    assert found["['image']"] is ARRAY
    assert np.shares_memory(found["['options']['weights'][0]"], ARRAY)


def test_arguments_in_order_are_looked_through_as_well():
    assert set(arrays_in((ARRAY, "name", iter([]), None, [1.0, 2.0]))) == {"[0]", "[1]", "[4][:]"}


def test_no_library_is_imported_for_its_types():
    program = (
        "import sys; from validation.outputs import tree, saved, compare; tree.complete([{'x': 1.0}, [object]][:1]);"
        "print([name for name in ('pandas', 'scipy', 'torch', 'jax', 'tensorflow', 'dask') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
