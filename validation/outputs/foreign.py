"""What is inside special arrays of NumPy, sparse matrices, tensors and lazy arrays; and any buffer as an array.

No library is imported for it: whoever made the object did.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.outputs.containers import Opened
from validation.outputs.scalars import top_module

_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__")


def foreign(value: Any) -> Any:
    """Open an object that is more than a plain array, or give what it stands for; anything else as it is."""
    if isinstance(value, (np.ndarray, np.void)):
        return _special(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor(value, torch)
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(value):
        return _sparse(value)
    if top_module(value) in ("dask", "dask_expr") and hasattr(value, "compute"):
        return value.compute()
    return value


def _special(value: Any) -> Any:
    """Open an array with fields, with a mask, or of numbers that NumPy itself does not have."""
    names = value.dtype.names
    if names is not None:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        return Opened("structured", {"names": list(names)}, [(f"[{name!r}]", array[name]) for name in names])
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        data = np.asarray(np.ma.getdata(value))
        if not mask.any():
            return data
        # What stands below the mask is nobody's business.
        data = data.copy()
        data[mask] = np.zeros((), data.dtype)
        return Opened("masked", {}, [("", data), (".mask", mask)])
    if value.dtype.kind == "V" and top_module(value.dtype.type(0)) == "ml_dtypes":
        wider = np.int8 if "int" in str(value.dtype) else np.float32
        return Opened("values", {"dtype": str(value.dtype)}, [("", np.asarray(value).astype(wider))])
    return value if type(value) is np.ndarray else np.asarray(value)


def _places(array: NDArray[Any]) -> Opened:
    """Places of stored values: how wide their integers are is no difference."""
    return Opened("places", {}, [("", array)])


def _sparse(value: Any) -> Opened:
    """Open a sparse matrix of SciPy: sorted, each place once, and no stored zero."""
    container = "matrix" if type(value).__name__.endswith("_matrix") else "array"
    facts = {"format": value.format, "container": container, "shape": list(value.shape)}
    compressed = value.format in ("csr", "csc")
    stored = value if compressed else value.tocoo(copy=True)
    if not (stored.has_canonical_format and stored.data.all()):
        stored = stored.copy() if stored is value else stored
        stored.sum_duplicates()
        stored.eliminate_zeros()
    facts["nnz"] = int(stored.nnz)
    if compressed:
        parts = [(".indptr", _places(stored.indptr)), (".indices", _places(stored.indices[: stored.nnz]))]
    else:
        places = getattr(stored, "coords", None) or (stored.row, stored.col)
        parts = [(f".coords[{axis}]", _places(place)) for axis, place in enumerate(places)]
    return Opened("sparse", facts, [*parts, (".data", stored.data[: stored.nnz])])


def _tensor(value: Any, torch: Any) -> Any:
    """Give the numbers of a tensor of PyTorch in host memory."""
    tensor = value.detach().cpu()
    if tensor.layout is not torch.strided:
        facts = {"format": str(tensor.layout), "shape": list(tensor.shape)}
        stored = tensor.to_sparse_coo().coalesce()
        places = _places(stored.indices().numpy())
        return Opened("sparse", facts, [(".indices()", places), (".values()", stored.values())])
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype.startswith(("bfloat", "float8")):
        return Opened("values", {"dtype": dtype}, [("", tensor.float().numpy())])
    return tensor.resolve_conj().resolve_neg().numpy()


def as_array(value: Any) -> NDArray[Any] | None:
    """Give what has a buffer or a protocol of arrays as an array, shared where it can be; ``None`` for other things.

    Whatever is still to be done is done here: a device is waited for, a lazy array computes.

    Raises
    ------
    TypeError, ValueError
        If it says that it is an array and gives none.
    """
    if isinstance(value, type):  # a class has the methods of its objects
        return None
    if hasattr(value, "block_until_ready"):
        value.block_until_ready()
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError, BufferError):
        if any(hasattr(value, protocol) for protocol in _PROTOCOLS):
            return np.asarray(value)
    if not hasattr(value, "__dlpack__"):
        return None
    try:
        return np.from_dlpack(value)
    except (RuntimeError, BufferError) as error:  # its memory is on a device
        raise TypeError(str(error)) from error
