"""Checks of array arguments, in one place. Each says what was expected and what came."""

from __future__ import annotations

import os
import warnings

import numpy as np
import tensorflow as tf

from ptycho.native import as_array

_FINE_ENOUGH = 1e-3  # pixel


def check_tensor(value, name):
    """Make a tensor of an argument; what cannot be one raises ValueError with the argument's name."""
    if isinstance(value, np.ndarray) and not value.dtype.isnative:  # TensorFlow takes no notice of the byte order
        value = value.astype(value.dtype.newbyteorder("="))
    try:
        return tf.convert_to_tensor(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__} ({error})") from None


def memory_bytes():
    """Return the memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(needed, what):
    """Raise ValueError if ``needed`` bytes are more than the machine has; ``what`` says what they are for."""
    present = memory_bytes()
    needed = min(needed, 1e300)  # an integer may be too large to be written as a float
    if not needed <= present:
        raise ValueError(f"{what} must fit in memory: {needed:.3g} bytes are needed, the machine has {present:.3g}")


def check_integer(name, value, minimum=None):
    """Raise ValueError unless ``value`` is an integer of Python or NumPy and at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def check_N_and_gridsize(N, gridsize):
    """Return both as Python's integers; raise ValueError unless N is even and positive and gridsize positive."""
    if isinstance(N, bool) or not isinstance(N, (int, np.integer)) or N < 2 or N % 2:
        raise ValueError(f"N must be an even positive integer, got {N!r}")
    if isinstance(gridsize, bool) or not isinstance(gridsize, (int, np.integer)) or gridsize < 1:
        raise ValueError(f"gridsize must be a positive integer, got {gridsize!r}")
    N, gridsize = int(N), int(gridsize)
    check_memory(8 * (N * gridsize) ** 2, f"one group of patches (N {N}, gridsize {gridsize})")
    return N, gridsize


def check_object(gt_image):
    """Return the object (H, W) as complex64 or complex128; real input is made complex.

    A complex NumPy array stays one, for a tensor of it would be a copy; anything else becomes a tensor.
    """
    complex_array = type(gt_image) is np.ndarray and gt_image.dtype in (np.complex64, np.complex128)
    image = gt_image if complex_array else check_tensor(gt_image, "gt_image")
    shape = tf.TensorShape(image.shape)
    if shape.rank != 2 or 0 in tuple(shape):
        raise ValueError(f"gt_image must be a non-empty object of shape (H, W), got shape {tuple(shape)}")
    if complex_array or image.dtype in (tf.complex64, tf.complex128):
        return image
    if image.dtype == tf.float64:
        return tf.cast(image, tf.complex128)
    if image.dtype.is_floating or image.dtype.is_integer:
        return tf.cast(image, tf.complex64)
    raise ValueError(f"gt_image must be real or complex, got {image.dtype.name}")


def check_finite(offsets, name):
    """Return offsets; raise ValueError if an array holds a NaN or an infinity.

    A symbolic tensor is looked at when it runs, and raises InvalidArgumentError.
    """
    if not isinstance(offsets, np.ndarray):
        return tf.debugging.check_numerics(offsets, f"{name} must be finite")
    bad = np.count_nonzero(~np.isfinite(offsets))
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} values that are NaN or infinite")
    return offsets


def _real_offsets(offsets, name):
    """Return offsets as float32 or float64: a NumPy array, inside ``tf.function`` a tensor.

    NumPy, because a dozen TensorFlow operations on a few numbers cost a millisecond.
    """
    if not tf.executing_eagerly():
        tensor = check_tensor(offsets, name)
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
            raise ValueError(f"{name} must be real numbers, got {tensor.dtype.name}")
        return tensor if tensor.dtype == tf.float32 else tf.cast(tensor, tf.float64)
    try:
        array = as_array(offsets)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be an array of real numbers, got {type(offsets).__name__} ({error})") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be real numbers, got {array.dtype.name}")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _library(value):
    """Return the library whose functions take ``value``: NumPy or TensorFlow."""
    return np if isinstance(value, np.ndarray) else tf


def _cast(value, dtype):
    """Cast; what is too large for float32 becomes infinite, in NumPy as silently as in TensorFlow."""
    with np.errstate(over="ignore"):
        return value.astype(dtype, copy=False) if isinstance(value, np.ndarray) else tf.cast(value, dtype)


