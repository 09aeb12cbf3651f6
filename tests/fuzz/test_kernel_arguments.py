"""Whatever the kernels are called with: the reference's bits, or a refusal that names an argument."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ptycho import params
from ptycho.config.config import ModelConfig
from ptycho.projective_warp_xla import translate_xla
from ptycho.raw_data import _get_image_patches_batched, get_image_patches
from ptycho.stream import patch_dataset
from ptycho.tf_helper import _channel_to_flat, _flat_to_channel, shift_and_sum
from tests.fuzz import calls, hostile
from tests.fuzz.conftest import EXAMPLES, FUZZ
from tests.fuzz.contract import outcome


@FUZZ
@given(st.data())
def test_extraction_with_hostile_arguments_is_refused_by_name(data):
    arguments = hostile.replaced(data.draw, data.draw(calls.extraction()))
    outcome(get_image_patches, calls.EXTRACTION_NAMES, **arguments, config=calls.config(True))


@FUZZ
@given(calls.extraction())
def test_extraction_with_far_or_infinite_offsets_is_the_reference_or_refused(arguments):
    calls.check_extraction(arguments)


@FUZZ
@given(calls.extraction(values=(0.0, 0.5, -3.75, 1e30)), st.sampled_from([1, 3]))
def test_both_engines_answer_alike(arguments, chunk_size):
    calls.check_engine(arguments, chunk_size, "xla")


@pytest.mark.filterwarnings("ignore:global_offsets reach:UserWarning")  # told, and then computed
@FUZZ
@given(calls.placement())
def test_placement_is_that_of_the_loop_or_refused(arguments):
    calls.check_placement(arguments)


@FUZZ
@given(st.data())
def test_placement_with_hostile_arguments_is_refused_by_name(data):
    arguments = hostile.replaced(data.draw, data.draw(calls.placement()))
    outcome(shift_and_sum, calls.PLACEMENT_NAMES, **arguments)


def test_patches_in_the_other_byte_order_are_refused():
    with pytest.raises(ValueError, match="obj_tensor must be complex64 in native byte order, got dtype"):
        shift_and_sum(np.ones((1, 8, 8, 1), ">c8"), np.zeros((1, 1, 1, 2)), 4)


@pytest.mark.parametrize("count", [np.int64(50), 50, None, 3.0, "3", True, -1])
@pytest.mark.parametrize("engine", ["native", "xla"])
def test_a_number_of_groups_that_the_offsets_do_not_hold_is_refused(count, engine):
    offsets = np.zeros((3, 1, 2, 1), np.float32)
    with pytest.raises(ValueError, match=r"offsets_f must hold|B must be an integer"):
        _get_image_patches_batched(np.ones((1, 9, 9, 1), np.complex64), offsets, 8, count, 1, engine=engine)


@FUZZ
@given(
    st.lists(st.sampled_from([v for v in hostile.FAR if abs(v) < 1e30]), min_size=4, max_size=4),
    st.sampled_from(["f4", "f8", "c8", "c16"]),
)
def test_translation_by_far_offsets_brings_in_zeros(offsets, dtype):
    calls.check_translation(np.array(offsets, "f4").reshape(2, 2), dtype)


@FUZZ
@given(hostile.anything, hostile.anything, hostile.objects, hostile.objects)
def test_translation_with_hostile_arguments_is_refused(images, offsets, interpolation, fill_mode):
    with pytest.raises((ValueError, TypeError)):
        translate_xla(images, offsets, interpolation, fill_mode)


@FUZZ
@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4), st.integers(1, 5))
def test_layouts_are_inverses_of_each_other(B, height, width, c):
    patches = np.arange(B * height * width * c, dtype=np.float32).reshape(B, height, width, c)
    flat = _channel_to_flat(patches)
    assert tuple(flat.shape) == (B * c, height, width, 1)
    np.testing.assert_array_equal(_flat_to_channel(flat, c), patches)


@FUZZ
@given(hostile.anything, hostile.anything)
def test_configurations_take_what_they_promise_and_nothing_else(N, gridsize):
    good = all(isinstance(value, int) and not isinstance(value, bool) for value in (N, gridsize))
    if good and N >= 2 and N % 2 == 0 and gridsize >= 1:
        assert ModelConfig(N=N, gridsize=gridsize).N == N
    else:
        with pytest.raises(ValueError, match="must be"):
            ModelConfig(N=N, gridsize=gridsize)


@FUZZ
@given(st.data())
def test_a_parameter_is_set_or_refused_and_then_unchanged(data):
    key = data.draw(st.sampled_from(sorted(params.defaults())))
    value, before = data.draw(hostile.anything), params.get(key)
    refusal = outcome(lambda: params.set(key, value), ("must be",))
    if isinstance(refusal, Exception):
        assert params.get(key) == before
    else:
        params.validate(key, params.get(key))


@FUZZ
@example(0)
@given(hostile.objects)
def test_a_dataset_refuses_a_hostile_batch_size_before_its_first_element(batch_size):
    offsets = np.zeros((3, 1, 2, 1))
    if isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0:
        return
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        patch_dataset(calls.OBJECT, offsets, offsets, batch_size, N=8, gridsize=1)


def test_compiled_code_survives_hostile_offsets_in_a_child():
    """A crash of compiled code would end this process without a word; a child's shows in its return code."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.fuzz.calls", str(EXAMPLES)]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = dict(pair.split("=") for pair in done.stdout.split())
    assert set(counts) == {"extraction", "engine", "placement"}
    assert all(int(count) >= min(EXAMPLES, 20) for count in counts.values()), done.stdout
