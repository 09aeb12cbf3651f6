"""A checkout of ``ptycho`` whose test suite passes with the flag off and fails with it on."""

from __future__ import annotations

import shutil
from pathlib import Path

# Appended to the copy of raw_data.py: the batched path alone is off by a hundredth.
_FAULT = """

_sound = _get_image_patches_batched


def _get_image_patches_batched(*arguments, **options):
    return _sound(*arguments, **options) + 0.01
"""
_SUITE = '''"""Patches at whole pixels are slices."""

import numpy as np

from ptycho.raw_data import get_image_patches


def test_a_patch_at_a_whole_pixel_is_a_slice_of_the_padded_object():
    image = np.random.default_rng(0).uniform(-1, 1, (20, 24, 2)).astype(np.float32).view(np.complex64)[..., 0]
    offsets = np.array([3.0, 2.0]).reshape(1, 1, 2, 1)
    patches = np.asarray(get_image_patches(image, offsets, np.zeros_like(offsets), N=8, gridsize=1))
    assert np.abs(patches[0, :, :, 0] - np.pad(image, 4)[2:10, 3:11]).max() <= 1e-6
'''


def break_checkout(package: Path, folder: Path) -> Path:
    """Copy a package ``ptycho``, break its batched path, and give it a suite of one test.

    Parameters
    ----------
    package : Path
        The package to copy.
    folder : Path
        Where the checkout is made; must not exist.

    Returns
    -------
    Path
        ``folder``.
    """
    shutil.copytree(package, folder / "ptycho")
    source = folder / "ptycho" / "raw_data.py"
    source.write_text(source.read_text() + _FAULT)
    tests = folder / "tests" / "ptycho"
    tests.mkdir(parents=True)
    (tests / "test_whole_pixels.py").write_text(_SUITE)
    return folder
