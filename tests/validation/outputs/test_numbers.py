"""Which numbers are equal: within tolerances, with NaN and Inf, of any dtype and layout; NumPy judges as well."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.validation.outputs.judging import judged
from validation.outputs import elements

FLOATS = ("float16", "float32", "float64", ">f4", ">f8", "longdouble")
COMPLEX = ("complex64", "complex128", ">c16", "clongdouble")
SPECIAL = (np.nan, np.inf, -np.inf)


def numpy_allows(expected, actual, atol, rtol):
    """Whether NumPy finds two arrays of floating-point numbers equal, NaN to NaN and Inf to Inf; part by part."""
    try:
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True, strict=True)
    except AssertionError:
        return False
    return True


@st.composite
def two_arrays(draw, dtypes, shape=None):
    """An array, and one of the same shape and dtype that has other numbers in some places."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    numbers = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, 1024.0, *SPECIAL])
    if shape is None:
        shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    expected = draw(npst.arrays(np.float64, shape, elements=numbers)).astype(dtype)
    near = st.sampled_from([0.0, 0.0, 0.0, 0.0625, 0.125, 0.25, 1.0, *SPECIAL])
    with np.errstate(invalid="ignore"):
        actual = np.asarray(expected + draw(npst.arrays(np.float64, shape, elements=near)), dtype)
    return expected, actual


@given(two_arrays(FLOATS), st.sampled_from([0.0, 0.0625, 0.25]), st.sampled_from([0.0, 0.0625, 0.125]))
def test_what_numpy_finds_close_passes_and_nothing_else(arrays, atol, rtol):
    expected, actual = arrays
    assert judged(expected, actual, atol, rtol=rtol).passed == numpy_allows(expected, actual, atol, rtol)


@given(two_arrays(FLOATS), st.sampled_from([0.0, 0.0625, 0.25]))
def test_the_worst_element_is_where_numpy_finds_the_largest_error(arrays, atol):
    expected, actual = arrays
    found = judged(expected, actual, atol)
    alike = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    with np.errstate(invalid="ignore"):
        errors = np.where(alike, 0.0, np.abs(expected.astype(float) - actual.astype(float)))
    if not np.isfinite(errors).all():
        first = np.unravel_index(np.argmin(np.isfinite(errors)), errors.shape)
        assert (found.max_abs_error, found.worst_index) == (None, first)
    elif errors.size:
        assert found.max_abs_error == errors.max() == errors[found.worst_index]
    assert found.nan_count == np.count_nonzero(np.isnan(actual) & ~np.isnan(expected))
    assert found.inf_count == np.count_nonzero(np.isinf(actual) & (expected != actual))


@given(st.data(), st.sampled_from(COMPLEX), st.integers(0, 4))
def test_real_and_imaginary_parts_are_equal_or_not_each_for_itself(data, dtype, size):
    real, imaginary = (data.draw(two_arrays(["float32"], shape=(size,))) for _ in range(2))
    expected, actual = np.empty(size, dtype), np.empty(size, dtype)
    for array, one, two in zip((expected, actual), real, imaginary, strict=True):
        array.real, array.imag = one, two
    alike = numpy_allows(*real, 0.0, 0.0) and numpy_allows(*imaginary, 0.0, 0.0)
    assert judged(expected, actual, 0.0).passed == alike


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("special", SPECIAL)
def test_the_same_nan_or_inf_in_the_same_place_is_equal_and_not_counted(dtype, special):
    expected = np.array([1, special, 2], dtype)
    actual = np.array([1, special, 2.25], dtype)
    found = judged(expected, actual, 0.25)
    assert found.passed
    assert (found.nan_count, found.inf_count) == (0, 0)
    assert (found.max_abs_error, found.worst_index) == (0.25, (2,))


def test_nans_are_equal_whatever_their_other_bits_are():
    expected, actual = np.uint32([0x7FC00000]).view(np.float32), np.uint32([0xFFC00001]).view(np.float32)
    found = judged(expected, actual, 0.0)
    assert found.passed
    assert (found.identical_share, found.max_ulp) == (0.0, 0)


