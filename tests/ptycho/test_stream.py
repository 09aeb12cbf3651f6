"""Streams of patches: the same bits in bounded memory."""

import numpy as np
import pytest

from ptycho import native
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import get_image_patches
from ptycho.stream import iter_patches, patch_dataset
from tests.ptycho.conftest import PATTERNS, make_object, make_positions, to_offsets

IMAGE = make_object()
OFFSETS = to_offsets(make_positions("border", 23 * 4, *IMAGE.shape), 2)


@pytest.mark.parametrize("stream", [iter_patches, patch_dataset])
@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_the_parts_of_a_stream_are_the_whole_bit_for_bit(stream, batch_size):
    whole = get_image_patches(IMAGE, *OFFSETS, N=16, gridsize=2).numpy()
    parts = [part.numpy() for part in stream(IMAGE, *OFFSETS, batch_size, N=16, gridsize=2)]
    assert max(len(part) for part in parts) <= batch_size
    np.testing.assert_array_equal(np.concatenate(parts).view(np.int32), whole.view(np.int32))


def test_settings_come_from_the_config_and_arguments_come_first():
    config = TrainingConfig(model=ModelConfig(N=8, gridsize=2))
    assert next(iter(iter_patches(IMAGE, *OFFSETS, 3, config=config))).shape == (3, 8, 8, 4)
    assert next(iter(patch_dataset(IMAGE, *OFFSETS, 3, N=12, config=config))).shape == (3, 12, 12, 4)


def test_an_empty_scan_streams_nothing():
    empty = to_offsets(np.zeros((0, 2)), 2)
    assert list(iter_patches(IMAGE, *empty, 4, N=8, gridsize=2)) == []
    assert list(patch_dataset(IMAGE, *empty, 4, N=8, gridsize=2)) == []


@pytest.mark.parametrize("stream", [iter_patches, patch_dataset])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGE, *OFFSETS, 0), "batch_size must be a positive integer, got 0"),
        ((IMAGE, OFFSETS[0][:3], OFFSETS[1], 4), "same number of groups, got 3 and 23"),
        ((IMAGE[None], *OFFSETS, 4), "gt_image must be a non-empty object"),
        ((IMAGE, OFFSETS[0], OFFSETS[1][:, 0], 4), "local_offsets must have shape"),
    ],
)
def test_bad_arguments_are_named_before_the_first_step(stream, arguments, message):
    with pytest.raises(ValueError, match=message):
        stream(*arguments, N=8, gridsize=2)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("image", [IMAGE, IMAGE.astype(np.complex128), IMAGE[::-1, ::2], IMAGE.real, IMAGE[:5, :9]])
def test_an_array_is_read_where_it_is(pattern, image):
    offsets = to_offsets(make_positions(pattern, 7 * 4, *image.shape), 2)
    whole = get_image_patches(image, *offsets, N=16, gridsize=2).numpy()
    parts = [part.numpy() for part in iter_patches(image, *offsets, 3, N=16, gridsize=2)]
    np.testing.assert_array_equal(np.concatenate(parts).view(np.int32), whole.view(np.int32))


def test_a_stream_without_compiled_kernels_gives_the_same_bits(monkeypatch):
    expected = [part.numpy() for part in iter_patches(IMAGE, *OFFSETS, 9, N=16, gridsize=2)]
    monkeypatch.setattr(native, "available", lambda: False)
    for part, other in zip(iter_patches(IMAGE, *OFFSETS, 9, N=16, gridsize=2), expected, strict=True):
        np.testing.assert_array_equal(part.numpy().view(np.int32), other.view(np.int32))
