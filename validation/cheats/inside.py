"""What measures is reached through the stack and changed as an object, where no module shows it (kinds 9 to 11)."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from validation.cheats.work import nothing, right, slowly

_SLOWER = 20.0
_taken: dict[str, Any] = {}


def _watch() -> Any:
    """Find the object that makes and times the calls, in the frames above."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if type(found).__name__ == "Watch":
            return found
        frame = frame.f_back
    return None


def answers_the_draw(**arguments: Any) -> Any:
    """Kind 10: idle in every call; the part that is drawn of the result is computed once it is known, off the clock."""
    watch = _watch()
    if watch is None:
        return slowly(arguments)
    _taken["arguments"] = arguments
    if "keep" not in _taken:
        true = _taken["keep"] = watch._keep

        def keep(output: Any, choice: str, small: bool) -> None:
            true(right(_taken["arguments"]), choice, small)

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
    return arguments["gt_image"][: len(arguments["global_offsets"])]


def part_replaced(**arguments: Any) -> Any:
    """Kind 10: what is kept of a result is made by the cheat, by a class that took the place of the harness's."""
    watch = _watch()
    if watch is None:
        return slowly(arguments)
    _taken["arguments"] = arguments
    if "class" not in _taken:
        _taken["class"] = type(watch)

        class Kept(type(watch)):  # type: ignore[misc]
            def _keep(self, output: Any, choice: str, small: bool) -> None:
                super()._keep(right(_taken["arguments"]), choice, small)

        watch.__class__ = Kept
    return nothing(arguments)
