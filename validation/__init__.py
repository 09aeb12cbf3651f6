"""Measures whether a fast function may replace a slow one, each call in a process of its own.

`judge` gives a verdict on a pair of functions, `assert_replaces` fails unless it is ACCEPT. The command line is
``python -m validation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validation.judging import assert_replaces, judge

__all__ = ["assert_replaces", "judge"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``import validation`` is quick."""
    if name in __all__:
        from validation import judging

        return getattr(judging, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
