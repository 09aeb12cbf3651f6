"""PtychoPINN: ``objectGuess``, ``xcoords``, ``ycoords`` in pixels of the object, and more that nothing here reads."""

from __future__ import annotations

import dataclasses

from validation.subject.scan.formats import mapped
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

NAME = "PtychoPINN scan"
_PATTERNS = ("diff3d", "diffraction")


def recognises(source: Source) -> bool:
    """See whether one of the arrays that must be there is."""
    return any(name in source for name in mapped.REQUIRED)


def read(source: Source, reading: Reading) -> Scan:
    """Read object and positions; of the diffraction patterns only the header is looked at."""
    scan = mapped.read(source, reading)
    remarks = list(scan.remarks)
    count = len(scan.x)
    for name in (*_PATTERNS, "xcoords_start", "ycoords_start"):
        if name not in source:
            continue
        shape = source.header(name).shape
        if count in shape and shape[0] != count and len(shape) == 3:
            remarks.append(
                f"{name} of shape {shape} has its positions along another axis than the first; it is not read"
            )
        elif count not in shape:
            remarks.append(f"{name} of shape {shape} does not have {count} entries like xcoords; it is not read")
    return dataclasses.replace(scan, form=NAME, remarks=tuple(remarks))
