"""What a call owes to its caller: the same bits again, unchanged inputs, its own result, a process as it was."""

from __future__ import annotations

import gc
import locale
import os
import random
import resource
import signal
import sys
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.kernel import Arguments
from validation.outputs.tree import Tree, arrays_in
from validation.properties.tested import Found, Tested, copy_of, refused, same_bits, same_tree

# Other calls between two equal ones, and the seconds after which a slow implementation has made enough of them.
OTHER_CALLS = 64
OTHER_CALLS_S = 2.0


def _same(one: Tree, two: Tree) -> bool:
    return same_tree(one, two, "").passed


def _put(target: Arguments, source: Arguments) -> bool:
    """Write the values of some arguments into the very arrays of others; False where that is not possible."""
    into, values = arrays_in(target), arrays_in(source)
    if not into or set(into) != set(values):
        return False
    if any(array.shape != values[path].shape or not array.flags.writeable for path, array in into.items()):
        return False
    for path, array in into.items():
        array[...] = values[path]
    written = arrays_in(target)  # of a table, say, what was written into may have been a copy
    return all(written[path].tobytes() == values[path].tobytes() for path in values)


def earlier_calls(tested: Tested) -> Found:
    """See that a call gives the same bits again: at once, after other inputs, after many calls of another shape.

    What was written into the very arrays of an earlier call counts, not which arrays they are. Without an oracle nobody
    knows whether other inputs may give the same result.
    """
    arguments = tested.arguments()
    first = tested.copied(arguments)
    found = same_tree(first, tested.copied(arguments), "the same call again")
    if not found.passed:
        return found
    others = tested.others(arguments, 1)
    between = tested.copied(others)
    if tested.kernel.oracle is not None and between.nbytes and _same(first, between):
        return refused("other inputs gave the result of the first ones")
    if _put(arguments, tested.others(tested.arguments(), 1)):
        found = same_tree(between, tested.copied(arguments), "other values in the arrays of the first call")
        if not found.passed:
            return found
    arguments = tested.arguments()
    count, started = 1, monotonic()
    while count < OTHER_CALLS and monotonic() - started < OTHER_CALLS_S:
        count += 1
        tested.result(tested.kernel.smallest(tested.others(arguments, count)))
    return same_tree(first, tested.copied(tested.arguments()), f"after {count} calls with other inputs")


def inputs_unchanged(tested: Tested) -> Found:
    """See that the inputs are the same after the call."""
    arguments = tested.arguments()
    tested.result(arguments)
    before, after = arrays_in(tested.arguments()), arrays_in(arguments)
    found = Found(passed=True, figure=0.0, limit=0.0, detail="inputs are no arrays")
    for path, value in before.items():
        found = same_bits(value, after[path], path)
        if not found.passed:
            return found
    return found


def _shared(arrays: tuple[NDArray[Any], ...], others: dict[str, NDArray[Any]]) -> str | None:
    """Name the one of some arrays whose memory a result uses."""
    return next((name for name, value in others.items() for one in arrays if np.may_share_memory(one, value)), None)


def own_memory(tested: Tested) -> Found:
    """See that a result is the caller's own: no input, no later call and no other result has a part in its memory."""
    arguments = tested.arguments()
    first = tested.result(arguments)
    kept = copy_of(first)
    results: list[Tree] = []
    for inputs in (arguments, tested.others(arguments, 1), tested.kernel.smallest(arguments), arguments):
        result = tested.result(inputs) if results else first
        shared = _shared(result.arrays, arrays_in(inputs))
        if shared is not None:
            if tested.may_share:
                return Found(passed=True, figure=None, limit=None, detail="shares memory, as the reference does")
            return refused(f"the result uses the memory of {shared}")
        if any(_shared(result.arrays, {"": one}) is not None for earlier in results for one in earlier.arrays):
            return refused("the result uses the memory of an earlier one")
        results.append(result)
    found = same_tree(kept, first, "a result after later calls")
    writeable = [array for array in first.arrays if array.flags.writeable]
    if not found.passed or not writeable:
        return found
    for array in writeable:
        array[...] = np.zeros((), array.dtype)
    return same_tree(kept, tested.copied(arguments), "the same call after its caller wrote into an earlier result")


def _floating_point() -> tuple[bytes, ...]:
    """Tell how this thread rounds and whether subnormal numbers count, by what comes out."""
    with np.errstate(all="ignore"):
        one, tiny = np.array([1.0, -1.0]), np.array([1e-39, 1.2e-38], np.float32)
        return (one + 1e-20).tobytes(), (one - 1e-20).tobytes(), (tiny * np.float32(0.5)).tobytes()


def _library_threads() -> dict[str, Any]:
    """Thread counts of what has been imported."""
    found: dict[str, Any] = {}
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        found["tensorflow"] = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    return found


def _state() -> dict[str, Any]:
    """Read what a call can change for the rest of its process."""
    mask = os.umask(0o077)
    os.umask(mask)
    numpy_random = np.random.get_state(legacy=False)  # noqa: NPY002  # others draw from it
    return {
        "environment variables": dict(os.environ),
        "floating-point mode": _floating_point(),
        "NumPy's error state": (np.geterr(), np.geterrcall()),
        "thread counts": _library_threads(),
        "processors": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
        "working folder": os.getcwd(),
        "file mode mask": mask,
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "switch interval": sys.getswitchinterval(),
        "recursion limit": sys.getrecursionlimit(),
        "trace functions": (sys.gettrace(), sys.getprofile()),
        "locale": locale.setlocale(locale.LC_ALL),
        "random numbers of Python": random.getstate(),
        "random numbers of NumPy": repr(numpy_random) + str(numpy_random["state"]["key"].tobytes()),
    }


def _known_of(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a first call's imports added: variables of the environment, libraries with threads."""
    return {
        name: {key: value[key] for key in value if key in before[name]} if isinstance(value, dict) else value
        for name, value in after.items()
    }


def process_state(tested: Tested) -> Found:
    """See that the process is the same after a call, but for what a first call's imports add."""
    arguments = tested.arguments()
    before = _state()
    for which in ("first", "second"):
        tested.result(arguments)
        after = _state()
        compared = _known_of(after, before) if which == "first" else after
        changed = [name for name, value in before.items() if compared[name] != value]
        if changed:
            return refused(f"the {which} call changed the {', the '.join(changed)}")
        before = after
    return Found(passed=True, figure=0.0, limit=0.0, detail=f"of {len(before)} settings of the process changed")
