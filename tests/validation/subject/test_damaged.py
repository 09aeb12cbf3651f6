"""A damaged, encrypted or foreign file is refused in one line that names it; whatever is wrong ends nothing else."""

import os
import re
import signal
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.conftest import FUZZ
from tests.validation.subject import files
from tests.validation.subject.test_formats import save
from validation.contract.errors import InstrumentError, UsageError
from validation.subject.scan import isolated, reading
from validation.subject.scan.options import Reading, reading_of


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Content of one file per format, with the options that read it."""
    folder = tmp_path_factory.mktemp("good")
    found = []
    for make, words in files.MAKERS.values():
        path = folder / f"{make.__name__}.npz"
        make(path, *files.scan())
        found.append((path.read_bytes(), words))
    return found


# MATLAB files of version 5 are left out: their reader crashes, so that it runs in a process of its own.
CALM = [number for number, (make, _) in enumerate(files.MAKERS.values()) if make is not files.ptychoshelves_v5]


@FUZZ
@given(number=st.sampled_from(CALM), data=st.data())
def test_a_damaged_file_is_read_or_refused(good, tmp_path_factory, number, data):
    content, words = bytearray(good[number][0]), good[number][1]
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 6))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(content))
    try:
        found = reading.read(path, reading_of(words))
    except UsageError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert str(path) in refusal
        return
    assert found.image.dtype in (np.complex64, np.complex128)
    assert np.isfinite(found.image).all()
    assert len(found.x) == len(found.y)


def test_a_file_that_crashes_its_reader_is_refused(tmp_path, monkeypatch):
    files.ptychoshelves_v5(tmp_path / "a.mat", *files.scan())
    assert len(isolated.read(tmp_path / "a.mat", ()).x) == files.COUNT
    for number, error, words in (
        (signal.SIGSEGV, UsageError, "a.mat cannot be read: it ended its reader .signal 11.; it is damaged"),
        (signal.SIGKILL, InstrumentError, "the process that read .*a.mat was killed"),
    ):
        shell = tmp_path / f"crash{number}"
        shell.write_text(f"#!/bin/sh\nkill -{int(number)} $$\n")
        shell.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(shell))
        with pytest.raises(error, match=words):
            isolated.read(tmp_path / "a.mat", ())


def test_read_apart_is_read_the_same(tmp_path):
    files.unknown(tmp_path / "a.h5", *files.scan())
    apart, here = (
        isolated.read(tmp_path / "a.h5", files.UNKNOWN),
        reading.read(tmp_path / "a.h5", reading_of(files.UNKNOWN)),
    )
    for name in ("form", "units", "conversion", "remarks", "used"):
        assert getattr(apart, name) == getattr(here, name)
    for name in ("image", "x", "y", "probe"):
        assert getattr(apart, name).tobytes() == getattr(here, name).tobytes()
        assert getattr(apart, name).dtype == getattr(here, name).dtype
    with pytest.raises(UsageError, match="is none of: ptychodus product"):
        isolated.read(tmp_path / "a.h5", ())


def test_an_encrypted_array_is_refused_by_name(tmp_path):
    path = save(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(mark), bytes(content)):
            content[found.start() + place] |= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"array 'objectGuess' of .*a\.npz cannot be read: it is encrypted"):
        reading.read(path, Reading())


def test_an_unknown_compression_is_refused_by_name(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(save(tmp_path / "b.npz")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(UsageError, match=r"array 'objectGuess' of .*a\.npz .* compression \(method 14\) is unknown"):
        reading.read(path, Reading())


def test_an_unknown_filter_of_hdf5_is_refused_by_name(tmp_path):
    path = tmp_path / "a.h5"
    image, x, y, _ = files.scan()
    with h5py.File(path, "w") as file:
        file["xcoords"], file["ycoords"] = x, y
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(image.shape)
        properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)
        kind, space = h5py.h5t.py_create(image.dtype), h5py.h5s.create_simple(image.shape)
        h5py.h5d.create(file.id, b"objectGuess", kind, space, properties)
    with pytest.raises(UsageError, match=r"'objectGuess' of .*a\.h5 .* compression \(HDF5 filter 32001"):
        reading.read(path, Reading())


def test_arrays_that_lie_elsewhere_or_were_never_written_are_refused(tmp_path):
    image, x, y, _ = files.scan()
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["image"] = image
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["xcoords"], file["ycoords"] = x, y
        file["objectGuess"] = h5py.ExternalLink("b.h5", "image")
        file.create_dataset("huge", (1 << 40, 64), "c16")
        file.create_dataset("empty", (64, 64), "c8")
    for place, words in (
        ("objectGuess", "it lies in another file"),
        ("huge", "it must fit in memory: it has 1125899906842624 bytes"),
        ("empty", "its 32768 bytes were never written"),
    ):
        with pytest.raises(UsageError, match=words):
            reading.read(path, Reading(names={"objectGuess": place}))


def test_a_header_that_lies_about_its_size_allocates_nothing(tmp_path):
    path = save(tmp_path / "a.npz")
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118)
    text = "{'descr': '<c16', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("objectGuess.npy", member + text.ljust(117).encode() + b"\n" + bytes(64))
        archive.writestr("xcoords.npy", b"")
        archive.writestr("ycoords.npy", b"")
    with pytest.raises(UsageError, match=r"'objectGuess' .* declares 16000000000000 bytes, the file holds 64"):
        reading.read(path, Reading())


@pytest.mark.parametrize(
    "content", [b"", b"x,y\n1,2\n", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + bytes(90), b"MATLAB 5.0 MAT-file"]
)
def test_what_is_no_container_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.npz"):
        reading.read(path, Reading())


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the high-water mark is read from /proc")
def test_patterns_of_gigabytes_cost_a_run_no_memory(tmp_path):
    image, x, y, probe = files.scan()
    program = (
        "import sys\nfrom validation.subject import scans\nscans.peek(sys.argv[1])\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    peaks = []
    for name, patterns in (("small.npz", 1), ("large.npz", 1 << 10)):
        path = save(tmp_path / name, objectGuess=image, xcoords=x, ycoords=y, probeGuess=probe)
        with (
            zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive,
            archive.open("diff3d.npy", "w", force_zip64=True) as file,
        ):
            header = {"descr": "<f4", "fortran_order": False, "shape": (patterns, 256, 256)}
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(patterns):
                file.write(bytes(256 * 256 * 4))
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
        path.unlink()
    assert peaks[1] - peaks[0] < 20, peaks  # of 256 MiB
