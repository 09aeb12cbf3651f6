"""A result as plain host memory: its arrays, and a skeleton of what they stand in.

The skeleton can be written as JSON. Each node has a ``kind``; a node of kind ``array`` says where its array is, one
of kind ``objects`` holds texts, any other has facts and parts.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from validation.outputs.containers import Opened, container
from validation.outputs.foreign import as_array, foreign
from validation.outputs.frames import frame
from validation.outputs.scalars import exact

# A result that is nested deeper is most likely inside itself.
_DEEPEST = 64
_CONTAINERS = {list, tuple, dict}
_WANTED = (
    "must be an array of numbers, times or texts, a scalar, None, a tuple, list, set, dict or dataclass of such, "
    "an object of pandas or a sparse matrix"
)


class WrongOutputError(Exception):
    """An implementation returned something that cannot be used."""


class _Kind(TypedDict):
    kind: str


class Node(_Kind, total=False):
    """A part of a skeleton.

    ``at`` is the number of an array. ``texts`` are strings and nothing, ``values`` scalars as `exact` writes them,
    both in the order of an array of ``shape``. ``keys`` are the steps to the elements of a dict that are kept as one
    array. ``range`` is start, stop and step of an index that counts.
    """

    at: int
    facts: dict[str, Any]
    parts: list[tuple[str, Node]]
    keys: list[str]
    dtype: str
    shape: tuple[int, ...]
    texts: list[str | None]
    values: list[str]
    range: tuple[int, int, int]


class Tree(NamedTuple):
    """A result: ``skeleton`` refers to the ``arrays``, ``paths`` name where each is, as Python would write it."""

    skeleton: Any
    arrays: tuple[NDArray[Any], ...]
    paths: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def array(self) -> NDArray[Any]:
        """The array of a result that is one array.

        Raises
        ------
        ValueError
            If it is none.
        """
        if self.skeleton["kind"] not in ("array", "values") or len(self.arrays) != 1:
            raise ValueError(f"expected a result that is one array, got one of kind {self.skeleton['kind']}")
        return self.arrays[0]

    @staticmethod
    def of(array: NDArray[Any]) -> Tree:
        """Give the tree of one array."""
        return Tree({"kind": "array", "at": 0}, (array,), ("",))


def complete(result: Any) -> Tree:
    """Give a result as plain host memory, all bytes present; without a copy where the memory can be shared.

    Whatever is still to be done is done here: a device is waited for, a lazy array computes.

    Raises
    ------
    WrongOutputError
        If there is something in it that cannot be compared.
    """
    if _is_plain(result):
        return Tree.of(result)
    growing = _Growing(strict=True)
    skeleton = growing.node(result, "", 0)
    return Tree(skeleton, tuple(growing.arrays), tuple(growing.paths))


def arrays_in(arguments: Any) -> dict[str, NDArray[Any]]:
    """Give the arrays and scalars inside the arguments of a call by their paths; what is unknown is passed over."""
    growing = _Growing(strict=False)
    growing.node(arguments, "", 0)
    return dict(zip(growing.paths, growing.arrays, strict=True))


def _is_plain(value: Any) -> bool:
    """Whether there is nothing to be done to a result: this is asked inside the clock."""
    return type(value) is np.ndarray and value.dtype.isbuiltin == 1 and value.dtype.kind != "O"


class _Growing:
    """Collects the arrays of a result; a ``strict`` one refuses what it does not know."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self.arrays: list[NDArray[Any]] = []
        self.paths: list[str] = []

    def node(self, value: Any, path: str, depth: int = 0) -> Node:
        """Give the node of anything."""
        if value is None:
            return {"kind": "None"}
        if _is_plain(value):
            return self._array(value, path)
        if isinstance(value, np.generic) and not isinstance(value, np.void):
            value = np.asarray(value)
        elif isinstance(value, (int, float, complex, str)):
            return self._number_or_text(value, path)
        elif isinstance(value, range):
            return {"kind": "range", "range": (value.start, value.stop, value.step)}
        if depth > _DEEPEST:
            return self._refused(value, path, f", more than {_DEEPEST} levels deep")
        if isinstance(value, Opened):
            parts = [(step, self.node(part, path + step, depth + 1)) for step, part in value.parts]
            node: Node = {"kind": value.kind, "facts": value.facts, "parts": parts}
            return node if value.keys is None else {**node, "keys": value.keys}
        for known in (container,) if type(value) in _CONTAINERS else (foreign, container, frame):
            found = known(value)
            if found is not value:
                return self.node(found, path, depth + 1)
        if isinstance(value, np.ndarray):
            return self._objects(value, path, depth) if value.dtype.kind in "OT" else self._array(value, path)
        text = exact(value)
        if text is not None:
            return {"kind": "objects", "dtype": type(value).__name__, "shape": (), "values": [text]}
        return self._converted(value, path, depth)

    def _array(self, array: NDArray[Any], path: str) -> Node:
        self.arrays.append(array)
        self.paths.append(path)
        return {"kind": "array", "at": len(self.arrays) - 1}

    def _number_or_text(self, value: complex | str, path: str) -> Node:
        """Give a scalar of Python; NumPy has no place for large integers, and takes zeros off the end of a text."""
        if isinstance(value, str):
            if value.endswith("\0"):
                return {"kind": "objects", "dtype": "str", "shape": (), "texts": [str(value)]}
            return self._array(np.array(value, np.str_), path)
        dtype = np.int64 if isinstance(value, int) and not isinstance(value, bool) else None
        try:
            return self._array(np.array(value, dtype), path)
        except OverflowError:
            return {"kind": "objects", "dtype": "int", "shape": (), "values": [str(value)]}

    def _objects(self, array: NDArray[Any], path: str, depth: int) -> Node:
        """Give an array of Python's objects: scalars are written down, anything else is a part."""
        elements = array.ravel().tolist()
        node: Node = {"kind": "objects", "dtype": str(array.dtype), "shape": array.shape}
        if set(map(type, elements)) <= {str, type(None)}:
            return {**node, "texts": elements}
        values = list(map(exact, elements))
        if None not in values:
            return {**node, "values": list(map(str, values))}
        steps = [f"[{', '.join(map(str, place))}]" for place in np.ndindex(array.shape)]
        parts = [(step, self.node(one, path + step, depth + 1)) for step, one in zip(steps, elements, strict=True)]
        return {"kind": "array of objects", "facts": {"shape": list(array.shape)}, "parts": parts}

    def _converted(self, value: Any, path: str, depth: int) -> Node:
        """Give what says of itself that it is an array."""
        if hasattr(value, "__dataframe__") or (hasattr(value, "dims") and hasattr(value, "coords")):
            return self._refused(value, path, ", whose names would be lost")
        try:
            array = as_array(value)
        except (TypeError, ValueError) as error:
            return self._refused(value, path, f", which gives none: {error}")
        return self._refused(value, path) if array is None else self.node(array, path, depth + 1)

    def _refused(self, value: Any, path: str, because: str = "") -> Node:
        if not self._strict:
            return {"kind": "unknown"}
        if isinstance(value, (dict, set, frozenset)) and not because:
            because = " whose keys or elements are no scalars"
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        raise WrongOutputError(f"the result{path and f' at {path}'} {_WANTED}, got {name}{because}")
