"""Pairs of functions of public packages, and what must come out of each."""

import numpy as np


def image_and_kernel(rng, size):
    return rng.uniform(size=(size, size)), rng.uniform(size=(21, 21))


def numbers(rng, size):
    return (rng.uniform(-1e6, 1e6, size).tolist(),)


def keys(rng, size):
    return (rng.integers(0, max(2, size // 10), size),)


def table(rng, size):
    import pandas as pd

    return (pd.DataFrame({"key": rng.integers(0, max(2, size // 20), size), "value": rng.uniform(size=size)}),)


def unique_by_sets(values):
    """Unique values and their counts, one at a time."""
    found = {}
    for value in values.tolist():
        found[value] = found.get(value, 0) + 1
    ordered = sorted(found)
    return np.array(ordered), np.array([found[value] for value in ordered])


def unique_by_sorting(values):
    """The same by NumPy."""
    return tuple(np.unique(values, return_counts=True))


def means_by_apply(frame):
    """Mean and largest value of each key, group by group."""
    import pandas as pd

    rows = {key: (group["value"].mean(), group["value"].max()) for key, group in frame.groupby("key")}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "max"])
    found.index.name = "key"
    return found


def means_by_agg(frame):
    """The same in one call."""
    return frame.groupby("key")["value"].agg(["mean", "max"])


def shuffled(values):
    """A permutation that depends on the random state of the process."""
    return np.random.permutation(values)  # noqa: NPY002  # the state is the point


# Name, slow, fast, inputs, sizes, options; the verdict, and a criterion that keeps it from ACCEPT.
PAIRS = {
    "right and fast": (
        "scipy.signal:convolve2d", "scipy.signal:fftconvolve", "image_and_kernel", "40,300",
        {"atol": 1e-9, "min_speedup": 3}, "ACCEPT", None,
    ),
    "right and slow": (
        "scipy.signal:fftconvolve", "scipy.signal:convolve2d", "image_and_kernel", "40,200",
        {"atol": 1e-9, "min_speedup": 3}, "REJECT", "speed",
    ),
    "wrong in the last digits": (
        "math:fsum", "builtins:sum", "numbers", "10,20000", {"min_speedup": 1.5}, "REJECT", "correctness",
    ),
    "a tuple": (
        "tests.pairs.public:unique_by_sets", "tests.pairs.public:unique_by_sorting", "keys", "50,200000",
        {"min_speedup": 2}, "ACCEPT", None,
    ),
    "a table": (
        "tests.pairs.public:means_by_apply", "tests.pairs.public:means_by_agg", "table", "100,20000",
        {"rtol": 1e-12, "min_speedup": 3}, "ACCEPT", None,
    ),
    "keeps a state": (
        "tests.pairs.public:shuffled", "tests.pairs.public:shuffled", "keys", "50,20000", {}, "REJECT", "correctness",
    ),
}  # fmt: skip
