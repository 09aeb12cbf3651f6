"""Patch extraction against the independent float64 oracle."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho import params
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import _get_image_patches_batched, _get_image_patches_iterative, get_image_patches
from ptycho.tf_helper import pad
from tests.ptycho import oracle
from tests.ptycho.conftest import PATTERNS, make_object, make_positions, to_offsets


def flat(global_offsets, local_offsets):
    """float32(global + local) as (B*c, 2)."""
    total = global_offsets + local_offsets  # (B, 1, 2, c)
    return np.swapaxes(total[:, 0], 1, 2).reshape(-1, 2).astype(np.float32)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("N", "gridsize", "B"), [(16, 1, 1), (16, 2, 3), (8, 3, 2)])
def test_patches_agree_with_the_oracle(pattern, dtype, N, gridsize, B):
    image = make_object(dtype=dtype)
    positions = make_positions(pattern, B * gridsize**2, *image.shape)
    offsets = to_offsets(positions, gridsize)
    result = get_image_patches(image, *offsets, N=N, gridsize=gridsize).numpy()
    expected = oracle.patches(image, flat(*offsets), N, B, gridsize**2)
    assert result.dtype == np.complex64
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-6, rtol=0)


def test_an_object_that_says_where_it_was_sampled_shows_axis_order_and_sign():
    image = (np.arange(50)[None, :] + 1j * np.arange(90)[:, None]).astype(np.complex64)
    offsets = to_offsets(np.array([[20.25, 60.75]]), 1)
    patch = get_image_patches(image, *offsets, N=8, gridsize=1).numpy()[0, :, :, 0]
    step = np.arange(8) - 4
    np.testing.assert_allclose(patch.real, np.broadcast_to(20.25 + step[None, :], (8, 8)), atol=1e-5)
    np.testing.assert_allclose(patch.imag, np.broadcast_to(60.75 + step[:, None], (8, 8)), atol=1e-5)


def test_integer_offsets_slice_bit_for_bit():
    image = make_object()
    offsets = to_offsets(np.array([[30.0, 40.0], [21.0, 55.0], [33.0, 12.0], [40.0, 41.0]]), 2)
    result = get_image_patches(image, *offsets, N=16, gridsize=2).numpy()
    for k, (x, y) in enumerate([(30, 40), (21, 55), (33, 12), (40, 41)]):
        np.testing.assert_array_equal(result[0, :, :, k], image[y - 8 : y + 8, x - 8 : x + 8])


def test_both_layouts_of_the_offsets_give_the_same_patches():
    image = make_object()
    global_offsets, local_offsets = to_offsets(make_positions("interior", 18, *image.shape), 3)
    other_global = np.swapaxes(global_offsets, 2, 3)
    other_local = np.swapaxes(local_offsets[:, 0], 1, 2).reshape(2, 3, 3, 2)
    first = get_image_patches(image, global_offsets, local_offsets, N=8, gridsize=3).numpy()
    second = get_image_patches(image, other_global, other_local, N=8, gridsize=3).numpy()
    np.testing.assert_array_equal(first, second)


def test_an_empty_batch_gives_an_empty_result():
    empty = to_offsets(np.zeros((0, 2)), 2)
    result = get_image_patches(make_object(), *empty, N=16, gridsize=2)
    assert result.shape == (0, 16, 16, 4)
    assert result.dtype == tf.complex64


def test_an_object_smaller_than_N_is_surrounded_by_zeros():
    image = make_object(5, 3)
    offsets = to_offsets(np.array([[1.0, 2.0]]), 1)
    patch = get_image_patches(image, *offsets, N=16, gridsize=1).numpy()[0, :, :, 0]
    expected = np.zeros((16, 16), np.complex64)
    expected[6:11, 7:10] = image
    np.testing.assert_array_equal(patch, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_real_input_is_accepted(dtype):
    image = (make_object().real * 100).astype(dtype)
    offsets = to_offsets(make_positions("interior", 2, *image.shape), 1)
    result = get_image_patches(image, *offsets, N=8, gridsize=1).numpy()
    promoted = image.astype(np.complex128 if dtype == np.float64 else np.complex64)
    np.testing.assert_array_equal(result, get_image_patches(promoted, *offsets, N=8, gridsize=1).numpy())


def test_a_complex128_object_is_rounded_once():
    image = make_object(dtype=np.complex128)
    offsets = to_offsets(make_positions("interior", 4, *image.shape), 1)
    result = get_image_patches(image, *offsets, N=16, gridsize=1).numpy()
    expected = oracle.patches(image, flat(*offsets), 16, 4, 1).astype(np.complex64)
    assert (result == expected).mean() > 0.999


def test_argument_comes_before_config_and_config_before_the_legacy_dictionary():
    image = make_object()
    offsets = to_offsets(make_positions("interior", 4, *image.shape), 1)
    config = TrainingConfig(model=ModelConfig(N=12, gridsize=1))
    params.set("N", 8)
    assert get_image_patches(image, *offsets).shape == (4, 8, 8, 1)
    assert get_image_patches(image, *offsets, config=config).shape == (4, 12, 12, 1)
    assert get_image_patches(image, *offsets, N=16, config=config).shape == (4, 16, 16, 1)


GOOD = to_offsets(np.full((4, 2), 20.0), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"N": 7}, "N must be an even positive integer, got 7"),
        ({"N": 0}, "N must be an even positive integer, got 0"),
        ({"gridsize": 0}, "gridsize must be a positive integer, got 0"),
        ({"gt_image": np.zeros((4, 4, 4))}, "gt_image must be a non-empty object"),
        ({"gt_image": np.array([["a"]])}, "gt_image must be real or complex"),
        ({"global_offsets": np.zeros((1, 2))}, "global_offsets must have shape"),
        ({"global_offsets": np.zeros((2, 1, 2, 1))}, "same number of groups, got 2 and 1"),
        ({"local_offsets": np.zeros((1, 1, 2, 9))}, "local_offsets must have shape"),
        ({"global_offsets": np.full((1, 1, 2, 1), np.nan)}, "must be finite, got 8 values"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected_and_what_came(changes, message):
    arguments = {
        "gt_image": make_object(),
        "global_offsets": GOOD[0],
        "local_offsets": GOOD[1],
        "N": 8,
        "gridsize": 2,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        get_image_patches(**arguments)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("N", "gridsize", "B"), [(16, 1, 1), (16, 2, 5), (8, 3, 2), (16, 2, 0)])
def test_batched_and_iterative_give_the_same_bits(pattern, dtype, N, gridsize, B):
    image = make_object(dtype=dtype)
    c = gridsize**2
    offsets = flat(*to_offsets(make_positions(pattern, B * c, *image.shape), gridsize)).reshape(-1, 1, 2, 1)
    padded = pad(image[None, :, :, None], N // 2)
    reference = _get_image_patches_iterative(padded, offsets, N, B, c).numpy()
    for layout in (offsets, np.swapaxes(offsets, 2, 3)):
        result = _get_image_patches_batched(padded, layout, N, B, c).numpy()
        assert result.dtype == reference.dtype
        np.testing.assert_array_equal(result.view(np.int32), reference.view(np.int32))


@pytest.mark.parametrize("implementation", [_get_image_patches_iterative, _get_image_patches_batched])
@pytest.mark.parametrize(
    ("padded", "offsets", "message"),
    [
        (np.zeros((9, 9), np.complex64), np.zeros((4, 1, 2, 1)), "gt_padded must have shape"),
        (np.zeros((1, 9, 9, 1), np.float32), np.zeros((4, 1, 2, 1)), "gt_padded must be complex64 or complex128"),
        (np.zeros((1, 9, 9, 1), np.complex64), np.zeros((4, 2)), "offsets_f must have shape"),
        (np.zeros((1, 9, 9, 1), np.complex64), np.zeros((3, 1, 2, 1)), r"must hold B\*c = 1\*4 = 4 offsets, got 3"),
    ],
)
def test_both_implementations_check_their_arguments(implementation, padded, offsets, message):
    with pytest.raises(ValueError, match=message):
        implementation(padded, offsets, 8, 1, 4)
