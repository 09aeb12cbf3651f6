"""How parameters of kernels are told in tables and plots."""

from __future__ import annotations

from collections.abc import Iterable

from validation.contract.cards import KernelCard
from validation.contract.cases import Parameter, Scalar
from validation.contract.manifest import Manifest


def parameter(card: KernelCard, name: str) -> Parameter | None:
    """Give a parameter of a kernel by name; ``None`` where it has none of that name."""
    return next((one for one in card.parameters if one.name == name), None)


def columns(manifest: Manifest) -> tuple[Parameter, ...]:
    """Parameters that the table of cases shows: those that the kernels' words name, each by the first kernel's card."""
    named: dict[str, Parameter] = {}
    for card in manifest.kernels:
        for name in card.words.columns:
            if (one := parameter(card, name)) is not None:
                named.setdefault(name, one)
    return tuple(named.values())


# Names of the form's own fields.
_TAKEN = ("text", "state", "candidate")


def filtered(manifest: Manifest) -> tuple[str, ...]:
    """Columns of the table by which cases are found: the axes of the map where a kernel has one, else all."""
    names = [one.name for one in columns(manifest) if one.name not in _TAKEN]
    axes = {name for card in manifest.kernels for name in (card.words.rows, card.words.by, card.words.of)}
    return tuple(name for name in names if name in axes) or tuple(names)


def _is_symbol(one: Parameter) -> bool:
    """Whether a parameter goes by a letter, which people know better than its label."""
    return len(one.name) == 1


def head(one: Parameter) -> str:
    """Head of a column: the letter, the name where the label only says more, else the label."""
    if _is_symbol(one):
        return one.name
    short = one.name if one.name in one.label.split() else one.label or one.name
    return short[:1].upper() + short[1:]


def axis(one: Parameter) -> str:
    """Label of an axis, with the unit."""
    letter = f" {one.name}" if _is_symbol(one) and one.label != one.name else ""
    return f"{one.label or one.name}{letter}" + (f" ({one.unit})" if one.unit else "")


def told(one: Parameter, value: Scalar) -> str:
    """Give a value with its name."""
    return f"{one.name if _is_symbol(one) else one.label or one.name} {value}"


def ordered(values: Iterable[Scalar]) -> list[Scalar]:
    """Sort values of a parameter, numbers before words."""
    return sorted(set(values), key=lambda value: (isinstance(value, str), value))
