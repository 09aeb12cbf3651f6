"""A checkout to measure, as it goes to workers that do not have it."""

from __future__ import annotations

from pathlib import Path

from validation.contract.errors import UsageError
from validation.subject import package
from validation.subject.suite import find_suite

Sources = dict[str, bytes]


def read_sources(path: str | None) -> Sources | None:
    """Read the checkout to measure, for workers that do not have it; ``None`` for the installed package."""
    if path is None:
        return None
    folder = package.find(path)
    checkout = folder.parent
    found = [checkout / "pyproject.toml", *folder.rglob("*")]
    if find_suite(path) is not None:
        found += [*(checkout / "tests").glob("*.py"), *(checkout / "tests" / package.NAME).rglob("*")]
    return {
        file.relative_to(checkout).as_posix(): file.read_bytes()
        for file in found
        if file.is_file() and "__pycache__" not in file.parts
    }


def lay_out(sources: Sources, folder: Path) -> str:
    """Write the files of a checkout, and give its folder.

    Raises
    ------
    UsageError
        If a name leads out of the folder.
    """
    for name, content in sources.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UsageError(f"a source must stay inside its checkout, got {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(folder)