@pytest.mark.parametrize(
    ("expected", "actual", "counts"),
    [
        (np.inf, -np.inf, (0, 1)),
        (np.nan, np.inf, (0, 1)),
        (np.inf, np.nan, (1, 0)),
        (np.nan, 1.0, (0, 0)),
        (complex(np.nan, 1.0), complex(1.0, np.nan), (1, 0)),
        (complex(np.nan, 1.0), complex(np.nan, np.inf), (0, 1)),
        (complex(1.0, 1.0), complex(np.nan, np.inf), (1, 0)),
        (complex(np.inf, 0.0), complex(np.inf, np.nan), (1, 0)),
    ],
)
def test_another_nan_or_inf_differs_and_is_counted(expected, actual, counts):
    found = judged(np.array([1, expected]), np.array([1, actual]), 1.0)
    assert not found.passed
    assert (found.nan_count, found.inf_count, found.worst_index) == (*counts, (1,))
    assert (found.max_abs_error, found.worst_share) == (None, None)


def test_an_infinite_part_that_is_equal_allows_nothing_to_the_other_part():
    expected, actual = np.array([complex(np.inf, 1.0)]), np.array([complex(np.inf, 2.0)])
    found = judged(expected, actual, 0.5, rtol=0.25)
    assert not found.passed
    assert found.max_abs_error == 1.0


def test_what_passes_grows_with_the_expected_magnitude_and_not_with_the_actual_one():
    assert judged(np.array([8.0]), np.array([9.0]), 0.0, rtol=0.125).passed
    assert not judged(np.array([7.875]), np.array([8.875]), 0.0, rtol=0.125).passed
    assert judged(np.complex64([8j]), np.complex64([1 + 8j]), 0.0, rtol=0.125).passed


def test_the_worst_element_takes_the_largest_share_of_what_it_may_be_off():
    found = judged(np.array([1.0, 100.0]), np.array([1.5, 102.0]), 0.25, rtol=0.25)
    assert (found.worst_index, found.worst_share, found.max_abs_error) == ((0,), 1.0, 2.0)
    assert found.passed
    assert (found.atol, found.rtol) == (0.25, 0.25)


def test_differences_are_told_and_allowed_in_units_of_the_scale():
    expected, actual = np.array([0.0, 8.0]), np.array([2.0, 8.0])
    found = judged(expected, actual, 0.5, scale=4.0)
    assert (found.passed, found.max_abs_error, found.worst_share) == (True, 0.5, 1.0)
    assert not judged(expected, actual, 0.5, scale=3.5).passed
    # The share of the expected magnitude does not depend on the scale.
    assert judged(np.array([8.0]), np.array([9.0]), 0.0, rtol=0.125, scale=4.0).passed
    assert not judged(np.array([8.0]), np.array([9.25]), 0.0, rtol=0.125, scale=4.0).passed


@pytest.mark.parametrize(
    ("name", "wrong"), [("scale", 0.0), ("scale", np.inf), ("atol", -1.0), ("atol", np.nan), ("rtol", np.inf)]
)
def test_a_tolerance_that_is_none_is_refused_by_name(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be"):
        judged(np.ones(1), np.ones(1), **{name: wrong})


@pytest.mark.parametrize("rtol", [0.0, 4.0])  # of the largest number it allows an infinite difference
def test_a_difference_too_large_for_a_number_is_refused_without_a_figure(rtol):
    largest = np.finfo(float).max
    found = judged(np.array([largest]), np.array([-largest]), 1.0, rtol=rtol)
    assert (found.passed, found.max_abs_error, found.worst_share, found.worst_index) == (False, None, None, (0,))


def test_a_difference_that_only_a_wider_number_can_tell_is_told():
    if np.finfo(np.longdouble).eps == np.finfo(float).eps:
        pytest.skip("long double is double here")
    expected = np.array([1.0], np.longdouble)
    found = judged(expected, expected + np.finfo(np.longdouble).eps, 0.0)
    assert not found.passed
    assert found.max_abs_error == float(np.finfo(np.longdouble).eps)


INTEGERS = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]


@st.composite
def two_integer_arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
    shape = draw(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4))
    expected = draw(npst.arrays(dtype, shape))
    return expected, draw(st.just(expected.copy()) | npst.arrays(dtype, shape))


@example((np.int64([-(2**63)]), np.int64([2**63 - 1])))
@example((np.uint64([0]), np.uint64([2**64 - 1])))
@given(two_integer_arrays())
def test_integers_are_equal_exactly_and_their_difference_is_told(arrays):
    expected, actual = arrays
    found = judged(expected, actual, atol=1e30, rtol=1.0)
    apart = [abs(int(one) - int(two)) for one, two in zip(expected.flat, actual.flat, strict=True)]
    assert found.passed == (not any(apart))
    assert found.max_abs_error == float(max(apart, default=0))
    if any(apart):
        assert apart[int(np.ravel_multi_index(found.worst_index, actual.shape))] == max(apart)
        assert (found.max_ulp, found.worst_share) == (None, None)


