"""A case in parts: its times alone on the machine, its other checks wherever there is room, and one line in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from validation.child import memory
from validation.contract.cases import Check
from validation.contract.lines import CaseResult
from validation.contract.measurements import Measurement
from validation.plan.items import CaseItem, Item


def alone() -> tuple[Check, ...]:
    """Give the checks that other work would change: times, and peaks where they are sampled and not metered."""
    return ("time",) if memory.meter() == memory.KERNEL_METER else ("time", "memory")


def missing(item: CaseItem, parts: Mapping[str, Sequence[CaseResult]]) -> tuple[Check, ...]:
    """Give the checks of an item that no part on record holds."""
    had = {check for part in parts.get(item.key, ()) for check in part.checks}
    return tuple(check for check in item.checks if check not in had)


def only(item: CaseItem, checks: tuple[Check, ...]) -> CaseItem:
    """Give an item that asks for these checks alone, under the same key."""
    return msgspec.structs.replace(item, checks=checks)


def beside(groups: Sequence[tuple[Item, ...]], parts: Mapping[str, Sequence[CaseResult]]) -> Iterator[tuple[Item, ...]]:
    """Give what is left to do of groups when times are taken: peaks of memory one by one, comparisons together.

    The comparisons of a case share its outputs.
    """
    for group in groups:
        left = [(item, missing(item, parts)) for item in group if isinstance(item, CaseItem)]
        yield from ((only(item, ("memory",)),) for item, checks in left if "memory" in checks)
        compared = tuple(only(item, ("equivalence",)) for item, checks in left if "equivalence" in checks)
        others = tuple(item for item in group if not isinstance(item, CaseItem))
        if compared or others:
            yield compared + others


def merge(parts: Sequence[CaseResult], checks: tuple[Check, ...]) -> CaseResult | None:
    """Put the parts of a case together; ``None`` while one is missing and none has failed.

    Parameters
    ----------
    parts : sequence of CaseResult
        In the order in which they ended.
    checks : tuple of str
        What was planned for the case.
    """
    failed = next((part for part in parts if part.failure is not None), None)
    if failed is None and {check for part in parts for check in part.checks} != set(checks):
        return None
    first = min(parts, key=lambda part: part.started_at)
    found = [part.measurement for part in parts if part.measurement is not None]
    measurement = Measurement(
        equivalence=next((each.equivalence for each in found if each.equivalence is not None), None),
        timing=next((each.timing for each in found if each.timing is not None), None),
        memory=next((each.memory for each in found if each.memory is not None), None),
    )
    return msgspec.structs.replace(
        first,
        checks=checks,
        measurement=None if failed else measurement,
        failure=failed.failure if failed else None,
        wall_s=sum(part.wall_s for part in parts),
        measured_s=sum(part.measured_s for part in parts),
        outputs_sha256={} if failed else {name: of for part in parts for name, of in part.outputs_sha256.items()},
    )
