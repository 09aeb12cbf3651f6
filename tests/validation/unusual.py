"""Honest implementations of patch extraction whose result, or whose way to it, is of an unusual form."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from validation.kernels.patches.oracle import extract_patches

_LINE = "x" * 1023 + "\n"


def dask_array(**arguments):
    """A graph that is computed when somebody looks."""
    import dask.array

    return dask.array.from_array(extract_patches(**arguments), chunks=(7, -1, -1, -1)) * np.complex64(1)


def torch_tensor(**arguments):
    """A tensor of PyTorch."""
    import torch

    return torch.from_numpy(extract_patches(**arguments))


def jax_array(**arguments):
    """An array of JAX, dispatched asynchronously."""
    import jax.numpy

    return jax.numpy.asarray(extract_patches(**arguments)) * np.complex64(1)


def tensor(**arguments):
    """A tensor of TensorFlow."""
    import tensorflow as tf

    return tf.constant(extract_patches(**arguments))


def variable(**arguments):
    """A variable of TensorFlow."""
    import tensorflow as tf

    return tf.Variable(extract_patches(**arguments))


def fortran_order(**arguments):
    """The first axis varies fastest."""
    return np.asfortranarray(extract_patches(**arguments))


def moved_axis(**arguments):
    """A view of channels-first memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(extract_patches(**arguments), 3, 1)), 1, 3)


def read_only(**arguments):
    """Nobody may write into it."""
    out = extract_patches(**arguments)
    out.flags.writeable = False
    return out


def memory_view(**arguments):
    """A buffer that is no array."""
    return memoryview(extract_patches(**arguments))


def masked_array(**arguments):
    """A subclass of ndarray."""
    return np.ma.masked_array(extract_patches(**arguments))


def _group(arguments, at):
    some = {name: arguments[name][at : at + 1] for name in ("global_offsets", "local_offsets")}
    return extract_patches(**{**arguments, **some})[0]


def threads_inside(**arguments):
    """A pool of threads for each call."""
    with ThreadPoolExecutor(3) as pool:
        return np.stack(list(pool.map(lambda at: _group(arguments, at), range(len(arguments["global_offsets"])))))


_pool = []


def threads_kept(**arguments):
    """A pool of threads for all calls, which ends with the process."""
    if not _pool:
        _pool.append(ThreadPoolExecutor(2))
    count = len(arguments["global_offsets"])
    return np.stack(list(_pool[0].map(lambda at: _group(arguments, at), range(count))))


def prints_megabytes(**arguments):
    """Two megabytes on each stream."""
    for stream in (sys.stdout, sys.stderr):
        for _ in range(2048):
            stream.write(_LINE)
        stream.flush()
    return extract_patches(**arguments)


def subprocess_that_is_waited_for(**arguments):
    """A command for each call."""
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    return extract_patches(**arguments)


def pool_of_processes(**arguments):
    """A pool of processes for each call, joined."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(_one, [(arguments, at) for at in range(len(arguments["global_offsets"]))])
    pool.join()
    return np.stack(parts)


def _one(job):
    return _group(*job)


FORMS = (
    "dask_array",
    "torch_tensor",
    "jax_array",
    "tensor",
    "variable",
    "fortran_order",
    "moved_axis",
    "read_only",
    "memory_view",
    "masked_array",
    "threads_inside",
    "threads_kept",
    "prints_megabytes",
    "subprocess_that_is_waited_for",
    "pool_of_processes",
)
# What a form needs that is not always installed.
NEEDS = {"dask_array": "dask.array", "torch_tensor": "torch", "jax_array": "jax"}
