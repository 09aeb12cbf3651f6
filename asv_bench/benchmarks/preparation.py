"""What stands around the kernels: translation of images, grouping of scan positions, and the import of ptycho."""

import functools
import os
import subprocess
import sys

from . import children, fresh, grid, preload, steady
from .fresh import median_of_repeats, tracked
from .steady import timed

_TIMED_IMPORT = """
import time
import tensorflow
started = time.perf_counter()
import {modules}
print(time.perf_counter() - started)
"""


@timed("translate", grid.TRANSLATION)
def time_translate(N, gridsize, B, dtype):
    steady.warm("translate", N, gridsize, B, dtype)()


@timed("group", grid.GROUPING, grid.GROUPING_NAMES)
def time_group(gridsize, B):
    steady.warm("group", gridsize, B)()


@tracked("seconds", "translate", params=grid.FIRST)
def track_translate_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("translate", N, gridsize, B, dtype)


@tracked("seconds", "group", params=grid.GROUPING_LARGEST, param_names=grid.GROUPING_NAMES)
def track_group_first_call(gridsize, B):
    return fresh.first_call_s("group", gridsize, B)


@tracked("bytes", "translate", params=grid.MEMORY_C64, memory=True, version="2")
def track_translate_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("translate", N, gridsize, B, dtype)


@tracked("bytes", "group", params=grid.GROUPING_LARGEST, param_names=grid.GROUPING_NAMES, memory=True)
def track_group_peak(gridsize, B):
    return fresh.peak_bytes("group", gridsize, B)


def _import_s():
    program = _TIMED_IMPORT.format(modules=", ".join(preload.MODULES))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        preexec_fn=functools.partial(children.die_with, os.getpid()),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"importing ptycho ended with {done.returncode}:\n{done.stderr}")
    return float(done.stdout.splitlines()[-1])


def track_import():
    """Time to import ptycho where TensorFlow, whose share would hide it, is loaded already, seconds."""
    return median_of_repeats(_import_s)


track_import.unit = "seconds"
# Version 1 forked a process, which now has ptycho from the start.
track_import.version = "2"
