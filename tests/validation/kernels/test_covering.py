"""The covering design keeps every pair of values while it gets cheaper."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.kernels.patches.sweeps import covering, design

AXES = ((1, 10, 100), ("a", "b", "c"), (1, 2, 30), ("x", "y"))


def cost(row):
    return row[0] * row[2]


def all_pairs(rows):
    return {pair for row in rows for pair in covering.pairs(row)}


def lighten(rows, **options):
    given_ = {"worth": 0.0, "may_change": lambda row: True, "fits": lambda row: True, **options}
    return covering.lighten(rows, AXES, cost, **given_)


rows_of_a_design = st.lists(st.tuples(*map(st.sampled_from, AXES)), unique=True, max_size=14)


@given(rows=rows_of_a_design)
def test_no_pair_is_lost_no_row_is_doubled_and_nothing_gets_dearer(rows):
    found = lighten(rows)
    assert all_pairs(rows) <= all_pairs(found)
    assert len(found) == len(set(found)) == len(rows)
    assert sum(map(cost, found)) <= sum(map(cost, rows))


@given(rows=rows_of_a_design)
def test_rows_that_may_not_change_stay(rows):
    kept = [row for row in rows if row[1] == "a"]
    found = lighten(rows, may_change=lambda row: row[1] != "a")
    assert [row for row in found if row in kept] == kept


@given(rows=rows_of_a_design)
def test_rows_that_do_not_fit_are_not_made(rows):
    rows = [row for row in rows if cost(row) <= 300]
    assert all(cost(row) <= 300 for row in lighten(rows, fits=lambda row: cost(row) <= 300))


def test_large_values_part_where_the_pairs_allow_it():
    rows = list(itertools.product(*AXES))
    assert (100, "a", 30, "x") in rows
    three = [(100, "a", 30, "x"), (100, "a", 1, "x"), (1, "a", 30, "x"), (100, "b", 1, "x"), (1, "b", 30, "x")]
    found = lighten([*three, (100, "c", 30, "y")])
    assert sum(map(cost, found)) < sum(map(cost, three)) + 3000


def test_what_costs_little_is_left_alone():
    rows = [(10, "a", 2, "x"), (10, "b", 2, "x"), (10, "a", 1, "x"), (1, "a", 2, "x"), (1, "b", 2, "y")]
    assert lighten(rows, worth=20.0) == rows


@pytest.fixture(scope="module")
def rows():
    return design.covering_rows()


def test_the_sweep_never_puts_its_largest_values_together(rows):
    assert not [row for row in rows if row[0] >= 128 and row[1] > 1 and row[2] >= 1000]
    assert {row[0] for row in rows if row[2] == 5000} == set(design.PATCH_SIZES)


def test_engines_and_fallbacks_meet_every_pattern_but_few(rows):
    met = {row[3] for row in rows if design.meets_every_candidate(row[0], row[2])}
    assert met >= {"border", "scan", "interior", "zero", "integer", "fading", "outside"}
