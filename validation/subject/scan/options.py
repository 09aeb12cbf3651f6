"""How a scan file is to be read where it does not say so itself, and the words that say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast, get_args

import msgspec

from validation.contract.errors import UsageError

Origin = Literal["center", "corner", "zero"]
ORIGINS: tuple[str, ...] = get_args(Origin)
MAPPED = ("objectGuess", "probeGuess", "xcoords", "ycoords")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a scan file.

    Attributes
    ----------
    layer : int or None
        Which layer or mode of the object, counted from 0.
    names : dict of str to str
        Where arrays are in the file: ``{"objectGuess": "/path/in/file"}``.
    pixel_size_m : float or None
        Metres per pixel of the object: positions are in metres.
    origin : {'center', 'corner', 'zero'} or None
        What positions count from: the object's centre, the object's first pixel with the window's corner as the
        position, or the object's first pixel with the window's centre as the position.
    """

    layer: int | None = None
    names: dict[str, str] = {}
    pixel_size_m: float | None = None
    origin: Origin | None = None

    def words(self) -> tuple[str, ...]:
        """Give the options of the command line that say the same."""
        found: list[str] = []
        if self.layer is not None:
            found += ["--layer", str(self.layer)]
        for name, place in sorted(self.names.items()):
            found += ["--map", f"{name}={place}"]
        if self.pixel_size_m is not None:
            found += ["--pixel-size", repr(self.pixel_size_m)]
        if self.origin is not None:
            found += ["--origin", self.origin]
        return tuple(found)


def reading_of(words: Iterable[str]) -> Reading:
    """Take a reading back from its words, such as a manifest has on record.

    Raises
    ------
    UsageError
        If they are none.
    """
    given = list(words)
    pairs = list(zip(given[::2], given[1::2], strict=False))
    places = [value for option, value in pairs if option == "--map"]
    single = {option: value for option, value in pairs if option != "--map"}
    try:
        return make_reading(
            layer=int(single.pop("--layer")) if "--layer" in single else None,
            places=places,
            pixel_size_m=float(single.pop("--pixel-size")) if "--pixel-size" in single else None,
            origin=single.pop("--origin", None),
            unknown=[*single, *(given[2 * len(pairs) :])],
        )
    except ValueError as error:
        raise UsageError(f"how the scan was read must be options of the command line, got {given}: {error}") from None


def make_reading(
    *,
    layer: int | None,
    places: Iterable[str],
    pixel_size_m: float | None,
    origin: str | None,
    unknown: Iterable[str] = (),
) -> Reading:
    """Check what was given, and make a reading of it.

    Raises
    ------
    UsageError
        If an option is at fault.
    """
    names: dict[str, str] = {}
    for place in places:
        name, equals, where = place.partition("=")
        if name not in MAPPED or not equals or not where.strip("/"):
            raise UsageError(f"--map must be NAME=/path/in/file, NAME one of {', '.join(MAPPED)}, got {place!r}")
        if name in names:
            raise UsageError(f"--map must name {name} once, got {names[name]!r} and {where!r}")
        names[name] = where
    if pixel_size_m is not None and not 0 < pixel_size_m < float("inf"):
        raise UsageError(f"--pixel-size must be a positive number of metres, got {pixel_size_m:g}")
    if layer is not None and layer < 0:
        raise UsageError(f"--layer must not be negative, got {layer}")
    if origin is not None and origin not in ORIGINS:
        raise UsageError(f"--origin must be one of {', '.join(ORIGINS)}, got {origin!r}")
    for option in unknown:
        raise UsageError(f"{option} is no option that says how a scan is read")
    return Reading(layer=layer, names=names, pixel_size_m=pixel_size_m, origin=cast("Origin | None", origin))
