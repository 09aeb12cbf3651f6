"""Arguments nobody should pass, and offsets that are allowed but far from what anybody tries."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

FAR = [0.0, -0.0, 0.5, 1e-45, -3.75, 8.0, 2.0**24 + 2, 2.0**31, -(2.0**31), 9.3e18, 1e20, -1e30, 3.4e38, -3.4e38]
NOT_FINITE = [np.nan, np.inf, -np.inf, 1e39, -1e300]
DTYPES = [
    "?",
    "i1",
    "<u8",
    "<f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "g",
    "<c8",
    ">c8",
    "<c16",
    "S3",
    "U2",
    "M8[s]",
    "O",
    "i4,f4",
]

numbers = st.one_of(
    st.integers(-3, 9), st.sampled_from([2**31, 2**40, 10**30, -(2**63)]), st.sampled_from([np.int64(4), np.float32(8)])
)
objects = st.one_of(
    st.none(), st.booleans(), numbers, st.floats(), st.text(max_size=3), st.binary(max_size=3),
 st.just({}), st.just({1}), st.just(object()), st.just(1j), st.just([10**30]),
)  # fmt: skip


@st.composite
def arrays(draw):
    """Arrays of any dtype and small shape: empty, not contiguous, read-only ones too."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    array = np.zeros(shape, draw(st.sampled_from(DTYPES)))
    if draw(st.booleans()) and array.ndim:
        array = array[::-1].T
    array.flags.writeable = False
    return array


anything = st.one_of(objects, arrays())


def filled(draw, shape, values, dtypes=("<f4", "<f8", ">f8")):
    """Array of ``shape`` with drawn values, in any memory layout."""
    flat = draw(st.lists(st.sampled_from(values), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    with np.errstate(over="ignore"):
        array = np.array(flat, float).reshape(shape).astype(draw(st.sampled_from(dtypes)))
    layout = draw(st.sampled_from(["C", "F", "strided", "read-only"]))
    if layout == "F":
        array = np.asfortranarray(array)
    if layout == "strided":
        array = np.repeat(array, 2, axis=0)[::2]
    array.flags.writeable = layout != "read-only"
    return array


def replaced(draw, arguments):
    """Arguments with up to two of them replaced by something hostile."""
    names = draw(st.lists(st.sampled_from(sorted(arguments)), max_size=2, unique=True))
    return {**arguments, **{name: draw(anything) for name in names}}
