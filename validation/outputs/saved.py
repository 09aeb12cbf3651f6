"""Results as bytes in a file: written one after the other, mapped when they are read. Nothing is pickled."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from validation.outputs.tree import Node, Tree

# What a tree begins with: a mark, and the length of its header.
_MARK = b"a tree 1"
_LENGTH = 8
# Arrays begin at multiples of this in the file, and so in memory.
_ALIGNED = 64
# An index that counts further has more places than there is memory.
_FURTHEST = 1 << 62
# Elements of an array that does not lie in one piece, copied together.
_CHUNK = 1 << 20


class _Array(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    skeleton: Node
    paths: tuple[str, ...]
    arrays: tuple[_Array, ...]


def _padding(at: int) -> int:
    return -at % _ALIGNED


def save(file: BinaryIO, tree: Tree) -> None:
    """Write a tree where the file stands.

    Parameters
    ----------
    file : binary file
        Open for writing.
    tree : Tree

    Raises
    ------
    ValueError
        If it holds an array of Python's objects.
    """
    if any(array.dtype.hasobject for array in tree.arrays):
        raise ValueError("an array of Python's objects cannot be saved")
    arrays = [{"dtype": array.dtype.str, "shape": array.shape} for array in tree.arrays]
    # The json of Python writes any text; that of msgspec none with half a surrogate.
    header = json.dumps({"skeleton": tree.skeleton, "paths": tree.paths, "arrays": arrays}, allow_nan=False).encode()
    file.write(_MARK + len(header).to_bytes(_LENGTH, "little") + header)
    for array in tree.arrays:
        file.write(bytes(_padding(file.tell())))
        _write(file, array)


def _write(file: BinaryIO, array: NDArray[Any]) -> None:
    if array.nbytes == 0:
        return
    if array.flags.c_contiguous:
        file.write(array.reshape(-1).view(np.uint8).data)
        return
    flat = array.flat
    for at in range(0, array.size, _CHUNK):
        file.write(flat[at : at + _CHUNK].tobytes())


def load(file: BinaryIO) -> Tree:
    """Read the tree that begins where the file stands, and leave the file behind it; its arrays are mapped, not read.

    Raises
    ------
    ValueError
        If there is none, or it is damaged.
    """
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tree, end = _read(content, file.tell())
    file.seek(end)
    return tree


def _read(content: mmap.mmap, at: int) -> tuple[Tree, int]:
    """Give the tree that begins at a place, and where it ends."""
    begin = at + len(_MARK) + _LENGTH
    if content[at : at + len(_MARK)] != _MARK:
        raise ValueError(f"expected a saved result at byte {at}, found none")
    at = begin + int.from_bytes(content[begin - _LENGTH : begin], "little")
    try:
        header = msgspec.convert(json.loads(content[begin:at]), _Header)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"what was saved of a result is damaged: {error}") from None
    if len(header.paths) != len(header.arrays):
        raise ValueError("what was saved of a result is damaged: paths and arrays are not as many")
    _check(header.skeleton, len(header.arrays))
    arrays = []
    for array in header.arrays:
        at += _padding(at)
        arrays.append(_mapped(content, at, array))
        at += arrays[-1].nbytes
    return Tree(header.skeleton, tuple(arrays), header.paths), at


def _check(node: Node, arrays: int) -> None:
    """Refuse a skeleton that does not fit its arrays or itself."""
    right = True
    if node["kind"] == "array":
        right = 0 <= node.get("at", -1) < arrays
    elif node["kind"] == "objects":
        written = node.get("texts", node.get("values"))
        right = "dtype" in node and written is not None and math.prod(node.get("shape", (-1,))) == len(written)
    elif node["kind"] == "range":
        limits = node.get("range", (0, 0, 0))
        right = limits[2] != 0 and max(map(abs, limits)) < _FURTHEST
    if not right:
        raise ValueError(f"what was saved of a result is damaged: {str(node)[:200]}")
    for _, part in node.get("parts", ()):
        _check(part, arrays)


def _mapped(content: mmap.mmap, at: int, array: _Array) -> NDArray[Any]:
    try:
        dtype = np.dtype(array.dtype)
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"what was saved of a result is damaged: {error}") from None
    count = math.prod(array.shape)
    if min(array.shape, default=0) < 0 or dtype.hasobject or at + count * dtype.itemsize > len(content):
        raise ValueError(f"what was saved of a result is damaged: no {array.dtype} of shape {array.shape} at byte {at}")
    if count * dtype.itemsize == 0:
        return np.zeros(array.shape, dtype)
    return np.frombuffer(content, dtype, count, at).reshape(array.shape)


class Output:
    """The result in a file whose name is taken away, so that no other implementation can give it back as its own.

    Parameters
    ----------
    path : Path
        It is removed; its content lasts as long as this object.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.tree, _ = _read(self._content, 0)
        path.unlink()

    def sha256(self) -> str:
        """SHA-256 of the file's content."""
        return hashlib.sha256(self._content).hexdigest()
