"""Measure the figures of docs/ENGINE.md in one run and print them as a table.

Every arm runs in a process of its own, one after the other; copies of the output are timed between the calls
they are compared with. Run it on a quiet machine: ``make engine-table`` (nine to twelve minutes on two cores,
nearly all of it the loops).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N, GRIDSIZE, GROUPS, EXTENT = 64, 2, 5000, 512
PATCHES, CENTRE = 5000, 20
REPEATS = 9
SCALING_ROUNDS = 5
COLD_ROUNDS = 5
# mallopt parameter of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 65536


def _seconds(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _return_freed_memory():
    """Make freed memory leave the process at once, as the harness does before it measures (see `run_arm`, too)."""
    if ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) != 1:
        raise OSError(f"mallopt(M_MMAP_THRESHOLD, {_MMAP_THRESHOLD_BYTES}) was refused")


def _peak_increment(call):
    """Bytes that the high-water mark of resident memory rises during one call."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")

    def resident():
        status = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])

    before = resident()
    result = call()
    return resident() - before, result


def _extraction(groups=GROUPS):
    import numpy as np

    rng = np.random.default_rng(0)
    image = (rng.normal(size=(EXTENT, EXTENT)) + 1j * rng.normal(size=(EXTENT, EXTENT))).astype(np.complex64)
    centre = rng.uniform([N, 1.5 * N], EXTENT - N, (groups, 2))[:, None, :, None]
    local = rng.uniform(-6, 6, (groups, 1, 2, GRIDSIZE**2))
    return image, centre, local


def _extract(flag):
    from ptycho.config.config import ModelConfig, TrainingConfig
    from ptycho.raw_data import get_image_patches

    config = TrainingConfig(model=ModelConfig(N=N, gridsize=GRIDSIZE, use_batched_patch_extraction=flag))
    return lambda image, centre, local: get_image_patches(image, centre, local, config=config)


def _placement(count):
    import numpy as np

    rng = np.random.default_rng(1)
    patches = rng.normal(size=(count, N, N, 2)).astype(np.float32).view(np.complex64)
    return patches, rng.uniform(0, [300, 440], (count, 2)).reshape(count, 1, 1, 2)


def iterative():
    """Cold and steady time of the loop; one call is a mean over 20,000 translations."""
    arguments = _extraction()
    call = _extract(False)
    cold, _ = _seconds(lambda: call(*arguments))
    steady, _ = _seconds(lambda: call(*arguments))
    return {"cold_s": cold, "steady_s": [steady]}


def extraction_peak(flag):
    """Peak of a warm call."""
    _return_freed_memory()
    arguments = _extraction()
    call = _extract(flag)
    call(*_extraction(50))
    peak, result = _peak_increment(lambda: call(*arguments))
    return {"peak_bytes": peak, "output_bytes": result.shape.num_elements() * 8}


def import_cost():
    """Time the import of ptycho beyond that of TensorFlow and NumPy."""
    import numpy  # noqa: F401
    import tensorflow  # noqa: F401

    start = time.perf_counter()
    import ptycho.raw_data
    import ptycho.stream
    import ptycho.tf_helper

    return {"cold_s": time.perf_counter() - start, "module": ptycho.tf_helper.__name__}


