import numpy as np
import pytest

from tests.validation.children import make_case as case_of
from validation.kernels.patches import workloads
from validation.kernels.patches.case import PATTERNS, of
from validation.kernels.patches.law import predicted_bytes


def make_case(**changed):
    """A small case, its parameters by name."""
    return of(case_of(**changed))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
def test_the_same_case_gives_the_same_bits(scan_path, kernel, pattern):
    case = make_case(kernel=kernel, pattern=pattern)
    one, two = workloads.build(case, scan_path), workloads.build(case, scan_path)
    for name, value in one.items():
        assert np.asarray(value).tobytes() == np.asarray(two[name]).tobytes()


@pytest.mark.parametrize("name", ["gt_image", "global_offsets", "local_offsets"])
def test_another_seed_gives_other_data(scan_path, name):
    one = workloads.build(make_case(seed=0), scan_path)
    two = workloads.build(make_case(seed=1), scan_path)
    assert not np.array_equal(one[name], two[name])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("batch", [0, 1, 7])
def test_shapes_and_dtypes_are_those_of_the_contract(scan_path, pattern, batch):
    case = make_case(batch=batch, pattern=pattern, dtype="complex128", gridsize=3)
    made = workloads.build(case, scan_path)
    assert made["gt_image"].shape == (61, 83)
    assert made["gt_image"].dtype == np.complex128
    assert made["global_offsets"].shape == (batch, 1, 2, 1)
    assert made["local_offsets"].shape == (batch, 1, 2, 9)


def test_interior_windows_lie_inside_and_x_and_y_ranges_differ(scan_path):
    case = make_case(batch=200, gridsize=1, height=90, width=130)
    x, y = workloads.positions(case, scan_path).T
    assert x.min() >= 8
    assert x.max() <= 130 - 9
    assert y.min() >= 8
    assert y.max() <= 90 - 9
    assert np.ptp(x) != pytest.approx(np.ptp(y), rel=0.1)


def test_integer_offsets_are_whole_after_rounding_to_float32(scan_path):
    made = workloads.build(make_case(pattern="integer"), scan_path)
    total = (made["global_offsets"] + made["local_offsets"]).astype(np.float32)
    assert np.array_equal(total, np.round(total))
    assert np.ptp(total) > 10


def test_outside_reaches_beyond_every_corner_and_far_away(scan_path):
    x, y = workloads.positions(make_case(pattern="outside", batch=20), scan_path).T
    assert x.min() < -1e8
    assert y.max() > 1e8
    assert ((x > 83) & (x < 1e3)).any()
    assert ((y < 0) & (y > -1e3)).any()


def test_border_has_every_edge(scan_path):
    x, y = workloads.positions(make_case(pattern="border", batch=20), scan_path).T
    assert min(x.min(), y.min()) < 0
    assert x.max() > 82
    assert y.max() > 60


def test_the_scan_pattern_takes_the_users_positions(scan_path):
    with np.load(scan_path) as arrays:
        expected = np.stack([arrays["xcoords"], arrays["ycoords"]], axis=1)
    case = make_case(pattern="scan", gridsize=1, batch=1003, height=200, width=256)
    found = workloads.positions(case, scan_path)
    np.testing.assert_allclose(found[:1000], expected)
    repeated = np.abs(found[1000:] - expected[:3])
    assert repeated.max() <= 0.5
    assert repeated.min() > 0


def test_an_object_larger_than_the_scan_goes_on_with_random_content(scan_path):
    image = workloads.scan_object(make_case(pattern="scan", height=260, width=300), scan_path)
    assert np.abs(np.diff(image[:, 260:], axis=1)).min() > 0
    assert np.abs(image).max() <= np.sqrt(2.0)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_sums_of_overlapping_patches_stay_within_one(scan_path, pattern):
    from validation.kernels.patches.oracle import shift_and_sum

    canvas = shift_and_sum(**workloads.build(make_case(kernel="reassembly", pattern=pattern, batch=20), scan_path))
    assert max(np.abs(canvas.real).max(), np.abs(canvas.imag).max()) <= 1.0
    assert np.abs(canvas).max() > 0.05


@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_fresh_inputs_are_other_data_of_the_same_size_and_magnitude(scan_path, kernel, pattern, dtype):
    case = make_case(kernel=kernel, pattern=pattern, dtype=dtype, batch=40)
    made = workloads.build(case, scan_path)
    fresh, again, other = (workloads.fresh(case, made, np.random.default_rng(seed)) for seed in (0, 0, 1))
    for name, value in made.items():
        if not isinstance(value, np.ndarray):
            assert fresh[name] == value
            continue
        assert (fresh[name].shape, fresh[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_array_equal(fresh[name], again[name])
        if pattern != "zero" or name in ("gt_image", "obj_tensor"):
            assert not np.array_equal(fresh[name], value)
            assert not np.array_equal(fresh[name], other[name])
    values = "gt_image" if kernel == "patch_extraction" else "obj_tensor"
    np.testing.assert_array_equal(np.sort(np.abs(fresh[values]), axis=None), np.sort(np.abs(made[values]), axis=None))


def test_predicted_memory_grows_with_the_batch():
    small = predicted_bytes(make_case(batch=10), "batched")
    large = predicted_bytes(make_case(batch=10000), "batched")
    assert large - small > 9990 * 4 * 16 * 16 * 8


@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
def test_values_that_fade_pass_through_subnormal_numbers(scan_path, kernel):
    made = workloads.build(make_case(kernel=kernel, pattern="fading"), scan_path)
    values = np.abs((made["gt_image"] if kernel == "patch_extraction" else made["obj_tensor"]).real)
    smallest = np.finfo(np.float32).tiny
    assert np.count_nonzero((values > 0) & (values < smallest)) > 20
    assert np.count_nonzero(values > 0.01) > 20
