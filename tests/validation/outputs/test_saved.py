"""Results in files: one after the other, mapped and not read, refused where they are damaged."""

import hashlib
import io
import json
import tempfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.validation.outputs.judging import judged, through_a_file
from validation.outputs import saved
from validation.outputs.saved import Output, load, save
from validation.outputs.tree import Tree, complete

ANY_DTYPE = npst.scalar_dtypes() | npst.unicode_string_dtypes() | npst.byte_string_dtypes()


@given(ANY_DTYPE.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=4))))
def test_an_array_of_any_dtype_and_shape_comes_back_with_its_bits(array):
    loaded = through_a_file(complete([array.T])).arrays[0]
    assert (loaded.dtype, loaded.shape) == (array.dtype, array.T.shape)
    assert loaded.tobytes() == array.T.tobytes()


def test_results_stand_one_after_the_other(tmp_path):
    results = [np.arange(5, dtype=np.int8), {"x": [1.0, 2.0], "y": None}, np.ones((2, 3), np.complex64).T, "text"]
    with (tmp_path / "results").open("wb") as file:
        file.write(b"before")
        for result in results:
            save(file, complete(result))
        file.write(b"after")
    with (tmp_path / "results").open("rb") as file:
        file.seek(len(b"before"))
        for result in results:
            assert judged(load(file), result, 0.0).passed
        assert file.read() == b"after"


def test_arrays_are_mapped_aligned_and_cannot_be_written_into(tmp_path):
    path = tmp_path / "results"
    with path.open("wb") as file:
        save(file, complete([np.ones(3, np.int8), np.ones(1000), np.ones(5, "G")]))
    with path.open("rb") as file:
        arrays = load(file).arrays
    with path.open("r+b") as file:  # what is mapped shows what is written into the file
        file.seek(-1000, io.SEEK_END)
        file.write(bytes(900))
    assert np.count_nonzero(arrays[1]) < 1000
    for array in arrays:
        assert not array.flags.writeable
        assert array.ctypes.data % array.dtype.alignment == 0


def test_an_array_in_pieces_is_written_without_a_copy_of_the_whole():
    array = np.ones((3000, 1000)).T
    with tempfile.TemporaryFile() as file:
        tracemalloc.start()
        save(file, complete(array))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.seek(0)
        assert judged(load(file), array, 0.0).passed
    assert peak < array.nbytes


def test_what_is_no_plain_array_is_not_saved():
    with pytest.raises(ValueError, match="objects cannot be saved"):
        save(io.BytesIO(), Tree.of(np.array([object()])))


def content(result):
    with tempfile.TemporaryFile() as file:
        save(file, complete(result))
        file.seek(0)
        return file.read()


WHOLE = content([np.arange(3.0), "text", [None, "x"], {"a": 1, "b": 2**70}])


def load_bytes(written):
    with tempfile.TemporaryFile() as file:
        file.write(written)
        file.seek(0)
        return load(file)


@pytest.mark.parametrize("length", range(0, len(WHOLE), 7))
def test_a_file_that_is_cut_short_is_refused(length):
    with pytest.raises(ValueError, match=r"."):
        load_bytes(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_gives_a_result_that_can_be_compared(at, change):
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    try:
        loaded = load_bytes(bytes(damaged))
    except ValueError:
        return
    judged(load_bytes(WHOLE), loaded)
    judged(loaded, load_bytes(WHOLE))


LEAF = {"kind": "array", "at": 0}
NUMBERS = {"dtype": "<f8", "shape": [2]}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        {"skeleton": LEAF, "paths": [""], "arrays": []},
        {"skeleton": LEAF, "paths": [], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "array", "at": 1}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "array", "at": -1}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "array"}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"at": 0}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "list", "parts": [["", {"kind": "array", "at": 7}]]}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "list", "parts": [LEAF]}, "paths": [""], "arrays": [NUMBERS]},
        {"skeleton": {"kind": "objects", "dtype": "object", "shape": [2], "values": ["1"]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "objects", "dtype": "object", "shape": [1], "texts": [1]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "objects", "shape": [1], "values": ["1"]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "objects", "dtype": "object", "shape": [0]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "range", "range": [0, 1, 0]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "range", "range": [0, 2**70, 1]}, "paths": [], "arrays": []},
        {"skeleton": {"kind": "range"}, "paths": [], "arrays": []},
        *(
            {"skeleton": LEAF, "paths": [""], "arrays": [array]}
            for array in (
                {"dtype": "O", "shape": [2]},
                {"dtype": "<f8,O", "shape": [2]},
                {"dtype": "no dtype", "shape": [2]},
                {"dtype": "<f8", "shape": [3]},
                {"dtype": "<f8", "shape": [-1]},
                {"dtype": "<f8", "shape": [-1, -2]},
                {"dtype": "<f8", "shape": [2**40, 2**40]},
                {"dtype": "<f8", "shape": "2"},
            )
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_a_header_that_fits_nothing_is_refused(header):
    written = json.dumps(header).encode()
    begin = saved._MARK + len(written).to_bytes(saved._LENGTH, "little") + written
    with pytest.raises(ValueError, match="damaged"):
        load_bytes(begin + bytes(-len(begin) % 64) + bytes(16))


def test_a_header_without_an_end_is_refused():
    written = b'{"skeleton":' + b'{"kind":"list","parts":[["",' * 5000
    with pytest.raises(ValueError, match=r"."):
        load_bytes(saved._MARK + len(written).to_bytes(saved._LENGTH, "little") + written)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "output"
    with path.open("wb") as file:
        save(file, complete({"x": np.arange(1000.0), "y": "text"}))
    return path


def test_an_output_lasts_after_its_file_has_gone(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    output = Output(path)
    assert not path.exists()
    assert judged(output.tree, {"x": np.arange(1000.0), "y": "text"}, 0.0).passed
    assert output.sha256() == digest


def test_equal_results_have_the_same_digest(path, tmp_path):
    with (tmp_path / "again").open("wb") as file:
        save(file, complete({"y": "text", "x": np.arange(1000.0)}))
    assert Output(path).sha256() == Output(tmp_path / "again").sha256()


@pytest.mark.parametrize("written", [b"", b"\x93NUMPY", WHOLE[:50]])
def test_an_output_that_cannot_be_read_is_refused_and_left(tmp_path, written):
    path = tmp_path / "output"
    path.write_bytes(written)
    with pytest.raises(ValueError, match=r"."):
        Output(path)
    assert path.exists()
    with pytest.raises(OSError, match="none"):
        Output(tmp_path / "none")
