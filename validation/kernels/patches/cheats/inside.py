"""What measures is reached through the stack and changed as an object, where no module shows it (kinds 6, 9 to 11)."""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

from validation.kernels.patches.cheats.work import nothing, right, slowly, wait

_SLOWER = 20.0
# What the work takes that is done before the clock starts.
_AHEAD_S = 0.1
_taken: dict[str, Any] = {}


def _watch() -> Any:
    """Find the object that makes and times the calls, in the frames above."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if hasattr(found, "_instruments"):
            return found
        frame = frame.f_back
    return None


def answers_the_draw(**arguments: Any) -> Any:
    """Kind 10: idle in every call; the part that is drawn of the result is computed once it is known, off the clock."""
    watch = _watch()
    if watch is None:
        return slowly(arguments)
    if "keep" not in _taken:
        true = _taken["keep"] = watch._keep

        def keep(given: Any, output: Any, choice: str, small: bool) -> None:
            true(given, right(given), choice, small)

        watch._keep = keep
    return nothing(arguments)


def clock_of_the_watch(**arguments: Any) -> Any:
    """Kind 9: the clock that was bound beforehand is exchanged where it is kept, and runs 20 times slower."""
    watch = _watch()
    if watch is not None and "clock" not in _taken:
        true = _taken["clock"] = watch._clock
        begun = true()
        watch._clock = lambda: begun + (true() - begun) / _SLOWER
    return slowly(arguments)


def short_clock_of_the_watch(**arguments: Any) -> Any:
    """Kind 9: the same for work of a millisecond, where what the server sees is as much as the marks take."""
    watch = _watch()
    if watch is not None and "clock" not in _taken:
        true = _taken["clock"] = watch._clock
        begun = true()
        watch._clock = lambda: begun + (true() - begun) / _SLOWER
    return right(arguments)


def snapshot_replaced(**arguments: Any) -> Any:
    """Kind 10: what compares with the snapshot of the instruments says that nothing changed."""
    watch = _watch()
    if watch is not None:
        watch._instruments.require_unchanged = lambda: None
        watch._check = lambda *given: None
    return _taken.setdefault("buffer", nothing(arguments))


def part_replaced(**arguments: Any) -> Any:
    """Kind 10: what is kept of a result is made by the cheat, by a class that took the place of the harness's."""
    watch = _watch()
    if watch is None:
        return slowly(arguments)
    if "class" not in _taken:
        _taken["class"] = type(watch)

        class Kept(type(watch)):  # type: ignore[misc]
            def _keep(self, given: Any, output: Any, choice: str, small: bool) -> None:
                super()._keep(given, right(given), choice, small)

        watch.__class__ = Kept
    return nothing(arguments)


def _ahead() -> None:
    """Compute what the call that is being prepared will be asked for, and keep it."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "call" and "arguments" in frame.f_locals and "taken" not in frame.f_locals:
            arguments = frame.f_locals["arguments"]
            if _taken.get("ahead", (None,))[0] != id(arguments["global_offsets"]):
                wait(_AHEAD_S)
                _taken["ahead"] = id(arguments["global_offsets"]), right(arguments)
        frame = frame.f_back


def _prepared(arguments: Any) -> Any:
    name, found = _taken.get("ahead", (None, None))
    return found if name == id(arguments["global_offsets"]) else slowly(arguments)


def works_in_the_collector(**arguments: Any) -> Any:
    """Kind 6: the garbage collector is run before the clock starts, and calls what the cheat left there."""
    if "collector" not in _taken:
        _taken["collector"] = lambda phase, info: _ahead() if phase == "start" else None
        gc.callbacks.append(_taken["collector"])
    return _prepared(arguments)


class _Busy:
    """A generator of random numbers that does other work as well."""

    def __init__(self, true: Any) -> None:
        self.true = true

    def integers(self, *given: Any) -> Any:
        _ahead()
        return self.true.integers(*given)


def works_for_the_spots(**arguments: Any) -> Any:
    """Kind 6: where the inputs are looked at before the clock starts, the cheat's random numbers are drawn."""
    watch = _watch()
    if watch is not None and "spots" not in _taken:
        _taken["spots"] = watch._private
        watch._private = _Busy(watch._private)
    return _prepared(arguments)