def page_supply(groups=GROUPS):
    """Time in which all threads first touch the bytes of the output, in a process like that of the call."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    _extraction(groups), _extract(True)
    threads = len(os.sched_getaffinity(0))

    def touch_all():
        output = np.empty(8 * groups * GRIDSIZE**2 * N * N, np.uint8)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: part[::4096].fill(0), np.array_split(output, threads)))

    return {"cold_s": _seconds(touch_all)[0]}


def batched_cold(warm_pages):
    """Time the first call in a fresh process.

    A virtual machine that gave idle pages back to its host waits for them at the first touch. With ``warm_pages``
    memory of the output's size is touched and freed right before the clock starts (the host takes it back within
    the seconds that an import of TensorFlow lasts), so that only the program is timed.
    """
    arguments = _extraction()
    call = _extract(True)
    if warm_pages:
        import numpy as np

        np.ones(8 * GROUPS * GRIDSIZE**2 * N * N, np.uint8)
    cold, result = _seconds(lambda: call(*arguments))
    return {"cold_s": cold, "shape": list(result.shape)}


def small_cold(flag, groups=100):
    """First call for some groups, in a fresh process."""
    arguments = _extraction(groups)
    call = _extract(flag)
    return {"cold_s": _seconds(lambda: call(*arguments))[0]}


def batched_steady():
    """Steady time, between copies of the output into fresh memory."""
    import numpy as np

    arguments = _extraction()
    call = _extract(True)
    source = call(*arguments).numpy()
    fresh, steady = [], []
    for _ in range(REPEATS + 2):
        seconds, _ = _seconds(lambda: np.copyto(np.empty_like(source), source))
        fresh.append(seconds)
        seconds, _ = _seconds(lambda: call(*arguments))
        steady.append(seconds)
    return {"steady_s": steady[2:], "copy_s": fresh[2:], "output_bytes": source.nbytes}


def scaling():
    """Time per patch of the stream, from 10^3 to 10^6 patches, once per round; the sizes take turns in it."""
    from ptycho.stream import iter_patches

    samples = {10**exponent: [] for exponent in (3, 4, 5, 6)}
    scans = {count: _extraction(count // GRIDSIZE**2) for count in samples}

    def consume(count):
        for part in iter_patches(*scans[count], batch_size=250, N=N, gridsize=GRIDSIZE):
            del part

    for repeat in range(SCALING_ROUNDS + 1):
        for count, taken in samples.items():
            times = [_seconds(lambda c=count: consume(c))[0] / count for _ in range(max(1, 10**5 // count))]
            if repeat:
                taken.append(statistics.median(times))
    return {"seconds_per_patch": {str(count): taken for count, taken in samples.items()}}


def relative_costs(seconds_per_patch):
    """Cost per patch of each size over that of the largest: the median over rounds of the ratio within a round.

    Within a round, for over the minutes of all rounds these machines drift by more than the sizes differ.
    """
    largest = list(seconds_per_patch.values())[-1]
    return [
        statistics.median(one / other for one, other in zip(taken, largest, strict=True))
        for taken in seconds_per_patch.values()
    ]


def placement():
    """Old and new `shift_and_sum` and a copy of the patches; bits of both from 100 to 10,000 patches."""
    import numpy as np

    from ptycho.tf_helper import shift_and_sum, shift_and_sum_old

    patches, offsets = _placement(PATCHES)
    source = patches.copy()
    new, copies = [], []
    for _ in range(REPEATS + 2):
        copies.append(_seconds(lambda: np.copyto(np.empty_like(source), source))[0])
        new.append(_seconds(lambda: shift_and_sum(patches, offsets, CENTRE))[0])
    figures = {"steady_s": new[2:], "copy_s": copies[2:], "identical": {}}
    shift_and_sum_old(patches[:5], offsets[:5], CENTRE)
    for count in (100, 500, 5000, 10000):
        patches, offsets = _placement(count)
        old_s, old = _seconds(lambda p=patches, o=offsets: shift_and_sum_old(p, o, CENTRE))
        fast = shift_and_sum(patches, offsets, CENTRE).numpy()
        figures["identical"][str(count)] = float(np.mean(fast.view(np.int64) == old.numpy().view(np.int64)))
        if count == PATCHES:
            figures["old_s"] = old_s
    return figures


def reassembly_peak():
    """Peak of `reassemble_position` for 10,000 patches; the patches are there before the call."""
    from ptycho.tf_helper import reassemble_position

    _return_freed_memory()
    patches, offsets = _placement(10000)
    reassemble_position(patches[:50], offsets[:50], CENTRE)
    peak, result = _peak_increment(lambda: reassemble_position(patches, offsets, CENTRE))
    return {"peak_bytes": peak, "patches_bytes": patches.nbytes, "canvas_bytes": result.shape.num_elements() * 8}


ARMS = {
    "import_cold": import_cost,
    "batched_cold": lambda: batched_cold(False),
    "page_supply_cold": page_supply,
    "batched_cold_warm_pages": lambda: batched_cold(True),
    "small_cold_batched": lambda: small_cold(True),
    "small_cold_iterative": lambda: small_cold(False),
    "single_cold_batched": lambda: small_cold(True, 1),
    "single_cold_iterative": lambda: small_cold(False, 1),
    "batched_steady": batched_steady,
    "batched_peak": lambda: extraction_peak(True),
    "iterative_peak": lambda: extraction_peak(False),
    "scaling": scaling,
    "placement": placement,
    "reassembly_peak": reassembly_peak,
    "iterative": iterative,
}


def run_arm(name, **environment):
    """Run an arm in a fresh process and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1", **environment}
        command = [sys.executable, __file__, "--arm", name, "--out", str(path)]
        subprocess.run(command, check=True, env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
        return json.loads(path.read_text())


def table(figures):
    """Rows of (figure, measured, bar, aim)."""
    steady = statistics.median(figures["batched_steady"]["steady_s"])
    copy = statistics.median(figures["batched_steady"]["copy_s"])
    loop, peak, loop_peak = figures["iterative"], figures["batched_peak"], figures["iterative_peak"]
    place, again = figures["placement"], figures["reassembly_peak"]
    place_s, place_copy = statistics.median(place["steady_s"]), statistics.median(place["copy_s"])
    beyond = peak["peak_bytes"] / peak["output_bytes"] - 1
    costs = relative_costs(figures["scaling"]["seconds_per_patch"])
    spread, spread_large = max(costs) / min(costs) - 1, max(costs[1:]) / min(costs[1:]) - 1
    allowed = again["patches_bytes"] + 5 * again["canvas_bytes"]
    cold = statistics.median(figures["batched_cold"])
    warm = statistics.median(figures["batched_cold_warm_pages"])
    small = statistics.median(figures["small_cold_iterative"]) / statistics.median(figures["small_cold_batched"])
    single = statistics.median(figures["single_cold_iterative"]) / statistics.median(figures["single_cold_batched"])
    supply = statistics.median(
        one / limit for one, limit in zip(figures["batched_cold"], figures["page_supply_cold"], strict=True)
    )
    first = statistics.median(figures["small_cold_iterative"]) / figures["first_ever_small_s"]
    first_ever, reassembly = figures["first_ever_s"], again["peak_bytes"] / allowed
    bits = min(place["identical"].values())
    # The object is read once, each output byte written once; a copy reads as much as it writes. A placed patch is read,
    # and its window of (M+1) x (M+1) canvas pixels read and written.
    written = figures["batched_steady"]["output_bytes"]
    extracted, placed = 8 * EXTENT**2 + written, 8 * PATCHES * (CENTRE**2 + 2 * (CENTRE + 1) ** 2)
    return [
        ("import of ptycho beyond TensorFlow and NumPy, s", statistics.median(figures["import_cold"]), "<= 0.15", ""),
        ("extraction, steady: iterative / batched", loop["steady_s"][0] / steady, ">= 300", ">= 1000"),
        ("extraction, steady: batched / copy of the output", steady / copy, "<= 1.4", "<= 1.3"),
        ("extraction, first call: iterative / batched", loop["cold_s"] / cold, ">= 50", ">= 200"),
        ("extraction, first call: batched / first touch of the output by all threads", supply, "<= 1.25", "<= 1.15"),
        ("extraction, first call, pages warm: iterative / batched", loop["cold_s"] / warm, ">= 50", ">= 200"),
        ("extraction, first call ever: iterative / batched", loop["cold_s"] / first_ever, ">= 50", ""),
        ("extraction, 100 groups, first call: iterative / batched", small, ">= 20", ">= 30"),
        ("extraction, 1 group, first call: iterative / batched", single, "", ""),
        ("extraction, 100 groups, first call ever: iterative / batched", first, ">= 1.5", ">= 3"),
        ("peak beyond the output / output", beyond, "<= 0.10", "<= 0.03"),
        ("peak increment, batched / iterative", peak["peak_bytes"] / loop_peak["peak_bytes"], "<= 1.0", "<= 0.6"),
        ("cost per patch, 10^3 to 10^6 streamed: largest / smallest - 1", spread, "<= 0.15", ""),
        ("cost per patch, 10^4 to 10^6 streamed: largest / smallest - 1", spread_large, "<= 0.15", ""),
        ("shift_and_sum, 5000 patches, steady: old / new", place["old_s"] / place_s, ">= 400", ">= 1000"),
        ("shift_and_sum, new / copy of the patches", place_s / place_copy, "<= 0.42", "<= 0.4"),
        ("shift_and_sum, identical bits, 100 to 10,000 patches (share)", bits, ">= 1", ""),
        ("reassemble_position, 10,000 patches: peak / (patches + 5 canvases)", reassembly, "<= 1", ""),
        ("extraction: bytes that must move, GB/s", extracted / steady / 1e9, "", ""),
        ("copy of the output: bytes that must move, GB/s", 2 * written / copy / 1e9, "", ""),
        ("shift_and_sum: bytes that must move, GB/s", placed / place_s / 1e9, "", ""),
    ]  # fmt: skip


def met(value, bar):
    """Whether a value meets a bar like '>= 3'; an empty bar is None."""
    if not bar:
        return None
    sign, limit = bar.split()
    return value >= float(limit) if sign == ">=" else value <= float(limit)


def main():
    """Run all arms, print the table, and write the raw figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="also write the raw figures here (JSON)")
    arguments = parser.parse_args()
    if arguments.arm:
        arguments.out.write_text(json.dumps(ARMS[arguments.arm]()))
        return
    figures = {}
    with tempfile.TemporaryDirectory() as empty:
        figures["first_ever_s"] = run_arm("batched_cold_warm_pages", NUMBA_CACHE_DIR=empty)["cold_s"]
    with tempfile.TemporaryDirectory() as empty:
        figures["first_ever_small_s"] = run_arm("small_cold_batched", NUMBA_CACHE_DIR=empty)["cold_s"]
    cold = [name for name in ARMS if "_cold" in name]
    for name in cold:
        run_arm(name)  # brings code and files into their caches
    for _ in range(COLD_ROUNDS):  # in turn, so that arms which are compared meet the same minute
        for name in cold:
            figures.setdefault(name, []).append(run_arm(name)["cold_s"])
    for name in (name for name in ARMS if "_cold" not in name):
        figures[name] = run_arm(name)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    lines = ["| figure | measured | bar | aim |", "|---|---|---|---|"]
    for label, value, bar, aim in table(figures):
        lines.append(f"| {label} | {value:.3g}{' (missed)' if met(value, bar) is False else ''} | {bar} | {aim} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
