"""The properties that are checked of every kernel, by name."""

from __future__ import annotations

from collections.abc import Callable

from validation.contract.cases import Case
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel
from validation.properties import behaviour
from validation.properties.tested import Found, Tested
from validation.properties.threads import threads

Property = Callable[[Tested], Found]

GENERIC: dict[str, Property] = {
    "earlier_calls": behaviour.earlier_calls,
    "inputs_unchanged": behaviour.inputs_unchanged,
    "own_memory": behaviour.own_memory,
    "process_state": behaviour.process_state,
    "threads": threads,
}


def names(kernel: Kernel) -> tuple[str, ...]:
    """Names of the properties of a kernel: its own, then those of every kernel."""
    return (*kernel.properties, *GENERIC)


def find(kernel: Kernel, case: Case, name: str) -> Property:
    """Look a property up.

    Raises
    ------
    UsageError
        If the kernel has no such property, or the case no work.
    """
    known: dict[str, Property] = {**kernel.properties, **GENERIC}
    if name not in known:
        raise UsageError(f"property of {kernel.name} must be one of {', '.join(known)}, got {name!r}")
    if case.work <= 0:
        raise UsageError(f"a property is checked where there is work, but {case.case_id} has none")
    return known[name]
