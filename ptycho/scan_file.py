"""Reading arrays from .npz files that somebody else made, without trusting them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np


def _declared_bytes(entry):
    """Header of a .npy member: (bytes its array needs, dtype, length of the header)."""
    version = np.lib.format.read_magic(entry)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(entry)
    else:
        raise ValueError(f"unsupported .npy version {version}")
    count = 1
    for extent in shape:
        count *= int(extent)
    return count * dtype.itemsize, dtype, entry.tell()


def read_arrays(path, keys):
    """Read the named arrays of an .npz file; keys that it lacks are left out.

    No pickle is ever loaded, and nothing is allocated before the header of an array has been held
    against the size of the data that is really there.

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
        If the file is not an .npz, is damaged, or an array is pickled or does not match its header.
    """
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
                with archive.open(info) as entry:
                    needed, dtype, header = _declared_bytes(entry)
                if dtype.hasobject:
                    raise ValueError("it is pickled; plain numeric arrays are expected")
                if needed + header != info.file_size:
                    raise ValueError(f"its header declares {needed} bytes, the file holds {info.file_size - header}")
                with archive.open(info) as entry:
                    arrays[key] = np.lib.format.read_array(entry, allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, MemoryError, RuntimeError) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from error
    except ValueError as error:
        raise ValueError(f"array {key!r} of {path} cannot be read: {error}") from error
    return arrays