def flat_positions(offsets, name):
    """Return offsets (P,1,2,1) or (P,1,1,2) as (P, 2) [x, y]; raise ValueError for any other shape."""
    value = _real_offsets(offsets, name)
    if len(value.shape) != 4 or tuple(value.shape[1:]) not in ((1, 2, 1), (1, 1, 2)):
        raise ValueError(f"{name} must have shape (P, 1, 2, 1) or (P, 1, 1, 2), got {tuple(value.shape)}")
    return _library(value).reshape(check_finite(value, name), [-1, 2])


def group_offsets(global_offsets, local_offsets, gridsize):
    """Add global and local offsets and flatten them: in NumPy, inside ``tf.function`` in TensorFlow.

    Parameters
    ----------
    global_offsets : tensor, shape (B, 1, 2, 1) or (B, 1, 1, 2)
    local_offsets : tensor, shape (B, 1, 2, c) or (B, g, g, 2)
        ``c = g * g``; axis with two entries = [x, y], pixels.
    gridsize : int

    Returns
    -------
    array or tensor, shape (B*c, 1, 2, 1), float32
        Patch ``b*c + k`` = group b, channel k; summed in float64 and rounded once.

    Raises
    ------
    ValueError
        If a shape does not fit, the numbers of groups differ, or a value is not finite.
    """
    c = gridsize * gridsize
    total = _cast(_real_offsets(global_offsets, "global_offsets"), np.float64)
    local = _cast(_real_offsets(local_offsets, "local_offsets"), np.float64)
    library = _library(total)
    if len(total.shape) != 4 or tuple(total.shape[1:]) not in ((1, 2, 1), (1, 1, 2)):
        raise ValueError(f"global_offsets must have shape (B, 1, 2, 1) or (B, 1, 1, 2), got {tuple(total.shape)}")
    per_channel, per_grid = (1, 2, c), (gridsize, gridsize, 2)
    if len(local.shape) != 4 or tuple(local.shape[1:]) not in (per_channel, per_grid):
        raise ValueError(
            f"local_offsets must have shape (B, 1, 2, {c}) or (B, {gridsize}, {gridsize}, 2) "
            f"for gridsize {gridsize}, got {tuple(local.shape)}"
        )
    if None not in (total.shape[0], local.shape[0]) and total.shape[0] != local.shape[0]:
        raise ValueError(
            f"global_offsets and local_offsets must have the same number of groups, "
            f"got {total.shape[0]} and {local.shape[0]}"
        )
    if library is tf:  # a number that is unknown here is known when the function runs
        message = "global_offsets and local_offsets must have the same number of groups"
        tf.debugging.assert_equal(tf.shape(total)[0], tf.shape(local)[0], message)
    if tuple(local.shape[1:]) == per_channel:
        local = library.transpose(local, [0, 3, 1, 2])  # (B, c, 1, 2)
    local = library.reshape(local, [-1, c, 2])
    with np.errstate(invalid="ignore"):  # infinities of both signs; refused below
        flat = _cast(library.reshape(total, [-1, 1, 2]) + local, np.float32)
    return library.reshape(check_finite(flat, "global_offsets + local_offsets"), [-1, 1, 2, 1])


def check_patch_size(N, B, c):
    """Raise ValueError unless patches (B, N, N, c) have a size and fit in memory; B may be None."""
    check_integer("N", N, 1)
    check_memory(8 * (B or 1) * N * N * c, f"{B} groups of {c} patches (N {N})")


def check_flat_offsets(offsets_f, B, c):
    """Return flat offsets (B*c,1,2,1) or (B*c,1,1,2) as float32 (B*c, 2) [x, y]."""
    check_integer("c", c, 1)
    if B is not None or tf.executing_eagerly():
        check_integer("B", B, 0)
    positions = flat_positions(offsets_f, "offsets_f")
    count = positions.shape[0]
    if None not in (count, B) and count != B * c:
        raise ValueError(f"offsets_f must hold B*c = {B}*{c} = {B * c} offsets, got {count}")
    positions = _cast(positions, np.float32)
    return check_finite(positions, "offsets_f in float32")


def check_padded(gt_padded):
    """Return the padded object (1, H, W, 1) as a tensor; raise ValueError for any other shape or dtype."""
    padded = check_tensor(gt_padded, "gt_padded")
    if padded.shape.rank != 4 or padded.shape[0] != 1 or padded.shape[3] != 1:
        raise ValueError(f"gt_padded must have shape (1, H, W, 1), got {padded.shape}")
    if padded.dtype not in (tf.complex64, tf.complex128):
        raise ValueError(f"gt_padded must be complex64 or complex128, got {padded.dtype.name}")
    return padded


