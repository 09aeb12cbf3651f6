"""Reads a scan file of any format, and writes the one form that children read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from validation.contract.errors import UsageError
from validation.subject.scan import formats
from validation.subject.scan.containers import opened
from validation.subject.scan.formats import mapped
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan, check
from validation.subject.scan.source import Source


def read(path: Path, reading: Reading) -> Scan:
    """Read object and positions, whatever package wrote the file.

    Raises
    ------
    UsageError
        If the file cannot be read, does not say what must be known, or is no scan; one line, with what to do.
    """
    with np.errstate(all="ignore"), opened(path) as source:  # what is not finite is refused by name
        found = _read(source, reading)
        oddities = check(found, path, reading)
    return dataclasses.replace(found, form=f"{found.form} ({source.kind})", remarks=(*found.remarks, *oddities))


def _read(source: Source, reading: Reading) -> Scan:
    if reading.names:
        return mapped.read(source, reading)
    asked = formats.known()
    for form in asked:
        if form.recognises(source):
            found = form.read(source, reading)
            for option, value in (("pixel_size", reading.pixel_size_m), ("origin", reading.origin)):
                if value is not None and option not in found.used:
                    raise UsageError(
                        f"--{option.replace('_', '-')} is not needed: {source.path} is a {form.NAME}, which says where "
                        "its positions are; leave it out, or name the arrays with --map"
                    )
            return found
    raise UsageError(
        f"{source.path} is none of: {', '.join(form.NAME for form in asked)}; it holds {source.listed()}; say which "
        "arrays to take with --map objectGuess=/path/in/file --map xcoords=... --map ycoords=..."
    )


def write(path: Path, scan: Scan, **more: NDArray[np.int64]) -> None:
    """Write a scan in our own form: ``objectGuess``, ``xcoords``, ``ycoords``, and ``probeGuess`` if there is one."""
    arrays = {"objectGuess": scan.image, "xcoords": scan.x, "ycoords": scan.y}
    if scan.probe is not None:
        arrays["probeGuess"] = scan.probe
    with open(path, "wb") as file:
        np.savez(file, **arrays, **more)  # type: ignore[arg-type]
