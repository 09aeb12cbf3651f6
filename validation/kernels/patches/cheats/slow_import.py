"""Kind 8: the work is done when the module is imported, before any clock runs."""

from __future__ import annotations

from typing import Any

from validation.kernels.patches.cheats.work import right, wait

# A first call of a quarter of a second is what the standard allows; this is more.
IMPORT_S = 0.4

wait(IMPORT_S)


def imported_slowly(**arguments: Any) -> Any:
    """Give the result, at once: what took long is over."""
    return right(arguments)
