"""Subnormal numbers: TensorFlow takes them for zero, and so do the compiled kernels."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho import native
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import _get_image_patches_batched, _get_image_patches_iterative, get_image_patches, prepare
from ptycho.stream import iter_patches, patch_dataset
from ptycho.tf_helper import reassemble_position, reassemble_position_old, shift_and_sum, shift_and_sum_old
from tests.ptycho.conftest import make_object, make_positions, to_offsets

SMALLEST = {np.complex64: np.finfo(np.float32), np.complex128: np.finfo(np.float64)}


def config(batched):
    return TrainingConfig(model=ModelConfig(N=16, gridsize=2, use_batched_patch_extraction=batched))


def fading(dtype, height=200, width=180):
    """An object that fades into subnormal numbers of its precision."""
    y, x = np.mgrid[:height, :width] - 90.0
    steep = 50 if dtype == np.complex64 else 6
    value = np.exp(-(x**2 + y**2) / steep).astype(dtype)
    assert np.count_nonzero((np.abs(value) > 0) & (np.abs(value) < SMALLEST[dtype].tiny)) > 10
    return value


def same_bits(one, other):
    np.testing.assert_array_equal(one.view(np.int64), other.view(np.int64))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_an_object_that_fades_gives_the_same_bits(dtype):
    image = fading(dtype)
    offsets = to_offsets(make_positions("interior", 80, *image.shape), 2)
    loop = get_image_patches(image, *offsets, config=config(False)).numpy()
    same_bits(get_image_patches(image, *offsets, config=config(True)).numpy(), loop)
    parts = [part.numpy() for part in iter_patches(image, *offsets, 3, config=config(True))]
    same_bits(np.concatenate(parts), loop)
    padded, *rest = prepare(image, *offsets, config=config(True))
    same_bits(_get_image_patches_batched(padded, *rest, engine="xla").numpy(), loop)
    repeated = [np.tile(part, (50, 1, 1, 1)) for part in offsets]  # many ranges, on all threads
    many = get_image_patches(image, *repeated, config=config(True)).numpy()
    same_bits(many, np.tile(loop, (50, 1, 1, 1)))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("engine", ["native", "xla"])
def test_offsets_that_are_subnormal_count_as_zero_too(dtype, engine):
    # The first pixel of a patch of two lies on the border of zeros, and would get a trace of the object's first one.
    if engine == "native" and not native.available():
        pytest.skip("the compiled engine needs numba")
    tiny = SMALLEST[np.complex64].tiny / 8
    offsets = np.full((2, 1, 2, 1), [[[tiny], [-tiny]]]), np.zeros((2, 1, 2, 1))
    padded, *rest = prepare(1e6 * make_object(dtype=dtype), *offsets, N=2, gridsize=1)
    loop = _get_image_patches_iterative(padded, *rest).numpy()
    same_bits(_get_image_patches_batched(padded, *rest, engine=engine).numpy(), loop)


def test_a_complex128_object_is_rounded_alike_where_the_caller_flushes():
    image = fading(np.complex128)
    offsets = to_offsets(make_positions("interior", 80, *image.shape), 2)
    expected = get_image_patches(image, *offsets, config=config(True)).numpy()
    parts = [part.numpy() for part in patch_dataset(image, *offsets, 3, config=config(True))]
    same_bits(np.concatenate(parts), expected)


@pytest.mark.parametrize(
    ("new", "old"), [(shift_and_sum, shift_and_sum_old), (reassemble_position, reassemble_position_old)]
)
def test_patches_that_fade_are_placed_with_the_same_bits(new, old):
    image = fading(np.complex64)
    patches = np.stack([image[row : row + 16, 60:76] for row in range(20, 140, 4)])[..., None]
    patches = np.ascontiguousarray(patches)
    offsets = np.random.default_rng(3).uniform(0, 20, (len(patches), 1, 1, 2))
    same_bits(new(patches, offsets, M=8).numpy(), old(patches, offsets, M=8).numpy())


def near_the_smallest(seed):
    """A few patches (P, 8, 8, 1) of both signs about the smallest normal number, and offsets close by or far apart."""
    rng = np.random.default_rng(seed)
    P = int(rng.integers(2, 14))
    parts = rng.choice([-1, 0, 1], (P, 8, 8, 1, 2)) * 10.0 ** rng.uniform(-38.6, -37.2, (P, 8, 8, 1, 2))
    parts[rng.random(parts.shape) < 0.1] = -0.0
    offsets = rng.uniform(0, rng.choice([1, 4, 12]), (P, 1, 1, 2)).round(int(rng.integers(0, 3)))
    return parts.astype(np.float32).view(np.complex64)[..., 0], offsets


@pytest.mark.parametrize(
    ("new", "old"), [(shift_and_sum, shift_and_sum_old), (reassemble_position, reassemble_position_old)]
)
def test_a_sum_that_is_flushed_gets_the_sign_the_loop_gives_it(new, old, monkeypatch):
    # The zeros of patches further away make -0 into 0; a patch that reaches it with -0 leaves it.
    @tf.function(reduce_retracing=True)
    def inside(patches, offsets):
        return new(patches, offsets, M=4, chunk_size=5)

    negative_zeros = 0
    for seed in range(60):
        patches, offsets = near_the_smallest(seed)
        loop = old(patches, offsets, M=4).numpy()
        parts = loop.view(np.float32)
        negative_zeros += np.count_nonzero(np.signbit(parts) & (parts == 0))
        same_bits(new(patches, offsets, M=4).numpy(), loop)
        same_bits(inside(patches, offsets).numpy(), loop)
        with monkeypatch.context() as patch:
            patch.setattr(native, "available", lambda: False)
            same_bits(new(patches, offsets, M=4).numpy(), loop)
    assert negative_zeros > 0


@pytest.mark.skipif(not native.available(), reason="the compiled engine needs numba")
def test_a_kernel_leaves_the_arithmetic_of_its_caller_as_it_was():
    half = np.float32(SMALLEST[np.complex64].tiny) / np.float32(2)
    assert half > 0
    with native.subnormals(flushed=True):
        assert np.multiply(np.float32([half]), np.float32(1)).max() == 0
    assert np.multiply(np.float32([half]), np.float32(1)).max() > 0
    with pytest.raises(ZeroDivisionError), native.subnormals(flushed=True):
        _ = 1 / 0
    assert np.multiply(np.float32([half]), np.float32(1)).max() > 0

    def work(first, last):
        if last:
            raise MemoryError

    with pytest.raises(MemoryError):
        native.run_in_ranges(work, 4, 1)
    assert np.multiply(np.float32([half]), np.float32(1)).max() > 0
