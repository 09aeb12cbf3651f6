"""Defects that are known and not mended yet, since a change of the kernel's sources needs a night of evidence.

Each is strict: a test that passes fails the suite, so that the mark goes with the defect.
"""

import numpy as np
import pytest
import tensorflow as tf

from ptycho import native
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import _get_image_patches_batched, get_image_patches
from ptycho.tf_helper import shift_and_sum, shift_and_sum_old
from tests.ptycho.conftest import make_object, make_positions, to_offsets
from tests.ptycho.test_extraction import padded_workload

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled engine needs numba")


def not_mended(reason):
    return pytest.mark.xfail(strict=True, reason=reason)


def config(batched):
    return TrainingConfig(model=ModelConfig(N=16, gridsize=2, use_batched_patch_extraction=batched))


@not_mended("the compiled gradient takes no IndexedSlices, which tf.gather hands down")
def test_gradients_flow_through_a_choice_of_groups():
    padded, *rest = padded_workload("interior", 8, 2, 3)

    def gradient(engine):
        with tf.GradientTape() as tape:
            tape.watch(padded)
            chosen = tf.gather(_get_image_patches_batched(padded, *rest, engine=engine), [0, 2])
            loss = tf.reduce_sum(tf.abs(chosen) ** 2)
        return tape.gradient(loss, padded).numpy()

    expected = gradient("xla")
    np.testing.assert_allclose(gradient("native"), expected, atol=1e-4, rtol=0)


@not_mended("the compiled gradient is connected to nothing, so that a second derivative is None")
def test_second_derivatives_flow_to_the_object():
    padded, *rest = padded_workload("interior", 8, 2, 3)

    def second(engine):
        with tf.GradientTape() as outer:
            outer.watch(padded)
            with tf.GradientTape() as inner:
                inner.watch(padded)
                loss = tf.reduce_sum(tf.abs(_get_image_patches_batched(padded, *rest, engine=engine)) ** 2)
            first = inner.gradient(loss, padded)
            slope = tf.reduce_sum(tf.math.real(first))
        return outer.gradient(slope, padded)

    assert second("xla") is not None
    assert second("native") is not None


@not_mended("TensorFlow takes subnormal numbers for zero, the compiled kernels compute with them")
def test_an_object_that_fades_into_subnormal_numbers_gives_the_same_bits():
    y, x = np.mgrid[:200, :180] - 90.0
    fading = np.exp(-(x**2 + y**2) / 50).astype(np.complex64)
    assert np.count_nonzero((np.abs(fading) > 0) & (np.abs(fading) < np.finfo(np.float32).tiny))
    offsets = to_offsets(make_positions("interior", 80, 200, 180), 2)
    loop = get_image_patches(fading, *offsets, config=config(False)).numpy()
    fast = get_image_patches(fading, *offsets, config=config(True)).numpy()
    np.testing.assert_allclose(fast, loop, atol=1e-37, rtol=0)
    np.testing.assert_array_equal(fast.view(np.int64), loop.view(np.int64))


@not_mended("inside tf.function one group of global offsets is broadcast over all groups of local offsets")
def test_numbers_of_groups_that_differ_are_refused_inside_a_function_too():
    centre, local = to_offsets(make_positions("interior", 20, 83, 71), 2)
    unknown = [tf.TensorSpec([None, *part.shape[1:]], tf.float64) for part in (centre, local)]
    image = tf.constant(make_object())
    run = tf.function(lambda *parts: get_image_patches(image, *parts, config=config(True)), input_signature=unknown)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        run(tf.constant(centre[:1]), tf.constant(local))


@not_mended("a NumPy array that a tf.function captures is indexed with a symbolic number")
def test_captured_arrays_are_placed_inside_a_function():
    patches = np.stack([make_object(16, 16, seed=number) for number in range(5)])[..., None]
    offsets = np.random.default_rng(3).uniform(0, 20, (5, 1, 1, 2))
    inside = tf.function(lambda at: shift_and_sum(patches, at, M=8))(tf.constant(offsets)).numpy()
    np.testing.assert_allclose(inside, shift_and_sum_old(patches, offsets, M=8).numpy(), atol=1e-6, rtol=0)


@not_mended("inside tf.function the weights of placement depend on the offsets")
def test_no_gradient_flows_to_the_offsets_of_placement_inside_a_function_either():
    patches = tf.constant(np.stack([make_object(16, 16, seed=number) for number in range(5)])[..., None])
    offsets = tf.constant(np.random.default_rng(3).uniform(0, 20, (5, 1, 1, 2)))

    def gradient(at):
        with tf.GradientTape() as tape:
            tape.watch(at)
            loss = tf.reduce_sum(tf.abs(shift_and_sum(patches, at, M=8)) ** 2)
        found = tape.gradient(loss, at)
        return tf.zeros_like(at) if found is None else found

    assert not gradient(offsets).numpy().any()
    assert not tf.function(gradient)(offsets).numpy().any()
