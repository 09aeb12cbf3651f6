"""Which results are equal: those of the same structure and values, however they were made."""

import datetime
import math
from array import array as array_of_python
from collections import OrderedDict, namedtuple
from dataclasses import make_dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.outputs.judging import Fit, Pair, judged, through_a_file
from validation.outputs.tree import complete

# Each is equal to itself, and to no other of them.
UNLIKE = [
    None,
    True,
    1,
    1.0,
    1 + 0j,
    "1",
    b"1",
    bytearray(b"1"),
    "",
    "1\0",
    "\ud800",
    math.nan,
    math.inf,
    2**63,
    2**63 + 1,
    -(2**64),
    Decimal("1.0"),
    Decimal("1.00"),
    Fraction(1),
    datetime.date(2020, 1, 1),
    datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    datetime.timedelta(1),
    np.float32(1),
    np.datetime64("2020-01-01"),
    np.datetime64("2020-01-01", "s"),
    np.timedelta64(1, "s"),
    np.array([1.0]),
    [],
    (),
    {},
    set(),
    frozenset(),
    [1.0],
    [1],
    [True],
    [1 + 0j],
    ["1"],
    ["1", None],
    ["1", "2"],
    [None],
    [1.0, None],
    [1, 1.0],
    [1.0, 1.0],
    [2**63],
    [2**63, 1],
    (1.0,),
    [[1.0]],
    [np.array([1.0])],
    [np.float32(1)],
    {"a": 1.0},
    {"a": 1},
    {"b": 1.0},
    {1: 1.0},
    {"1": 1.0},
    {None: 1.0},
    {(1, "a"): 1.0},
    {"a": 1.0, "b": 1.0},
    {1.0},
    {1},
    {2},
    {"1"},
    {(1, 2)},
    frozenset({1}),
    Pair(1.0, 2.0),
    namedtuple("Pair", ["mean", "width"])(1.0, 2.0),
    (1.0, 2.0),
    Fit(1.0, 2.0),
    Fit(1.0, np.array([2.0])),
    {"mean": 1.0, "spread": 2.0},
    np.array([1, "a", None, 2.5], object),
    np.array([1, "a", None, math.nan], object),
    np.array([1, "a", math.nan, 2.5], object),
    np.array([1.0, "a", None, 2.5], object),
    np.array([True, "a", None, 2.5], object),
    np.array([[1, "a"], [None, 2.5]], object),
    np.array(["a", None], object),
    np.array(["a", "b"], object),
    np.array(["a", "b"]),
    np.array(None, object),
    np.array([[1.0], {"x": np.arange(2)}], object),
    np.array([[1.0], {"x": np.arange(3)}], object),
    np.zeros(2, [("x", "f4"), ("y", "i8", (3,))]),
    np.zeros(2, [("x", "f4"), ("z", "i8", (3,))]),
    np.zeros(2, [("x", "f8"), ("y", "i8", (3,))]),
    np.zeros((), [("x", "f4"), ("y", "i8", (3,))]),
    np.zeros(2, [("x", [("y", "f4")])]),
    np.array([b"ab"], "V2"),
    np.array([b"ac"], "V2"),
    np.ma.masked_array([1.0, 2.0], [False, True]),
    np.ma.masked_array([1.0, 2.0], [True, False]),
    np.ma.masked_array([1.0, 2.0], [True, True]),
    np.array([1.0, 2.0]),
    np.ma.masked,
    range(2),
    range(3),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(UNLIKE)), ids=lambda at: f"{at}: {ascii(UNLIKE[at])[:40]}")
def test_a_result_is_equal_to_itself_and_to_nothing_else(at):
    tree = complete(UNLIKE[at])
    loaded = through_a_file(tree)
    assert loaded.skeleton == tree.skeleton
    assert loaded.paths == tree.paths
    equal = [other for other in range(len(UNLIKE)) if judged(loaded, UNLIKE[other], 0.0).passed]
    assert equal == [at]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1.5, np.float64(1.5)),
        (1.5, np.array(1.5)),
        (3, np.int64(3)),
        ("a", np.str_("a")),
        (range(2, 6, 2), range(2, 5, 2)),
        ([1.0, 2.0], [np.float64(1.0), 2.0]),
        ([1, np.int64(2)], [1, 2]),
        ([1.0, None], [np.float64(1.0), None]),
        ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}),
        ({1: "x"}, {np.int64(1): "x"}),
        ({"a": 1.0}, OrderedDict(a=1.0)),
        (Pair(1.0, 2.0), namedtuple("Other", Pair._fields)(1.0, 2.0)),
        (Fit(1.0, 2.0), make_dataclass("Other", ["mean", "residuals"])(1.0, 2.0)),
        ({1, "a"}, {"a", 1}),
        (np.ma.masked_array([1.0, 2.0], [0, 1]), np.ma.masked_array([1.0, 3.0], [0, 1])),
        (np.ma.masked_array([1.0, 2.0], [0, 0]), np.array([1.0, 2.0])),
        (np.array(["a", 1], object), np.array([np.str_("a"), np.int64(1)], object)),
        (array_of_python("d", [1.0]), np.array([1.0])),
        (np.zeros(2, [("x", "i1"), ("y", "f8")]), np.zeros(2, np.dtype([("x", "i1"), ("y", "f8")], align=True))),
        (np.zeros(1, "i4,f8")[0], np.zeros((), "i4,f8")),
    ],
    ids=lambda value: "set" if isinstance(value, set) else repr(value),
)  # fmt: skip
def test_what_only_differs_in_how_it_was_made_is_equal(one, two):
    assert judged(one, two, 0.0).passed
    assert judged(two, one, 0.0).passed


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.binary(max_size=3),
)
KEYS = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.tuples(st.integers(), st.text(max_size=2))
RESULTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.floats(), max_size=4)
        | st.lists(st.text(max_size=2) | st.none(), max_size=4)
        | st.lists(st.integers(), max_size=4).map(tuple)
        | st.lists(st.tuples(st.floats(), st.floats()), max_size=3)
        | st.lists(st.lists(st.text(max_size=2) | st.none(), max_size=2), max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Fit, inner, inner)
        | st.sets(st.integers() | st.text(max_size=2), max_size=3)
    ),
    max_leaves=8,
)


def same(one, two):
    """Whether two results of Python's own kinds are the same: equal, of the same types, and a NaN where a NaN is."""
    if isinstance(one, dict) and isinstance(two, dict):
        keys = {(type(key), key) for key in one} == {(type(key), key) for key in two}
        return keys and all(same(value, two[key]) for key, value in one.items())
    if isinstance(one, set) and isinstance(two, set):
        return {(type(part), part) for part in one} == {(type(part), part) for part in two}
    if type(one) is not type(two):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, Fit):
        return same(one.mean, two.mean) and same(one.residuals, two.residuals)
    if isinstance(one, complex):
        return same(one.real, two.real) and same(one.imag, two.imag)
    return one == two or (isinstance(one, float) and math.isnan(one) and math.isnan(two))


@given(RESULTS, st.data())
def test_results_are_equal_exactly_where_python_finds_them_the_same(one, data):
    two = data.draw(st.just(one) | RESULTS)
    assert judged(through_a_file(complete(one)), two, 0.0).passed == same(one, two)
