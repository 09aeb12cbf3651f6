"""The warp engine against the oracle, compiled or not."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho.projective_warp_xla import translate_xla
from ptycho.tf_helper import _channel_to_flat, _flat_to_channel, pad, translate
from tests.ptycho import oracle
from tests.ptycho.conftest import make_object

OFFSETS = np.array([[3.25, -7.5], [0.0, 0.0], [-60.125, 2.0]], np.float32)


def stack(dtype):
    images = np.stack([make_object(31, 47, np.complex128, seed) for seed in range(3)])[..., None]
    return images.astype(dtype) if np.issubdtype(dtype, np.complexfloating) else images.real.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("use_jit", [True, False])
def test_content_moves_by_plus_offset_and_zeros_come_in(dtype, use_jit):
    images = stack(dtype)
    result = translate_xla(images, OFFSETS, use_jit=use_jit).numpy()
    assert result.dtype == dtype
    assert result.shape == images.shape
    for image, moved, (dx, dy) in zip(images[..., 0], result[..., 0], OFFSETS, strict=True):
        expected = oracle.sample(image, np.arange(31) - dy, np.arange(47) - dx)
        np.testing.assert_allclose(moved, expected, atol=1e-6 if dtype in (np.float32, np.complex64) else 1e-14)


@pytest.mark.parametrize("use_jit", [True, False])
@pytest.mark.parametrize("fill_mode", ["zeros", "edge"])
def test_nearest_takes_the_pixel_at_the_rounded_coordinate(use_jit, fill_mode):
    image = stack(np.float32)[:1]
    result = translate_xla(image, [[2.4, -1.6]], interpolation="nearest", fill_mode=fill_mode, use_jit=use_jit)
    moved = np.roll(image[0, :, :, 0], (-2, 2), axis=(0, 1))
    np.testing.assert_array_equal(result.numpy()[0, :-2, 2:, 0], moved[:-2, 2:])
    border = 0 if fill_mode == "zeros" else image[0, 10, 0, 0]
    assert result.numpy()[0, 8, 0, 0] == border


def test_edge_fill_repeats_the_border():
    image = stack(np.float32)[:1]
    result = translate_xla(image, [[-500.0, 0.0]], fill_mode="edge").numpy()
    np.testing.assert_array_equal(result[0, :, :, 0], np.broadcast_to(image[0, :, -1:, 0], (31, 47)))


def test_compiled_and_plain_run_agree_in_direction_edges_and_batch_order():
    images = stack(np.complex64)
    compiled = translate_xla(images, OFFSETS).numpy()
    plain = translate_xla(images, OFFSETS, use_jit=False).numpy()
    np.testing.assert_allclose(compiled, plain, atol=1e-6, rtol=0)


def test_one_offset_serves_a_whole_batch():
    images = stack(np.float32)
    one = translate_xla(images, OFFSETS[:1]).numpy()
    each = translate_xla(images, np.repeat(OFFSETS[:1], 3, axis=0)).numpy()
    np.testing.assert_array_equal(one, each)


@pytest.mark.parametrize(
    ("images", "offsets", "options", "message"),
    [
        (np.zeros((4, 4), np.float32), [[0.0, 0.0]], {}, "images must have shape"),
        (np.zeros((1, 4, 4, 1), np.int32), [[0.0, 0.0]], {}, "images must be float32"),
        (np.zeros((3, 4, 4, 1), np.float32), np.zeros((2, 2)), {}, "1 row or one per image \\(3\\), got 2"),
        (np.zeros((1, 4, 4, 1), np.float32), [0.0, 0.0], {}, "translations must have shape"),
        (np.zeros((1, 4, 4, 1), np.float32), [[0, 0]], {}, "translations must be floating"),
        (np.zeros((1, 4, 4, 1), np.float32), [[0.0, 0.0]], {"interpolation": "cubic"}, "interpolation must be"),
        (np.zeros((1, 4, 4, 1), np.float32), [[0.0, 0.0]], {"fill_mode": "wrap"}, "fill_mode must be"),
    ],
)
def test_bad_arguments_are_named(images, offsets, options, message):
    with pytest.raises(ValueError, match=message):
        translate_xla(images, offsets, **options)


def test_translate_works_in_a_function_with_unknown_batch():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None, 2])])
    def run(images, offsets):
        return translate(images, offsets)

    images = stack(np.float32)
    np.testing.assert_allclose(run(images, OFFSETS).numpy(), translate(images, OFFSETS).numpy(), atol=1e-6)


def test_flat_patch_b_c_plus_k_is_channel_k_of_group_b():
    patches = tf.reshape(tf.range(2 * 3 * 5 * 4), [2, 3, 5, 4])
    flat = _channel_to_flat(patches).numpy()
    for b in range(2):
        for k in range(4):
            np.testing.assert_array_equal(flat[b * 4 + k, :, :, 0], patches.numpy()[b, :, :, k])
    np.testing.assert_array_equal(_flat_to_channel(flat, 4).numpy(), patches.numpy())


def test_pad_surrounds_with_zeros():
    padded = pad(np.ones((1, 2, 3, 1), np.complex64), 2).numpy()
    assert padded.shape == (1, 6, 7, 1)
    assert padded.sum() == 6
    assert padded[0, 2:4, 2:5, 0].sum() == 6
