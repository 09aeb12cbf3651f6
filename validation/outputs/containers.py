"""What is inside the containers that Python itself has, as parts with a step to each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from validation.outputs.scalars import exact

# Many elements of these are kept as one array: an array for each would take longer than most calls.
_TOGETHER: tuple[tuple[set[type], type], ...] = (
    ({float, np.float64}, np.float64),
    ({int, np.int64}, np.int64),
    ({bool, np.bool_}, np.bool_),
    ({complex, np.complex128}, np.complex128),
    ({str, type(None)}, object),
)
# The step from a container to all its elements, where they are kept as one array; a dict is then of so many.
ALL = "[:]"
_MANY = 32


class Opened(NamedTuple):
    """An object as its kind, the facts of it that can be written as JSON, and its parts: the step to each, and it.

    Where the elements of a dict are kept as one array, ``keys`` are the steps to each.
    """

    kind: str
    facts: dict[str, Any]
    parts: list[tuple[str, Any]]
    keys: list[str] | None = None


def _scalars(values: Sequence[Any]) -> NDArray[Any] | None:
    """Give scalars of one kind as one array; ``None`` where there are none, or others, or integers too large for it."""
    kinds = set(map(type, values))
    for some, dtype in _TOGETHER:
        if kinds and kinds <= some:
            try:
                return np.array(values, dtype)
            except OverflowError:
                return None
    return None


def _together(values: Sequence[Any]) -> Any:
    """Give elements as one array: scalars of one kind, or lists or tuples of as many of them; else ``None``."""
    kinds = set(map(type, values))
    if kinds not in ({list}, {tuple}):
        return _scalars(values)
    lengths = set(map(len, values))
    rows = _scalars(list(chain.from_iterable(values))) if len(lengths) == 1 else None
    if rows is None:
        return None
    return Opened(kinds.pop().__name__, {"length": len(values[0])}, [(ALL, rows.reshape(len(values), -1))])


def _sequence(values: Sequence[Any]) -> Opened:
    kind = "tuple" if isinstance(values, tuple) else "list"
    array = _together(values)
    parts = [(f"[{at}]", value) for at, value in enumerate(values)] if array is None else [(ALL, array)]
    return Opened(kind, {"length": len(values)}, parts)


def _mapping(steps: list[str], values: list[Any]) -> Opened:
    array = _together(values) if len(values) >= _MANY else None
    if array is None:
        return Opened("dict", {}, list(zip(steps, values, strict=True)))
    return Opened("dict", {}, [(ALL, array)], steps)


def _fields(kind: str, names: list[str], value: Any) -> Opened:
    return Opened(kind, {"names": names}, [(f".{name}", getattr(value, name)) for name in names])


def container(value: Any) -> Any:
    """Open a container; anything else, and one whose keys or elements cannot be told apart, is returned as it is."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _fields("namedtuple", list(value._fields), value)
    if isinstance(value, (tuple, list)):
        return _sequence(value)
    if isinstance(value, dict):
        keys = [exact(key) for key in value]
        if None in keys:
            return value
        # The order of keys is no difference.
        order = sorted(zip(keys, value.values(), strict=True), key=lambda item: str(item[0]))
        return _mapping([f"[{key}]" for key, _ in order], [part for _, part in order])
    if isinstance(value, (set, frozenset)):
        elements = [exact(part) for part in value]
        if None in elements:
            return value
        return Opened("set" if isinstance(value, set) else "frozenset", {"elements": sorted(map(str, elements))}, [])
    if isinstance(value, (bytes, bytearray)):
        return Opened(type(value).__name__, {}, [("", np.frombuffer(value, np.uint8))])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields("dataclass", [field.name for field in dataclasses.fields(value)], value)
    return value
