"""Known-bad implementations."""

from __future__ import annotations

from validation.kernels import Implementation


def implementations(kernel: str) -> tuple[Implementation, ...]:
    """Mutants of a kernel that are implementations."""
    return ()
