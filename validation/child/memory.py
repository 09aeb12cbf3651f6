"""The high-water mark of one call, and the time line that shows what rose when.

The figure that decides is the kernel's own: ``VmHWM`` reset before the call and read after it. For it to see a
warm call, freed memory must go back to the system: see `return_freed_memory`. Where /proc is missing,
``memory_profiler`` at its shortest interval stands in, and the result names it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from validation.contract.measurements import ArmMemory, Timeline

# mallopt parameters of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_PERTURB = -6
_MMAP_THRESHOLD_BYTES = 65536
_POISON = 0x80  # malloc fills with the complement, 0x7F: about 3.4e38 as a float
_ALLOCATOR = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_TIMELINE_POINTS = 400
SHORTEST_INTERVAL_S = 0.001

KERNEL_METER = "VmHWM"
WITH_DESCENDANTS = f"{KERNEL_METER} and sampled descendants"
SAMPLING_METER = "memory_profiler"


# Bound before an implementation is imported, which could put another clock in its place.
_now = time.monotonic


class Metered(NamedTuple):
    """Resident bytes before a call and at its peak, what it returned, and when it began and ended."""

    baseline: int
    peak: int
    result: Any
    metered_s: tuple[float, float]


def _libc() -> Any | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") else None


def _use_system_allocator(library: Any | None) -> None:
    """Let TensorFlow allocate by malloc; ``os.environ`` stays that of every other process, timed ones included."""
    if library is None:
        os.environ[_ALLOCATOR] = "1"
    else:
        library.setenv(_ALLOCATOR.encode(), b"1", 1)


def return_freed_memory() -> None:
    """Make freed memory leave the process at once; call it before the first TensorFlow operation.

    TensorFlow's oneDNN arena keeps what it once had, and glibc keeps freed blocks below its threshold: a warm call
    would then read almost nothing.
    """
    library = _libc()
    _use_system_allocator(library)
    if library is not None and library.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) != 1:
        raise OSError(f"mallopt(M_MMAP_THRESHOLD, {_MMAP_THRESHOLD_BYTES}) was refused")


def poison_allocations() -> None:
    """Fill what is allocated from now on with 3.4e38, so that an element never written shows."""
    library = _libc()
    _use_system_allocator(library)
    if library is not None:
        library.mallopt(_M_PERTURB, _POISON)


def _trim() -> None:
    gc.collect()
    library = _libc()
    if library is not None:
        library.malloc_trim(0)


def meter() -> str:
    """Which meter this machine has."""
    return KERNEL_METER if os.access(_CLEAR_REFS, os.W_OK) and _STATUS.exists() else SAMPLING_METER


def recorded_meter() -> str:
    """Name the meter for the record. No meter here reads the memory of a GPU, and beside one the name says so.

    The gate decides by the bare name only.
    """
    tensorflow = sys.modules.get("tensorflow")
    beside_a_gpu = tensorflow is not None and bool(tensorflow.config.list_physical_devices("GPU"))
    return f"{meter()}, the GPU's memory not read" if beside_a_gpu else meter()


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {field}")


def high_water(function: Callable[[], Any]) -> tuple[int, int, Any]:
    """Resident bytes before a call, at its peak, and what it returned."""
    return metered(function)[:3]


def metered(function: Callable[[], Any]) -> Metered:
    """Meter one call."""
    _trim()
    if meter() == SAMPLING_METER:
        began = _now()
        return Metered(*_sampled_high_water(function), (began, _now()))
    _CLEAR_REFS.write_text("5")
    baseline = _status_bytes("VmHWM")
    began = _now()
    result = function()
    ended = _now()
    return Metered(baseline, _status_bytes("VmHWM"), result, (began, ended))


def _sampled_high_water(function: Callable[[], Any]) -> tuple[int, int, Any]:
    results: list[Any] = []
    resident = [bytes_ for _, bytes_ in _sample(lambda: results.append(function()), SHORTEST_INTERVAL_S)]
    return resident[0], max(resident), results[0]


def _sample(function: Callable[[], Any], interval_s: float) -> list[tuple[float, int]]:
    """Resident bytes over the time of one call, (time, bytes), by memory_profiler."""
    import multiprocessing

    from memory_profiler import memory_usage

    # The sampler is a process of its own: forking one here would be a fork after TensorFlow's threads.
    multiprocessing.set_start_method("spawn", force=True)
    samples = memory_usage((function, (), {}), interval=interval_s, timestamps=True, max_iterations=1)
    return [(float(at), int(mebibytes * 2**20)) for mebibytes, at in samples]


def measure_arm(function: Callable[[], Any], name: str) -> tuple[ArmMemory, tuple[float, float]]:
    """High-water mark of one call, and when the call began and ended."""
    found = metered(function)
    return ArmMemory(implementation=name, baseline_bytes=found.baseline, peak_bytes=found.peak), found.metered_s


def joint_meter(meters: Iterable[str]) -> str:
    """Name the meter of several readings: one that reads more stands for one that reads less."""
    names = set(meters)
    if WITH_DESCENDANTS in names:
        names.discard(KERNEL_METER)
    return " and ".join(sorted(names))


def measure_timeline(function: Callable[[], Any], name: str) -> Timeline:
    """Resident memory over the time of one call; at most 400 points, each the highest of its stretch."""
    _trim()
    samples = _sample(function, SHORTEST_INTERVAL_S)
    started = samples[0][0]
    stretch = -(-len(samples) // _TIMELINE_POINTS)
    highest = [max(samples[at : at + stretch], key=lambda one: one[1]) for at in range(0, len(samples), stretch)]
    return Timeline(
        implementation=name,
        time_s=tuple(at - started for at, _ in highest),
        resident_bytes=tuple(resident for _, resident in highest),
    )
