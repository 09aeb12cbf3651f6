"""PtyRAD results (HDF5): the corner of each window in pixels, row first, and a shift of it by parts of a pixel."""

from __future__ import annotations

import numpy as np

from validation.contract.errors import UsageError
from validation.subject.scan import arrays
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "PtyRAD result"
_TENSORS = "optimizable_tensors/"
_AMPLITUDE, _PHASE, _PROBE = f"{_TENSORS}obja", f"{_TENSORS}objp", f"{_TENSORS}probe"
_CORNERS, _SHIFTS = "model_attributes/crop_pos", f"{_TENSORS}probe_pos_shifts"


def recognises(source: Source) -> bool:
    """See whether the file holds amplitude or phase of an object as a result does."""
    return _AMPLITUDE in source or _PHASE in source


def read(source: Source, reading: Reading) -> Scan:
    """Read object ``obja exp(i objp)`` and positions ``corner + shift + N / 2``."""
    missing = [name for name in (_AMPLITUDE, _PHASE, _PROBE, _CORNERS) if name not in source]
    if missing:
        raise UsageError(
            f"{source.path} must hold {_AMPLITUDE}, {_PHASE}, {_PROBE} and {_CORNERS} like a {NAME}; missing: "
            f"{', '.join(missing)}; it holds {source.listed()}"
        )
    remarks: list[str] = []
    amplitude = arrays.image(source, _AMPLITUDE, reading, remarks)
    phase = arrays.image(source, _PHASE, reading, [])
    if amplitude.shape != phase.shape:
        raise UsageError(
            f"{_AMPLITUDE} and {_PHASE} of {source.path} must have one shape, got {amplitude.shape}, {phase.shape}"
        )
    image = amplitude.real.astype(np.float64) * np.exp(1j * phase.real.astype(np.float64))
    corners = arrays.table(source, _CORNERS, remarks)
    if _SHIFTS in source:
        shifts = arrays.table(source, _SHIFTS, remarks)
        if len(shifts) != len(corners):
            raise UsageError(f"{_SHIFTS} of {source.path} must have {len(corners)} entries, got {len(shifts)}")
        corners = corners + shifts
    else:
        remarks.append(f"{_SHIFTS} is not there: whole pixels are taken")
    window = arrays.window(source, _PROBE)
    if window is None:
        raise UsageError(f"{_PROBE} of {source.path} must have two axes or more, since its size is needed")
    return Scan(
        form=NAME,
        image=image.astype(amplitude.dtype),
        x=corners[:, 1] + window[1] / 2,
        y=corners[:, 0] + window[0] / 2,
        probe=arrays.probe(source, _PROBE, remarks),
        units="pixels, row before column, of the window's corner",
        conversion=f"corner plus shift, and half the window of {window[0]} x {window[1]} added",
        remarks=tuple(remarks),
    )
