"""The package under test: ``ptycho``, where it is, what its sources are, and how its own reader takes a scan."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click

from validation.contract.errors import UsageError
from validation.contract.manifest import Scan
from validation.machine.sources import sources_digest

NAME = "ptycho"
OPTION = "--package"
# What holds settings and computes nothing, in the package.
_SETTINGS = "config"


def package_option(command: Any) -> Any:
    """Add the option that says where the package to measure is."""
    return click.option(
        OPTION, "--ptycho", "package", metavar="PATH", help=f"Folder that holds the package {NAME} to measure."
    )(command)


def find(path: str | None) -> Path:
    """Folder of the package to measure: in the checkout at ``path``, or the installed one.

    Raises
    ------
    UsageError
        If it is not there.
    """
    if path is not None:
        folder = Path(path) / NAME
        if not (folder / "__init__.py").is_file():
            raise UsageError(f"{OPTION} must be a folder that holds the package {NAME}, but {path} does not")
        return folder
    spec = importlib.util.find_spec(NAME)
    if spec is None or spec.origin is None:
        raise UsageError(f"the package {NAME} must be installed or given with {OPTION} PATH; it was not found")
    return Path(spec.origin).parent


def digest(package: Path) -> str:
    """Digest of the sources of the package.

    The sources in ``config`` are left out: they hold settings and compute nothing, and the default of the
    flag, which rests on a verdict about a digest, is one of them.
    """
    return sources_digest(package, left_out=_SETTINGS)


def read_scan(path: str) -> Scan:
    """Read a scan by the package's own reader, in a child process.

    Raises
    ------
    ValueError, OSError
        If it is none.
    """
    from ptycho.raw_data import RawData
    from validation.subject import scans

    data = RawData.from_npz(path)
    height, width = data.objectGuess.shape
    return Scan(
        name=Path(path).name,
        path=path,
        sha256=scans.digest(Path(path)),
        object_shape=(int(height), int(width)),
        positions=len(data.xcoords),
    )
