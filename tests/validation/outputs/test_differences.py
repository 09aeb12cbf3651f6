"""How a difference is told: by its path, its place and its size."""

import math

import numpy as np
import pytest

from tests.validation.outputs.judging import Fit, Pair, judged, through_a_file
from validation.outputs.tree import complete

MANY = {f"k{number:02}": float(number) for number in range(40)}
ROWS = [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0)]
WORDS = [["a", "b"], ["c", None]]


@pytest.mark.parametrize("result", [MANY, ROWS, WORDS, [1.0, 2.0], dict.fromkeys(MANY, ROWS[0])])
def test_many_scalars_are_kept_as_one_array(result):
    tree = complete(result)
    assert len(tree.arrays) == (0 if result is WORDS else 1)
    assert set(tree.paths) <= {"[:]", "[:][:]"}
    assert judged(through_a_file(tree), result, 0.0).passed


@pytest.mark.parametrize(
    ("expected", "actual", "path"),
    [
        (MANY, {**MANY, "k07": 7.25}, "['k07']"),
        (ROWS, [ROWS[0], ROWS[1], (2.5, 3.25)], "[2][1]"),
        ([ROWS, None], [[(0.75, 1.0), *ROWS[1:]], None], "[0][0][0]"),
        (dict.fromkeys(MANY, ROWS[0]), {**dict.fromkeys(MANY, ROWS[0]), "k31": (0.5, 1.25)}, "['k31'][1]"),
        ([1.0, None, 2.0], [1.0, None, 2.25], "[2]"),
        ((1.0, 2.0), (1.0, 2.25), "[1]"),
        ([1.0, 2.0], [1.0, np.float64(2.25)], "[1]"),
    ],
)
def test_an_element_of_a_container_that_differs_is_named_as_such(expected, actual, path):
    found = judged(expected, actual, 0.125)
    assert (found.passed, found.path, found.max_abs_error) == (False, path, 0.25)
    assert (found.worst_index, found.expected_shape, found.actual_shape) == ((), (), ())


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (MANY, {**MANY, "k07": 7}, "['k07']: expected float64, got int64"),
        (MANY, {key: value for key, value in MANY.items() if key != "k07"}, "['k07']: expected float64, got nothing"),
        ({"a": 1.0}, {"b": 1.0, "a": 1.0}, "['b']: expected nothing, got float64"),
        (ROWS, [ROWS[0], [1.5, 2.0], ROWS[2]], "[1]: expected tuple, got list"),
        (ROWS, [ROWS[0], (1.5, 2.0, 2.5), ROWS[2]], "[1]: expected length 2, got 3"),
        (ROWS, [ROWS[0], (1.5, "2.0"), ROWS[2]], "[1][1]: expected float64, got <U3"),
        (ROWS, [(0.5,), (1.5,), (2.5,)], "[0]: expected length 2, got 1"),
        (ROWS, [0.5, 1.5, 2.5], "[0]: expected tuple, got float64"),
        (WORDS, [["a", "b"], ["c", "d"]], "[1][1]: expected None, got 'd'"),
        (WORDS, [["a", "b"], ["c", 1.0]], "[1][1]: expected None, got float64"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "expected length 2, got 3"),
        ([1.0, 2.0], [1.0, "2"], "[1]: expected float64, got <U1"),
        ([1, 2], [1, 2**63], "[1]: expected int64, got int"),
        (Pair(1.0, 2.0), (1.0, 2.0), "expected namedtuple, got tuple"),
        (Fit(1.0, 2.0), Fit(1.0, None), ".residuals: expected float64, got None"),
        ({1, 2}, {1, 3}, "expected elements ['1', '2'], got ['1', '3']"),
        (2**70, 2**70 + 1, f"expected {2**70}, got {2**70 + 1}"),
        ("ab", "abc", "expected 'ab', got 'abc'"),
        (range(3), np.arange(3), "expected range of int64 of shape (3,), got int64 of shape (3,)"),
        (None, np.ones((2, 3)), "expected None, got float64 of shape (2, 3)"),
        ("x" * 100, "y" * 100, f"expected '{'x' * 59}..., got '{'y' * 59}..."),
    ],
    ids=repr,
)
def test_another_structure_is_told_by_its_path(expected, actual, difference):
    found = judged(through_a_file(complete(expected)), actual)
    assert (found.passed, found.difference) == (False, difference)
    assert difference.startswith(found.path)
    assert (found.max_abs_error, found.max_ulp, found.identical_share, found.worst_share) == (None,) * 4


def test_numbers_without_a_counterpart_are_counted():
    found = judged({"a": [1.0, 2.0]}, {"a": [1.0, math.nan, math.inf], "b": {"c": np.array([math.nan] * 4)}})
    assert (found.nan_count, found.inf_count, found.elements) == (5, 1, 7)


def test_figures_are_taken_over_all_arrays_and_the_worst_is_named():
    expected = {"a": np.zeros(3), "b": [np.ones((2, 2)), np.array(["x"])], "c": np.array([5, 6])}
    actual = {"a": np.array([0, 0.25, 0]), "b": [np.array([[1, 1], [1.5, 1]]), np.array(["x"])], "c": np.array([5, 6])}
    found = judged(expected, actual, 1.0)
    assert (found.passed, found.path, found.worst_index) == (True, "['b'][0]", (1, 0))
    assert (found.max_abs_error, found.worst_share, found.max_ulp) == (0.5, 0.5, int(np.float32(0.25).view(np.int32)))
    assert (found.elements, found.identical_share) == (10, 0.8)
    assert (found.expected_shape, found.actual_dtype, found.difference) == ((2, 2), "float64", None)
    actual["c"] = np.array([5, 7])
    wrong = judged(expected, actual, 1.0)
    assert (wrong.passed, wrong.path, wrong.worst_index, wrong.max_ulp) == (False, "['c']", (1,), None)
    actual["a"] = np.array([0, 0, math.nan])
    wrong = judged(expected, actual, 1.0)
    assert (wrong.passed, wrong.path, wrong.worst_index, wrong.nan_count) == (False, "['a']", (2,), 1)
    actual["b"][1] = np.array(["y"])
    wrong = judged(expected, actual, 1.0)
    assert (wrong.difference, wrong.worst_index) == ("['b'][1][0]: expected 'x', got 'y'", (0,))
