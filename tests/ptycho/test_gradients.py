"""Derivatives of extraction and placement, of every engine and order, against each other."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho import native
from ptycho.raw_data import _get_image_patches_batched
from ptycho.tf_helper import shift_and_sum, shift_and_sum_old
from tests.ptycho.conftest import make_object
from tests.ptycho.test_extraction import padded_workload

compiled_engine = pytest.mark.skipif(not native.available(), reason="the compiled engine needs numba")


def extraction(engine, dtype=np.complex64):
    padded, *rest = padded_workload("border", 8, 2, 3)
    return tf.cast(padded, dtype), lambda image: _get_image_patches_batched(image, *rest, engine=engine)


def loss_of(patches):
    return tf.reduce_sum(tf.cast(tf.abs(patches), tf.float32) ** 4)  # its second derivative is not constant


@compiled_engine
def test_gradients_flow_through_a_choice_of_groups():
    def gradient(engine):
        padded, run = extraction(engine)
        with tf.GradientTape() as tape:
            tape.watch(padded)
            loss = loss_of(tf.gather(run(padded), [0, 2]))  # hands IndexedSlices down
        return tape.gradient(loss, padded).numpy()

    expected = gradient("xla")
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(gradient("native"), expected, rtol=1e-4, atol=1e-4)


@compiled_engine
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_second_derivatives_flow_to_the_object(dtype):
    def second(engine):
        padded, run = extraction(engine, dtype)
        with tf.GradientTape() as outer:
            outer.watch(padded)
            with tf.GradientTape() as inner:
                inner.watch(padded)
                loss = loss_of(run(padded))
            slope = tf.reduce_sum(tf.math.real(inner.gradient(loss, padded)))
        return outer.gradient(slope, padded).numpy()

    expected = second("xla")
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(second("native"), expected, rtol=1e-4, atol=1e-4)


@compiled_engine
def test_the_second_derivative_is_the_difference_of_first_ones():
    padded, run = extraction("native", np.complex128)
    direction = tf.constant(make_object(*padded.shape[1:3], np.complex128, seed=5)[None, ..., None])

    def first(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = loss_of(run(image))
        return tape.gradient(loss, image)

    def along(gradient):
        return tf.reduce_sum(tf.math.real(tf.math.conj(gradient) * direction))

    with tf.GradientTape() as tape:
        tape.watch(padded)
        slope = along(first(padded))
    curvature = along(tape.gradient(slope, padded)).numpy()
    step = 1e-2
    difference = (along(first(padded + step * direction)) - along(first(padded - step * direction))) / (2 * step)
    assert abs(curvature - difference.numpy()) <= 2e-3 * abs(curvature)


@compiled_engine
def test_a_jacobian_holds_the_gradient_of_each_pixel():
    """TensorFlow asks for it inside a function, where the compiled kernels cannot run."""
    padded, run = extraction("native")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(padded)
        some = run(padded)[0, :2, :2, 1]
        pixels = [some[row, column] for row in range(2) for column in range(2)]
    jacobian = tape.jacobian(some, padded).numpy().reshape(4, *padded.shape)
    expected = np.stack([tape.gradient(pixel, padded).numpy() for pixel in pixels])
    assert np.count_nonzero(expected) >= 9
    np.testing.assert_allclose(jacobian, expected, atol=1e-6, rtol=0)


def placement_arguments():
    patches = tf.constant(np.stack([make_object(16, 16, seed=number) for number in range(5)])[..., None])
    return patches, tf.constant(np.random.default_rng(3).uniform(0, 20, (5, 1, 1, 2)))


def test_no_gradient_flows_to_the_offsets_of_placement_inside_a_function_either():
    patches, offsets = placement_arguments()

    def gradient(at):
        with tf.GradientTape() as tape:
            tape.watch(at)
            loss = tf.reduce_sum(tf.abs(shift_and_sum(patches, at, M=8)) ** 2)
        found = tape.gradient(loss, at)
        return tf.zeros_like(at) if found is None else found

    assert not gradient(offsets).numpy().any()
    assert not tf.function(gradient)(offsets).numpy().any()


def test_second_derivatives_of_placement_are_those_of_the_loop():
    patches, offsets = placement_arguments()

    def second(place):
        with tf.GradientTape() as outer:
            outer.watch(patches)
            with tf.GradientTape() as inner:
                inner.watch(patches)
                chosen = tf.gather(place(patches, offsets, M=8), np.arange(3, 12))
                loss = loss_of(chosen)
            slope = tf.reduce_sum(tf.math.real(inner.gradient(loss, patches)))
        return outer.gradient(slope, patches).numpy()

    expected = second(shift_and_sum_old)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(second(shift_and_sum), expected, rtol=1e-3, atol=1e-3)
