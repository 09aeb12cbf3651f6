"""Helpers of the kernels and the groups of a scan: a result that holds, or a refusal that names an argument."""

import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ptycho.raw_data import RawData
from ptycho.tf_helper import pad, reassemble_position, reassemble_position_old, translate
from tests.fuzz import calls, hostile
from tests.fuzz.conftest import FUZZ
from tests.fuzz.contract import outcome, same_bits

SCAN = RawData(np.ones((30, 40), np.complex64), np.linspace(0, 39, 20), np.linspace(0, 29, 20))
SMALL_MACHINE = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10_000}  # 41 MB: what is larger is refused, not tried


def is_tensor(value):
    """Whether TensorFlow makes a tensor of a value; where it does not, the words of the refusal are its own."""
    try:
        tf.convert_to_tensor(value)
    except (ValueError, TypeError):
        return False
    return True


@FUZZ
@given(st.data())
def test_translation_of_hostile_tensors_keeps_the_shape_or_is_refused_by_name(data):
    good = {
        "imgs": np.ones((2, 5, 6, 1), np.float32),
        "offsets": np.zeros((2, 2), np.float32),
        "interpolation": data.draw(st.sampled_from(["bilinear", "nearest"])),
    }
    arguments = hostile.replaced(data.draw, good)
    assume(np.size(arguments["imgs"]) > 0)  # images without pixels are not promised to anybody
    assume(not isinstance(arguments["interpolation"], np.ndarray))  # see test_found.py
    if is_tensor(arguments["imgs"]) and is_tensor(arguments["offsets"]):
        moved = outcome(translate, ("images", "translations", "interpolation"), **arguments)
        assert isinstance(moved, Exception) or moved.shape == arguments["imgs"].shape
    else:
        with pytest.raises((ValueError, TypeError)):
            translate(**arguments)


@FUZZ
@given(
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=4),
    st.sampled_from(["?", "i4", "f2", "f4", "f8", "c8", "c16"]),
    st.integers(0, 5),
)
def test_padding_keeps_every_bit_and_puts_zeros_around(shape, dtype, size):
    images = (np.arange(np.prod(shape)) + 1).reshape(shape).astype(dtype)
    around = [(0, 0), (size, size), (size, size), (0, 0)]
    assert same_bits(pad(images, size).numpy(), np.pad(images, around))


@pytest.mark.filterwarnings("ignore:global_offsets reach:UserWarning")  # told, and then computed
@FUZZ
@given(st.data())
def test_averaging_with_hostile_arguments_is_that_of_the_loop_or_refused_by_name(data):
    good = {**data.draw(calls.placement()), "chunk_size": None}
    arguments = hostile.replaced(data.draw, good)
    new = outcome(reassemble_position, (*calls.PLACEMENT_NAMES, "chunk_size"), **arguments)
    del arguments["chunk_size"]
    old = outcome(reassemble_position_old, calls.PLACEMENT_NAMES, **arguments)
    if isinstance(new, Exception):
        assert isinstance(old, Exception) or "chunk_size" in str(new)
    else:
        np.testing.assert_allclose(new, old, rtol=1e-6, atol=1e-6)


@FUZZ
@given(st.data())
def test_groups_of_hostile_arguments_hold_positions_of_the_scan_or_are_refused_by_name(monkeypatch, data):
    good = {"n_groups": 7, "gridsize": 2, "neighbor_count": 5, "seed": 3}
    arguments = hostile.replaced(data.draw, good)
    huge = isinstance(arguments["n_groups"], int) and arguments["n_groups"] > 2**60
    assume(not (huge and any(isinstance(value, np.integer) for value in arguments.values())))  # see test_found.py
    with monkeypatch.context() as machine:
        machine.setattr(os, "sysconf", SMALL_MACHINE.__getitem__)
        made = outcome(SCAN.group, tuple(good), **arguments)
    if isinstance(made, Exception):
        return
    groups = made.item()
    assert groups.indices.shape == (arguments["n_groups"], arguments["gridsize"] ** 2)
    total = (groups.global_offsets + groups.local_offsets)[:, 0]
    np.testing.assert_allclose(total[:, 0], SCAN.xcoords[groups.indices], rtol=0, atol=1e-9)
    np.testing.assert_allclose(total[:, 1], SCAN.ycoords[groups.indices], rtol=0, atol=1e-9)
