"""Which array of a result belongs to which of the expected one, and where their structures differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from validation.outputs.containers import ALL
from validation.outputs.tree import Node, Tree, complete

# Kinds of nodes below which no tolerance holds, and below which integers may be of any width.
_EXACT = ("Index", "MultiIndex")
_ANY_WIDTH = "places"
_LONGEST = 60


class Form(NamedTuple):
    """What stands in one place of a result, as a record tells it: the shape, and the dtype or else the kind."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}" if self.shape else self.dtype


NOTHING = Form((), "nothing")


class Place(NamedTuple):
    """A place in both results, and what holds there.

    ``axes`` are the containers whose elements are kept together: each is an axis of the array at this place, with the
    steps to its elements, or none where they are counted. Below an index no tolerance holds, and places of stored
    values may be integers of any width.
    """

    path: str
    axes: tuple[tuple[str, ...], ...] = ()
    exactly: bool = False
    any_width: bool = False

    def below(self, step: str, kind: str, keys: tuple[str, ...] = ()) -> Place:
        """Go on to a part of a node."""
        if step == ALL:
            return self._replace(axes=(*self.axes, keys))
        return Place(self.path + step, (), self.exactly or kind in _EXACT, kind == _ANY_WIDTH)

    def element(self, at: tuple[int, ...]) -> tuple[Place, tuple[int, ...]]:
        """Name the place of an element, and where it is in the array there."""
        steps = (keys[i] if i < len(keys) else f"[{i}]" for keys, i in zip(self.axes, at, strict=False))
        return self._replace(path=self.path + "".join(steps), axes=()), at[len(self.axes) :]


class Pair(NamedTuple):
    """What stands in the same place of both results.

    ``arrays`` are there where two can be compared, exactly or within a tolerance. ``difference`` says in words what
    else differs, and ``at`` where in an array of texts that is. ``alone`` are arrays of the actual result that are
    compared with none; ``texts`` counts its elements that are no numbers.
    """

    place: Place
    expected: Form
    actual: Form
    arrays: tuple[NDArray[Any], NDArray[Any]] | None = None
    difference: str | None = None
    at: tuple[int, ...] | None = None
    alone: tuple[NDArray[Any], ...] = ()
    texts: int = 0


class _Side(NamedTuple):
    """A node of one of the results, and all its arrays."""

    node: Node
    arrays: tuple[NDArray[Any], ...]

    @property
    def kind(self) -> str:
        return self.node["kind"]

    @property
    def facts(self) -> dict[str, Any]:
        return self.node.get("facts", {})

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.node.get("keys", ()))

    @property
    def array(self) -> NDArray[Any]:
        return self.arrays[self.node["at"]]

    @property
    def parts(self) -> dict[str, _Side]:
        return {step: _Side(part, self.arrays) for step, part in self.node.get("parts", ())}

    @property
    def form(self) -> Form:
        if self.kind == "array":
            return Form(self.array.shape, str(self.array.dtype))
        if self.kind == "objects":
            return Form(self.node["shape"], self.node["dtype"])
        if self.kind == "range":
            return Form((len(range(*self.node["range"])),), "range of int64")
        return Form((), f"{self.kind} of {self.facts['dtype']}" if "dtype" in self.facts else self.kind)

    @property
    def written(self) -> list[str]:
        return list(map(repr, self.node["texts"])) if "texts" in self.node else self.node["values"]

    def all_arrays(self) -> tuple[NDArray[Any], ...]:
        if self.kind == "array":
            return (self.array,)
        return tuple(array for part in self.parts.values() for array in part.all_arrays())

    def spread(self) -> _Side:
        """Write out an index that counts."""
        return _leaf(np.arange(*self.node["range"], dtype=np.int64)) if self.kind == "range" else self

    def elements(self) -> list[_Side]:
        """Take apart what is kept together along its first axis."""
        if self.kind == "array":
            return [_leaf(np.asarray(element)) for element in (self.array if self.array.ndim else ())]
        if ALL in self.parts:
            return [_Side({**self.node, "parts": [(ALL, row.node)]}, row.arrays) for row in self.parts[ALL].elements()]
        if self.kind != "objects" or "texts" not in self.node:
            return []
        first, *others = self.node["shape"] or (0,)
        texts, step = self.node["texts"], len(self.node["texts"]) // max(first, 1)
        if not others:
            return [_Side(tree.skeleton, tree.arrays) for tree in map(complete, texts)]
        rows = (texts[at : at + step] for at in range(0, len(texts), max(step, 1)))
        return [_Side({**self.node, "shape": tuple(others), "texts": row}, ()) for row in rows]

    def one_by_one(self) -> dict[str, _Side]:
        """Give the parts of a container, also where they are kept together."""
        if ALL not in self.parts:
            return self.parts
        elements = self.parts[ALL].elements()
        steps = self.keys if self.kind == "dict" else [f"[{at}]" for at in range(len(elements))]
        return dict(zip(steps, elements, strict=False))


