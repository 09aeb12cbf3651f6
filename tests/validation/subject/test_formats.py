"""A scan is the same scan, whichever package wrote the file and whatever the file is called."""

import types

import numpy as np
import pytest

from tests.validation.subject import files
from validation.contract.errors import UsageError
from validation.subject.scan import formats, reading
from validation.subject.scan.options import Reading, reading_of


def read(path, *words):
    return reading.read(path, reading_of(words))


def save(path, **changes):
    """Our own form of a scan, with changes."""
    image, x, y, probe = files.scan()
    arrays = {"objectGuess": image, "xcoords": x, "ycoords": y, "probeGuess": probe, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("form", files.MAKERS)
def test_a_format_gives_the_object_and_positions_of_our_own(tmp_path, form, dtype):
    make, words = files.MAKERS[form]
    image, x, y, probe = files.scan(dtype)
    path = tmp_path / "result"  # found by content: the name says nothing
    with open(path, "wb") as file:  # NumPy adds a suffix to a name
        if make in (files.ptychopinn, files.ptychodus_npz):
            make(file, image, x, y, probe)
    if not path.stat().st_size:
        make(path, image, x, y, probe)
    found = read(path, *words)
    assert found.form == form.replace(", cells", " (MATLAB file (HDF5))")
    assert found.image.dtype == dtype
    np.testing.assert_allclose(found.x, x, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.y, y, rtol=0, atol=1e-9)
    if make is files.ptyrad:  # amplitude and phase were made of it
        np.testing.assert_allclose(found.image, image, rtol=3 * np.finfo(dtype).eps)
    else:
        np.testing.assert_array_equal(found.image, image)
        assert found.image.flags.c_contiguous


def test_what_is_written_in_our_form_is_read_as_the_same(tmp_path):
    image, x, y, probe = files.scan()
    files.ptypy(tmp_path / "a.ptyr", image, x, y, probe)
    found = read(tmp_path / "a.ptyr")
    reading.write(tmp_path / "a.npz", found)
    again = read(tmp_path / "a.npz")
    for name in ("image", "x", "y", "probe"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


@pytest.mark.parametrize(
    "changed",
    [
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        np.asfortranarray,
        lambda array: array[..., None],
        lambda array: array[None],
    ],
)
def test_byte_order_memory_order_and_axes_of_one_give_the_same_bits(tmp_path, changed):
    image, x, y, _ = files.scan()
    path = save(tmp_path / "a.npz", objectGuess=changed(image), xcoords=changed(x), ycoords=changed(y))
    found = read(path)
    for name, array in (("image", image), ("x", x), ("y", y)):
        assert getattr(found, name).tobytes() == array.tobytes()
    squeezed = [remark for remark in found.remarks if "axes of length one" in remark]
    assert len(squeezed) == (3 if changed(x).ndim == 2 else 0)


def test_complex_numbers_may_be_pairs_in_a_structure_or_along_the_last_axis(tmp_path):
    image, *_ = files.scan()
    pairs = np.empty(image.shape, [("r", ">f4"), ("i", ">f4")])
    pairs["r"], pairs["i"] = image.real, image.imag
    for given in (pairs, np.stack([image.real, image.imag], axis=-1)):
        found = read(save(tmp_path / "a.npz", objectGuess=given))
        assert found.image.tobytes() == image.tobytes()
        assert "pairs of" in found.remarks[0]


@pytest.mark.parametrize(("words", "layer"), [((), 0), (("--layer", "1"), 1)])
def test_of_several_layers_one_is_taken_and_it_is_said(tmp_path, words, layer):
    image, *_ = files.scan()
    found = read(save(tmp_path / "a.npz", objectGuess=np.stack([image, 2 * image])), *words)
    np.testing.assert_array_equal(found.image, (layer + 1) * image)
    assert f"has 2 layers or modes, shape (2, 47, 62): layer {layer} is taken" in found.remarks[0]


def test_a_layer_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--layer must be 0 to 0, since objectGuess of .*a\.npz has 1, got 1"):
        read(save(tmp_path / "a.npz"), "--layer", "1")


@pytest.mark.parametrize("maker", [files.ptychoshelves_v5, files.ptychoshelves_v73])
def test_layers_of_a_matlab_object_are_its_last_axis(tmp_path, maker):
    image, x, y, probe = files.scan()
    maker(tmp_path / "a.mat", np.stack([image, 2 * image, 3 * image], axis=2), x, y, probe)
    np.testing.assert_array_equal(read(tmp_path / "a.mat", "--layer", "2").image, 3 * image)


def test_what_nothing_here_reads_is_told_and_left_alone(tmp_path):
    _, x, _, probe = files.scan()
    nan = np.full((len(x), 4, 4), np.nan)
    found = read(save(tmp_path / "a.npz", probeGuess=np.stack([probe] * 6), diff3d=nan, odd=np.array([{}], object)))
    assert found.probe is None
    assert found.remarks == ("probeGuess of shape (6, 16, 16) is not one image: left alone, nothing here needs it",)
    found = read(save(tmp_path / "a.npz", probeGuess=probe * np.nan, diff3d=nan.T))
    assert "probeGuess holds NaN" in found.remarks[0]
    assert "diff3d of shape (4, 4, 30) has its positions along another axis than the first" in found.remarks[1]


def test_the_patterns_may_be_longer_than_memory_and_are_not_read(tmp_path):
    image, x, y, probe = files.scan()
    with files.h5py.File(tmp_path / "a.h5", "w") as file:
        file["objectGuess"], file["xcoords"], file["ycoords"], file["probeGuess"] = image, x, y, probe
        file.create_dataset("diff3d", (len(x), 1 << 20, 1 << 20), "f4", chunks=(1, 64, 64))
    found = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.image, image)
    assert found.remarks == ()


class Lab:
    """A lab's own format: positions under names of its own, in tenths of a pixel."""

    NAME = "LAB"

    @staticmethod
    def recognises(source):
        return "lab_x" in source

    @staticmethod
    def read(source, asked):
        from validation.subject.scan.scan import Scan

        image = source.read("lab")
        x, y = source.read("lab_x") / 10, source.read("lab_y") / 10
        return Scan("LAB", image, x, y, None, "tenths of a pixel", "divided by ten")


def test_a_lab_adds_its_own_format_by_an_entry_point(tmp_path, monkeypatch):
    image, x, y, _ = files.scan()
    np.savez(tmp_path / "a.npz", lab=image, lab_x=10 * x, lab_y=10 * y)
    with pytest.raises(UsageError, match=r"is none of: ptychodus product, .* it holds lab, lab_x, lab_y; .* --map"):
        read(tmp_path / "a.npz")
    point = types.SimpleNamespace(name="lab", value="lab:Lab", load=lambda: Lab)
    monkeypatch.setattr(formats, "entry_points", lambda group: [point] if group == formats.GROUP else [])
    np.testing.assert_allclose(read(tmp_path / "a.npz").x, x)

    def broken():
        raise ImportError("no module named lab")

    point.load = broken
    with pytest.raises(UsageError, match=r"the scan format lab \(lab:Lab\) cannot be loaded: no module named lab"):
        read(tmp_path / "a.npz")


def test_a_reading_is_the_same_after_its_words():
    given = Reading(layer=2, names={"xcoords": "/a b", "ycoords": "/c[:,1]"}, pixel_size_m=1 / 3 * 1e-8, origin="zero")
    assert reading_of(given.words()) == given
