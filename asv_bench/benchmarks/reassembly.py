"""Putting patches back together: the loop over canvases, and its replacement."""

from . import fresh, grid, steady
from .fresh import tracked
from .steady import timed


@timed("reassembly_old", grid.REASSEMBLY)
def time_old(N, gridsize, B, dtype):
    steady.warm("reassembly_old", N, gridsize, B, dtype)()


@timed("reassembly_new", grid.REASSEMBLY)
def time_new(N, gridsize, B, dtype):
    steady.warm("reassembly_new", N, gridsize, B, dtype)()


@tracked("ratio", "reassembly_old", "reassembly_new", params=grid.REASSEMBLY)
def track_time_ratio(N, gridsize, B, dtype):
    return steady.paired_ratio("reassembly_new", "reassembly_old", N, gridsize, B, dtype)


@tracked("seconds", "reassembly_old", params=grid.REASSEMBLY)
def track_old_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("reassembly_old", N, gridsize, B, dtype)


@tracked("seconds", "reassembly_new", params=grid.REASSEMBLY)
def track_new_first_call(N, gridsize, B, dtype):
    return fresh.first_call_s("reassembly_new", N, gridsize, B, dtype)


@tracked("bytes", "reassembly_old", params=grid.REASSEMBLY, memory=True)
def track_old_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("reassembly_old", N, gridsize, B, dtype)


@tracked("bytes", "reassembly_new", params=grid.REASSEMBLY, memory=True)
def track_new_peak(N, gridsize, B, dtype):
    return fresh.peak_bytes("reassembly_new", N, gridsize, B, dtype)
