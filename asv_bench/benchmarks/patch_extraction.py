"""Patch extraction: the loop, the batched implementation, and the dispatcher with the flag in either state."""

from . import fresh, grid, steady
from .fresh import tracked
from .steady import timed


# Version 1 had gridsize 1, too.
@timed("iterative", grid.SMALL_LOOP, version="2")
def time_iterative_small(N, gridsize, B, dtype):
    steady.warm("iterative", N, gridsize, B, dtype)()


@timed("batched", grid.SMALL)
def time_batched_small(N, gridsize, B, dtype):
    steady.warm("batched", N, gridsize, B, dtype)()


@timed("iterative", grid.REFERENCE)
def time_iterative(N, gridsize, B, dtype):
    steady.warm("iterative", N, gridsize, B, dtype)()


@timed("batched", grid.REFERENCE)
def time_batched(N, gridsize, B, dtype):
    steady.warm("batched", N, gridsize, B, dtype)()


# Version 1 had 100 groups, where the work itself hides what the dispatcher adds.
@timed("flag_off", grid.FIRST, version="2")
def time_flag_off(N, gridsize, B, dtype):
    steady.warm("flag_off", N, gridsize, B, dtype)()


@timed("flag_on", grid.FIRST, version="2")
def time_flag_on(N, gridsize, B, dtype):
    steady.warm("flag_on", N, gridsize, B, dtype)()


@tracked("ratio", "iterative", "batched", params=grid.REFERENCE)
def track_time_ratio(N, gridsize, B, dtype):
    return steady.paired_ratio("batched", "iterative", N, gridsize, B, dtype)


@tracked("seconds", "iterative", params=grid.REFERENCE)
def track_iterative_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("iterative", N, gridsize, B, dtype)


@tracked("seconds", "batched", params=grid.REFERENCE)
def track_batched_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("batched", N, gridsize, B, dtype)


# Version 1 found machine code on disk where ptycho imports numba.
@tracked("seconds", "batched", params=grid.REFERENCE, version="2")
def track_batched_first_ever_call(N, gridsize, B, dtype):
    return fresh.first_ever_call_s("batched", N, gridsize, B, dtype)


@tracked("seconds", "flag_off", params=grid.FIRST)
def track_flag_off_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("flag_off", N, gridsize, B, dtype)


@tracked("seconds", "flag_on", params=grid.FIRST)
def track_flag_on_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("flag_on", N, gridsize, B, dtype)


# Version 1 of the peaks had the same bytes in four times the patches, of N 128; that took twice the time.
@tracked("bytes", "iterative", params=grid.MEMORY, memory=True, version="2")
def track_iterative_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("iterative", N, gridsize, B, dtype)


@tracked("bytes", "batched", params=grid.MEMORY, memory=True, version="2")
def track_batched_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("batched", N, gridsize, B, dtype)


@tracked("bytes", "flag_off", params=grid.MEMORY_C64, memory=True, version="2")
def track_flag_off_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("flag_off", N, gridsize, B, dtype)


@tracked("bytes", "flag_on", params=grid.MEMORY_C64, memory=True, version="2")
def track_flag_on_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("flag_on", N, gridsize, B, dtype)


@tracked("ratio", "iterative", "batched", params=grid.MEMORY, memory=True, version="2")
def track_peak_ratio(N, gridsize, B, dtype):
    case = (N, gridsize, B, dtype)
    return fresh.peak_bytes("batched", *case) / fresh.peak_bytes("iterative", *case)
