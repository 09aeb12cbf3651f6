"""Bits do not depend on the number of threads: two fresh processes, one thread and three."""

from __future__ import annotations

from validation.properties.tested import Found, Tested, same_tree

COUNTS = (1, 3)


def threads(tested: Tested) -> Found:
    """See that fresh processes with one thread and with three give the same bits."""
    found = tested.afresh(COUNTS)
    if isinstance(found, str):
        return Found(passed=False, figure=None, limit=0.0, detail=found)
    one, three = found
    return same_tree(one, three, "with 1 thread and with 3")
