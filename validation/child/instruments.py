"""What a child measures with, and whether an implementation changed any of it.

The snapshot is taken before the implementation is imported. An implementation that replaces a clock, a check or what
writes the reply is found by comparing with it, after every call.
"""

from __future__ import annotations

import builtins
import gc
import os
import pathlib
import resource
import sys
import time
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import numpy as np

# Every function in these, and of the rest what is used here.
_WHOLE: tuple[Any, ...] = (time, os, gc, resource, pathlib.Path)
_SOME: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (builtins, ("open", "getattr", "isinstance", "len", "max", "min", "sum", "float", "int", "type", "__import__")),
    (np, ("asarray", "array_equal", "may_share_memory", "save", "load", "ones", "empty", "copyto", "ceil", "ndarray")),
    (msgspec.json, ("encode", "decode")),
)
# What an implementation of ours may set up when it is imported or called; none of it measures or checks.
_NOT_OURS = tuple(f"validation.kernels.patches.{name}" for name in ("implementations", "bad_", "cheats", "peers"))


class TamperedError(Exception):
    """An implementation changed what it is measured with."""


def _named(owner: Any, names: tuple[str, ...] | None = None) -> Iterator[tuple[str, Any]]:
    label = getattr(owner, "__name__", type(owner).__name__)
    for name in tuple(vars(owner)) if names is None else names:
        if callable(value := vars(owner)[name]):  # others, as the name of the time zone, change by themselves
            yield f"{label}.{name}", value


def _harness() -> Iterator[ModuleType]:
    for name, module in tuple(sys.modules.items()):
        if (name == "validation" or name.startswith("validation.")) and not name.startswith(_NOT_OURS):
            yield module


def _parts(value: Any) -> tuple[Any, ...]:
    """Give what makes a function what it is: itself, and what can be exchanged inside it."""
    if isinstance(value, FunctionType):
        return value, value.__code__, value.__defaults__
    return (value,)


class Instruments:
    """A snapshot of the clocks, checks and writers of this process."""

    def __init__(self) -> None:
        self._bound = {name: (owner, key, _parts(value)) for owner, name, key, value in self._all()}

    def _all(self) -> Iterator[tuple[Any, str, str, Any]]:
        owners: list[tuple[Any, tuple[str, ...] | None]] = [(owner, None) for owner in _WHOLE]
        owners += _SOME
        for module in _harness():
            owners.append((module, None))
            classes = (value for value in vars(module).values() if isinstance(value, type))
            owners += [(found, None) for found in classes if found.__module__ == module.__name__]
        for owner, names in owners:
            for name, value in _named(owner, names):
                yield owner, name, name.rpartition(".")[2], value

    def changed(self) -> tuple[str, ...]:
        """Names of what is no longer what it was, in their order."""
        missing = object()
        return tuple(
            name
            for name, (owner, key, before) in self._bound.items()
            if any(one is not two for one, two in zip(before, _parts(vars(owner).get(key, missing)), strict=False))
        )

    def require_unchanged(self) -> None:
        """Refuse what an implementation replaced.

        Raises
        ------
        TamperedError
            With the names of what was replaced.
        """
        changed = self.changed()
        if changed or sys.gettrace() is not None or sys.getprofile() is not None:
            what = ", ".join(changed[:5]) or "the trace or profile function of the interpreter"
            raise TamperedError(f"the implementation replaced what it is measured with: {what}")
