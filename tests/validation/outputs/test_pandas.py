"""Tables: pandas' own comparison says which are equal, and a difference is named by its path."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.outputs.judging import judged, refusal, through_a_file
from validation.outputs.tree import arrays_in, complete

pd = pytest.importorskip("pandas")
from pandas import testing  # noqa: E402

TIMES = pd.to_datetime(["2020-01-01", None, "2021-06-01 12:00:00.000000001"], format="ISO8601")
MONTHS = pd.period_range("2020-01", periods=3, freq="M")
COLUMNS = {
    "floats": pd.Series([1.0, np.nan, 3.0]),
    "other floats": pd.Series([1.0, np.nan, 4.0]),
    "infinite": pd.Series([1.0, np.inf, 3.0]),
    "small floats": pd.Series([1.0, np.nan, 3.0], dtype="float32"),
    "integers": pd.Series([1, 2, 3]),
    "small integers": pd.Series([1, 2, 3], dtype="int8"),
    "truths": pd.Series([True, False, True]),
    "complex": pd.Series([1j, 2.0, 3.0]),
    "nullable integers": pd.Series([1, None, 3], dtype="Int64"),
    "other nullable integers": pd.Series([1, 0, 3], dtype="Int64"),
    "nullable unsigned": pd.Series([1, None, 3], dtype="UInt64"),
    "nullable floats": pd.Series([1.0, None, 3.0], dtype="Float64"),
    "nullable truths": pd.Series([True, None, False], dtype="boolean"),
    "nullable texts": pd.Series(["a", None, "c"], dtype="string"),
    "texts in Python": pd.Series(["a", None, "c"], dtype="string[python]"),
    "texts": pd.Series(["a", "b", "c"]),
    "other texts": pd.Series(["a", "b", "d"]),
    "objects": pd.Series(["a", None, 2.5], dtype=object),
    "other objects": pd.Series(["a", None, 3.5], dtype=object),
    "objects with NaN": pd.Series(["a", np.nan, 2.5], dtype=object),
    "dates": pd.Series([datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 3)], dtype=object),
    "times": pd.Series(TIMES),
    "times in seconds": pd.Series(TIMES).astype("datetime64[s]"),
    "times in UTC": pd.Series(TIMES).dt.tz_localize("UTC"),
    "times in Berlin": pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
    "later times in Berlin": pd.Series(TIMES).dt.tz_localize("Europe/Berlin"),
    "spans": pd.Series(TIMES) - pd.Timestamp("2020"),
    "months": pd.Series(MONTHS),
    "quarters": pd.Series(MONTHS.asfreq("Q")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "intervals closed on the left": pd.Series(pd.interval_range(0, 3, closed="left")),
    "categories": pd.Series(["u", None, "v"], dtype="category"),
    "ordered categories": pd.Series(pd.Categorical(["u", None, "v"], ordered=True)),
    "categories in another order": pd.Series(pd.Categorical(["u", None, "v"], categories=["v", "u"])),
    "more categories": pd.Series(pd.Categorical(["u", None, "v"], categories=["u", "v", "w"])),
    "sparse": pd.Series(pd.arrays.SparseArray([0.0, 1.0, 0.0], fill_value=0.0)),
    "sparse with NaN": pd.Series(pd.arrays.SparseArray([0.0, 1.0, 0.0])),
}
INDEXES = {
    "counting": pd.RangeIndex(3),
    "counting in twos": pd.RangeIndex(0, 6, 2),
    "counting with a name": pd.RangeIndex(3, name="n"),
    "integers in twos": pd.Index([0, 2, 4]),
    "named by a tuple": pd.Index([0, 2, 4], name=("a", 1)),
    "small integers": pd.Index([0, 2, 4], dtype="int32"),
    "floats": pd.Index([0.0, 2.0, np.nan]),
    "texts": pd.Index(["a", "b", "c"]),
    "other texts": pd.Index(["a", "b", "d"]),
    "mixed": pd.Index(["a", 1, None], dtype=object),
    "days": pd.date_range("2020", periods=3),
    "days without a frequency": pd.DatetimeIndex(list(pd.date_range("2020", periods=3))),
    "days in UTC": pd.date_range("2020", periods=3, tz="UTC"),
    "hours": pd.timedelta_range("1h", periods=3, freq="h"),
    "months": MONTHS,
    "intervals": pd.interval_range(0, 3),
    "categories": pd.CategoricalIndex(["a", "b", "a"]),
    "nullable": pd.Index([1, None, 3], dtype="Int64"),
    "two levels": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["x", None]),
    "two levels, another name": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["x", "y"]),
    "two levels, another place": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "b")], names=["x", None]),
}


def pandas_finds_equal(one, two, **options):
    check = testing.assert_frame_equal if isinstance(one, pd.DataFrame) else testing.assert_series_equal
    try:
        check(one, two, **options)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_equal_where_pandas_finds_them_exactly_equal(name):
    one = COLUMNS[name]
    for other, two in COLUMNS.items():
        # pandas finds 1 and 1.0, or None and NaN, in a column of objects equal, or says that it will not for long.
        alike = other == name if one.dtype == two.dtype == object else pandas_finds_equal(one, two, check_exact=True)
        assert judged(one, two, 0.0).passed == alike, other
        assert judged(pd.DataFrame({"x": one}), pd.DataFrame({"x": two}), 0.0).passed == alike, other
        assert judged(one.array, two.array, 0.0).passed == alike, other


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_are_equal_where_pandas_finds_them_exactly_equal(name):
    for other, index in INDEXES.items():
        one, two = (pd.Series([1.0, 2.0, 3.0], index=each) for each in (INDEXES[name], index))
        assert judged(one, two, 0.0).passed == pandas_finds_equal(one, two, check_exact=True), other
        one, two = (pd.DataFrame([[1.0, 2.0, 3.0]], columns=each) for each in (INDEXES[name], index))
        assert judged(one, two, 0.0).passed == pandas_finds_equal(one, two, check_exact=True, check_freq=True), other


@pytest.mark.parametrize("kind", [*COLUMNS.values(), *INDEXES.values()], ids=[*COLUMNS, *INDEXES])
def test_a_table_is_the_same_after_it_was_saved(kind):
    for result in (kind, pd.DataFrame({"x": list(range(3)), "y": kind}), kind[:0]):
        tree = complete(result)
        loaded = through_a_file(tree)
        assert (loaded.skeleton, loaded.paths) == (tree.skeleton, tree.paths)
        assert judged(loaded, result, 0.0).passed


NAMES = st.sampled_from(["a", "b", 1, None, ("a", 1)])
VALUES = st.sampled_from([0.0, -0.0, 1.0, 1.0625, 1.125, 2.0, np.nan, np.inf])


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 3))
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3))
    columns = [draw(st.lists(VALUES, min_size=rows, max_size=rows)) for _ in names]
    table = pd.DataFrame(np.array(columns, float).reshape(len(names), rows).T, columns=names)
    if draw(st.booleans()):
        table.index = pd.Index(draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)), dtype="int64")
    table.index.name = draw(NAMES)
    table.columns.name = draw(NAMES)
    return table


@given(tables(), st.data(), st.sampled_from([0.0, 0.0625, 0.125]), st.sampled_from([0.0, 0.0625]))
def test_tables_are_equal_within_tolerances_where_pandas_finds_them_so(one, data, atol, rtol):
    two = one.copy()
    for row in range(len(two)):
        if data.draw(st.booleans()):
            two.iloc[row] = data.draw(st.lists(VALUES, min_size=two.shape[1], max_size=two.shape[1]))
    if data.draw(st.booleans()):
        two = data.draw(tables())
    assert judged(one, two, atol, rtol=rtol).passed == pandas_finds_equal(one, two, atol=atol, rtol=rtol)


def table(**changes):
    columns = {"a": [1.0, 2.0], "b": ["x", "y"], "c": pd.Categorical(["u", "v"]), "d": [3, 4], **changes}
    return pd.DataFrame(columns, index=pd.Index(changes.pop("index", [10, 20]), name="n"))


@pytest.mark.parametrize(
    ("wrong", "path", "difference", "place"),
    [
        (table().assign(a=[1.0, 2.5]), "[0]['x']['a']", None, (1,)),
        (table().assign(d=[3, 6]), "[0]['x']['d']", None, (1,)),
        (table().assign(d=[3.0, 4.0]), "[0]['x']['d']", "int64 of shape (2,), got float64 of shape (2,)", None),
        (table().assign(c=pd.Categorical(["v", "v"], categories=["u", "v"])), "[0]['x']['c'].codes", None, (0,)),
        (table().set_axis([10, 30]).rename_axis("n"), "[0]['x'].index", None, (1,)),
        (table().rename_axis("m"), "[0]['x'].index", "expected name 'n', got 'm'", None),
        (table().reset_index(drop=True), "[0]['x'].index", "expected name 'n', got None", None),
        (table()[["a", "b", "d"]], "[0]['x'].columns", "of shape (4,), got object of shape (3,)", None),
        (table().rename_axis(columns="names"), "[0]['x'].columns", "expected name None, got 'names'", None),
        (table()["a"], "[0]['x']", "expected DataFrame, got Series", None),
        (table().to_dict("list"), "[0]['x']", "expected DataFrame, got dict", None),
        (table().to_numpy(), "[0]['x']", "expected DataFrame, got object of shape (2, 4)", None),
    ],
)  # fmt: skip
def test_a_difference_is_named_by_its_path(wrong, path, difference, place):
    found = judged(({"x": table()},), ({"x": wrong},))
    assert not found.passed
    assert (found.path, found.worst_index) == (path, place)
    if difference is None:
        assert (found.difference, found.max_abs_error > 0) == (None, True)
    else:
        assert found.difference.startswith(f"{path}: ")
        assert found.difference.endswith(difference)


@pytest.mark.parametrize(
    ("wrong", "difference", "place"),
    [
        (table().assign(b=["x", "z"]), "['b'][1]: expected 'y', got 'z'", (1,)),
        (table().set_axis(["a", "b", "C", "d"], axis=1), ".columns[2]: expected 'c', got 'C'", (2,)),
        (table().assign(c=pd.Categorical(["u", "w"])), "['c'].categories[1]: expected 'v', got 'w'", (1,)),
    ],
)  # fmt: skip
def test_a_text_that_differs_is_told(wrong, difference, place):
    found = judged(table(), wrong)
    assert (found.passed, found.difference, found.worst_index) == (False, difference, place)


def test_columns_of_the_same_name_are_told_apart():
    one, two = (pd.DataFrame([[1.0, last]], columns=["a", "a"]) for last in (2.0, 3.0))
    assert judged(one, one.copy()).passed
    assert judged(one, two).path == ".iloc[:, 1]"


def test_an_index_is_compared_exactly_also_where_it_is_of_floats():
    one, two = (pd.Series([1.0, 2.0], index=[0.5, last]) for last in (1.5, 1.5000001))
    found = judged(one, two, 1e-3)
    assert (found.passed, found.path, found.worst_index) == (False, ".index", (1,))
    assert judged(one, one + 1e-4, 1e-3).passed


def test_a_counting_index_is_compared_without_writing_it_out():
    one = pd.Series(np.ones(1), index=pd.RangeIndex(1)).reindex(pd.RangeIndex(3))
    tree = complete(one)
    assert tree.paths == ("",)
    assert judged(tree, one.set_axis(pd.Index([0, 1, 2])), 0.0).passed
    found = judged(tree, one.set_axis(pd.Index([0, 1, 3])), 0.0)
    assert (found.passed, found.path, found.max_abs_error, found.worst_index) == (False, ".index", 1.0, (2,))


def test_numbers_of_a_table_are_shared_and_not_copied():
    values = np.ones((4, 2))
    whole = pd.DataFrame(values, columns=["a", "b"], copy=False)
    assert all(np.shares_memory(array, values) for array in complete(whole).arrays)
    assert all(np.shares_memory(array, values) for array in arrays_in({"table": whole}).values())
    assert set(arrays_in({"table": whole})) == {"['table']['a']", "['table']['b']"}


def test_an_index_cannot_be_written_into():
    index = pd.Index([1, 2])
    (array,) = complete(index).arrays
    assert np.shares_memory(array, index.to_numpy())
    assert not array.flags.writeable


def test_an_object_in_a_column_that_is_no_scalar_is_refused_by_its_path():
    assert refusal({"x": pd.DataFrame({"a": [1.0, object()]})}).startswith("the result at ['x']['a'][1] must be")


def test_what_only_helps_to_make_a_table_is_refused():
    assert "DataFrameGroupBy" in refusal(table().groupby("d"))


@pytest.mark.parametrize("scalar", [pd.Timestamp("2020-01-01"), pd.Timedelta("1h"), pd.Period("2020"), pd.NA, pd.NaT])
def test_a_scalar_of_pandas_is_equal_to_itself(scalar):
    assert judged(scalar, scalar, 0.0).passed
    assert not judged(scalar, None, 0.0).passed
    assert not judged(pd.Timestamp("2020-01-02"), scalar, 0.0).passed


def test_columns_of_arrow_are_compared_as_well():
    arrow = pytest.importorskip("pyarrow")
    numbers = pd.Series([1, None], dtype=pd.ArrowDtype(arrow.int64()))
    texts = pd.Series(["a", None], dtype=pd.ArrowDtype(arrow.string()))
    for one in (numbers, texts):
        assert judged(through_a_file(complete(one)), one.copy(), 0.0).passed
    assert not judged(numbers, numbers.fillna(0), 0.0).passed
    assert not judged(texts, texts.fillna("b"), 0.0).passed
    assert not judged(numbers, numbers.astype("Int64"), 0.0).passed
