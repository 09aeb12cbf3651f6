import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tests.validation.children import make_case
from validation.kernels.patches import oracle, workloads
from validation.kernels.patches.case import of


@pytest.mark.parametrize("pattern", ["interior", "border", "integer", "zero", "fermat"])
def test_patches_are_what_scipy_samples(scan_path, pattern):
    case = make_case(pattern=pattern, dtype="complex128")
    made = workloads.build(of(case), scan_path)
    padded = np.pad(made["gt_image"], 8)
    found = oracle.extract_patches(**made)
    total = (made["global_offsets"] + made["local_offsets"]).astype(np.float32).astype(np.float64)
    for group, channel in ((0, 0), (2, 3), (4, 1)):
        ox, oy = total[group, 0, :, channel]
        rows, columns = np.meshgrid(np.arange(16) + oy, np.arange(16) + ox, indexing="ij")
        expected = map_coordinates(np.pad(padded, 20), [rows + 20, columns + 20], order=1, mode="constant")
        np.testing.assert_allclose(found[group, :, :, channel], expected, atol=1e-7)


def test_integer_offsets_are_slices_bit_for_bit(scan_path):
    made = workloads.build(of(make_case(pattern="integer", batch=3)), scan_path)
    padded = np.pad(made["gt_image"], 40)
    found = oracle.extract_patches(**made)
    total = (made["global_offsets"] + made["local_offsets"])[:, 0].astype(int)
    for group in range(3):
        for channel in range(4):
            x, y = total[group, :, channel] + 32
            assert np.array_equal(found[group, :, :, channel], padded[y : y + 16, x : x + 16])


def test_far_outside_is_zero(scan_path):
    made = workloads.build(of(make_case()), scan_path)
    made["global_offsets"] = made["global_offsets"] + 1e12
    assert not oracle.extract_patches(**made).any()


def test_an_empty_batch_gives_an_empty_result(scan_path):
    assert oracle.extract_patches(**workloads.build(of(make_case(batch=0)), scan_path)).shape == (0, 16, 16, 4)


def test_a_part_is_placed_about_the_mean_offset_x_first():
    patches = np.zeros((2, 8, 8, 1), np.complex64)
    patches[0, 4, 4, 0] = 2 + 1j
    offsets = np.array([[3.0, -1.0], [-3.0, 1.0]]).reshape(2, 1, 1, 2)
    canvas = oracle.shift_and_sum(patches, offsets, M=4)[..., 0]
    assert canvas.shape == (4 + 2 * 4, 4 + 2 * 4)
    row, column = np.argwhere(canvas)[0]
    # Row 4 of 8 is row 2 of the central 4, at 4 + 2 on the canvas; moved by y = -1, x = 3.
    assert (row, column) == (4 + 2 - 1, 4 + 2 + 3)
    assert canvas[row, column] == 2 + 1j
    assert np.count_nonzero(canvas) == 1


def test_a_fractional_offset_keeps_the_sum(scan_path):
    made = workloads.build(of(make_case(kernel="reassembly", pattern="fermat")), scan_path)
    canvas = oracle.shift_and_sum(**made)
    assert canvas.sum() == pytest.approx(made["obj_tensor"][:, 3:13, 3:13].sum(), rel=1e-5)
