import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.validation.outputs.judging import judged
from validation.outputs.elements import ulp_distance


@pytest.fixture
def output():
    rng = np.random.default_rng(0)
    return (rng.uniform(-1, 1, (3, 8, 8, 4)) + 1j * rng.uniform(-1, 1, (3, 8, 8, 4))).astype(np.complex64)


def test_identical_outputs_are_identical(output):
    found = judged(output, output.copy())
    assert found.passed
    assert (found.max_abs_error, found.max_ulp, found.identical_share) == (0.0, 0, 1.0)


@pytest.mark.parametrize("imaginary", [False, True])
def test_one_element_off_by_2e_6_is_refused_and_named(output, imaginary):
    wrong = output.copy()
    wrong[2, 5, 3, 1] += 2e-6j if imaginary else 2e-6
    found = judged(output, wrong)
    assert not found.passed
    assert found.worst_index == (2, 5, 3, 1)
    assert found.max_abs_error == pytest.approx(2e-6, rel=0.1)
    assert found.identical_share == pytest.approx(1 - 1 / output.size)


def test_one_unit_in_the_last_place_is_seen(output):
    wrong = output.copy()
    wrong.real[1, 1, 1, 1] = np.nextafter(wrong.real[1, 1, 1, 1], np.float32(2))
    found = judged(output, wrong)
    assert found.passed
    assert found.max_ulp == 1
    assert found.identical_share < 1.0
    assert found.worst_index == (1, 1, 1, 1)


@pytest.mark.parametrize(("value", "counts"), [(np.nan, (1, 0)), (np.inf, (0, 1)), (complex(0, -np.inf), (0, 1))])
def test_what_is_not_finite_is_counted_and_refused(output, value, counts):
    wrong = output.copy()
    wrong[0, 0, 0, 2] = value
    found = judged(output, wrong)
    assert not found.passed
    assert (found.nan_count, found.inf_count) == counts
    assert found.max_abs_error is None
    assert found.worst_index == (0, 0, 0, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, -np.inf)])
def test_what_is_not_finite_in_the_expected_output_alone_is_refused_and_not_counted(output, value):
    broken = output.copy()
    broken[0, 3, 0, 0] = value
    found = judged(broken, output)
    assert not found.passed
    assert (found.nan_count, found.inf_count) == (0, 0)
    assert (found.max_abs_error, found.worst_index) == (None, (0, 3, 0, 0))


@pytest.mark.parametrize("change", [lambda a: a.astype(np.complex128), lambda a: a[:2], lambda a: a.real.copy()])
def test_another_shape_or_dtype_is_refused(output, change):
    found = judged(output, change(output))
    assert not found.passed
    assert found.max_abs_error is None


def test_an_empty_output_passes():
    empty = np.empty((0, 8, 8, 4), np.complex64)
    found = judged(empty, empty)
    assert found.passed
    assert found.elements == 0


def test_minus_zero_is_zero_but_not_the_same_bits():
    found = judged(np.zeros(3, np.complex64), np.full(3, complex(-0.0, 0.0), np.complex64))
    assert found.max_ulp == 0
    assert found.identical_share == 0.0


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_large_outputs_are_compared_to_the_last_element(size):
    expected = np.zeros(size, np.complex64)
    wrong = expected.copy()
    wrong[-1] = 1.0
    assert judged(expected, wrong).worst_index == (size - 1,)


LARGEST = np.finfo(np.float32).max


@example(float(LARGEST), 1)
@example(float(np.nextafter(LARGEST, np.float32(0))), 3)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 50))
def test_ulp_distance_counts_steps(value, steps):
    start = np.float32(value)
    end, made = start, 0
    while made < steps and end < LARGEST:  # there is no step beyond the largest: NumPy warns of an overflow
        end, made = np.nextafter(end, np.float32(np.inf)), made + 1
    distance = int(ulp_distance(np.array([start]), np.array([end]))[0])
    # Going through zero there are two zeros, which count as one number.
    assert distance == made
