"""The oracle against a pixel-by-pixel reading of the formula, and against its own adjoint."""

import math

import numpy as np
import pytest

from validation.kernels.patches import oracle

SHAPE = (9, 7)
# Inside, at each border, half outside, a pixel outside and far outside; x and y differ.
POSITIONS = np.array(
    [[1.25, 2.5], [-0.5, 3.75], [6.5, -0.25], [3.0, 8.5], [9.75, 1.0], [-8.5, 12.25], [1e9, -1e9], [2.0, 3.0]]
)


def rng():
    return np.random.default_rng(5)


def random(shape, dtype):
    return (rng().normal(size=shape) + 1j * rng().normal(size=shape) * 0.5).astype(dtype)


def offsets(gridsize):
    c = gridsize**2
    grouped = POSITIONS.reshape(-1, c, 2)
    centre = grouped[:, :1] * 0 + 0.125
    return centre[..., None], np.swapaxes(grouped - centre, 1, 2)[:, None]


def sampled(image, row, column):
    """One bilinear sample, corner by corner; what lies outside is zero."""
    y, x = math.floor(row), math.floor(column)
    total = 0j
    for corner_y, weight_y in ((y, 1 - (row - y)), (y + 1, row - y)):
        for corner_x, weight_x in ((x, 1 - (column - x)), (x + 1, column - x)):
            if 0 <= corner_y < image.shape[0] and 0 <= corner_x < image.shape[1]:
                total += weight_y * weight_x * complex(image[corner_y, corner_x])
    return total


@pytest.fixture(params=[1, 3, 500])
def piece(request, monkeypatch):
    monkeypatch.setattr(oracle, "_CHUNK_GROUPS", request.param)


