"""Properties that hold for every kernel: what a call owes to its caller, whatever it computes."""

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

from validation.child.properties.probed import Found, Subject, same_bits
from validation.kernels.patches import workloads
from validation.kernels.patches.workloads import Arguments

# Other calls between two equal ones, and the seconds after which a slow implementation has made enough of them.
OTHER_CALLS = 64
OTHER_CALLS_S = 2.0


def _refused(detail: str) -> Found:
    return Found(passed=False, figure=None, limit=None, detail=detail)


def earlier_calls(subject: Subject) -> Found:
    """See that a call gives the same bits again: at once, after other inputs, after many calls of another shape.

    What was written into the very arrays of an earlier call counts, not which arrays they are.
    """
    arguments = subject.arguments()
    first = subject.call(arguments)
    found = same_bits(first, subject.call(arguments), "the same call again")
    if not found.passed:
        return found
    between = subject.call(subject.others(arguments, 1))
    if between.size and np.array_equal(first, between):
        return _refused("other inputs gave the result of the first ones")
    for name, value in subject.others(arguments, 1).items():
        if isinstance(value, np.ndarray):
            arguments[name][...] = value
    found = same_bits(between, subject.call(arguments), "other values in the arrays of the first call")
    if not found.passed:
        return found
    arguments = subject.arguments()
    count, started = 1, monotonic()
    while count < OTHER_CALLS and monotonic() - started < OTHER_CALLS_S:
        count += 1
        subject.call(workloads.smallest(subject.others(arguments, count)))
    return same_bits(first, subject.call(subject.arguments()), f"after {count} calls with other inputs")


def inputs_unchanged(subject: Subject) -> Found:
    """See that the inputs are the same after the call."""
    arguments = subject.arguments()
    subject.call(arguments)
    for name, value in subject.arguments().items():
        found = same_bits(np.asarray(value), np.asarray(arguments[name]), name)
        if not found.passed:
            return found
    return found


def _shared_with(result: NDArray[Any], arguments: Arguments) -> str | None:
    """Name the argument whose memory a result uses."""
    arrays = ((name, value) for name, value in arguments.items() if isinstance(value, np.ndarray))
    return next((name for name, value in arrays if np.may_share_memory(result, value)), None)


def own_memory(subject: Subject) -> Found:
    """See that a result is the caller's own: no input, no later call and no other result has a part in its memory."""
    arguments = subject.arguments()
    first = subject.result(arguments)
    kept = first.copy()
    results: list[NDArray[Any]] = []
    for inputs in (arguments, subject.others(arguments, 1), workloads.smallest(arguments), arguments):
        result = subject.result(inputs) if results else first
        shared = _shared_with(result, inputs)
        if shared is not None:
            return _refused(f"the result uses the memory of {shared}")
        if any(np.may_share_memory(result, earlier) for earlier in results):
            return _refused("the result uses the memory of an earlier one")
        results.append(result)
    found = same_bits(kept, first, "a result after later calls")
    if not found.passed or not first.flags.writeable:
        return found
    first[...] = 0
    return same_bits(kept, subject.call(arguments), "the same call after its caller wrote into an earlier result")


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


def process_state(subject: Subject) -> Found:
    """See that the process is the same after a call, but for variables that a first call's imports add."""
    arguments = subject.arguments()
    before = _state()
    known = before["environment variables"]
    for which in ("first", "second"):
        subject.call(arguments)
        after = _state()
        compared = dict(after)
        if which == "first":
            compared["environment variables"] = {
                name: value for name, value in after["environment variables"].items() if name in known
            }
        changed = [name for name, value in before.items() if compared[name] != value]
        if changed:
            return _refused(f"the {which} call changed the {', the '.join(changed)}")
        before = after
    return Found(passed=True, figure=0.0, limit=0.0, detail=f"of {len(before)} settings of the process changed")
