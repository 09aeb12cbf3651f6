"""Patch extraction against the independent float64 oracle."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ptycho import native, params, patches
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


def padded_workload(pattern="interior", N=16, gridsize=2, B=5, dtype=np.complex64, shape=(83, 71)):
    """Padded object and flat offsets, the arguments of both implementations."""
    image = make_object(*shape, dtype=dtype)
    c = gridsize**2
    offsets = flat(*to_offsets(make_positions(pattern, B * c, *image.shape), gridsize)).reshape(-1, 1, 2, 1)
    return pad(image[None, :, :, None], N // 2), offsets, N, B, c


def bits(tensor):
    return np.ascontiguousarray(tensor).view(np.int32)


ENGINES = ("native", "xla")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("N", "gridsize", "B"), [(16, 1, 1), (16, 2, 5), (8, 3, 2), (16, 2, 0)])
def test_batched_and_iterative_give_the_same_bits(engine, pattern, dtype, N, gridsize, B):
    padded, offsets, *sizes = padded_workload(pattern, N, gridsize, B, dtype)
    reference = _get_image_patches_iterative(padded, offsets, *sizes)
    for layout in (offsets, np.swapaxes(offsets, 2, 3)):
        result = _get_image_patches_batched(padded, layout, *sizes, engine=engine)
        assert result.dtype == reference.dtype
        assert result.shape == reference.shape
        np.testing.assert_array_equal(bits(result), bits(reference))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (40, 200)])
def test_objects_smaller_than_N_and_far_from_square_give_the_same_bits(engine, shape):
    arguments = padded_workload("border", 32, 1, 6, shape=shape)
    result = _get_image_patches_batched(*arguments, engine=engine)
    np.testing.assert_array_equal(bits(result), bits(_get_image_patches_iterative(*arguments)))


@pytest.mark.parametrize("engine", ENGINES)
def test_coordinates_that_round_to_integers_give_the_same_bits(engine):
    near = np.array([[63.999996, 31.999998], [-1e-7, 2e-7], [99.99999, 27.99999], [-8.000001, 119.99999]], np.float32)
    image = make_object(140, 150)
    padded = pad(image[None, :, :, None], 32)
    arguments = (padded, near.reshape(-1, 1, 2, 1), 64, 4, 1)
    result = _get_image_patches_batched(*arguments, engine=engine)
    np.testing.assert_array_equal(bits(result), bits(_get_image_patches_iterative(*arguments)))


@pytest.mark.parametrize("engine", ENGINES)
def test_bits_do_not_depend_on_the_chunk_size(engine):
    arguments = padded_workload("border", B=23)
    expected = bits(_get_image_patches_iterative(*arguments))
    for chunk_size in (1, 2, 7, 23, 100):
        result = _get_image_patches_batched(*arguments, chunk_size=chunk_size, engine=engine)
        np.testing.assert_array_equal(bits(result), expected)


def test_bits_do_not_depend_on_threads_or_on_the_order_of_patches(monkeypatch):
    padded, offsets, *sizes = padded_workload("interior", B=40)
    expected = bits(_get_image_patches_batched(padded, offsets, *sizes, chunk_size=1))
    for threads in (1, 3):
        monkeypatch.setattr(native, "thread_count", lambda n=threads: n)
        np.testing.assert_array_equal(bits(_get_image_patches_batched(padded, offsets, *sizes, chunk_size=1)), expected)
    order = np.random.default_rng(0).permutation(40)
    shuffled = offsets.reshape(40, 4, 1, 2, 1)[order].reshape(offsets.shape)
    result = bits(_get_image_patches_batched(padded, shuffled, *sizes))
    np.testing.assert_array_equal(result, expected[order])


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_are_not_changed_and_a_result_stays_when_another_is_made(engine):
    padded, offsets, *sizes = padded_workload()
    image, positions = padded.numpy(), offsets.copy()
    first = _get_image_patches_batched(padded, offsets, *sizes, engine=engine)
    kept = bits(first).copy()
    _get_image_patches_batched(padded, offsets + 3, *sizes, engine=engine)
    np.testing.assert_array_equal(bits(first), kept)
    np.testing.assert_array_equal(padded.numpy(), image)
    np.testing.assert_array_equal(offsets, positions)


def test_without_native_the_batched_implementation_still_works(monkeypatch):
    arguments = padded_workload()
    monkeypatch.setattr(native, "available", lambda: False)
    result = _get_image_patches_batched(*arguments)
    np.testing.assert_array_equal(bits(result), bits(_get_image_patches_iterative(*arguments)))


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_works_when_functions_run_eagerly(engine):
    arguments = padded_workload("border", B=6)
    expected = _get_image_patches_iterative(*arguments).numpy()
    tf.config.run_functions_eagerly(True)
    try:
        result = _get_image_patches_batched(*arguments, engine=engine).numpy()
        looped = _get_image_patches_iterative(*arguments).numpy()
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(result, expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose(looped, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [tf.complex64, tf.complex128])
def test_it_runs_inside_a_function_with_an_unknown_number_of_groups(dtype):
    config = TrainingConfig(model=ModelConfig(N=16, gridsize=2, use_batched_patch_extraction=True))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], dtype),
            tf.TensorSpec([None, 1, 2, 1], tf.float64),
            tf.TensorSpec([None, 1, 2, 4], tf.float64),
        ]
    )
    def run(image, global_offsets, local_offsets):
        return get_image_patches(image, global_offsets, local_offsets, config=config)

    image = make_object(dtype=dtype.as_numpy_dtype)
    for B in (1, 3, 8):
        offsets = to_offsets(make_positions("border", B * 4, *image.shape), 2)
        np.testing.assert_array_equal(
            bits(run(image, *offsets)), bits(get_image_patches(image, *offsets, N=16, gridsize=2))
        )
    assert run.experimental_get_tracing_count() == 1


def test_the_iterative_implementation_says_that_it_needs_eager_execution():
    offsets = to_offsets(np.full((4, 2), 20.0), 2)
    config = TrainingConfig(model=ModelConfig(N=8, gridsize=2, use_batched_patch_extraction=False))
    run = tf.function(lambda image: get_image_patches(image, *offsets, config=config))
    with pytest.raises(ValueError, match="iterative implementation works eagerly only"):
        run(make_object())


def gradient_by_probing(padded, offsets, N, B, c, upstream):
    """Adjoint of extraction applied to ``upstream``, from the oracle's weights alone."""
    real = np.float32 if padded.dtype == tf.complex64 else np.float64
    canvas = np.zeros(padded.shape[1:3], np.complex128)
    index = np.arange(N, dtype=real)
    for p, (ox, oy) in enumerate(offsets.reshape(-1, 2)):
        sx, sy = index + real(ox), index + real(oy)
        for (i, y), (j, x) in ((a, b) for a in enumerate(sy) for b in enumerate(sx)):
            wy, wx = float(y - np.floor(y)), float(x - np.floor(x))
            value = upstream[p // c, i, j, p % c]
            for row, v in ((int(np.floor(y)), 1 - wy), (int(np.floor(y)) + 1, wy)):
                for column, w in ((int(np.floor(x)), 1 - wx), (int(np.floor(x)) + 1, wx)):
                    if 0 <= row < canvas.shape[0] and 0 <= column < canvas.shape[1]:
                        canvas[row, column] += v * w * value
    return canvas


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("pattern", ["interior", "border"])
def test_the_gradient_of_extraction_is_placement(engine, dtype, pattern):
    padded, offsets, N, B, c = padded_workload(pattern, 8, 2, 3, dtype, shape=(20, 27))
    rng = np.random.default_rng(5)
    upstream = (rng.normal(size=(B, N, N, c)) + 1j * rng.normal(size=(B, N, N, c))).astype(np.complex64)
    with tf.GradientTape() as tape:
        tape.watch(padded)
        result = _get_image_patches_batched(padded, offsets, N, B, c, engine=engine)
    gradient = tape.gradient(result, padded, output_gradients=tf.constant(upstream))
    assert gradient.dtype == padded.dtype
    expected = gradient_by_probing(padded, offsets, N, B, c, upstream)
    np.testing.assert_allclose(gradient.numpy()[0, :, :, 0], expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_extraction_and_its_gradient_pass_the_dot_product_test(pattern):
    padded, offsets, *sizes = padded_workload(pattern, 16, 2, 4)
    rng = np.random.default_rng(7)
    with tf.GradientTape() as tape:
        tape.watch(padded)
        result = _get_image_patches_batched(padded, offsets, *sizes)
    y = (rng.normal(size=result.shape) + 1j * rng.normal(size=result.shape)).astype(np.complex64)
    placed = tape.gradient(result, padded, output_gradients=tf.constant(y)).numpy().astype(np.complex128)
    extracted = result.numpy().astype(np.complex128)
    left, right = np.vdot(y.astype(np.complex128), extracted), np.vdot(placed, padded.numpy().astype(np.complex128))
    assert abs(left - right) <= 1e-7 * np.linalg.norm(extracted) * np.linalg.norm(y)


def test_gradients_flow_through_the_dispatcher_and_inside_a_function():
    image = tf.constant(make_object(30, 25))
    offsets = to_offsets(make_positions("interior", 4, 30, 25), 2)
    config = TrainingConfig(model=ModelConfig(N=8, gridsize=2, use_batched_patch_extraction=True))

    def gradient(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            patches = get_image_patches(image, *offsets, config=config)
            loss = tf.reduce_sum(tf.abs(patches) ** 2)
        return tape.gradient(loss, image)

    eager, traced = gradient(image).numpy(), tf.function(gradient)(image).numpy()
    assert np.abs(eager).max() > 0
    np.testing.assert_allclose(traced, eager, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "fast"}, r"engine must be one of \('native', 'xla'\) or None, got 'fast'"),
        ({"chunk_size": 0}, "chunk_size must be a positive integer or None, got 0"),
        ({"chunk_size": True}, "chunk_size must be a positive integer or None, got True"),
    ],
)
def test_bad_options_of_the_batched_implementation_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        _get_image_patches_batched(*padded_workload(), **options)


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


