"""Arrays as files have them, made into what the kernels take: one complex image, two lists of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.subject.scan.options import Reading
from validation.subject.scan.source import Source

Image = NDArray[Any]
Numbers = NDArray[np.float64]
_SINGLE = {np.dtype(name) for name in ("c8", "f4", "f2")}


def image(source: Source, place: str, reading: Reading, remarks: list[str]) -> Image:
    """Read the object: complex (H, W), in the precision that the file has.

    Parameters
    ----------
    source : Source
    place : str
        Name of the array, with an index where only a part of it is meant.
    reading : Reading
        Its ``layer`` chooses among several.
    remarks : list of str
        Gets what was done on the way.

    Raises
    ------
    UsageError
        If it is no image.
    """
    return one_layer(source, place, _numbers(source, place, remarks), reading, remarks)


def one_layer(source: Source, place: str, array: NDArray[Any], reading: Reading, remarks: list[str]) -> Image:
    """Take one layer out of an array of two axes or more, as `image` does."""
    if array.ndim < 2 or 0 in array.shape:
        raise UsageError(f"{place} of {source.path} must be an image of two axes, got shape {array.shape}")
    if source.matlab and array.ndim > 2:  # (H, W, layers ...): layers first
        array = array.transpose([*range(array.ndim - 1, 1, -1), 0, 1])
    array = _squeezed(array, 2, place, remarks)
    layer = reading.layer or 0
    count = math.prod(array.shape[:-2])
    if layer >= count:
        raise UsageError(f"--layer must be 0 to {count - 1}, since {place} of {source.path} has {count}, got {layer}")
    if count > 1:
        chosen = "by --layer" if reading.layer is not None else "the first; --layer chooses another"
        remarks.append(f"{place} has {count} layers or modes, shape {array.shape}: layer {layer} is taken ({chosen})")
    found = array.reshape(count, *array.shape[-2:])[layer]
    kind = found.dtype.newbyteorder("=")
    if kind.itemsize > 16:
        remarks.append(f"{place} is {kind}: rounded to complex128")
    return np.ascontiguousarray(found, dtype=np.complex64 if kind in _SINGLE else np.complex128)


def coordinates(source: Source, place: str, remarks: list[str]) -> Numbers:
    """Read numbers of one axis, as float64.

    Raises
    ------
    UsageError
        If they are not real, or have more than one axis that is longer than one.
    """
    array = source.select(place)
    if array.dtype.kind not in "iuf":
        raise UsageError(f"{place} of {source.path} must hold real numbers, got dtype {array.dtype}")
    if array.size != max(array.shape, default=1) or not array.size:
        raise UsageError(
            f"{place} of {source.path} must be a non-empty array of one axis, got shape {array.shape}"
            + (f"; one of two columns is named by --map: {place}[:,0] and {place}[:,1]" if array.ndim == 2 else "")
        )
    if array.ndim != 1:
        remarks.append(f"{place} has shape {array.shape}: axes of length one are left out")
    return np.ascontiguousarray(array.reshape(-1), dtype=np.float64)


def table(source: Source, place: str, remarks: list[str]) -> Numbers:
    """Read numbers (n, 2), as float64.

    Raises
    ------
    UsageError
        If they are not real, or have another shape.
    """
    array = _squeezed(source.select(place), 2, place, remarks)
    if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise UsageError(
            f"{place} of {source.path} must hold real numbers (n, 2), got {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array, dtype=np.float64)


def window(source: Source, place: str | None) -> tuple[int, int] | None:
    """Height and width of a probe (..., N, N), from its header alone; ``None`` where there is no such array."""
    if place is None or place not in source:
        return None
    header = source.header(place.strip("/"))
    shape = header.shape
    if header.dtype.kind == "f" and len(shape) > 2 and shape[-1] == 2:
        shape = shape[:-1]
    if len(shape) < 2:
        return None
    return (shape[0], shape[1]) if source.matlab else (shape[-2], shape[-1])


def probe(source: Source, place: str | None, remarks: list[str]) -> Image | None:
    """Read the probe where it is one plain image; otherwise it is told and left alone, since nothing needs it."""
    if place is None or place not in source:
        return None
    name = place.strip("/")
    header = source.header(name)
    if len([extent for extent in header.shape if extent != 1]) != 2 or header.dtype.kind not in "iufcV":
        remarks.append(f"{name} of shape {header.shape} is not one image: left alone, nothing here needs it")
        return None
    try:
        found = image(source, place, Reading(), [])
    except UsageError as error:
        remarks.append(f"{name} is left alone: {error}")
        return None
    if not np.isfinite(found).all():
        remarks.append(f"{name} holds NaN or infinite values: left alone, nothing here needs it")
        return None
    return found


def _numbers(source: Source, place: str, remarks: list[str]) -> NDArray[Any]:
    """Read an array as numbers: pairs of reals, in a structure or along the last axis, become complex."""
    array = source.select(place)
    names = array.dtype.names
    if names is not None:
        parts = [array[name] for name in names]
        if len(parts) != 2 or any(part.dtype.kind not in "iuf" for part in parts):
            raise UsageError(f"{place} of {source.path} must hold numbers, got a structure of {', '.join(names)}")
        remarks.append(f"{place} is complex as pairs of {' and '.join(names)}")
        return _complex(parts[0], parts[1])
    if array.dtype.kind not in "iufc":
        raise UsageError(f"{place} of {source.path} must hold numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and array.ndim > 2 and array.shape[-1] == 2 and not source.matlab:
        remarks.append(f"{place} of shape {array.shape} is complex as pairs of reals along its last axis")
        return _complex(array[..., 0], array[..., 1])
    return array


def _complex(real: NDArray[Any], imaginary: NDArray[Any]) -> NDArray[Any]:
    single = real.dtype.newbyteorder("=") in _SINGLE
    made = np.empty(real.shape, np.complex64 if single else np.complex128)
    made.real, made.imag = real, imaginary
    return made


def _squeezed(array: NDArray[Any], keep: int, place: str, remarks: list[str]) -> NDArray[Any]:
    """Leave out axes of length one while there are more than ``keep`` axes, and say so."""
    shape = list(array.shape)
    while len(shape) > keep and 1 in shape:
        shape.remove(1)
    if len(shape) != array.ndim:
        remarks.append(f"{place} has shape {array.shape}: axes of length one are left out")
    return array.reshape(shape)