def _assert_canvas(positions, M):
    """Give an assertion of what `_check_canvas` checks, for symbolic positions (P, 2)."""
    center = tf.cast(tf.reduce_mean(tf.cast(positions, tf.float64), axis=0), tf.float32)
    reach = tf.maximum(tf.reduce_max(tf.abs(tf.cast(positions, tf.float32) - center)), 0.0)
    needed = 8 * (M + 2 * tf.cast(reach, tf.float64)) ** 2
    present = tf.constant(float(memory_bytes()), tf.float64)
    return tf.debugging.assert_less_equal(
        needed, present, "global_offsets (in pixels) must span a canvas that fits in memory"
    )


def _check_canvas(positions, M):
    """Raise ValueError unless the canvas of patches at eager positions (P, 2) has a size and fits in memory."""
    center = positions.mean(axis=0, dtype=np.float64).astype(np.float32)
    reach = np.abs(positions.astype(np.float32) - center).max()
    if not np.isfinite(reach):
        raise ValueError("global_offsets must lie in the range of float32 about their mean, got larger ones")
    side = M + 2 * float(reach)
    check_memory(8 * side**2, f"a canvas of {side:.0f} x {side:.0f} pixels that holds all global_offsets (in pixels)")


def _warn_of_large_offsets(positions):
    """Warn where float32 resolves eager positions (P, 2) no finer than a thousandth of a pixel."""
    largest = np.abs(positions).max()
    spacing = np.spacing(np.float32(largest))
    if spacing > _FINE_ENOUGH:
        warnings.warn(
            f"global_offsets reach {largest:.10g} pixels, where float32 numbers are {spacing:.3g} pixels apart, and "
            "the mean offset is subtracted in float32; subtract a common origin from the offsets first, in float64",
            stacklevel=5,
        )


def check_patches(obj_tensor, global_offsets, M):
    """Return patches (P, N, N, 1) complex64 and positions (P, 2), checked against each other and M.

    A NumPy array stays one where execution is eager: it may be large, and is read in place.
    """
    patches = obj_tensor if isinstance(obj_tensor, np.ndarray) else check_tensor(obj_tensor, "obj_tensor")
    shape = tf.TensorShape(patches.shape)
    if shape.rank != 4 or shape[1] != shape[2] or shape[3] != 1:
        raise ValueError(f"obj_tensor must have shape (P, N, N, 1), got {tuple(patches.shape)}")
    expected = np.complex64 if isinstance(patches, np.ndarray) else tf.complex64  # TensorFlow ignores the byte order
    if patches.dtype != expected:
        raise ValueError(f"obj_tensor must be complex64 in native byte order, got {patches.dtype!r}")
    if shape[0] == 0:
        raise ValueError("obj_tensor must hold at least one patch, got 0: the canvas has no size")
    if isinstance(M, bool) or not isinstance(M, int) or M < 2 or M % 2:
        raise ValueError(f"M must be an even positive integer, got {M!r}")
    if shape[1] is not None and shape[1] < M:
        raise ValueError(f"M must be at most N = {shape[1]}, got {M}")
    positions = flat_positions(global_offsets, "global_offsets")
    if not tf.executing_eagerly():  # what is unknown here is known when the function runs
        patches = tf.convert_to_tensor(patches)
        count, size = tf.shape(patches)[0], tf.shape(patches)[1]
        held = tf.shape(positions)[0]
        checks = [
            _assert_canvas(positions, M),
            tf.debugging.assert_positive(count, "obj_tensor must hold at least one patch"),
            tf.debugging.assert_greater_equal(size, M, "M must be at most N"),
            tf.debugging.assert_equal(held, count, "global_offsets must hold one offset per patch"),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):  # None: known to hold
            patches, positions = tf.identity(patches), tf.identity(positions)
    if None not in (shape[0], positions.shape[0]) and shape[0] != positions.shape[0]:
        raise ValueError(f"global_offsets must hold one offset per patch ({shape[0]}), got {positions.shape[0]}")
    if tf.executing_eagerly():
        with np.errstate(over="ignore", invalid="ignore"):
            _check_canvas(as_array(positions), M)
        _warn_of_large_offsets(as_array(positions))
    return patches, positions