@pytest.mark.usefixtures("piece")
@pytest.mark.parametrize("gridsize", [1, 2])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_every_pixel_of_every_patch_is_the_sample_of_the_formula(gridsize, dtype):
    image, (centres, local), c, N = random(SHAPE, dtype), offsets(gridsize), gridsize**2, 4
    found = oracle.extract_patches(image, centres, local, N, gridsize)
    assert found.shape == (8 // c, N, N, c)
    assert found.dtype == np.complex64
    padded = np.pad(image, N // 2)
    for patch, (x, y) in enumerate(POSITIONS):
        for i, j in np.ndindex(N, N):
            expected = sampled(padded, y + i, x + j)
            assert found[patch // c, i, j, patch % c] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_coordinates_have_the_precision_of_the_object(dtype):
    """One pixel on from this offset, float32 has to round and float64 has not."""
    offset = np.nextafter(np.float32(2047.5), np.float32(0))
    image = (np.arange(4000)[np.newaxis] % 2).astype(np.result_type(dtype, np.complex64))
    centres = np.array([offset, 0.0]).reshape(1, 1, 2, 1)
    patch = oracle.extract_patches(image, centres, 0 * centres, 2, 1)
    assert float(np.float32(1) + offset) != 1.0 + float(offset)
    expected = sampled(np.pad(image, 1), 1, float(dtype(1) + dtype(offset)))
    assert patch[0, 1, 1, 0] == np.complex64(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gridsize", [1, 2])
def test_extraction_and_its_adjoint_give_one_inner_product(gridsize, dtype):
    image = random(SHAPE, np.complex64 if dtype == np.float32 else np.complex128)
    centres, local = offsets(gridsize)
    patches = oracle.extract_patches(image, centres, local, 4, gridsize)
    y = random(patches.shape, np.complex128)
    back = oracle.extract_patches_adjoint(y, SHAPE, centres, local, dtype)
    assert back.shape == SHAPE
    scale = np.linalg.norm(patches) * np.linalg.norm(y)
    assert abs(np.vdot(y, patches) - np.vdot(back, image)) / scale < 1e-7


NEAR = np.array([[0.25, 1.5], [-2.75, 0.0], [3.5, -1.25], [0.25, 1.5]])


@pytest.mark.parametrize("M", [2, 4, 8])
@pytest.mark.parametrize("layout", [(1, 2), (2, 1)])
def test_every_canvas_pixel_is_the_sum_of_the_moved_parts(M, layout):
    patches, positions = random((4, 8, 8, 1), np.complex64), NEAR.reshape(4, 1, *layout)
    canvas = oracle.shift_and_sum(patches, positions, M)
    moved = NEAR.astype(np.float32) - NEAR.mean(axis=0).astype(np.float32)
    pad = math.ceil(np.abs(moved).max())
    pad += pad % 2
    side = M + 2 * pad
    assert canvas.shape == (side, side, 1)
    assert oracle.canvas_size(positions, M) == side
    first = 4 - M // 2
    parts = patches[:, first : first + M, first : first + M, 0]
    for row, column in np.ndindex(side, side):
        expected = sum(
            sampled(part, row - pad - float(dy), column - pad - float(dx))
            for part, (dx, dy) in zip(parts, moved, strict=True)
        )
        assert canvas[row, column, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("M", [2, 4, 8])
def test_placement_and_its_adjoint_give_one_inner_product(M):
    patches, positions = random((4, 8, 8, 1), np.complex64), NEAR.reshape(4, 1, 1, 2)
    canvas = oracle.shift_and_sum(patches, positions, M)
    y = random(canvas.shape, np.complex128)
    back = oracle.shift_and_sum_adjoint(y, patches.shape, positions, M)
    assert back.shape == patches.shape
    scale = np.linalg.norm(canvas) * np.linalg.norm(y)
    assert abs(np.vdot(y, canvas) - np.vdot(back, patches)) / scale < 1e-7
    outside = np.ones(patches.shape, bool)
    first = 4 - M // 2
    outside[:, first : first + M, first : first + M] = False
    assert not back[outside].any()


@pytest.mark.parametrize("function", ["shift_and_sum", "shift_and_sum_adjoint"])
def test_as_many_offsets_as_patches_are_needed(function):
    patches, positions = random((4, 8, 8, 1), np.complex64), NEAR.reshape(4, 1, 1, 2)
    first = patches[:3] if function == "shift_and_sum" else random((12, 12, 1), np.complex64)
    arguments = (positions, 4) if function == "shift_and_sum" else ((3, 8, 8, 1), positions, 4)
    with pytest.raises(ValueError, match="zip"):
        getattr(oracle, function)(first, *arguments)


def test_the_mean_of_many_positions_is_taken_in_float64():
    positions = np.full((100_000, 1, 1, 2), 1000.1, np.float32)
    positions[0] = 900.0
    assert positions.mean(axis=0).ravel()[0] != np.float32(positions.mean(axis=0, dtype=np.float64).ravel()[0])
    moved = 900.0 - np.float32(positions.mean(axis=0, dtype=np.float64).ravel()[0])
    assert oracle.canvas_size(positions, 2) == 2 + 2 * (math.ceil(-moved) + math.ceil(-moved) % 2)
    assert oracle._adjusted(positions)[0][0, 0] == np.float32(moved)


def far_apart():
    """Three patches a thousand pixels apart, and where the middle one begins: (positions, pad, column, distance).

    The distance of that canvas pixel to the patch's first, formed in float32, where it is some 3e-5 wide.
    """
    positions = np.array([[-500.0, 0.0], [0.3, 0.0], [500.0, 0.0]]).reshape(3, 1, 1, 2)
    moved = np.float32(0.3) - np.float32(0.1)
    pad = (oracle.canvas_size(positions, 2) - 2) // 2
    column = pad
    distance = float(np.float32(column) - moved - np.float32(pad))
    assert abs(distance + float(moved)) > 1e-6
    return positions, pad, column, distance


def test_the_coordinates_of_the_canvas_are_float32():
    positions, pad, column, distance = far_apart()
    canvas = oracle.shift_and_sum(np.ones((3, 2, 2, 1), np.complex64), positions, 2)
    assert canvas[pad, column, 0] == pytest.approx(1 + distance, abs=1e-7)


def test_the_coordinates_of_the_adjoint_are_float32_too():
    positions, pad, column, distance = far_apart()
    canvas = np.zeros((2 * pad + 2, 2 * pad + 2, 1), np.complex64)
    canvas[pad, column] = 1
    back = oracle.shift_and_sum_adjoint(canvas, (3, 2, 2, 1), positions, 2)
    assert back[1, 0, 0, 0] == pytest.approx(1 + distance, abs=1e-7)
