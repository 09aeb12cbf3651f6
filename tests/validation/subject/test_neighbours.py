"""Neighbours are those of sorting every distance, found without doing so."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.children import make_case
from validation.kernels.patches import workloads
from validation.kernels.patches.case import of
from validation.subject import demo_scan, scans
from validation.subject.scan.neighbours import nearest

# Beside the checkout, where there is one.
REAL = [path for path in Path(__file__).parents if (path / "shared" / "data" / "run1084.npz").exists()]


def by_sorting(positions, centres, count):
    """The rule, spelled out: the position itself, then by distance, then by index."""
    rows = []
    for own, centre in enumerate(positions[:centres]):
        distance = ((positions - centre) ** 2).sum(axis=1)
        distance[own] = -1
        rows.append(np.argsort(distance, kind="stable")[:count])
    return np.array(rows, np.int64).reshape(len(rows), min(count, len(positions)))


def built_in():
    return np.stack(demo_scan.make_positions(), axis=1)


def real():
    if not REAL:
        pytest.skip("the real scan is not part of the project, and is not here")
    with np.load(REAL[0] / "shared" / "data" / "run1084.npz") as arrays:
        return np.stack([arrays["xcoords"], arrays["ycoords"]], axis=1)


def raster():
    return np.stack(np.meshgrid(np.arange(30.0), np.arange(40.0)), axis=-1).reshape(-1, 2)


def twenty_places():
    return np.random.default_rng(1).permutation(np.repeat(built_in()[:20], 5, axis=0))


def one_place():
    return np.full((3000, 2), 7.25)


def a_ring():
    angle = np.arange(64) * np.pi / 32
    return np.concatenate([[[0, 0]], np.round(64 * np.stack([np.cos(angle), np.sin(angle)], axis=1))])


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("make", [built_in, real, raster, twenty_places, one_place, a_ring])
def test_neighbours_are_those_of_sorting_all_distances(make, count):
    positions = make()
    np.testing.assert_array_equal(nearest(positions, 300, count), by_sorting(positions, 300, count))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(0, 70),
    st.integers(1, 12),
)
def test_on_coarse_grids_ties_are_broken_by_index(places, centres, count):
    positions = np.array(places, np.float64) / 7
    np.testing.assert_array_equal(nearest(positions, centres, count), by_sorting(positions, centres, count))


@pytest.mark.parametrize("make", [built_in, real])
def test_without_duplicates_a_position_is_its_own_nearest_so_that_workloads_stay_as_they_were(make):
    positions = make()
    old = [np.argsort(((positions - centre) ** 2).sum(axis=1), kind="stable")[:9] for centre in positions]
    np.testing.assert_array_equal(nearest(positions, len(positions), 9), old)


def test_every_position_is_the_centre_of_its_own_group():
    found = nearest(twenty_places(), 100, 4)
    np.testing.assert_array_equal(found[:, 0], np.arange(100))
    assert (np.sort(found, axis=1)[:, 1:] != np.sort(found, axis=1)[:, :-1]).all()


def save(path, positions, shape):
    image = np.random.default_rng(0).normal(size=shape) + 0j
    np.savez(path, objectGuess=image, xcoords=positions[:, 0], ycoords=positions[:, 1])
    return path


@pytest.mark.parametrize("gridsize", [1, 2, 3, 4])
def test_children_get_the_same_offsets_from_what_the_parent_found_as_without(tmp_path, gridsize):
    given = save(tmp_path / "given.npz", built_in(), (200, 256))
    prepared = scans.materialise(str(given), tmp_path)
    case = make_case(pattern="scan", gridsize=gridsize, batch=1500, height=200, width=256)
    with_it, without = workloads.positions(of(case), prepared), workloads.positions(of(case), str(given))
    assert with_it.tobytes() == without.tobytes()
    smaller = make_case(pattern="scan", gridsize=gridsize, batch=40, height=100, width=200)
    assert (
        workloads.positions(of(smaller), prepared).tobytes() == workloads.positions(of(smaller), str(given)).tobytes()
    )


def test_a_scan_of_fewer_positions_than_a_group_has_goes_round(tmp_path):
    path = save(tmp_path / "few.npz", np.array([[5.0, 5], [9, 5]]), (20, 20))
    case = make_case(pattern="scan", gridsize=2, batch=2, height=20, width=20)
    found = workloads.positions(of(case), scans.materialise(str(path), tmp_path))
    np.testing.assert_array_equal(found[:, 0], [5, 9, 5, 9, 9, 5, 9, 5])


def test_a_million_positions_are_prepared_in_seconds_and_a_child_takes_less_than_one(tmp_path):
    positions = np.random.default_rng(2).uniform(40, 2000, (10**6, 2))
    path = save(tmp_path / "many.npz", positions, (2048, 2100))
    started = time.process_time()
    prepared = scans.materialise(str(path), tmp_path)
    assert time.process_time() - started < 20
    case = make_case(pattern="scan", gridsize=2, batch=5000, height=2048, width=2100)
    started = time.process_time()
    workloads.positions(of(case), prepared)
    assert time.process_time() - started < 3
