"""Work done later, or before, or by nobody, while the clock shows the call alone (kinds 1, 2, 3, 6, 14 to 17)."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches.cheats.work import WORK_S, Arguments, digest, nothing, right, shape_of, slowly

# How many calls of a process the first one works ahead for.
_AHEAD = 200
_ahead: dict[str, NDArray[Any]] = {}
_calls: list[None] = []
_executors: list[Any] = []


def _first() -> bool:
    """Whether this is the first call of the process."""
    _calls.append(None)
    return len(_calls) == 1


class _Later:
    """Something like an array, whose work is done when somebody looks."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.shape = shape_of(arguments)
        self.dtype = np.dtype(np.complex64)
        self.ndim = len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return slowly(self.arguments)


class _TwoFaces(_Later):
    """Shows zeros to the first who looks, and the result to the next."""

    looked = False

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        seen, self.looked = self.looked, True
        return slowly(self.arguments) if seen else nothing(self.arguments)


class _WhenTouched(np.ndarray[Any, Any]):
    """An array of zeros that fills itself when a part of it is read by its name."""

    arguments: Arguments

    def __getitem__(self, index: Any) -> Any:
        return slowly(self.arguments)[index]

    def astype(self, *options: Any, **named: Any) -> Any:
        """Convert the result, which is made now."""
        return slowly(self.arguments).astype(*options, **named)


def lazy_result(**arguments: Any) -> Any:
    """Kind 1: return an object at once; the work is done in ``__array__``."""
    return _Later(arguments)


def two_faces(**arguments: Any) -> Any:
    """Kind 1: the first conversion gives zeros at once, the second the result."""
    return _TwoFaces(arguments)


def fills_when_touched(**arguments: Any) -> Any:
    """Kind 1: a subclass of ndarray that is empty until somebody indexes it."""
    out = nothing(arguments).view(_WhenTouched)
    out.arguments = arguments
    return out


def asynchronous(**arguments: Any) -> Any:
    """Kind 2: TensorFlow's executor works on while the call has returned."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    if not _executors:
        _executors.append(context.executor.new_executor(enable_async=True))
    with context.executor_scope(_executors[0]):
        return tf.numpy_function(lambda: slowly(arguments), [], tf.complex64)


def finishes_later(**arguments: Any) -> Any:
    """Kind 3: a thread goes on with the result after the call has returned."""
    out = nothing(arguments)

    def fill() -> None:
        time.sleep(WORK_S)
        out[:] = right(arguments)

    threading.Thread(target=fill).start()
    return out


def _rolled(arguments: Arguments, number: int) -> Arguments:
    """Give what a later call could ask for: groups and columns in another order."""
    moved = {name: np.roll(arguments[name], number, axis=0) for name in ("global_offsets", "local_offsets")}
    return {**arguments, **moved, "gt_image": np.roll(arguments["gt_image"], number, axis=1)}


def works_ahead(**arguments: Any) -> Any:
    """Kind 6: the first call computes what the next ones are known to ask for."""
    if not _ahead:
        for number in range(_AHEAD):
            varied = _rolled(arguments, number)
            _ahead[digest(varied)] = right(varied)
    found = _ahead.get(digest(arguments))
    return slowly(arguments) if found is None else found


def only_what_is_checked(**arguments: Any) -> Any:
    """Kind 17: after the first call, the groups that the clock's own check looked at, and no other."""
    if _first():
        return slowly(arguments)
    batch = len(arguments["global_offsets"])
    groups = sorted({0, batch // 2, batch - 1})
    out = nothing(arguments)
    some = {name: arguments[name][groups] for name in ("global_offsets", "local_offsets")}
    out[groups] = right({**arguments, **some})
    return out


def stale_patch(**arguments: Any) -> Any:
    """Kind 17: once warm, one patch in the middle is left out."""
    if _first():
        return slowly(arguments)
    out = right(arguments)
    out[len(out) // 3, ..., -1] = 0
    return out


def idle_once_warm(**arguments: Any) -> Any:
    """Kind 16: right in the first call of a process, and idle from then on."""
    return slowly(arguments) if _first() else nothing(arguments)


def idle_by_environment(**arguments: Any) -> Any:
    """Kind 14: idle where a variable is missing that only compared and metered processes were given."""
    return slowly(arguments) if "TF_ONEDNN_USE_SYSTEM_ALLOCATOR" in os.environ else nothing(arguments)


def _actions() -> set[str]:
    """Give the names of the frames above, and the actions that their tasks ask for."""
    found = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        action = getattr(frame.f_locals.get("task"), "action", None)
        found |= {frame.f_code.co_name, str(action)}
        frame = frame.f_back
    return found


def idle_by_stack(**arguments: Any) -> Any:
    """Kind 15: idle where the task on the stack is to time."""
    return nothing(arguments) if "time" in _actions() else slowly(arguments)


def idle_when_metered(**arguments: Any) -> Any:
    """Kind 15: untouched pages where the task on the stack is to read memory."""
    return nothing(arguments) if "memory" in _actions() else slowly(arguments)


def idle_unless_poisoned(**arguments: Any) -> Any:
    """Kind 15: idle where fresh memory is not filled with the harness's poison."""
    fresh = np.empty(4096, np.uint8)
    return slowly(arguments) if np.count_nonzero(fresh == 0x7F) > 2048 else nothing(arguments)


def idle_beside_the_probes(**arguments: Any) -> Any:
    """Kind 15: idle where the module of the probes was not imported and nothing is compared."""
    asked = {"output", "probe"} & _actions()
    return slowly(arguments) if asked or "validation.kernels.patches.probes" in sys.modules else nothing(arguments)
