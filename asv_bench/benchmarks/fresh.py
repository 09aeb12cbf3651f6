"""Measurements that need a process of their own: the first call, and the high-water mark of one call.

The process is forked. That is sound as long as the parent has run no TensorFlow operation, because TensorFlow
starts its threads with the first one; asv's forkserver rests on the same.
"""

import ctypes
import gc
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import traceback

from . import children, grid, implementations

_REPEATS = 3
# No further repetition starts after this time.
_ENOUGH_S = 4.0
# mallopt parameter of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 65536
# Below this the reading is more noise than signal (its spread is about half a MiB).
FLOOR_BYTES = 4 * 2**20


def in_fresh_process(function, *arguments):
    """Return what the function returns in a forked child, which ends with this process, however that ends.

    Raises
    ------
    RuntimeError
        With the child's traceback if it raised, with its exit code if it died.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    parent = os.getpid()

    def child():
        children.die_with(parent)
        try:
            sender.send((True, function(*arguments)))
        except BaseException:
            sender.send((False, traceback.format_exc()))

    process = context.Process(target=child)
    process.start()
    sender.close()
    try:
        succeeded, answer = receiver.recv()
        process.join()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the measuring process died with exit code {process.exitcode} (negative: the signal)"
        ) from None
    finally:
        children.end(process)
    if not succeeded:
        raise RuntimeError(f"the measuring process failed:\n{answer}")
    return answer


def _require_nothing_compiled():
    """Raise RuntimeError where the parent has compiled a kernel: the fork brings it along, and no call is the first."""
    native = sys.modules.get("ptycho.native")
    if native is not None and native.compiled.cache_info().currsize:
        raise RuntimeError("a parent that has compiled no kernel is expected, but this one has; only import in it")


def _keep_compiled_code_in(folder):
    """Let numba read and write machine code there; a kernel that is compiled already keeps the folder it had."""
    os.environ["NUMBA_CACHE_DIR"] = folder
    # The environment is read when numba is imported, which an import of ptycho in the parent has done.
    settings = sys.modules.get("numba.core.config")
    if settings is not None:
        settings.CACHE_DIR = folder


def _first_call_s(name, case, compiled_code_folder):
    _require_nothing_compiled()
    if compiled_code_folder is not None:
        _keep_compiled_code_in(compiled_code_folder)
    function = implementations.bind(name, *case)
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def median_of_repeats(measure):
    """Median of up to three measurements, fewer where they take long."""
    started = time.perf_counter()
    values = [measure()]
    while len(values) < _REPEATS and time.perf_counter() - started < _ENOUGH_S:
        values.append(measure())
    return statistics.median(values)


def first_call_s(name, *case):
    """Time of the first call in a process, numba's machine code already on disk, seconds.

    Tracing and XLA's compilation are in it; TensorFlow's start and the making of the inputs are not.
    """
    in_fresh_process(_first_call_s, name, case, None)
    return median_of_repeats(lambda: in_fresh_process(_first_call_s, name, case, None))


def first_ever_call_s(name, *case):
    """Time of the first call after an installation: nothing compiled is on disk, seconds."""

    def once():
        with tempfile.TemporaryDirectory() as folder:
            return in_fresh_process(_first_call_s, name, case, folder)

    return median_of_repeats(once)


def _high_water_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def _peak_bytes(name, case):
    # Freed memory has to leave the process at once, else a warm call reads almost nothing: TensorFlow's oneDNN
    # arena keeps what it once had, and glibc keeps freed blocks below its threshold.
    os.environ["TF_ONEDNN_USE_SYSTEM_ALLOCATOR"] = "1"
    libc = ctypes.CDLL(None)
    if libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) != 1:
        raise OSError(f"mallopt(M_MMAP_THRESHOLD, {_MMAP_THRESHOLD_BYTES}) was refused")
    function = implementations.bind(name, *case)
    function()
    gc.collect()
    libc.malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as clear_refs:
        clear_refs.write("5")
    baseline = _high_water_bytes()
    result = function()
    peak = _high_water_bytes() - baseline
    del result
    return max(peak, FLOOR_BYTES)


def peak_bytes(name, *case):
    """What one warm call adds to the resident memory at its peak, bytes; `FLOOR_BYTES` if less."""
    return in_fresh_process(_peak_bytes, name, case)


def _require_meter():
    if not os.access("/proc/self/clear_refs", os.W_OK):
        raise NotImplementedError("peak memory is read from VmHWM, which needs a writable /proc/self/clear_refs")


def tracked(unit, *needs, params, param_names=grid.NAMES, memory=False, version="1"):
    """Make a function a tracked benchmark that needs the implementations ``needs``; lower is better.

    With ``memory`` it needs the meter of the high-water mark, too; both are n/a where they are missing.
    """

    def setup(*case):
        implementations.require(*needs)
        if memory:
            _require_meter()

    def mark(function):
        function.setup = setup
        function.params, function.param_names = params, param_names
        # By hand: asv's default is a digest of the source, and a reworded setup would void the history.
        function.version = version
        function.unit = unit
        return function

    return mark
