"""What is inside an object of pandas: values, index, names.

pandas is not imported: whoever made the object did.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.outputs.containers import Opened
from validation.outputs.scalars import exact, named


def frame(value: Any) -> Any:
    """Open a DataFrame, a Series, an index or an array of pandas; anything else is returned as it is."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return value
    if isinstance(value, pandas.DataFrame):
        return _table(value)
    if isinstance(value, pandas.Series):
        return Opened("Series", {"name": named(value.name)}, [(".index", value.index), ("", _values(value))])
    if isinstance(value, pandas.MultiIndex):
        levels = range(value.nlevels)
        parts = [(f".get_level_values({level})", value.get_level_values(level)) for level in levels]
        return Opened("MultiIndex", {"levels": value.nlevels}, parts)
    if isinstance(value, pandas.Index):
        return _index(value, pandas)
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return _extension(value)
    return value


def _table(value: Any) -> Opened:
    """Open a DataFrame: its columns, its index, and the values of each column."""
    parts: list[tuple[str, Any]] = [(".columns", value.columns), (".index", value.index)]
    unique = value.columns.is_unique
    for at, (name, series) in enumerate(value.items()):
        text = exact(name) if unique else None
        parts.append((f".iloc[:, {at}]" if text is None else f"[{text}]", _values(series)))
    return Opened("DataFrame", {}, parts)


def _index(value: Any, pandas: Any) -> Opened:
    """Open an index; one that counts is not written out."""
    facts = {"name": named(value.name)}
    if isinstance(value, pandas.RangeIndex):
        return Opened("Index", facts, [("", range(value.start, value.stop, value.step))])
    if isinstance(value, (pandas.DatetimeIndex, pandas.TimedeltaIndex)):
        facts["freq"] = named(value.freqstr)
    values = _values(value)
    if isinstance(values, np.ndarray):  # an index never changes, and is shared by whoever has the same
        values = values.view()
        values.flags.writeable = False
    return Opened("Index", facts, [("", values)])


def _values(value: Any) -> Any:
    """Values of a Series or an index: an array of NumPy, shared, or one of pandas."""
    return value.to_numpy() if isinstance(value.dtype, np.dtype) else value.array


def _extension(array: Any) -> Any:
    """Open an array of pandas; one that NumPy has as well is given as NumPy's."""
    dtype = array.dtype
    kind = type(dtype).__name__
    facts = {"dtype": str(dtype)}
    if isinstance(dtype, np.dtype) or kind == "NumpyEADtype":
        return np.asarray(array)
    if kind == "CategoricalDtype":
        parts = [(".categories", array.categories), (".codes", array.codes)]
        return Opened("Categorical", {"ordered": bool(dtype.ordered)}, parts)
    if kind == "DatetimeTZDtype":
        return Opened("values", facts, [("", array.asi8.view(f"M8[{dtype.unit}]"))])
    if kind == "PeriodDtype":
        return Opened("values", facts, [("", array.asi8)])
    if kind == "IntervalDtype":
        return Opened("values", facts, [(".left", array.left), (".right", array.right)])
    if kind == "StringDtype":
        facts["storage"] = dtype.storage
        return Opened("values", facts, [("", array.to_numpy(dtype=object, na_value=None))])
    numbers = getattr(dtype, "numpy_dtype", None)
    if isinstance(numbers, np.dtype) and numbers.kind in "biuf":
        data: NDArray[Any] = array.to_numpy(dtype=numbers, na_value=numbers.type(0))
        return Opened("values", facts, [("", data), (".isna()", np.asarray(array.isna()))])
    return Opened("values", facts, [("", np.asarray(array))])
