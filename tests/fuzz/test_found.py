"""What fuzzing found, each case by itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptycho.config.config import ModelConfig, TrainingConfig, legacy_items, update_legacy_dict
from ptycho.raw_data import RawData, _get_image_patches_batched, get_image_patches
from ptycho.tf_helper import pad, shift_and_sum, translate
from tests.validation.builders import make_manifest
from validation.contract.errors import UsageError
from validation.run.results import MANIFEST, RunFolder

OBJECT = np.ones((9, 7), np.complex64)
OFFSETS = np.zeros((3, 1, 2, 1))
SCAN = RawData(OBJECT, np.linspace(0, 6, 9), np.linspace(0, 8, 9))


@pytest.mark.parametrize(("centre", "local"), [(1e39, 0), (np.inf, -np.inf)])
def test_offsets_beyond_float32_are_refused_without_a_warning(centre, local):
    with pytest.raises(ValueError, match="must be finite"):
        get_image_patches(OBJECT, OFFSETS + centre, OFFSETS + local, 8, 1)


def test_ragged_offsets_are_refused_by_name():
    with pytest.raises(ValueError, match="global_offsets"):
        get_image_patches(OBJECT, [[1.0], [1.0, 2.0]], OFFSETS, 8, 1)


@pytest.mark.parametrize("config", ["a", {}])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises((TypeError, ValueError), match="config must be"):
        get_image_patches(OBJECT, OFFSETS, OFFSETS, 8, 1, config=config)


@pytest.mark.parametrize("N", [0, 10**30])
def test_a_patch_size_that_cannot_be_is_refused_by_the_batched_implementation(N):
    with pytest.raises(ValueError, match="N "):
        _get_image_patches_batched(OBJECT[np.newaxis, ..., np.newaxis], OFFSETS.astype("f4"), N, 3, 1)


def test_a_chunk_size_that_is_no_number_is_refused_by_placement():
    with pytest.raises(ValueError, match="chunk_size"):
        shift_and_sum(np.ones((3, 8, 8, 1), np.complex64), OFFSETS, 4, chunk_size="a")


@pytest.mark.parametrize("arguments", [(2.5, 1), ("3", 1), (3, 1.5), (3, 1, 2.5), (3, 1, 4, "a")])
def test_groups_refuse_what_is_no_integer_by_name(arguments):
    with pytest.raises(ValueError, match="must be an integer"):
        SCAN.group(*arguments)


def test_the_compiled_placement_survives_a_nan():
    code = (
        "import numpy as np; from ptycho.placement import place_native\n"
        "for axis in (0, 1):\n"
        "    offsets = np.zeros((3, 2), np.float32); offsets[1, axis] = np.nan\n"
        "    for _ in range(20):\n"
        "        try: place_native(np.ones((3, 8, 8), np.complex64), offsets, 4, 8,\n"
        "                          np.zeros((20, 20), np.complex64), None)\n"
        "        except ValueError: pass\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0, done.returncode


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"\x80": 1}'])
def test_a_manifest_that_no_decoder_takes_is_refused(tmp_path, content):
    folder = RunFolder.create(tmp_path / "run", make_manifest())
    (folder.path / MANIFEST).write_bytes(content)
    with pytest.raises(UsageError, match="is not a manifest"):
        RunFolder.open(folder.path)


IMAGES = np.ones((1, 4, 4, 1), np.complex64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: translate(None, np.zeros((1, 2))), "(imgs|images) must"),
        (lambda: translate(IMAGES, None), "(offsets|translations) must"),
        (lambda: translate(IMAGES, np.zeros((1, 2)), interpolation=np.zeros(2)), "interpolation must"),
        (lambda: pad(IMAGES[0], 2), "images must"),
        (lambda: pad(IMAGES, -1), "size must"),
        (lambda: SCAN.group(10**30, 1, np.int64(4)), "n_groups"),
        (lambda: update_legacy_dict(None, ModelConfig()), "cfg must"),
        (lambda: legacy_items(TrainingConfig), "config must"),
        (lambda: get_image_patches(OBJECT, OFFSETS, OFFSETS, 10**200, 1), "N 1"),
        (lambda: SCAN.group(10**310, 1), "n_groups"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
