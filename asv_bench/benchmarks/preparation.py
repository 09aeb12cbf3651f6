"""What stands around the kernels: translation of images, grouping of scan positions, and the import of ptycho."""

import importlib
import time

from . import fresh, grid, steady
from .fresh import in_fresh_process, median_of_repeats, tracked
from .steady import timed

_MODULES = ("ptycho.raw_data", "ptycho.tf_helper")


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
    started = time.perf_counter()
    for name in _MODULES:
        importlib.import_module(name)
    return time.perf_counter() - started


def track_import():
    """Time to import ptycho where TensorFlow, whose share would hide it, is loaded already, seconds."""
    return median_of_repeats(lambda: in_fresh_process(_import_s))


track_import.unit = "seconds"
track_import.version = "1"
