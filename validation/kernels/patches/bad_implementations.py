"""Known-bad implementations of patch extraction, and standards for clock and memory.

Each is right except for its defect: the oracle computes what is not the point. All have the signature of the
kernel's function; the catalogue is `validation.kernels.patches.mutants`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches.oracle import extract_patches as _right

_MEBIBYTE = 2**20
_kept: list[NDArray[Any]] = []
_lasted: list[float] = []


def _total(arguments: dict[str, Any]) -> NDArray[np.float64]:
    """Offsets (B, 1, 2, c)."""
    return np.asarray(arguments["global_offsets"] + arguments["local_offsets"])


def _with_offsets(arguments: dict[str, Any], total: NDArray[Any]) -> NDArray[np.complex64]:
    whole = np.zeros_like(arguments["global_offsets"])
    return _right(**{**arguments, "global_offsets": whole, "local_offsets": total})


def interleaved_channels(**arguments: Any) -> Any:
    """D1: flat patches reshaped straight to (B, N, N, c)."""
    import tensorflow as tf

    out = _right(**arguments)
    batch, N, _, channels = out.shape
    flat = np.moveaxis(out, 3, 1).reshape(batch * channels, N, N, 1)
    return tf.reshape(tf.constant(flat), [batch, N, N, channels])


def one_axis_offsets(**arguments: Any) -> Any:
    """D2: ``offsets_f[:, 0, 0, :]`` of (B*c, 1, 2, 1) is x alone, and serves both axes."""
    total = _total(arguments)
    return _with_offsets(arguments, np.broadcast_to(total[:, :, :1], total.shape))


def broadcast_offsets(**arguments: Any) -> Any:
    """D2: one offset for the whole batch."""
    total = _total(arguments)
    return _with_offsets(arguments, np.broadcast_to(total[:1, :, :, :1], total.shape))


def _whole_images(arguments: dict[str, Any], at_once: int) -> Any:
    """Translate the whole padded object once per patch, ``at_once`` of them at a time, and slice."""
    import tensorflow as tf

    from ptycho import tf_helper

    N, channels = arguments["N"], arguments["gridsize"] ** 2
    total = _total(arguments).astype(np.float32)
    offsets = np.swapaxes(total[:, 0], 1, 2).reshape(-1, 2)
    padded = tf.constant(np.pad(arguments["gt_image"], N // 2)[None, ..., None])
    pieces = [
        tf_helper.translate(tf.repeat(padded, len(some), axis=0), -tf.constant(some))[:, :N, :N, 0]
        for some in (offsets[at : at + at_once] for at in range(0, len(offsets), at_once))
    ]
    grouped = tf.reshape(tf.concat(pieces, axis=0), [len(total), channels, N, N])
    return tf.cast(tf.transpose(grouped, [0, 2, 3, 1]), tf.complex64)


def tiled_object(**arguments: Any) -> Any:
    """D3: as many copies of the padded object as there are patches."""
    return _whole_images(arguments, len(_total(arguments)) * arguments["gridsize"] ** 2)


def mini_batches(**arguments: Any) -> Any:
    """D4: four copies at a time save memory and win next to nothing."""
    return _whole_images(arguments, 4)


def raised_tolerance(**arguments: Any) -> Any:
    """D5: off by 0.002."""
    return _right(**arguments) + np.complex64(0.002)


def swapped_axes(**arguments: Any) -> Any:
    """D6: rows for columns."""
    return _with_offsets(arguments, _total(arguments)[:, :, ::-1])


def _edge_padded(arguments: dict[str, Any], total: NDArray[Any]) -> NDArray[np.complex64]:
    N, image = arguments["N"], arguments["gt_image"]
    larger = np.pad(image, 2 * N, mode="edge")
    return _with_offsets({**arguments, "gt_image": larger}, total + 2 * N)


def clamped_edge(**arguments: Any) -> Any:
    """D7: outside the object its edge goes on."""
    return _edge_padded(arguments, _total(arguments))


def fails_when_large(**arguments: Any) -> Any:
    """D8: room for 200 patches."""
    import tensorflow as tf

    out = _right(**arguments)
    flat = tf.constant(np.moveaxis(out, 3, 1).reshape(-1, out.shape[1], out.shape[2]))
    room = tf.reshape(flat, [min(200, flat.shape[0]), out.shape[1], out.shape[2]])
    return tf.transpose(tf.reshape(room, np.moveaxis(out, 3, 1).shape), [0, 2, 3, 1])


def other_fallback(**arguments: Any) -> Any:
    """D10: the path without XLA moves content the opposite way, clamps, and tiles offsets where it should repeat."""
    total = _total(arguments)
    flat = np.swapaxes(total[:, 0], 1, 2).reshape(-1, 2)
    tiled = np.swapaxes(flat.reshape(total.shape[3], total.shape[0], 2), 0, 1)
    return _edge_padded(arguments, -np.swapaxes(tiled, 1, 2)[:, None])


def one_element(**arguments: Any) -> Any:
    """One element wrong by 2e-6."""
    out = _right(**arguments)
    out.flat[out.size // 3] += np.complex64(2e-6)
    return out


def wrong_dtype(**arguments: Any) -> Any:
    """Give the right values as complex128."""
    return _right(**arguments).astype(np.complex128)


def unwritten_patch(**arguments: Any) -> Any:
    """Leave the last channel of the last group as the memory was."""
    right = _right(**arguments)
    out = np.empty_like(right)
    out[:-1] = right[:-1]
    out[-1, ..., :-1] = right[-1, ..., :-1]
    return out


def slow_inside(**arguments: Any) -> Any:
    """Fast by its name only."""
    from validation.kernels.patches.implementations import extract_iterative

    return extract_iterative(**arguments)


def prints_and_hangs(**arguments: Any) -> Any:
    """Never returns, and looks alive."""
    import sys

    while True:
        sys.stdout.write("still working\n")
        sys.stdout.flush()
        time.sleep(0.05)


def takes_all_memory(**arguments: Any) -> Any:
    """Ask for memory until none is left."""
    taken = []
    while True:
        taken.append(np.ones(64 * _MEBIBYTE // 8))


def kept_result(**arguments: Any) -> Any:
    """Give the first result for ever."""
    if not _kept:
        _kept.append(_right(**arguments))
    return _kept[0]


def batch_dependent(**arguments: Any) -> Any:
    """Above four groups the last bit of the real part is another."""
    out = _right(**arguments)
    if len(out) > 4:
        _other_rounding(out)
    return out


def half_pixel(**arguments: Any) -> Any:
    """Sample half a pixel to the right."""
    return _with_offsets(arguments, _total(arguments) + np.array([0.5, 0.0])[:, None])


def _other_rounding(part: NDArray[np.complex64]) -> None:
    part.real[...] = np.nextafter(part.real, np.float32(2))


def order_dependent(**arguments: Any) -> Any:
    """Round the first group of the batch another way, whichever it is."""
    out = _right(**arguments)
    _other_rounding(out[:1])
    return out


def changes_inputs(**arguments: Any) -> Any:
    """Sum the offsets in the caller's array."""
    out = _right(**arguments)
    arguments["local_offsets"] += arguments["global_offsets"]
    return out


