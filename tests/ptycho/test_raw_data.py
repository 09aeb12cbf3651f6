"""Scan files and grouping."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from ptycho.raw_data import RawData

GOOD = {
    "objectGuess": np.ones((40, 30), np.complex64) * (1 + 2j),
    "xcoords": np.linspace(3, 26, 25),
    "ycoords": np.linspace(5, 35, 25),
}


def save(tmp_path, **changes):
    path = tmp_path / "scan.npz"
    np.savez(path, **{key: value for key, value in {**GOOD, **changes}.items() if value is not None})
    return path


def test_a_scan_with_and_without_the_optional_arrays_is_read(tmp_path):
    scan = RawData.from_npz(save(tmp_path))
    assert scan.diff3d is None
    assert scan.objectGuess.dtype == np.complex64
    np.testing.assert_array_equal(scan.xcoords, GOOD["xcoords"])
    full = RawData.from_npz(
        save(tmp_path, diff3d=np.zeros((25, 8, 8)), probeGuess=np.ones((8, 8)), xcoords_start=GOOD["xcoords"])
    )
    assert full.diff3d.shape == (25, 8, 8)
    assert full.xcoords_start.shape == (25,)


def test_a_compressed_scan_is_read(tmp_path):
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, **GOOD)
    np.testing.assert_array_equal(RawData.from_npz(path).ycoords, GOOD["ycoords"])


NAN = np.where(np.arange(25) == 7, np.nan, GOOD["xcoords"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectGuess": None}, "missing: objectGuess"),
        ({"xcoords": None, "ycoords": None}, "missing: xcoords, ycoords"),
        ({"objectGuess": np.ones((2, 3, 4))}, "objectGuess of .* array of 2 axes, got shape \\(2, 3, 4\\)"),
        ({"xcoords": NAN}, "xcoords of .* must be finite, got 1 values"),
        ({"xcoords": GOOD["xcoords"] + 10}, "xcoords of .* must lie in 0..29 .*got 8 positions outside"),
        ({"ycoords": GOOD["ycoords"][:-1]}, "ycoords of .* must have 25 entries like xcoords, got 24"),
        ({"ycoords": GOOD["ycoords"] * 1j}, "ycoords of .* must be real"),
        ({"diff3d": np.zeros((24, 8, 8))}, "diff3d of .* must have 25 entries like xcoords, got 24"),
        ({"probeGuess": np.array([["a"]])}, "probeGuess of .* must hold numbers"),
        ({"objectGuess": np.array([[1, None]])}, "objectGuess.* pickled"),
    ],
)
def test_a_bad_scan_is_refused_with_the_array_and_the_reason(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        RawData.from_npz(save(tmp_path, **changes))


def test_axes_of_length_one_that_are_too_many_are_left_out_and_told(tmp_path, caplog):
    odd = {
        "objectGuess": GOOD["objectGuess"][np.newaxis],
        "xcoords": GOOD["xcoords"][:, np.newaxis],
        "ycoords": GOOD["ycoords"][np.newaxis],
        "probeGuess": np.ones((1, 8, 8)),
        "diff3d": np.ones((25, 8, 1, 8)),
    }
    with caplog.at_level("INFO", "ptycho"):
        scan = RawData.from_npz(save(tmp_path, **odd))
    for name in GOOD:
        np.testing.assert_array_equal(getattr(scan, name), GOOD[name])
    assert scan.probeGuess.shape == (8, 8)
    assert scan.diff3d.shape == (25, 8, 8)
    told = [record.message for record in caplog.records]
    assert len(told) == 5
    assert any("objectGuess" in line and "has shape (1, 40, 30), taken as (40, 30)" in line for line in told)


def test_an_array_with_the_axes_it_should_have_keeps_those_of_length_one(tmp_path, caplog):
    line = {"objectGuess": np.ones((1, 9), np.complex64), "xcoords": np.array([4.0]), "ycoords": np.array([0.0])}
    with caplog.at_level("INFO", "ptycho"):
        scan = RawData.from_npz(save(tmp_path, **line, diff3d=np.ones((1, 1, 1))))
    assert (scan.objectGuess.shape, scan.xcoords.shape, scan.diff3d.shape) == ((1, 9), (1,), (1, 1, 1))
    assert not caplog.records


def test_arrays_that_no_extraction_reads_refuse_no_scan(tmp_path, caplog):
    patterns, modes = np.ones((25, 8, 8)), np.ones((6, 8, 8), np.complex64)
    patterns[3, 2, 1], modes[2, 2, 2] = np.nan, np.inf
    with caplog.at_level("INFO", "ptycho"):
        scan = RawData.from_npz(save(tmp_path, diff3d=patterns, probeGuess=modes))
    np.testing.assert_array_equal(scan.probeGuess, modes)
    np.testing.assert_array_equal(scan.diff3d, patterns)
    assert "several modes" in caplog.text
    assert "NaN or infinite" in caplog.text


def test_diffraction_patterns_are_read_when_asked_for_and_once(tmp_path, monkeypatch):
    patterns = np.random.default_rng(0).normal(size=(25, 8, 8))
    monkeypatch.chdir(tmp_path)
    save(tmp_path, diff3d=patterns)
    scan = pickle.loads(pickle.dumps(RawData.from_npz("scan.npz")))
    monkeypatch.chdir("/")
    read = []
    monkeypatch.setattr(
        np.lib.format, "read_array", lambda *a, f=np.lib.format.read_array, **k: read.append(1) or f(*a, **k)
    )
    assert not read
    np.testing.assert_array_equal(scan.diff3d, patterns)
    assert scan.diff3d is scan.diff3d
    assert len(read) == 1
    assert RawData(GOOD["objectGuess"], GOOD["xcoords"], GOOD["ycoords"], diff3d=patterns).diff3d is patterns


def test_reading_a_scan_does_not_touch_the_data_of_its_patterns(tmp_path):
    path = save(tmp_path, diff3d=np.full((25, 8, 8), 7.25))
    content = path.read_bytes()
    at = content.index(np.full(9, 7.25).tobytes())
    path.write_bytes(content[:at] + b"damaged!" + content[at + 8 :])
    scan = RawData.from_npz(path)
    np.testing.assert_array_equal(scan.xcoords, GOOD["xcoords"])
    with pytest.raises(ValueError, match=r"is not a readable \.npz file: BadZipFile"):
        scan.diff3d  # noqa: B018


@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_every_position_is_the_centre_of_a_group_where_several_share_a_place(gridsize):
    rng = np.random.default_rng(4)
    places = rng.uniform(5, 45, (20, 2)).repeat(5, axis=0)
    scan = RawData(np.ones((50, 50), np.complex64), *places.T)
    indices = scan.group(100, gridsize).indices
    assert set(indices.ravel()) == set(range(100))
    assert all(len(set(members)) == gridsize**2 for members in indices)
    assert set(scan.group(40, 1).indices.ravel()) == set(scan.group(40, 1, neighbor_count=9).indices.ravel())


def test_a_missing_file_and_a_file_of_another_kind_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none at"):
        RawData.from_npz(tmp_path / "no.npz")
    other = tmp_path / "other.npz"
    other.write_text("not a zip")
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        RawData.from_npz(other)


def test_a_truncated_file_is_refused(tmp_path):
    path = save(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        RawData.from_npz(path)


def test_a_header_that_claims_a_terabyte_allocates_nothing(tmp_path):
    path = save(tmp_path, objectGuess=None)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<c8", "fortran_order": False, "shape": (400_000, 400_000)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("objectGuess.npy", member.getvalue() + b"\0" * 64)
    with pytest.raises(ValueError, match="its header declares 1280000000000 bytes, the file holds 64"):
        RawData.from_npz(path)


@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_groups_hold_neighbours_whose_offsets_add_up_to_their_positions(gridsize):
    rng = np.random.default_rng(1)
    scan = RawData(np.ones((50, 60), np.complex64), rng.uniform(0, 59, 80), rng.uniform(0, 49, 80))
    c = gridsize**2
    groups = scan.group(30, gridsize, neighbor_count=c + 2, seed=3)
    assert groups.global_offsets.shape == (30, 1, 2, 1)
    assert groups.local_offsets.shape == (30, 1, 2, c)
    total = (groups.global_offsets + groups.local_offsets)[:, 0]
    np.testing.assert_allclose(total[:, 0], scan.xcoords[groups.indices], atol=1e-12)
    np.testing.assert_allclose(total[:, 1], scan.ycoords[groups.indices], atol=1e-12)
    assert all(len(set(members)) == c for members in groups.indices)
    positions = np.column_stack([scan.xcoords, scan.ycoords])
    for members in groups.indices:
        nearest = [np.argsort(np.hypot(*(positions - positions[m]).T))[: c + 2] for m in members]
        assert any(set(members) <= set(near) for near in nearest)


def test_channels_are_laid_out_row_by_row():
    x, y = (axis.ravel() for axis in np.meshgrid([10.0, 20.0], [5.0, 15.0]))
    groups = RawData(np.ones((30, 30), np.complex64), x, y).group(4, 2)
    for members in groups.indices:
        np.testing.assert_array_equal(members, [0, 1, 2, 3])


def test_the_same_seed_draws_the_same_groups_and_another_one_does_not():
    rng = np.random.default_rng(1)
    scan = RawData(np.ones((50, 60), np.complex64), rng.uniform(0, 59, 80), rng.uniform(0, 49, 80))
    np.testing.assert_array_equal(scan.group(30, 2, 8, seed=1).indices, scan.group(30, 2, 8, seed=1).indices)
    assert (scan.group(30, 2, 8, seed=1).indices != scan.group(30, 2, 8, seed=2).indices).any()


def test_positions_repeat_only_beyond_their_number():
    scan = RawData(np.ones((40, 40), np.complex64), np.arange(10.0), np.arange(10.0))
    assert len(set(scan.group(10, 1).indices.ravel())) == 10
    assert scan.group(25, 1).indices.shape == (25, 1)
    assert scan.group(0, 2).global_offsets.shape == (0, 1, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_groups": -1, "gridsize": 1}, "n_groups must not be negative, got -1"),
        ({"n_groups": 1, "gridsize": 0}, "must be positive, got 0"),
        ({"n_groups": 1, "gridsize": 4}, "gridsize 4 needs at least 16 positions, the scan has 10"),
    ],
)
def test_impossible_groups_are_refused(arguments, message):
    scan = RawData(np.ones((40, 40), np.complex64), np.arange(10.0), np.arange(10.0))
    with pytest.raises(ValueError, match=message):
        scan.group(**arguments)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(">c8", "c8"), (">c16", "c16"), (">f4", "c8"), ("<f8", "c16"), ("<f2", "c8"), ("<i4", "c16")],
)
def test_the_precision_of_an_object_does_not_depend_on_the_byte_order(tmp_path, stored, expected):
    values = np.arange(63).reshape(7, 9)
    np.savez(tmp_path / "scan.npz", objectGuess=values.astype(stored), xcoords=[1.0], ycoords=[2.0])
    found = RawData.from_npz(tmp_path / "scan.npz").objectGuess
    assert found.dtype == np.dtype(expected)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values)
