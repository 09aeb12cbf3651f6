"""Comparison of outputs at its limits: the tolerance itself, several pieces, the records it fills in."""

import functools

import numpy as np
import pytest

from tests.validation.outputs import judging
from validation.outputs import elements
from validation.outputs.elements import ulp_distance

judged = functools.partial(judging.judged, atol=0.5)


def test_an_error_of_exactly_the_tolerance_passes():
    zero = np.zeros(4, np.float32)
    assert judged(zero, np.float32([0, 0.5, 0, 0])).passed
    assert not judged(zero, np.float32([0, np.nextafter(np.float32(0.5), np.float32(1)), 0, 0])).passed


def test_the_first_of_equally_wrong_elements_is_named():
    found = judged(np.zeros((2, 3), np.float32), np.float32([[0, 1, 0], [1, 0, 1]]))
    assert found.worst_index == (0, 1)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(elements, "_CHUNK", 4)


@pytest.mark.usefixtures("small_pieces")
def test_figures_are_taken_over_all_pieces():
    expected = np.ones(11, np.complex64)
    actual = expected.copy()
    actual[[1, 5, 6, 9]] += np.complex64([0.25, 0.125, 0.375j, 0.125])
    found = judged(expected, actual)
    assert (found.max_abs_error, found.worst_index) == (0.375, (6,))
    assert found.identical_share == pytest.approx(7 / 11)
    # 1 -> 1.25 is a quarter of a binade of 2**23 numbers; 0 -> 0.375 passes almost all that are smaller.
    assert found.max_ulp == int(np.float32(0.375).view(np.int32))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("broken", [0, 5, 10])
def test_a_piece_that_is_not_finite_spoils_all_figures_and_is_named(broken):
    expected = np.ones(11, np.complex64)
    actual = expected.copy()
    actual[2] += 100  # the largest error is not where the NaN is
    actual[broken] = np.nan
    found = judged(expected, actual)
    assert not found.passed
    assert (found.max_abs_error, found.max_ulp, found.worst_index) == (None, None, (broken,))
    assert (found.nan_count, found.inf_count) == (1, 0)


@pytest.mark.usefixtures("small_pieces")
def test_nan_and_inf_are_counted_over_pieces_also_where_the_shape_is_wrong():
    actual = np.ones(15, np.complex64)  # the second piece is clean
    actual[[0, 10, 13]] = np.nan
    actual[[1, 9]] = np.inf
    for expected in (np.ones(15, np.complex64), np.ones(16, np.complex64)):
        found = judged(expected, actual)
        assert (found.nan_count, found.inf_count, found.passed) == (3, 2, False)
    assert (found.max_abs_error, found.max_ulp, found.identical_share, found.worst_index) == (None,) * 4


@pytest.mark.usefixtures("small_pieces")
def test_the_first_element_that_is_not_finite_is_named():
    actual = np.ones(11, np.float32)
    actual[[6, 9]] = np.inf
    assert judged(np.ones(11, np.float32), actual).worst_index == (6,)


def test_where_nothing_differs_the_first_element_is_the_worst() -> None:
    same = np.ones((2, 3), np.complex64)
    found = judged(same, same)
    assert (found.max_abs_error, found.worst_index) == (0.0, (0, 0))


def test_where_only_bits_differ_their_first_place_is_the_worst():
    found = judged(np.zeros(3, np.float32), np.float32([0.0, -0.0, -0.0]))
    assert (found.max_abs_error, found.worst_index) == (0.0, (1,))


def test_the_record_says_what_was_compared():
    found = judged(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.complex64))
    assert (found.expected, found.actual, found.atol, found.elements) == ("oracle", "batched", 0.5, 8)
    assert (found.expected_shape, found.actual_shape) == ((2, 3), (2, 4))
    assert (found.expected_dtype, found.actual_dtype) == ("float32", "complex64")


def test_an_empty_output_is_identical_and_has_no_worst_element():
    found = judged(np.empty((0, 3), np.float32), np.empty((0, 3), np.float32))
    assert (found.passed, found.identical_share, found.worst_index) == (True, 1.0, None)
    assert (found.max_abs_error, found.max_ulp) == (0.0, 0)


def test_differences_below_float32_are_measured_in_float64():
    expected = np.ones(3, np.complex128)
    actual = expected + 1e-12
    found = judged(expected, actual)
    assert found.max_abs_error == pytest.approx(1e-12, rel=1e-3)
    assert found.max_ulp == 0
    assert found.identical_share == 0.0


def test_ulp_distance_goes_through_zero_and_does_not_depend_on_the_order():
    tiny = np.float32(1e-45)
    left, right = np.float32([-tiny, 0.0, -0.0, 1.0]), np.float32([tiny, -0.0, tiny, -1.0])
    np.testing.assert_array_equal(ulp_distance(left, right), [2, 0, 1, 2 * 0x3F800000])
    np.testing.assert_array_equal(ulp_distance(right, left), ulp_distance(left, right))


def test_the_real_part_and_the_imaginary_part_are_both_looked_at():
    expected = np.complex64([1 + 1j])
    up = np.nextafter(np.float32(1), np.float32(2))
    assert judged(expected, np.complex64([up + 1j])).max_ulp == 1
    assert judged(expected, np.complex64([complex(1, up)])).max_ulp == 1


def test_steps_are_those_of_float32_also_between_float64_numbers():
    found = judged(np.ones(3), np.array([1.0, np.nextafter(np.float32(1), np.float32(2)), 1 + 1e-12]))
    assert found.max_ulp == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex64", "complex128"])
def test_a_change_of_any_byte_is_seen_in_its_element_alone(dtype):
    expected = np.arange(1, 4).astype(dtype)
    size = expected.itemsize
    for byte in range(size):
        actual = expected.copy()
        actual.view(np.uint8)[size + byte] ^= 1
        assert elements._same_bits(expected, actual).tolist() == [True, False, True]
    assert elements._same_bits(expected, expected.copy()).all()
