"""The formats that are known: those built in, and those that other packages register.

A format is anything with a ``NAME``, ``recognises(source)`` and ``read(source, reading)``: a module will do. Another
package registers its own as an entry point of the group ``ptycho_validation.scan_formats``.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Protocol, cast

from validation.contract.errors import UsageError
from validation.subject.scan.options import Reading
from validation.subject.scan.scan import Scan
from validation.subject.scan.source import Source

GROUP = "ptycho_validation.scan_formats"
# In the order in which they are asked; the names of the last are the most common.
BUILT_IN = ("ptychodus", "ptypy", "ptyrad", "ptychoshelves", "ptychopinn")


class Format(Protocol):
    """How one package writes a scan."""

    NAME: str

    def recognises(self, source: Source) -> bool:
        """See by the names in a file whether it is of this format."""

    def read(self, source: Source, reading: Reading) -> Scan:
        """Read object and positions, the latter in pixels of the object.

        Raises
        ------
        UsageError
            If an array is missing or is not what the format has there, or an option is needed.
        """


def known() -> list[Format]:
    """Give the formats in the order in which they are asked: a lab's own first.

    Raises
    ------
    UsageError
        If a registered one cannot be imported.
    """
    found: list[Format] = []
    for point in sorted(entry_points(group=GROUP)):
        try:
            found.append(cast(Format, point.load()))
        except Exception as error:
            raise UsageError(f"the scan format {point.name} ({point.value}) cannot be loaded: {error}") from None
    found += [cast(Format, importlib.import_module(f"{__name__}.{name}")) for name in BUILT_IN]
    return found
