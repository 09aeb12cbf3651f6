"""Sparse matrices: format and values count, not how they are stored."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.validation.outputs.judging import judged, through_a_file
from validation.outputs.tree import complete

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
DENSE = np.array([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]])
VALUES = st.sampled_from([0.0, 0.0, 1.0, 1.125, 2.0])


def sparse(values, kind="csr", container="array"):
    return getattr(scipy.sparse, f"{kind}_{container}")(values)


@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_sparse_matrix_is_equal_to_one_of_its_own_format_only(kind, container):
    one = through_a_file(complete(sparse(DENSE, kind, container)))
    equal = [
        (other, held)
        for other in FORMATS
        for held in ("array", "matrix")
        if judged(one, sparse(DENSE, other, held), 0.0).passed
    ]
    assert equal == [(kind, container)]
    assert not judged(one, DENSE).passed


@given(
    npst.arrays(np.float64, (3, 2), elements=VALUES),
    npst.arrays(np.float64, (3, 2), elements=VALUES),
    st.sampled_from(FORMATS),
)
def test_values_are_equal_where_those_of_the_dense_matrices_are(one, two, kind):
    equal = bool((one == two).all())
    assert judged(sparse(one, kind), sparse(two, kind), 0.0).passed == equal


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), VALUES), max_size=8), st.randoms(use_true_random=False))
@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
def test_order_duplicates_and_stored_zeros_are_no_difference(kind, entries, random):
    def stored(some):
        rows, columns, values = (list(column) for column in zip(*some, strict=True)) if some else ([], [], [])
        coo = scipy.sparse.coo_array((np.array(values, float), (rows, columns)), (3, 2))
        if kind == "coo":
            return coo
        # Each row on its own, so that duplicates stay.
        major, minor = (rows, columns) if kind == "csr" else (columns, rows)
        order = sorted(range(len(some)), key=lambda at: major[at])
        starts = np.searchsorted([major[at] for at in order], range((3 if kind == "csr" else 2) + 1))
        parts = (np.array([values[at] for at in order], float), [minor[at] for at in order], starts)
        return getattr(scipy.sparse, f"{kind}_array")(parts, shape=(3, 2))

    dense = np.zeros((3, 2))
    for row, column, value in entries:
        dense[row, column] += value
    shuffled = random.sample(entries, len(entries))
    given_one = stored(shuffled)
    before = given_one.copy()
    assert judged(sparse(dense, kind), given_one, 0.0).passed
    assert (given_one.data.tolist(), given_one.nnz) == (before.data.tolist(), before.nnz)  # nobody sorts it in place


def test_a_difference_of_values_is_within_the_tolerance_or_named():
    other = sparse(DENSE)
    other.data[1] += 0.25
    assert judged(sparse(DENSE), other, 0.25).passed
    found = judged([sparse(DENSE)], [other], 0.125)
    assert (found.passed, found.path, found.worst_index, found.max_abs_error) == (False, "[0].data", (1,), 0.25)


def test_another_number_of_values_another_place_and_another_shape_are_named():
    fewer, moved = DENSE.copy(), DENSE[:, ::-1]
    fewer[0, 1] = 0.0
    assert judged(sparse(DENSE), sparse(fewer)).difference == "expected nnz 3, got 2"
    assert judged(sparse(DENSE), sparse(DENSE[:1])).difference == "expected shape [2, 3], got [1, 3]"
    assert judged(sparse(DENSE), sparse(moved.copy())).passed == bool((moved == DENSE).all())
    assert judged(sparse(np.eye(2)), sparse(np.eye(2)[::-1])).path == ".indices"


def test_how_wide_the_places_are_is_no_difference():
    wide = sparse(DENSE)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert judged(sparse(DENSE), wide, 0.0).passed
    assert not judged(sparse(DENSE), sparse(DENSE.astype(np.float32)), 0.0).passed


def test_a_matrix_in_order_is_shared_and_not_copied():
    matrix = sparse(DENSE)
    assert all(map(np.shares_memory, complete(matrix).arrays, (matrix.indptr, matrix.indices, matrix.data)))