def test_an_object_too_large_for_the_indices_of_xla_is_refused():
    function = tf.function(lambda image, offsets: _get_image_patches_batched(image, offsets, 8, 3, 1))
    with pytest.raises(ValueError, match=r"less than 2\*\*31 pixels"):
        function.get_concrete_function(
            tf.TensorSpec([1, 2**16, 2**15, 1], tf.complex64), tf.TensorSpec([3, 1, 2, 1], tf.float32)
        )


def test_an_object_on_a_gpu_is_left_to_xla():
    on_gpu = SimpleNamespace(device="/job:localhost/replica:0/task:0/device:GPU:0")
    assert patches._default_engine(on_gpu) == "xla"
    assert patches._default_engine(tf.zeros(3)) == patches._default_engine(np.zeros(3)) == "native"


def test_a_large_chunk_size_makes_no_work_for_few_groups(monkeypatch):
    asked = []

    def counted(padded, chunk, *arguments, **options):
        asked.append(len(chunk))
        return original(padded, chunk, *arguments, **options)

    original = patches._extract_jit
    monkeypatch.setattr(patches, "_extract_jit", counted)
    padded, offsets, N, B, c = padded_workload("interior", 8, 2, 3)
    _get_image_patches_batched(padded, offsets, N, B, c, chunk_size=10**6, engine="xla")
    assert asked == [patches.default_chunk_size(8, 4)]
