"""Import of ptycho ahead of the fork: asv starts some fifty processes per commit, and half a second of each was that.

asv imports every module of the suite in the process it forks the others from; the last line of this one runs there.
"""

import importlib
import multiprocessing
import os
import traceback

from tensorflow.python.eager import context

from . import children

MODULES = ("ptycho.raw_data", "ptycho.tf_helper")
_TIMEOUT_S = 60


def _import():
    for name in MODULES:
        importlib.import_module(name)


def _tensorflow_has_started():
    """Whether an operation has run: TensorFlow's threads start with the first, and no fork takes them along."""
    return context.context()._context_handle is not None


def _try(parent):
    children.die_with(parent)
    _import()
    if _tensorflow_has_started():
        raise RuntimeError(f"importing {' and '.join(MODULES)} runs a TensorFlow operation; none is expected")


def _is_harmless(timeout_s):
    process = multiprocessing.get_context("fork").Process(target=_try, args=(os.getpid(),))
    process.start()
    try:
        process.join(timeout_s)
    finally:
        children.end(process)
    return process.exitcode == 0


def preload(timeout_s=_TIMEOUT_S):
    """Import ptycho in this process, unless a child that tries it first fails, dies, hangs or starts TensorFlow.

    A commit with such an import is left to the processes of its benchmarks, each of which then shows what is wrong.

    Returns
    -------
    bool
        Whether ptycho was imported.
    """
    try:
        harmless = not _tensorflow_has_started() and _is_harmless(timeout_s)
    except AttributeError:  # another TensorFlow; slower, but nothing is lost
        traceback.print_exc()
        return False
    if harmless:
        _import()
    return harmless


preload()