def test_truths_are_equal_exactly():
    found = judged(np.array([True, False]), np.array([True, True]), atol=2.0)
    assert (found.passed, found.max_abs_error, found.worst_index) == (False, 1.0, (1,))


@pytest.mark.parametrize(
    ("expected", "actual", "dtype", "said"),
    [
        (["2020-01-01", "NaT"], ["2020-01-02", "NaT"], "M8[D]", "[0]: expected 2020-01-01, got 2020-01-02"),
        (["2020-01-01", "NaT"], ["2020-01-01", "2020"], "M8[D]", "[1]: expected NaT, got 2020-01-01"),
        ([1, 2], [1, 3], "m8[s]", "[1]: expected 2 seconds, got 3 seconds"),
        ([["ab", "c"]], [["ab", "d"]], "U2", "[0, 1]: expected 'c', got 'd'"),
        ([b"ab"], [b"ac"], "S2", "[0]: expected b'ab', got b'ac'"),
        ([b"ab"], [b"ac"], "V2", "[0]: expected b'ab', got b'ac'"),
    ],
)
def test_times_and_texts_are_equal_exactly_and_a_difference_is_told_in_words(expected, actual, dtype, said):
    expected, actual = np.array(expected, dtype), np.array(actual, dtype)
    assert judged(expected, expected.copy(), 0.0).passed
    found = judged(expected, actual, atol=1e30)
    assert not found.passed
    assert found.difference == said
    assert said.startswith(str(list(found.worst_index)))


UNLIKE = ["?", "i4", "<i8", ">i8", "u8", "f4", "<f8", ">f8", "c8", "c16", "M8[s]", "M8[ms]", "m8[s]", "U1", "U2", "S1"]


@pytest.mark.parametrize("one", UNLIKE)
def test_arrays_are_equal_only_to_arrays_of_the_same_dtype(one):
    passed = [two for two in UNLIKE if judged(np.zeros(2, one), np.zeros(2, two)).passed]
    assert passed == [one]


@pytest.mark.parametrize("shapes", [((), (1,)), ((2, 3), (3, 2)), ((0,), (0, 0)), ((1, 3), (3,))])
def test_another_shape_is_named(shapes):
    found = judged(np.zeros(shapes[0]), np.zeros(shapes[1]))
    assert not found.passed
    assert (found.expected_shape, found.actual_shape) == shapes
    assert found.difference.startswith("expected float64")


def layouts(array):
    """The same numbers in memory of other layouts."""
    yield np.asfortranarray(array)
    yield np.repeat(array, 2, axis=0)[::2]
    yield np.ascontiguousarray(array[::-1, :, ::-1])[::-1, :, ::-1]
    yield np.ascontiguousarray(array.transpose(2, 0, 1)).transpose(1, 2, 0)
    read_only = array.copy()
    read_only.flags.writeable = False
    yield read_only
    yield np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


@pytest.mark.parametrize("pieces", [7, 1 << 16])
@pytest.mark.parametrize("dtype", ["c8", ">f8", "f2", "i2", "?", "M8[s]", "U3"])
def test_the_layout_of_memory_is_no_difference(monkeypatch, dtype, pieces):
    monkeypatch.setattr(elements, "_CHUNK", pieces)
    array = np.arange(60).reshape(3, 4, 5).astype("i8" if dtype in ("M8[s]", "U3") else "f8").astype(dtype)
    wrong = array.copy()
    wrong[2, 1, 3] = array[0, 0, 1] if dtype != "?" else False
    for laid in layouts(array):
        assert judged(array, laid, 0.0).identical_share == judged(laid, array, 0.0).identical_share == 1.0
        assert judged(wrong, laid, 0.0).worst_index == judged(laid, wrong, 0.0).worst_index == (2, 1, 3)


def test_a_large_array_that_does_not_lie_in_one_piece_is_never_copied_whole():
    array = np.zeros((1 << 11, 1 << 11), np.complex64).T
    tracemalloc.start()
    assert judged(array, array).passed
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 2


def test_whoever_waits_can_end_a_comparison():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(np.zeros(1), np.zeros(1), require_going=stop)
