"""What a file does not say is asked for by the name of the option; what cannot be right gets a hint."""

import re

import h5py
import numpy as np
import pytest

from tests.validation.subject import files
from tests.validation.subject.test_formats import read, save
from validation.contract.errors import UsageError

H, W = files.H, files.W


def refusal(path, *words):
    with pytest.raises(UsageError) as error:
        read(path, *words)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_positions_within_one_pixel_may_be_metres(tmp_path):
    path = save(tmp_path / "a.npz", xcoords=np.linspace(0, 4e-6, 30), ycoords=np.linspace(0, 3e-6, 30))
    assert "metres? give --pixel-size" in refusal(path)
    assert "need --origin center" in refusal(path, "--pixel-size", "1e-7")
    found = read(path, "--pixel-size", "1e-7", "--origin", "zero")
    np.testing.assert_allclose(found.x, np.linspace(0, 40, 30))
    assert "all positions lie within one pixel" in read(path, "--pixel-size", "1", "--origin", "zero").remarks[0]


def test_positions_about_the_centre_are_seen(tmp_path):
    _, x, y, _ = files.scan()
    path = save(tmp_path / "a.npz", xcoords=x - W / 2, ycoords=y - H / 2)
    assert "from the object's centre: --origin center" in refusal(path)
    np.testing.assert_allclose(read(path, "--origin", "center").x, x)


def test_exchanged_axes_are_seen_and_the_options_given_mend_it(tmp_path):
    _, x, y, _ = files.scan()
    x[3] = W - 2
    path = save(tmp_path / "a.npz", xcoords=y, ycoords=x)
    message = refusal(path)
    options = re.search(r"exchanged: (.*)", message)[1].split()
    np.testing.assert_array_equal(read(path, *options).x, x)
    path = save(tmp_path / "b.npz", xcoords=y - H / 2, ycoords=x - W / 2)
    options = re.search(r"centre: (.*)", refusal(path))[1].split()
    np.testing.assert_allclose(read(path, *options).x, x)


def test_the_corner_of_the_window_needs_its_size(tmp_path):
    _, x, y, _ = files.scan()
    path = save(tmp_path / "a.npz", xcoords=x - 8, ycoords=y - 8)
    np.testing.assert_allclose(read(path, "--origin", "corner").x, x)
    path = save(tmp_path / "a.npz", probeGuess=None)
    assert "--origin corner needs the size of the window" in refusal(path, "--origin", "corner")


@pytest.mark.parametrize(
    ("attribute", "option", "value"), [("pixel_width_m", "--pixel-size", "8e-9"), ("center_x_m", "--origin", "center")]
)
def test_what_a_product_does_not_say_is_asked_for(tmp_path, attribute, option, value):
    image, x, y, probe = files.scan()
    path = tmp_path / "a.h5"
    files.ptychodus_h5(path, image, x, y, probe)
    assert f"{option} is not needed" in refusal(path, option, value)
    with h5py.File(path, "r+") as file:
        del file["object"].attrs[attribute]
    assert f"does not say {attribute} of its object: give {option}" in refusal(path)


def test_missing_arrays_list_those_that_are_there(tmp_path):
    image, x, y, probe = files.scan()
    path = save(tmp_path / "a.npz", ycoords=None, y=y)
    assert "missing: ycoords; it holds objectGuess, xcoords, probeGuess, y;" in refusal(path)
    np.testing.assert_array_equal(read(path, "--map", "ycoords=y").y, y)
    files.ptypy(tmp_path / "a.ptyr", image, x, y, probe)
    with h5py.File(tmp_path / "a.ptyr", "r+") as file:
        del file["content/positions"]
    assert "missing: content/positions/Sscan00G00; it holds content/obj" in refusal(tmp_path / "a.ptyr")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"xcoords": np.full(30, np.nan)}, "xcoords of .* must be finite, got 30"),
        ({"objectGuess": np.full((H, W), np.inf)}, "objectGuess of .* must be finite"),
        ({"xcoords": np.arange(29.0)}, "ycoords of .* must have 29 entries like xcoords, got 30"),
        ({"xcoords": np.ones((30, 2))}, r"one axis, got shape \(30, 2\); .* xcoords\[:,0\]"),
        ({"xcoords": np.ones(30, complex)}, "xcoords of .* must hold real numbers, got dtype complex128"),
        ({"xcoords": np.array(["a"] * 30)}, "xcoords of .* must hold real numbers, got dtype <U1"),
        ({"xcoords": np.zeros(0)}, "xcoords of .* must be a non-empty array"),
        ({"objectGuess": np.ones(5)}, "objectGuess of .* must be an image of two axes"),
        ({"objectGuess": np.ones((H, W), object)}, "array 'objectGuess' of .* cannot be read: it is pickled"),
        ({"objectGuess": np.ones((H, W), "S3")}, "objectGuess of .* must hold numbers"),
        (
            {"xcoords": np.full(30, 500.0)},
            r"xcoords of .* must lie in 0..61 \(the object is 47 x 62\), got 30 positions",
        ),
    ],
)
def test_what_is_no_scan_is_refused_by_name(tmp_path, changes, words):
    assert re.search(words, refusal(save(tmp_path / "a.npz", **changes)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--map", "x=/a"), "--map must be NAME=/path/in/file"),
        (("--map", "xcoords"), "--map must be NAME=/path/in/file"),
        (("--map", "xcoords=a", "--map", "xcoords=b"), "--map must name xcoords once"),
        (("--map", "xcoords=nowhere"), "must hold the array nowhere; it holds objectGuess"),
        (("--map", "xcoords=objectGuess[:,99]"), r"must be numbers and colons that fit \(47, 62\), got \[:,99\]"),
        (("--pixel-size", "-1"), "--pixel-size must be a positive number"),
        (("--pixel-size", "nan"), "--pixel-size must be a positive number"),
        (("--layer", "-1"), "--layer must not be negative"),
        (("--origin", "middle"), "--origin must be one of"),
        (("--frobnicate", "1"), "--frobnicate is no option"),
        (("--layer",), "--layer is no option"),
    ],
)
def test_options_at_fault_are_refused(tmp_path, words, message):
    with pytest.raises(UsageError, match=message):
        read(save(tmp_path / "a.npz"), *words)


def test_positions_that_are_there_more_than_once_and_odd_values_are_told(tmp_path):
    image, x, y, _ = files.scan()
    x[5:10], y[5:10] = x[0], y[0]
    found = read(save(tmp_path / "a.npz", objectGuess=image * 1e-9, xcoords=x, ycoords=y))
    assert "the 30 positions lie at 25 places" in found.remarks[0]
    assert "largest magnitude is" in found.remarks[1]
