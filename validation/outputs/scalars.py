"""Scalars that are no numbers of NumPy, written as text so that two are written alike only if they are equal."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

_KINDS = {
    *(type(None), bool, int, float, complex, str, bytes, Decimal, Fraction),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
}
_OF_PANDAS = {"Timestamp", "Timedelta", "Period", "Interval", "NAType", "NaTType"}


def top_module(value: object) -> str:
    """Name of the package that the type of an object comes from."""
    return str(type(value).__module__).partition(".")[0]


def exact(value: object) -> str | None:
    """Write a scalar, or a tuple of scalars, exactly; ``None`` for anything else.

    An integer is not a float and a NaN is a NaN. Scalars of NumPy are written as those of Python, where there are such.
    """
    if isinstance(value, np.generic) and value.dtype.kind not in "mMV":
        value = value.item()
    if isinstance(value, np.generic):  # a time, or a number that is wider than Python's
        return repr(value)
    kind = type(value)
    if kind is tuple:
        texts = [exact(part) for part in value]  # type: ignore[attr-defined]
        return None if None in texts else f"({', '.join(map(str, texts))}{',' if len(texts) == 1 else ''})"
    if kind in _KINDS or (kind.__name__ in _OF_PANDAS and top_module(value) == "pandas"):
        return repr(value)
    return None


def named(value: Any) -> str:
    """Write the name of a column or an index; one that is no scalar by its type."""
    return exact(value) or f"{type(value).__module__}.{type(value).__qualname__}"
