"""Implementations of patch extraction that misbehave in their process; the batch says how."""

import ctypes
import os
import sys
import time

import numpy as np

from validation.kernels.patches.oracle import extract_patches

WAYS = (
    "well",
    "hang",
    "crash",
    "allocate",
    "raise",
    "wrong_dtype",
    "leave",
    "sleep",
    "exit_code",
    "no_array",
    "abort",
    "hungry",
)


def behave(**arguments):
    """Misbehave in the way that the number of groups says."""
    way = WAYS[len(arguments["global_offsets"])]
    if way == "hang":
        while True:
            sys.stdout.write("still here\n")
            sys.stdout.flush()
    if way == "sleep":
        time.sleep(600)
    if way == "crash":
        ctypes.string_at(0)
    if way == "allocate":
        return np.ones(2**33)  # 64 GiB
    if way == "hungry":
        return np.empty(5 * 2**27)  # 5 GiB, which are there
    if way == "raise":
        raise ValueError("offsets of an odd kind")
    if way == "leave":
        os._exit(0)
    if way == "exit_code":
        sys.stderr.write("giving up\n")
        sys.stderr.flush()
        os._exit(7)
    if way == "no_array":
        return object()
    if way == "abort":
        os.abort()
    patches = extract_patches(**arguments)
    return patches.astype(np.complex128) if way == "wrong_dtype" else patches


TARGET = f"{__name__}:{behave.__name__}"


def one_element_off(**arguments):
    """Right but for one element of the first call's fourth group."""
    patches = extract_patches(**arguments)
    patches[3, 4, 5, 2] += 0.25
    return patches
