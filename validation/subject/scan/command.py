"""The command ``scan``, and the options that say how a scan file is read, which other commands have too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from validation.contract.errors import UsageError
from validation.subject.scan.options import MAPPED, ORIGINS, make_reading

if TYPE_CHECKING:
    from validation.subject.scan.scan import Scan


def reading_options(command: Any) -> Any:
    """Add the options that say how a scan file is read."""
    for option in reversed(
        (
            click.option("--layer", type=int, metavar="K", help="Layer or mode of the scan's object [the first, 0]."),
            click.option("--map", "places", multiple=True, metavar="NAME=PATH",
                         help=f"Where {', '.join(MAPPED)} is in the scan file; may be repeated."),
            click.option("--pixel-size", "pixel_size_m", type=float, metavar="METRES",
                         help="Pixel of the object; the scan's positions are in metres."),
            click.option("--origin", type=click.Choice(ORIGINS), help="What the scan's positions count from."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def take_reading(values: dict[str, Any]) -> tuple[str, ...]:
    """Take the options of `reading_options` out of those of a command, as the words that go on record.

    Raises
    ------
    UsageError
        If an option is at fault.
    """
    given = {name: values.pop(name) for name in ("layer", "places", "pixel_size_m", "origin")}
    return make_reading(**given).words()


def show(file: str, words: tuple[str, ...], write: str | None, picture: str | None) -> list[str]:
    """Tell what a scan file holds, and write what is asked for.

    Parameters
    ----------
    file : str
    words : tuple of str
        Options that say how it is read.
    write : str or None
        File for the scan in our own form.
    picture : str or None
        PNG for the positions on the object.

    Raises
    ------
    UsageError
        If it is no scan, or a file cannot be written.
    """
    from validation.subject.scan import isolated, reading, telling

    for option, target, suffix in (("--write", write, ".npz"), ("--picture", picture, ".png")):
        if target is not None and Path(target).suffix != suffix:
            raise UsageError(f"{option} must end in {suffix}, got {target}")
        if target is not None and Path(target).resolve() == Path(file).resolve():
            raise UsageError(f"{option} must be another file than the scan, got {target}")
    scan = isolated.read(Path(file), words)
    told = telling.lines(scan, file)
    for target, make in ((write, reading.write), (picture, _draw)):
        if target is not None:
            try:
                make(Path(target), scan)
            except OSError as error:
                raise UsageError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None
            told.append(f"wrote {target}")
    return told


def _draw(path: Path, scan: Scan) -> None:
    from validation.subject.scan.picture import draw

    draw(scan, path)
