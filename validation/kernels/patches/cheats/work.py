"""The honest work that a cheat pretends to do: right, and slow by a known time."""

from __future__ import annotations

import hashlib
from time import CLOCK_MONOTONIC, clock_gettime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches import oracle

Arguments = dict[str, Any]
# What the work takes: a sixth of the standard's 200 ms, where a tenth is promised.
WORK_S = 0.03


def right(arguments: Arguments) -> NDArray[np.complex64]:
    """Give the result, at once."""
    compute = oracle.extract_patches if "gt_image" in arguments else oracle.shift_and_sum
    return compute(**arguments)


def now() -> float:
    """Give the system's clock, seconds, whatever a cheat did to the others."""
    return clock_gettime(CLOCK_MONOTONIC)


def wait(seconds: float) -> None:
    """Keep a processor busy for so long."""
    end = now() + seconds
    while now() < end:
        pass


def slowly(arguments: Arguments) -> NDArray[np.complex64]:
    """Give the result after `WORK_S`, or later where it takes longer."""
    end = now() + WORK_S
    out = right(arguments)
    wait(end - now())
    return out


def shape_of(arguments: Arguments) -> tuple[int, ...]:
    """Give the shape of the result."""
    if "gt_image" in arguments:
        N = arguments["N"]
        return len(arguments["global_offsets"]), N, N, arguments["gridsize"] ** 2
    size = oracle.canvas_size(arguments["global_offsets"], arguments["M"])
    return size, size, 1


def nothing(arguments: Arguments) -> NDArray[np.complex64]:
    """Give zeros of the right shape; no page of it is touched."""
    return np.zeros(shape_of(arguments), np.complex64)


def digest(arguments: Arguments) -> str:
    """Give a digest of all that the result depends on."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(arguments):
        found.update(np.ascontiguousarray(arguments[name]).tobytes())
    return found.hexdigest()
