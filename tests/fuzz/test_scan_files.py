"""A scan file from anywhere: read as it is, or refused as ValueError; nothing is run, nothing huge allocated."""

import io
import os
import pickle
import resource
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptycho.raw_data import RawData
from ptycho.scan_file import read_arrays
from tests.fuzz import hostile
from tests.fuzz.conftest import FUZZ

GOOD = {
    "objectGuess": np.ones((9, 7), np.complex64) * (1 + 2j),
    "xcoords": np.linspace(0, 6, 5),
    "ycoords": np.linspace(0, 8, 5),
}


def good_bytes(packed=False):
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **GOOD)
    return file.getvalue()


def npy(descr="'<f8'", shape="(3,)", data=bytes(24), header=None, version=(1, 0)):
    """A .npy member with any header."""
    text = header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    encoded = text.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(encoded)) + encoded + data


def save(folder, member, method=zipfile.ZIP_STORED):
    path = folder / "scan.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("xcoords.npy", member)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scans")


@pytest.fixture
def little_memory():
    """Let the process grow by 2 GiB at most: what allocates more fails here and not in the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def read(path):
    """Outcome of reading a scan; any exception but ValueError is one of the test."""
    try:
        return RawData.from_npz(path)
    except ValueError as error:
        refusal = error
    assert str(path) in str(refusal), refusal
    return None


@FUZZ
@given(st.booleans(), st.data())
def test_a_damaged_file_reads_as_it_was_or_is_refused(folder, packed, data):
    content = bytearray(good_bytes(packed))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "scan.npz"
    path.write_bytes(bytes(content))
    scan = read(path)
    if scan is not None:  # the checksums of the archive hold what it contains
        np.testing.assert_array_equal(scan.xcoords, GOOD["xcoords"])


@FUZZ
@given(st.dictionaries(st.sampled_from([*GOOD, "diff3d", "probeGuess", "xcoords_start"]), hostile.arrays(), max_size=3))
def test_arrays_of_any_dtype_and_shape_are_taken_or_refused(folder, changes):
    path = folder / "scan.npz"
    np.savez(path, **{**GOOD, **changes})
    scan = read(path)
    if scan is not None:
        assert scan.objectGuess.dtype in (np.complex64, np.complex128)
        assert scan.xcoords.dtype == scan.ycoords.dtype == np.float64
        assert np.isfinite(scan.objectGuess).all()
        assert len(scan.xcoords) == len(scan.ycoords)


@FUZZ
@given(
    st.one_of(st.text(max_size=60), st.from_regex(r"\{'(descr|shape)': [\[\](){}<>f8',0-9-]{0,30}\}?", fullmatch=True))
)
def test_any_text_for_a_header_is_refused(folder, text):
    member = npy(header="'" + text.encode("latin1", "replace").decode("latin1"))
    with pytest.raises(ValueError, match=r"scan\.npz"):
        read_arrays(save(folder, member), ["xcoords"])


@pytest.mark.parametrize(
    "member",
    [
        npy(header="{'descr': '<f8', 'shape': ((("),
        npy(header="  1\n 2"),
        npy(header="{1: 2, 'a': 3}"),
        npy(header="{[]: 2}"),
        npy(header="-" * 9000 + "1"),
        npy("()"),
        npy("[('a', [('b', ())])]"),
        npy(shape="(True, 3)"),
        npy(shape="(-3, -1)"),
        npy(shape="(0, 99999999999999999999999)", data=b""),
        npy(version=(9, 0)),
        b"",
    ],
)
def test_headers_that_make_numpy_stumble_are_refused(folder, member):
    with pytest.raises(ValueError, match=r"scan\.npz"):
        read_arrays(save(folder, member), ["xcoords"])


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("descr", ["'<f8'", "'S0'", "'V0'", "'U0'", "[]", "'|u1'"])
def test_a_header_that_claims_a_terabyte_allocates_none(folder, descr):
    with pytest.raises(ValueError, match=r"xcoords.*(declares|no size)"):
        read_arrays(save(folder, npy(descr, "(1000000000000,)")), ["xcoords"])


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_lies_about_a_size_is_refused_before_anything_is_allocated(folder, method):
    claimed = 0xFFFFFFF0
    header = len(npy("'|u1'", "(4294967200,)", b""))
    path = save(folder, npy("'|u1'", f"({claimed - header},)", bytes(8)), method)
    content = bytearray(path.read_bytes())
    size_at = content.rindex(b"PK\x01\x02") + 24
    content[size_at : size_at + 4] = struct.pack("<I", claimed)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="the archive claims 4294967280 bytes"):
        read_arrays(path, ["xcoords"])


@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_beyond_the_memory_is_refused_before_it_is_unpacked(folder, monkeypatch):
    path = save(folder, npy("'|u1'", "(50000000,)", bytes(50_000_000)), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert read_arrays(path, ["xcoords"])["xcoords"].nbytes == 50_000_000
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10_000}  # a machine of 41 MB
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    with pytest.raises(ValueError, match="must fit in memory: it has 50000000 bytes, the machine 40960000"):
        read_arrays(path, ["xcoords"])


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("descr", ["'O'", "'|O8'", "[('a', 'O')]", "('O', (1,))"])
def test_a_pickle_is_never_loaded(folder, tmp_path, descr):
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(np.array([Trap(sprung)], object))
    with pytest.raises(ValueError, match="pickled"):
        read_arrays(save(folder, npy(descr, "(1,)", trap)), ["xcoords"])
    bare = tmp_path / "bare.npz"
    bare.write_bytes(trap)
    assert read(bare) is None
    assert not sprung.exists()
    pickle.loads(trap)[0].close()  # the trap does work
    assert sprung.exists()
