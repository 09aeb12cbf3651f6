"""What the compiled CPU kernels share: compilation, threads, and memory that TensorFlow reads in place."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from ptycho import machine_code

_ALIGNMENT = 64  # bytes; what TensorFlow's own allocator gives


_FLUSH_SUBNORMALS = 0x8040  # bits FTZ and DAZ of the x86 register MXCSR
_MXCSR_WORD = 7  # of the eight 32-bit words of fenv_t, in glibc and musl on x86-64


def available():
    """Whether the compiled CPU kernels can be used here; NUMBA_DISABLE_JIT switches them off, as it always did."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0") and machine_code.compiler() is not None


@functools.cache
def _floating_point_environment():
    """Functions of the C library that read and write this thread's; None where its layout is not known."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    library = ctypes.CDLL(None)
    return (library.fegetenv, library.fesetenv) if hasattr(library, "fegetenv") else None


@contextlib.contextmanager
def subnormals(flushed):
    """Take subnormal numbers for zero in this thread, as TensorFlow does in all of its own, or compute with them."""
    functions = _floating_point_environment()
    if functions is None:
        yield
        return
    read, write = functions
    before, chosen = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    read(before)
    chosen[:] = before
    chosen[_MXCSR_WORD] &= ~_FLUSH_SUBNORMALS
    chosen[_MXCSR_WORD] |= _FLUSH_SUBNORMALS if flushed else 0
    write(chosen)
    try:
        yield
    finally:
        write(before)


def _kind(argument):
    """Name the dtype of an argument, and say whether it is an array."""
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError(f"a kernel takes contiguous arrays, got strides {argument.strides}")
        return argument.dtype.name, True
    return "int64" if isinstance(argument, int) else argument.dtype.name, False


@functools.cache
def compiled(function):
    """Return a kernel that is compiled or loaded for each combination of dtypes it is called with.

    Arguments are contiguous arrays, integers and NumPy's numbers; the kernel checks no index. It runs without the
    interpreter lock.
    """
    loaded = {}

    def call(*arguments):
        kinds = tuple(map(_kind, arguments))
        if kinds not in loaded:
            loaded[kinds] = machine_code.load(function, kinds)
        pointers = (value.ctypes.data if is_array else value for value, (_, is_array) in zip(arguments, kinds))  # noqa: B905
        loaded[kinds](*pointers)

    return call


def nothing_compiled_yet():
    """Whether no kernel has been asked for in this process."""
    return compiled.cache_info().currsize == 0


def touch(array):
    """Write one byte of every page, so that the pages are there; runs without the interpreter lock."""
    array.reshape(-1).view(np.uint8)[::4096].fill(0)


def thread_count():
    """Threads a kernel may use: TensorFlow's intra-op setting, or the processors given to this process."""
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    if chosen == 0:
        text = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
        chosen = int(text) if text.isdigit() else 0
    return chosen or len(os.sched_getaffinity(0))


def run_in_ranges(work, count, smallest, flush=True):
    """Call ``work(first, last)`` on disjoint ranges that cover ``range(count)``, on all threads.

    Ranges hold at least ``smallest`` items; a single one runs in the calling thread. With ``flush``
    subnormal numbers count as zero meanwhile, else they are computed with, whatever the caller's thread does.
    """
    work(0, 0)  # so that nothing is compiled or imported while subnormal numbers count as zero
    threads = min(thread_count(), max(1, count // smallest))
    if threads == 1:
        with subnormals(flush):
            work(0, count)
        return
    parts = min(4 * threads, count // smallest)
    edges = [count * part // parts for part in range(parts + 1)]
    ranges = iter(list(itertools.pairwise(edges)))  # an iterator over a list may be shared by threads

    def work_on():
        with subnormals(flush):
            for first, last in ranges:
                work(first, last)

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work_on) for _ in range(threads - 1)]
        work_on()
    for done in others:
        done.result()


def empty_aligned(shape, dtype):
    """Return an uninitialised array that `as_tensor` can hand over; NumPy asks for huge pages for it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    buffer = np.empty(size + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)


def as_tensor(array):
    """Hand an array of `empty_aligned` over to TensorFlow without a copy; do not write to it afterwards."""
    if array.size == 0:
        return tf.zeros(array.shape, array.dtype)
    if array.ctypes.data % _ALIGNMENT:  # TensorFlow would abort the process
        raise ValueError(f"an array aligned to {_ALIGNMENT} bytes is expected, as empty_aligned makes it")
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def flat_view(array, dtype):
    """View a contiguous array as flat."""
    return array.reshape(-1).view(dtype)


def as_array(value):
    """Look at an eager tensor or an array as a C-contiguous NumPy array, without a copy where possible."""
    if isinstance(value, tf.Tensor):
        if value.shape.num_elements() == 0 or "CPU" not in value.device:
            return value.numpy()
        return np.asarray(memoryview(value))
    return np.ascontiguousarray(value)
