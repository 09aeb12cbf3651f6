"""Reads a scan file in a process of its own where its library is known to crash on what is damaged.

SciPy's reader of MATLAB files and HDF5 are compiled code that trusts a file; what ends them must not end a run. NumPy
archives are read in Python alone, and here.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from validation.contract.errors import InstrumentError, UsageError
from validation.subject.scan import reading
from validation.subject.scan.options import reading_of
from validation.subject.scan.scan import Scan

TIMEOUT_S = 600.0
_ARRAYS = {"image": "objectGuess", "x": "xcoords", "y": "ycoords", "probe": "probeGuess"}


class _Told(msgspec.Struct, frozen=True):
    """All of a scan but its arrays."""

    form: str
    units: str
    conversion: str
    remarks: tuple[str, ...]
    used: frozenset[str]


def read(path: Path, words: tuple[str, ...]) -> Scan:
    """Read a scan file, as `validation.subject.scan.reading.read` does.

    Parameters
    ----------
    path : Path
    words : tuple of str
        Options that say how it is read.

    Raises
    ------
    UsageError
        If it is no scan, or ends the process that reads it.
    InstrumentError
        If that process was killed from outside.
    """
    try:
        with open(path, "rb") as file:
            if file.read(2) == b"PK":
                return reading.read(path, reading_of(words))
    except OSError as error:
        raise UsageError(f"--data {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    with tempfile.TemporaryDirectory(prefix="validation-") as folder:
        made = Path(folder) / "scan.npz"
        command = [sys.executable, "-m", __name__, str(path), str(made), *words]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise UsageError(f"--data {path} could not be read within {TIMEOUT_S:g} s; is it damaged?") from None
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode == UsageError.exit_code:
            raise UsageError(said[-1] if said else f"--data {path} cannot be read")
        if done.returncode == -9:
            raise InstrumentError(f"the process that read {path} was killed; start again")
        if done.returncode:
            how = f"signal {-done.returncode}" if done.returncode < 0 else (said or ["no reason given"])[-1]
            raise UsageError(f"--data {path} cannot be read: it ended its reader ({how}); it is damaged")
        told = msgspec.json.decode(done.stdout, type=_Told)
        with np.load(made, allow_pickle=False) as arrays:
            found: dict[str, Any] = {field: arrays.get(name) for field, name in _ARRAYS.items()}
    return Scan(**found, **msgspec.structs.asdict(told))


def _main(path: str, made: str, *words: str) -> int:
    """Read, write the arrays to a file, and tell the rest as JSON."""
    try:
        scan = reading.read(Path(path), reading_of(words))
    except UsageError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return error.exit_code
    reading.write(Path(made), scan)
    texts = {field.name: getattr(scan, field.name) for field in dataclasses.fields(scan) if field.name not in _ARRAYS}
    sys.stdout.buffer.write(msgspec.json.encode(_Told(**texts)))
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
