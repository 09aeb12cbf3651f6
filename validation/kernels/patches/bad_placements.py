"""Known-bad implementations of reassembly.

Each is right except for its defect: the oracle computes what is not the point. All have the signature of the
kernel's function; the catalogue is `validation.kernels.patches.mutants`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches.oracle import canvas_size
from validation.kernels.patches.oracle import shift_and_sum as _right

# A chunk that divides no number of patches in the gallery.
_CHUNK = 64


def _flat(arguments: dict[str, Any]) -> NDArray[np.float64]:
    """Offsets (P, 2) [x, y]."""
    return np.asarray(arguments["global_offsets"], np.float64).reshape(-1, 2)


def _adjusted(arguments: dict[str, Any]) -> NDArray[np.float32]:
    """Offsets (P, 2) from their mean."""
    flat = _flat(arguments)
    return np.asarray(flat.astype(np.float32) - flat.mean(axis=0).astype(np.float32))


def placed_swapped(**arguments: Any) -> Any:
    """D6 of the twin problem: rows for columns."""
    return _right(**{**arguments, "global_offsets": _flat(arguments)[:, None, None, ::-1]})


def _about_the_middle(patches: NDArray[Any], offsets: NDArray[Any], M: int, side: int) -> NDArray[np.complex64]:
    """Place patches at offsets (P, 2) from the middle of a canvas, whatever their mean.

    Every patch gets an empty one at the mirror image of its place, so that the mean is zero.
    """
    empty = np.zeros_like(patches)
    canvas = _right(
        np.concatenate([patches, empty]), np.concatenate([offsets, -offsets]).astype(np.float64)[:, None, None], M
    )
    out = np.zeros((side, side, 1), np.complex64)
    least = min(side, len(canvas))
    to, of = (side - least) // 2, (len(canvas) - least) // 2
    out[to : to + least, to : to + least] = canvas[of : of + least, of : of + least]
    return out


def placed_by_one_axis(**arguments: Any) -> Any:
    """D2 of the twin problem: x serves both axes; the canvas is as large as it should be."""
    adjusted = _adjusted(arguments)
    side = canvas_size(arguments["global_offsets"], arguments["M"])
    return _about_the_middle(arguments["obj_tensor"], np.repeat(adjusted[:, :1], 2, axis=1), arguments["M"], side)


def mean_kept(**arguments: Any) -> Any:
    """Leave the mean offset in: all content lies beside its place, and is cut off at the canvas."""
    side = canvas_size(arguments["global_offsets"], arguments["M"])
    return _about_the_middle(arguments["obj_tensor"], _flat(arguments), arguments["M"], side)


def last_one_wins(**arguments: Any) -> Any:
    """Assign where it should add: of overlapping patches the last one is left."""
    side = canvas_size(arguments["global_offsets"], arguments["M"])
    out = np.zeros((side, side, 1), np.complex64)
    for patch, offset in zip(arguments["obj_tensor"], _adjusted(arguments), strict=True):
        placed = _about_the_middle(patch[None], offset[None], arguments["M"], side)
        out = np.where(placed != 0, placed, out)
    return out


def rest_forgotten(**arguments: Any) -> Any:
    """Leave out the last chunk where it is not a whole one."""
    patches = arguments["obj_tensor"].copy()
    patches[len(patches) // _CHUNK * _CHUNK :] = 0
    return _right(**{**arguments, "obj_tensor": patches})


def canvas_per_patch(**arguments: Any) -> Any:
    """D3 of the twin problem: as many canvases at once as there are patches."""
    import tensorflow as tf

    from ptycho import tf_helper

    patches, M = arguments["obj_tensor"], arguments["M"]
    side = canvas_size(arguments["global_offsets"], M)
    start, before = patches.shape[1] // 2 - M // 2, (side - M) // 2
    parts = tf.constant(patches[:, start : start + M, start : start + M])
    canvases = tf.pad(parts, [[0, 0], [before, side - M - before], [before, side - M - before], [0, 0]])
    return tf.reduce_sum(tf_helper.translate(canvases, tf.constant(_adjusted(arguments))), axis=0)