def thread_dependent(**arguments: Any) -> Any:
    """Round another way where only one thread may run."""
    import os

    out = _right(**arguments)
    if os.environ.get("TF_NUM_INTRAOP_THREADS") == "1":
        _other_rounding(out)
    return out


def tracemalloc_meter(**arguments: Any) -> Any:
    """Read the blocks of the calibration by what tracemalloc saw; the result is the readings, bytes."""
    import importlib
    import tracemalloc

    import tensorflow  # noqa: F401  # whose block is read, too

    calibration = importlib.import_module("validation.child.calibration")  # this is what it replaces the meter of

    def traced(function: Callable[[], float]) -> tuple[int, int, float]:
        tracemalloc.start()
        try:
            result = function()
            return 0, tracemalloc.get_traced_memory()[1], result
        finally:
            tracemalloc.stop()

    return np.array([check.measured for check in calibration.memory_meter(traced)])


def _last(arguments: dict[str, Any], seconds: float, first_s: float | None = None) -> NDArray[np.complex64]:
    """Give the right result and last that long; the first call of the process ``first_s``."""
    first = not _lasted
    _lasted.append(seconds)
    deadline = time.perf_counter() + (first_s if first and first_s is not None else seconds)
    out = _right(**arguments)
    while time.perf_counter() < deadline:
        pass
    return out


def lasts_200_ms(**arguments: Any) -> Any:
    """Clock standard: the slow arm, and slower still when cold.

    A first call is one reading, and a busy machine adds milliseconds to it.
    """
    return _last(arguments, 0.2, first_s=1.5)


def lasts_100_ms(**arguments: Any) -> Any:
    """Clock standard: twice as fast."""
    return _last(arguments, 0.1)


def lasts_22_ms(**arguments: Any) -> Any:
    """Clock standard: nine times as fast."""
    return _last(arguments, 0.2 / 9)


def lasts_10_ms(**arguments: Any) -> Any:
    """Clock standard: twenty times as fast."""
    return _last(arguments, 0.01)


def lasts_5_ms(**arguments: Any) -> Any:
    """Clock standard: forty times as fast."""
    return _last(arguments, 0.005)


def starts_slowly(**arguments: Any) -> Any:
    """Last 10 ms, and 300 in the first call."""
    return _last(arguments, 0.01, first_s=0.3)


def _hold(arguments: dict[str, Any], mebibytes: int) -> NDArray[np.complex64]:
    block = np.ones(mebibytes * _MEBIBYTE // 8)
    return _right(**arguments) * np.complex64(block[-1])


def holds_100_mib(**arguments: Any) -> Any:
    """Memory standard: the reference."""
    return _hold(arguments, 100)


def holds_105_mib(**arguments: Any) -> Any:
    """Memory standard: within the limit."""
    return _hold(arguments, 105)


def holds_130_mib(**arguments: Any) -> Any:
    """Memory standard: above the limit."""
    return _hold(arguments, 130)
