"""Placement and reassembly against the oracle."""

import numpy as np
import pytest

from ptycho.tf_helper import reassemble_position_old, shift_and_sum_old
from tests.ptycho import oracle
from tests.ptycho.conftest import make_object


def workload(P=6, N=16, spread=9.0, seed=0):
    rng = np.random.default_rng(seed)
    patches = np.stack([make_object(N, N, seed=seed + i) for i in range(P)])[..., None]
    offsets = rng.uniform([20, 30], [20 + spread, 30 + 1.7 * spread], (P, 2))
    return patches, offsets.reshape(P, 1, 1, 2)


IMPLEMENTATIONS = [(shift_and_sum_old, reassemble_position_old)]


@pytest.mark.parametrize(("place", "reassemble"), IMPLEMENTATIONS)
class TestReassembly:
    @pytest.mark.parametrize("M", [4, 10, 16])
    def test_the_canvas_agrees_with_the_oracle(self, place, reassemble, M):
        patches, offsets = workload()
        start = 8 - M // 2
        parts = patches[:, start : start + M, start : start + M, 0]
        expected = oracle.placed(parts, offsets.reshape(-1, 2))
        result = place(patches, offsets, M=M).numpy()
        assert result.dtype == np.complex64
        assert result.shape == (*expected.shape, 1)
        np.testing.assert_allclose(result[..., 0], expected, atol=2e-6, rtol=0)

    def test_both_layouts_of_the_offsets_are_accepted(self, place, reassemble):
        patches, offsets = workload()
        one = place(patches, offsets).numpy()
        np.testing.assert_array_equal(one, place(patches, offsets.reshape(-1, 1, 2, 1)).numpy())

    def test_placed_ones_count_and_sum_to_P_M_M(self, place, reassemble):
        patches, offsets = workload(P=5)
        canvas = place(np.ones_like(patches), offsets, M=6).numpy()
        np.testing.assert_allclose(canvas.sum(), 5 * 36, rtol=1e-6)
        assert canvas.real.max() <= 5 + 1e-5

    def test_reassembly_averages_where_patches_overlap(self, place, reassemble):
        patches, offsets = workload()
        total = place(patches, offsets, M=10).numpy()
        count = place(np.ones_like(patches), offsets, M=10).numpy()
        np.testing.assert_allclose(
            reassemble(patches, offsets, M=10).numpy(), total / (1e-9 + count), atol=1e-5, rtol=1e-5
        )

    @pytest.mark.parametrize(
        ("patches", "offsets", "M", "message"),
        [
            (np.zeros((2, 8, 8), np.complex64), np.zeros((2, 1, 1, 2)), 4, "obj_tensor must have shape"),
            (np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 1, 1, 2)), 4, "obj_tensor must be complex64"),
            (np.zeros((0, 8, 8, 1), np.complex64), np.zeros((0, 1, 1, 2)), 4, "at least one patch"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((3, 1, 1, 2)), 4, "one offset per patch \\(2\\), got 3"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 2)), 4, "global_offsets must have shape"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 1, 1, 2)), 10, "M must be at most N = 8, got 10"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 1, 1, 2)), 3, "M must be an even positive"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.full((2, 1, 1, 2), np.inf), 4, "must be finite"),
        ],
    )
    def test_bad_arguments_are_named(self, place, reassemble, patches, offsets, M, message):
        with pytest.raises(ValueError, match=message):
            place(patches, offsets, M=M)
