"""Clock, checker, meter and reply replaced from inside the measured process (kinds 9, 10, 11, 28, 39)."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import time
from types import FrameType
from typing import Any

import numpy as np

from validation.kernels.patches.cheats.work import nothing, now, right, slowly

_SLOWER = 200.0
# Outputs' worth of memory that a hungry cheat touches.
_HUNGRY = 8
_done: set[str] = set()
_made: dict[str, Any] = {}


def _once(what: str) -> bool:
    """Whether this is asked for the first time in the process."""
    new = what not in _done
    _done.add(what)
    return new


def _replace(names: tuple[str, ...], replacement: Any) -> None:
    """Put ``replacement`` under each name in every module of the harness that has it."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("validation.") and "cheats" not in module_name:
            for name in names:
                if hasattr(module, name):
                    setattr(module, name, replacement)


def _slowed(true: Any) -> Any:
    """Give a clock that goes on from now, 200 times slower; whole nanoseconds stay whole."""
    begun = true()
    return lambda: begun + type(begun)((true() - begun) / _SLOWER)


def slow_clock(**arguments: Any) -> Any:
    """Kind 9: the clocks of the module ``time`` run 200 times slower."""
    if _once("clock"):
        for name in ("perf_counter", "monotonic", "perf_counter_ns", "monotonic_ns"):
            setattr(time, name, _slowed(getattr(time, name)))
    return slowly(arguments)


class _Method(ctypes.Structure):
    """The C description of a built-in function."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _description(function: Any) -> _Method:
    """Give the C description of a built-in function of CPython: it follows the head of the object."""
    at = id(function) + object.__basicsize__
    return _Method.from_address(ctypes.c_void_p.from_address(at).value or 0)


_Clock = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p)


def clock_in_machine_code(**arguments: Any) -> Any:
    """Kind 9: the function objects of the clocks stay; what they point to in memory is a slower clock."""
    if "clock" not in _made:
        begun = now()
        slowed = _Clock(lambda *given: begun + (now() - begun) / _SLOWER)
        _made["clock"] = slowed
        for function in (time.perf_counter, time.monotonic):
            _description(function).function = ctypes.cast(slowed, ctypes.c_void_p).value
    return slowly(arguments)


def checker_replaced(**arguments: Any) -> Any:
    """Kind 10: whatever in the harness's modules compares or refuses says yes; the result is empty."""
    if _once("checker"):
        _replace(("_require_same_quality", "require_same_quality", "_require_right"), lambda *given, **named: None)
        _replace(("_error",), lambda *given, **named: 0.0)
    return nothing(arguments)


def oracle_replaced(**arguments: Any) -> Any:
    """Kind 10: the oracle of the process says what the cheat says."""
    if _once("oracle"):
        from validation.kernels.patches import oracle

        oracle.extract_patches = lambda gt_image, global_offsets, local_offsets, N, gridsize: nothing(
            {"gt_image": gt_image, "global_offsets": global_offsets, "N": N, "gridsize": gridsize}
        )
    return nothing(arguments)


def comparison_replaced(**arguments: Any) -> Any:
    """Kind 10: NumPy's differences are zero, whoever asks."""
    if _once("comparison"):
        true = np.abs
        np.abs = lambda values, *given, **named: true(values, *given, **named) * 0  # type: ignore[assignment]
        np.array_equal = lambda *given, **named: True
        np.count_nonzero = lambda *given, **named: 0  # type: ignore[assignment]
    return nothing(arguments)


def meter_replaced(**arguments: Any) -> Any:
    """Kind 10: the reader of the memory mark says the same before and after."""
    out = right(arguments)
    hungry = np.ones(_HUNGRY * out.nbytes // 8)
    _replace(("_status_bytes", "high_water_bytes"), lambda *given, **named: 2**28)
    return out + np.complex64(hungry[-1] - 1)


def writer_replaced(**arguments: Any) -> Any:
    """Kind 11: the reply is written by the cheat, with a twentieth of every time."""
    if _once("writer"):
        import msgspec

        worker: Any = importlib.import_module("validation.child.worker")  # what writes the reply

        true = worker.write_reply

        def write(path: Any, encoded: bytes, *given: Any) -> Any:
            reply = msgspec.json.decode(encoded)
            timing = reply.get("timing")
            if timing:
                timing["first_call_s"] /= 20
                timing["samples_s"] = [seconds / 20 for seconds in timing["samples_s"]]
            return true(path, msgspec.json.encode(reply), *given)

        worker.write_reply = write
    return slowly(arguments)


def encoder_replaced(**arguments: Any) -> Any:
    """Kind 11: what turns the reply into bytes is the cheat's."""
    if _once("encoder"):
        import msgspec

        true = msgspec.json.encode

        def encode(reply: Any, *given: Any, **named: Any) -> bytes:
            plain = msgspec.to_builtins(reply)
            if isinstance(plain, dict) and plain.get("timing"):
                plain["timing"]["first_call_s"] /= 20
                plain["timing"]["samples_s"] = [seconds / 20 for seconds in plain["timing"]["samples_s"]]
            return true(plain, *given, **named)

        msgspec.json.encode = encode
    return slowly(arguments)


def _request() -> Any:
    """Find in the frames above what was asked, and where the reply belongs."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("request")
        if hasattr(found, "reply_path"):
            return found
        frame = frame.f_back
    return None


def forged_reply(**arguments: Any) -> Any:
    """Kind 11: the cheat writes a whole reply by itself and leaves."""
    request = _request()
    if request is not None:
        import msgspec

        seconds = [1e-3] * 5
        timing = {
            "implementation": request.task.implementation,
            "first_call_s": 1e-3,
            "samples_s": seconds,
            "calls_per_sample": 12,
            "involuntary_switches": 0,
        }
        calls = {"calls_s": [1e-3] * 63, "processor_s": 0.06, "small": [], "kept": []}
        with open(request.reply_path, "wb") as file:
            reply = {"action": "time", "timing": timing, "calls": calls, "output_bytes": 1}
            file.write(msgspec.json.encode(reply))
        os._exit(0)
    return slowly(arguments)


def leaves_with_success(**arguments: Any) -> Any:
    """Kind 39: exit code 0 in the middle of the second call."""
    if not _once("first"):
        os._exit(0)
    return slowly(arguments)


def not_available_when_warm(**arguments: Any) -> Any:
    """Kind 28: says that it is not here, when it is about to be timed."""
    from validation.contract.kernel import NotAvailableError

    if _once("first"):
        return slowly(arguments)
    raise NotAvailableError("this processor lacks what the kernel needs")


def raises_when_warm(**arguments: Any) -> Any:
    """Kinds 28 and 29: fails fast instead of working."""
    if _once("first"):
        return slowly(arguments)
    raise ValueError("no more today")
