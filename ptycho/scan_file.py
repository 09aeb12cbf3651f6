"""Reading arrays from .npz files that somebody else made, without trusting them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

# What NumPy writes, and how many bytes of data a byte of the file can become at most.
_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}


def _check_entry(info, file_bytes):
    """Raise ValueError if the archive claims more data for an entry than its file can hold."""
    expansion = _EXPANSION.get(info.compress_type)
    if expansion is None:
        raise ValueError("it must be stored or deflated, as NumPy writes it")
    # The declared sizes are the archive's own word; only the size of the file is known.
    if info.compress_size > file_bytes or info.file_size > expansion * info.compress_size:
        raise ValueError(f"the archive claims {info.file_size} bytes for it, which a file of {file_bytes} cannot hold")


def _check_memory(needed):
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise ValueError(f"it must fit in memory: it has {needed} bytes, the machine {present}")


def _read_header(entry):
    """Header of a .npy member: (shape, bytes its array needs, dtype, length of the header)."""
    version = np.lib.format.read_magic(entry)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(entry)
    else:
        raise ValueError(f"unsupported .npy version {version}")
    if dtype.itemsize == 0:
        raise ValueError(f"its elements have no size (dtype {dtype})")
    count = 1
    for extent in shape:
        if extent < 0:
            raise ValueError(f"its shape must not be negative, got {shape}")
        count *= int(extent)
    return shape, count * dtype.itemsize, dtype, entry.tell()


def read_arrays(path, keys):
    """Read the named arrays of an .npz file; keys that it lacks are left out.

    No pickle is ever loaded, and nothing is allocated before the header of an array has been held
    against the size of the data that is really there, and that against the file and the memory.

    Parameters
    ----------
    path : str or Path
    keys : iterable of str

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not an .npz, is damaged, or an array is pickled, does not match its header or does
        not fit in memory.
    """
    return _from_members(path, keys, lambda entry, _: np.lib.format.read_array(entry, allow_pickle=False))


def read_headers(path, keys):
    """Read shape and dtype of the named arrays, by the same checks; returns a dict of (shape, dtype)."""
    return _from_members(path, keys, lambda _, header: header)


def _from_members(path, keys, take):
    """Call ``take(entry, (shape, dtype))`` for each named member, at its start, once it has been checked."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"scan file expected, but there is none at {path}")
    arrays = {}
    key = None
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            for key in keys:
                if key not in members:
                    continue
                info = archive.getinfo(members[key])
                _check_entry(info, path.stat().st_size)
                with archive.open(info) as entry:
                    shape, needed, dtype, header = _read_header(entry)
                if dtype.hasobject:
                    raise ValueError("it is pickled; plain numeric arrays are expected")
                if needed + header != info.file_size:
                    raise ValueError(f"its header declares {needed} bytes, the file holds {info.file_size - header}")
                _check_memory(needed)
                with archive.open(info) as entry:
                    arrays[key] = take(entry, (shape, dtype))
    except ValueError as error:
        raise ValueError(f"array {key!r} of {path} cannot be read: {error}") from error
    except Exception as error:  # a damaged file makes zipfile and NumPy raise almost anything
        raise ValueError(f"{path} is not a readable .npz file: {type(error).__name__}: {error}") from error
    return arrays