def _leaf(array: NDArray[Any]) -> _Side:
    return _Side({"kind": "array", "at": 0}, (array,))


_ABSENT = _Side({"kind": NOTHING.dtype}, ())


def pairs(expected: Tree, actual: Tree) -> Iterator[Pair]:
    """Walk through two results side by side; where one has no counterpart, the walk ends below that place only.

    Yields
    ------
    Pair
        At least one.
    """
    return _walk(_Side(expected.skeleton, expected.arrays), _Side(actual.skeleton, actual.arrays), Place(""))


def told(place: Place, expected: Any, actual: Any, at: tuple[int, ...] = ()) -> str:
    """Say what differs, and where."""
    place, at = place.element(at)
    path = f"{place.path}[{', '.join(map(str, at))}]" if at else place.path
    shortened = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in map(str, (expected, actual))]
    return f"{path}{path and ': '}expected {shortened[0]}, got {shortened[1]}"


def _walk(expected: _Side, actual: _Side, place: Place) -> Iterator[Pair]:
    kinds = {expected.kind, actual.kind}
    if kinds == {"range"} and range(*expected.node["range"]) == range(*actual.node["range"]):
        yield Pair(place, expected.form, actual.form)
    elif kinds == {"array"} or kinds == {"range"} or (kinds == {"array", "range"} and place.exactly):
        yield _arrays(expected, actual, place)
    elif kinds == {"objects"}:
        yield _objects(expected, actual, place)
    elif len(kinds) == 2:
        yield _apart(expected, actual, place, expected.form, actual.form)
    else:
        yield from _parts(expected, actual, place)


def _apart(expected: _Side, actual: _Side, place: Place, what: Any, instead: Any) -> Pair:
    alone = actual.all_arrays()
    return Pair(place, expected.form, actual.form, difference=told(place, what, instead), alone=alone)


def _arrays(expected: _Side, actual: _Side, place: Place) -> Pair:
    forms = expected.form, actual.form
    if forms[0].shape == forms[1].shape:
        left, right = expected.spread().array, actual.spread().array
        kinds = left.dtype.kind + right.dtype.kind
        # How wide the text of a scalar is, is no matter of its dtype.
        as_wide = (place.any_width and set(kinds) <= set("iu")) or (left.shape == () and kinds in ("UU", "SS"))
        if left.dtype == right.dtype or as_wide:
            return Pair(place, *forms, arrays=(left, right))
    return _apart(expected, actual, place, *forms)


def _objects(expected: _Side, actual: _Side, place: Place) -> Pair:
    forms = expected.form, actual.form
    if forms[0] != forms[1]:
        return _apart(expected, actual, place, *forms)
    left, right = expected.written, actual.written
    differing = next((at for at, (one, two) in enumerate(zip(left, right, strict=True)) if one != two), None)
    if differing is None:
        return Pair(place, *forms, texts=len(right))
    at = tuple(int(i) for i in np.unravel_index(differing, forms[0].shape))
    words = told(place, left[differing], right[differing], at)
    return Pair(place, *forms, difference=words, at=at, texts=len(right))


def _parts(expected: _Side, actual: _Side, place: Place) -> Iterator[Pair]:
    for name in {**expected.facts, **actual.facts}:
        left, right = expected.facts.get(name), actual.facts.get(name)
        if left != right:
            yield _apart(expected, actual, place, f"{name} {left}", right)
            return
    left_parts, right_parts = expected.parts, actual.parts
    if not _alike_together(expected, actual):
        left_parts, right_parts = expected.one_by_one(), actual.one_by_one()
    if not left_parts and not right_parts:
        yield Pair(place, expected.form, actual.form)
    for step, part in left_parts.items():
        below = place.below(step, expected.kind, expected.keys)
        if step in right_parts:
            yield from _walk(part, right_parts[step], below)
        else:
            yield _apart(part, _ABSENT, below, part.form, NOTHING)
    for step, part in right_parts.items():
        if step not in left_parts:
            yield _apart(_ABSENT, part, place.below(step, actual.kind), NOTHING, part.form)


def _alike_together(expected: _Side, actual: _Side) -> bool:
    """Whether both keep the same elements together, in the same way; also where neither does."""
    left, right = expected.parts.get(ALL), actual.parts.get(ALL)
    if left is None or right is None:
        return left is right
    return (left.kind, left.facts, expected.keys) == (right.kind, right.facts, actual.keys)
