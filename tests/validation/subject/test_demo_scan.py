import numpy as np
import pytest

from validation.subject import demo_scan


@pytest.fixture
def scan(tmp_path):
    demo_scan.write_demo_scan(tmp_path / "scan.npz")
    with np.load(tmp_path / "scan.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_two_writes_give_the_same_bytes(tmp_path):
    demo_scan.write_demo_scan(tmp_path / "one.npz")
    demo_scan.write_demo_scan(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.tensorflow
def test_it_is_a_scan_that_ptycho_accepts(tmp_path):
    from ptycho.raw_data import RawData

    demo_scan.write_demo_scan(tmp_path / "scan.npz")
    data = RawData.from_npz(tmp_path / "scan.npz")
    assert data.objectGuess.shape == (200, 256)
    assert len(data.xcoords) == demo_scan.POSITIONS


@pytest.mark.parametrize("name", ["flipped left to right", "flipped upside down", "turned", "conjugated"])
def test_the_object_has_no_symmetry(scan, name):
    part = scan["objectGuess"][:200, :200]
    other = {
        "flipped left to right": part[:, ::-1],
        "flipped upside down": part[::-1],
        "turned": np.rot90(part),
        "conjugated": part.conj(),
    }[name]
    assert np.abs(part - other).mean() > 0.1


@pytest.mark.parametrize("period", [2, 8, 32])
def test_the_object_has_structure_at_every_scale(scan, period):
    power = np.abs(np.fft.fft2(scan["objectGuess"] - scan["objectGuess"].mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(200)[:, None], np.fft.fftfreq(256)[None, :])
    ring = (radius > 0.8 / period) & (radius < 1.25 / period)
    assert power[ring].sum() / power.sum() > 1e-4


def test_positions_keep_the_probe_inside_and_differ_in_x_and_y(scan):
    x, y = scan["xcoords"], scan["ycoords"]
    assert x.min() >= 32
    assert x.max() <= 256 - 32
    assert y.min() >= 32
    assert y.max() <= 200 - 32
    assert np.ptp(x) > 1.2 * np.ptp(y)
