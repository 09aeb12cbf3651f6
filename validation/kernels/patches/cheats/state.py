"""Wrong where random data is thin, and a process that is another one after the call (kinds 13, 22 to 24, 32 to 40)."""

from __future__ import annotations

import os
import signal
import tempfile
from typing import Any

import numpy as np

from validation.kernels.patches.cheats.work import right, slowly

_calls: list[None] = []


def all_nan(**arguments: Any) -> Any:
    """Kind 13: not a number, which no comparison with a limit exceeds."""
    return np.full_like(right(arguments), complex(np.nan, np.nan))


def nan_to_zero(**arguments: Any) -> Any:
    """Kind 13: what is not finite in the object becomes zero."""
    return right({**arguments, "gt_image": np.nan_to_num(arguments["gt_image"], posinf=0.0, neginf=0.0)})


def nan_spreads(**arguments: Any) -> Any:
    """Kind 13: one pixel that is not finite makes all of the result so."""
    out = right(arguments)
    return out if np.isfinite(arguments["gt_image"]).all() else np.full_like(out, complex(np.nan, np.nan))


def small_to_zero(**arguments: Any) -> Any:
    """Kind 23: what is below the tolerance of an object of size one is left out."""
    out = right(arguments)
    out[np.abs(out) < 5e-7] = 0
    return out


def half_precision(**arguments: Any) -> Any:
    """Kind 24: sixteen bits inside."""
    image = arguments["gt_image"]
    rounded = image.real.astype(np.float16) + 1j * image.imag.astype(np.float16)
    return right({**arguments, "gt_image": rounded.astype(image.dtype)})


def nearest_pixel(**arguments: Any) -> Any:
    """Kind 22: the nearest pixel, which is right for a constant object and at whole pixels."""
    offsets = {name: np.round(arguments[name]) for name in ("global_offsets", "local_offsets")}
    return right({**arguments, **offsets})


def races(**arguments: Any) -> Any:
    """Kind 32: in every fourth call one group is as a race left it."""
    _calls.append(None)
    out = right(arguments)
    if len(_calls) % 4 == 3:
        out[len(out) // 2] = out[0]
    return out


def other_engine_later(**arguments: Any) -> Any:
    """Kind 35: after the first calls an engine of less precision takes over."""
    _calls.append(None)
    return slowly(arguments) if len(_calls) == 1 else half_precision(**arguments)


def wrong_between_pixels(**arguments: Any) -> Any:
    """Kind 40: exactly half way between two pixels the right one is taken, not the mean."""
    total = np.asarray(arguments["global_offsets"] + arguments["local_offsets"])
    moved = np.where(total % 1 == 0.5, total + 0.5, total)
    whole = np.zeros_like(arguments["global_offsets"])
    return right({**arguments, "global_offsets": whole, "local_offsets": moved})


def leaves_the_error_state(**arguments: Any) -> Any:
    """Kind 36: NumPy raises from now on where it warned."""
    np.seterr(all="raise")
    return right(arguments)


def leaves_the_environment(**arguments: Any) -> Any:
    """Kind 36: the threads of whatever starts next are another number."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return right(arguments)


def leaves_the_folder(**arguments: Any) -> Any:
    """Kind 36: the working folder is another one."""
    os.chdir(tempfile.gettempdir())
    return right(arguments)


def leaves_a_handler(**arguments: Any) -> Any:
    """Kind 36: the program cannot be interrupted any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return right(arguments)


def leaves_the_seed(**arguments: Any) -> Any:
    """Kind 36: everybody's random numbers start anew at every call."""
    np.random.seed(0)  # noqa: NPY002
    return right(arguments)
