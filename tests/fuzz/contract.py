"""What any call may end in: a result, or a ValueError or TypeError that names an argument."""

import numpy as np


def outcome(function, names, **arguments):
    """Call; return its result as an array, or the refusal. Anything else that is raised stays raised."""
    try:
        return np.asarray(function(**arguments))
    except (ValueError, TypeError) as error:
        refusal = error
    assert any(name in str(refusal) for name in names), f"names none of {names}: {refusal}"
    return refusal


def same_bits(left, right):
    """Whether two outcomes are refusals of one kind, or arrays with the same bits."""
    if isinstance(left, Exception) or isinstance(right, Exception):
        return type(left) is type(right) and str(left) == str(right)
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
