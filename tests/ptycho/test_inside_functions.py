"""What is checked or converted inside ``tf.function``, where shapes and values are known late."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import get_image_patches
from ptycho.stream import iter_patches, patch_dataset
from ptycho.tf_helper import reassemble_position, reassemble_position_old, shift_and_sum, shift_and_sum_old
from tests.ptycho.conftest import make_object, make_positions, to_offsets

CONFIG = TrainingConfig(model=ModelConfig(N=16, gridsize=2, use_batched_patch_extraction=True))
CENTRE, LOCAL = to_offsets(make_positions("interior", 20, 83, 71), 2)
PATCHES = np.stack([make_object(16, 16, seed=number) for number in range(5)])[..., None]
OFFSETS = np.random.default_rng(3).uniform(0, 20, (5, 1, 1, 2))


def of_unknown_length(*arrays):
    return [tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in arrays]


def extraction():
    image = tf.constant(make_object())
    return tf.function(
        lambda *parts: get_image_patches(image, *parts, config=CONFIG), input_signature=of_unknown_length(CENTRE, LOCAL)
    )


def test_numbers_of_groups_that_differ_are_refused():
    run = extraction()
    assert run(CENTRE, LOCAL).shape == (5, 16, 16, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the same number of groups"):
        run(CENTRE[:1], LOCAL)


def test_offsets_that_are_not_finite_are_refused():
    broken = CENTRE.copy()
    broken[2, 0, 1, 0] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"global_offsets .* must be finite"):
        extraction()(broken, LOCAL)
    run = tf.function(lambda at: shift_and_sum(tf.constant(PATCHES), at, M=8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="global_offsets must be finite"):
        run(tf.constant(np.where(np.arange(5)[:, None, None, None] == 3, np.inf, OFFSETS)))


@pytest.mark.parametrize(
    ("patches", "offsets", "M", "message"),
    [
        (PATCHES[:0], OFFSETS[:0], 8, "at least one patch"),
        (PATCHES, OFFSETS[:4], 8, "one offset per patch"),
        (PATCHES, OFFSETS, 18, "M must be at most N"),
    ],
)
@pytest.mark.parametrize("place", [shift_and_sum, reassemble_position])
def test_patches_that_do_not_fit_are_refused(place, patches, offsets, M, message):
    signature = [tf.TensorSpec([None, None, None, 1], tf.complex64), tf.TensorSpec([None, 1, 1, 2], tf.float64)]
    run = tf.function(lambda *parts: place(tf.ensure_shape(parts[0], [None, None, None, 1]), parts[1], M=M), signature)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=message):
        run(patches, offsets)


@pytest.mark.parametrize(
    ("new", "old"), [(shift_and_sum, shift_and_sum_old), (reassemble_position, reassemble_position_old)]
)
@pytest.mark.parametrize("chunk_size", [None, 2, 3])
def test_captured_arrays_are_placed_with_the_bits_of_the_loop(new, old, chunk_size):
    inside = tf.function(lambda at: new(PATCHES, at, M=8, chunk_size=chunk_size))(tf.constant(OFFSETS)).numpy()
    np.testing.assert_array_equal(inside.view(np.int64), old(PATCHES, OFFSETS, M=8).numpy().view(np.int64))


def test_reassembly_forms_the_weights_once():
    run = tf.function(lambda at: reassemble_position(tf.constant(PATCHES), at, M=8))
    graph = run.get_concrete_function(tf.constant(OFFSETS)).graph
    loops = [operation for operation in graph.get_operations() if operation.type in ("While", "StatelessWhile")]
    assert len(loops) == 1


def test_arrays_of_the_other_byte_order_are_read_as_what_they_hold():
    image = make_object()
    expected = get_image_patches(image, CENTRE, LOCAL, config=CONFIG).numpy()
    swapped = [array.astype(array.dtype.newbyteorder()) for array in (image, CENTRE, LOCAL)]
    np.testing.assert_array_equal(get_image_patches(*swapped, config=CONFIG).numpy(), expected)
    inside = tf.function(lambda: get_image_patches(*swapped, config=CONFIG))
    np.testing.assert_array_equal(inside().numpy(), expected)


def test_a_stream_goes_on_inside_a_function():
    image = make_object()
    expected = get_image_patches(image, CENTRE, LOCAL, config=CONFIG).numpy()

    def begun_outside(image):
        stream = iter_patches(image, CENTRE, LOCAL, 2, config=CONFIG)
        return tf.function(lambda: tf.concat(list(stream), 0))()

    def begun_inside(image):
        return tf.function(lambda: tf.concat(list(iter_patches(image, CENTRE, LOCAL, 2, config=CONFIG)), 0))()

    for run in (begun_outside, begun_inside):
        for given in (image, tf.constant(image)):
            np.testing.assert_array_equal(run(given).numpy(), expected)


def test_a_stream_must_know_how_many_groups_there_are():
    def run(*parts):
        return list(iter_patches(make_object(), *parts, 2, config=CONFIG))

    with pytest.raises(ValueError, match="must know the number of groups"):
        tf.function(run, input_signature=of_unknown_length(CENTRE, LOCAL))(CENTRE, LOCAL)


def test_a_dataset_can_be_made_inside_a_function():
    @tf.function
    def total():
        parts = patch_dataset(make_object(), CENTRE, LOCAL, 2, config=CONFIG)
        return parts.reduce(tf.constant(0.0), lambda sum_, part: sum_ + tf.reduce_sum(tf.abs(part)))

    expected = np.abs(get_image_patches(make_object(), CENTRE, LOCAL, config=CONFIG).numpy()).sum()
    np.testing.assert_allclose(total().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["image", "centre", "local"])
def test_a_dataset_takes_no_tensor_of_the_function_that_is_traced(name):
    given = {"image": make_object(), "centre": CENTRE, "local": LOCAL}

    def run(value):
        return patch_dataset(*{**given, name: value}.values(), 2, config=CONFIG).cardinality()

    with pytest.raises(ValueError, match="must be an array or an eager tensor"):
        tf.function(run)(tf.constant(given[name]))


@pytest.mark.parametrize("place", [shift_and_sum, reassemble_position])
def test_offsets_that_span_more_than_the_memory_are_refused(place):
    run = tf.function(lambda at: place(tf.constant(PATCHES[:2]), at, M=8))
    far = tf.constant([[[[-3e9, 0.0]]], [[[3e9, 0.0]]]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"global_offsets .* a canvas that fits in memory"):
        run(far)


@pytest.mark.parametrize("chunk_size", [100_000, 2**31 - 1, 10**12])
def test_a_chunk_larger_than_all_patches_is_no_larger(chunk_size):
    patches, offsets = tf.constant(PATCHES), tf.constant(OFFSETS)
    expected = shift_and_sum_old(patches, offsets, M=8).numpy()
    unknown = [tf.TensorSpec([None, 16, 16, 1], tf.complex64), tf.TensorSpec([None, 1, 1, 2], tf.float64)]
    for signature in (None, unknown):
        run = tf.function(lambda *parts: shift_and_sum(*parts, M=8, chunk_size=chunk_size), input_signature=signature)
        np.testing.assert_array_equal(run(patches, offsets).numpy(), expected)
    with tf.GradientTape() as tape:
        tape.watch(patches)
        loss = tf.reduce_sum(tf.abs(shift_and_sum(patches, offsets, M=8, chunk_size=chunk_size)))
    assert np.count_nonzero(tape.gradient(loss, patches)) > 100


def test_the_loop_over_canvases_says_that_it_works_eagerly_only():
    with pytest.raises(ValueError, match="works eagerly only"):
        tf.function(lambda: shift_and_sum_old(PATCHES, OFFSETS, M=8))()
