"""Arrays of other libraries are the same numbers in the same memory."""

import numpy as np
import pytest

from tests.validation.outputs.judging import judged, refusal, through_a_file
from validation.outputs.tree import arrays_in, complete

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)
DTYPES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_of_torch_is_shared(dtype):
    torch = pytest.importorskip("torch")
    array = ARRAY.astype(dtype)
    tensor = torch.from_numpy(array)
    for made in (complete(tensor).array, arrays_in({"x": tensor})["['x']"]):
        assert np.shares_memory(made, array)
        assert judged(array, made, 0.0).passed


def test_a_tensor_of_torch_in_any_state_is_taken():
    torch = pytest.importorskip("torch")
    numbers = torch.arange(3.0)
    assert judged(np.arange(3.0, dtype=np.float32), numbers.clone().requires_grad_(), 0.0).passed
    assert judged(np.arange(3.0, dtype=np.float32), torch.nn.Parameter(numbers), 0.0).passed
    assert judged(np.complex64([1 - 2j]), torch.tensor([1 + 2j]).conj(), 0.0).passed
    assert judged(np.float32([-2]), torch.tensor([1 + 2j]).conj().imag, 0.0).passed
    assert judged(np.float32(3), torch.tensor(3.0), 0.0).passed
    assert judged(ARRAY.T, torch.from_numpy(ARRAY).T, 0.0).passed


def test_sparse_tensors_of_torch_are_compared_by_values():
    torch = pytest.importorskip("torch")
    one = torch.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0], (3, 3), check_invariants=True)
    same = torch.sparse_coo_tensor([[2, 0, 2], [0, 1, 0]], [1.5, 1.0, 0.5], (3, 3), check_invariants=True)
    other = torch.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.5], (3, 3), check_invariants=True)
    assert judged(through_a_file(complete(one)), same, 0.0).passed
    found = judged(one, other, 0.0)
    assert (found.passed, found.path, found.max_abs_error) == (False, ".values()", 0.5)
    assert not judged(one, one.to_dense(), 0.0).passed


def test_what_torch_gives_to_nobody_is_refused():
    torch = pytest.importorskip("torch")
    assert "Linear" in refusal([torch.nn.Linear(1, 1)])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
def test_an_array_of_jax_is_shared(dtype):
    jax = pytest.importorskip("jax")
    array = jax.numpy.asarray(ARRAY.astype(dtype))
    made = complete([array])
    assert judged([ARRAY.astype(dtype)], made, 0.0).passed
    assert np.shares_memory(made.arrays[0], complete([array]).arrays[0])


def test_short_floats_are_compared_with_a_tolerance_under_their_own_name():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    one, two = (torch.tensor([1.0, last], dtype=torch.bfloat16) for last in (2.0, 2.015625))
    found = judged(one, two, 2.0**-6)
    assert (found.passed, found.max_abs_error) == (True, 2.0**-6)
    assert not judged(one, two, 2.0**-7).passed
    assert judged(one, jax.numpy.array([1.0, 2.0], "bfloat16"), 0.0).passed
    assert judged(one, np.float32([1.0, 2.0])).difference == "expected values of bfloat16, got float32 of shape (2,)"
    assert complete(one).array.tolist() == [1.0, 2.0]


def test_short_integers_are_compared_exactly():
    types = pytest.importorskip("ml_dtypes")
    one, two = (np.array([-8, last], types.int4) for last in (6, 7))
    assert judged(through_a_file(complete(one)), one, 0.0).passed
    found = judged(one, two, 10.0)
    assert (found.passed, found.max_abs_error, found.worst_index) == (False, 1.0, (1,))


def test_a_lazy_array_of_dask_is_computed():
    array = pytest.importorskip("dask.array").ones((4, 4), chunks=2)
    assert judged([np.ones((4, 4))], [array], 0.0).passed


def test_a_lazy_table_of_dask_keeps_its_names():
    pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    table = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([3, 4], name="n"))
    assert judged(table, frames.from_pandas(table, npartitions=2), 0.0).passed
