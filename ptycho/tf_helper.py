"""Layouts of patches, padding, translation, and putting patches back together."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ptycho import native
from ptycho.checks import check_integer, check_patches, check_tensor
from ptycho.placement import default_chunk_size, place_graph, place_native
from ptycho.projective_warp_xla import translate_xla


def _channel_to_flat(patches):
    """(B, h, w, c) to (B*c, h, w, 1); patch ``b*c + k`` is channel k of group b."""
    shape = tf.shape(patches)
    moved = tf.transpose(patches, [0, 3, 1, 2])
    return tf.reshape(moved, [shape[0] * shape[3], shape[1], shape[2], 1])


def _flat_to_channel(patches, channels):
    """(B*c, h, w, 1) to (B, h, w, c), the inverse of `_channel_to_flat` for ``c = channels``."""
    shape = tf.shape(patches)
    grouped = tf.reshape(patches, [shape[0] // channels, channels, shape[1], shape[2]])
    return tf.transpose(grouped, [0, 2, 3, 1])


def pad(images, size):
    """Put ``size`` pixels of zeros around images (b, H, W, channels); dtype is kept."""
    images = check_tensor(images, "images")
    if images.shape.rank != 4:
        raise ValueError(f"images must have shape (b, H, W, channels), got {images.shape}")
    if not tf.is_tensor(size):
        check_integer("size", size, 0)
    return tf.pad(images, [[0, 0], [size, size], [size, size], [0, 0]])


def translate(imgs, offsets, interpolation="bilinear"):
    """Move the content of images by +offset; what comes in from outside is zero.

    Parameters
    ----------
    imgs : tensor, shape (b, H, W, 1)
        Real or complex; shape and dtype are kept.
    offsets : tensor, shape (b, 2)
        [dx, dy] in pixels, x = column first.
    interpolation : {'bilinear', 'nearest'}

    Returns
    -------
    tensor, shape (b, H, W, 1)

    Raises
    ------
    ValueError
        As `ptycho.projective_warp_xla.translate_xla`.
    """
    return translate_xla(imgs, offsets, interpolation=interpolation)


def _central_part(obj_tensor, M):
    """Cut the central M x M of patches (P, N, N, 1)."""
    start = tf.shape(obj_tensor)[1] // 2 - M // 2
    return obj_tensor[:, start : start + M, start : start + M, :]


def _adjusted_offsets(positions):
    """Subtract the mean of positions (P, 2); return float32 offsets and the even padding that holds them."""
    center = tf.cast(tf.reduce_mean(tf.cast(positions, tf.float64), axis=0), tf.float32)
    adjusted = tf.stop_gradient(tf.cast(positions, tf.float32) - center)
    size = tf.cast(tf.math.ceil(tf.reduce_max(tf.abs(adjusted))), tf.int32)
    return adjusted, size + size % 2


def shift_and_sum_old(obj_tensor, global_offsets, M=10):
    """Add the central parts of patches at their positions, one whole canvas per patch: the reference.

    Arguments, result and errors are those of `shift_and_sum`; works eagerly only.
    """
    if not tf.executing_eagerly():
        raise ValueError("the loop over canvases works eagerly only; inside tf.function call shift_and_sum")
    obj_tensor, positions = check_patches(obj_tensor, global_offsets, M)
    obj_tensor = tf.convert_to_tensor(obj_tensor)
    adjusted, size = _adjusted_offsets(positions)
    parts = _central_part(obj_tensor, M)
    canvas = tf.zeros([M + 2 * size, M + 2 * size, 1], obj_tensor.dtype)
    for index in range(int(obj_tensor.shape[0])):
        padded = pad(parts[index : index + 1], size)
        canvas += translate(padded, adjusted[index : index + 1])[0]
    return canvas


def reassemble_position_old(obj_tensor, global_offsets, M=10):
    """Average overlapping patches into one object: `shift_and_sum_old` over the sum of ones.

    Arguments, result and errors are those of `shift_and_sum`; works eagerly only.
    """
    total = shift_and_sum_old(obj_tensor, global_offsets, M)
    count = shift_and_sum_old(tf.ones_like(obj_tensor), global_offsets, M)
    return total / (1e-9 + count)


def shift_and_sum(obj_tensor, global_offsets, M=10, chunk_size=None, canvas_pad=None):
    """Add the central parts of patches at their positions.

    Each part moves by its offset minus the mean offset (float32) and is added, in patch order, to the
    few canvas pixels it reaches. Works inside ``tf.function`` with an unknown number of patches. Gradients
    flow to the patches, not to the offsets.

    Parameters
    ----------
    obj_tensor : tensor or array, shape (P, N, N, 1), complex64
    global_offsets : tensor, shape (P, 1, 1, 2) or (P, 1, 2, 1), float
        [x, y] in pixels, x = column first.
    M : int
        Size of the central part that is kept, even.
    chunk_size : int, optional
        Patches in work at a time where the sum is made by TensorFlow operations (inside ``tf.function``,
        or without llvmlite); bounds the memory, changes no bit.
    canvas_pad : int, optional
        The ``pad`` below, where the size of the canvas must be known beforehand, as inside a function of the caller's
        own with ``jit_compile=True``. At least as large as what it stands for.

    Returns
    -------
    tensor, shape (S, S, 1), complex64
        ``S = M + 2 * pad``, ``pad = ceil(max |offset - mean offset|)`` made even.

    Raises
    ------
    ValueError
        If a shape or dtype is not as above, there is no patch, an offset is not finite, or ``canvas_pad`` is too small
        (inside ``tf.function`` an InvalidArgumentError when it runs; XLA leaves that check out).

    Warns
    -----
    UserWarning
        If float32, in which the mean offset is subtracted, resolves the offsets no finer than 1e-3 pixel.
    """
    total, _ = _placed(obj_tensor, global_offsets, M, chunk_size, canvas_pad, counted=False)
    return total[:, :, tf.newaxis]


def reassemble_position(obj_tensor, global_offsets, M=10, chunk_size=None, canvas_pad=None):
    """Average overlapping patches into one object.

    The sum of `shift_and_sum` over the same sum for patches of ones (plus 1e-9); both come from one pass
    over the weights. Arguments, result and errors are those of `shift_and_sum`.
    """
    total, count = _placed(obj_tensor, global_offsets, M, chunk_size, canvas_pad, counted=True)
    return (total / (1e-9 + count))[:, :, tf.newaxis]


def _checked_pad(canvas_pad, needed):
    """Return the padding that the caller gave; raise ValueError if it is less than needed."""
    check_integer("canvas_pad", canvas_pad, 0)
    message = "canvas_pad must be at least ceil(max |offset - mean offset|) made even"
    if not tf.executing_eagerly():
        tf.debugging.assert_less_equal(needed, int(canvas_pad), message)
        return int(canvas_pad)
    if canvas_pad < int(needed):
        raise ValueError(f"{message}, {int(needed)} for these offsets, got {canvas_pad}")
    return int(canvas_pad)


def _placed(obj_tensor, global_offsets, M, chunk_size, canvas_pad, counted):
    """Return the canvas (S, S) of `shift_and_sum` and, if ``counted``, that of ones (else None)."""
    patches, positions = check_patches(obj_tensor, global_offsets, M)
    if chunk_size is None:
        chunk_size = default_chunk_size(M)
    check_integer("chunk_size", chunk_size, 1)
    adjusted, size = _adjusted_offsets(positions)
    if canvas_pad is not None:
        size = _checked_pad(canvas_pad, size)

    def central(patches):
        return tf.ensure_shape(_central_part(patches, M)[..., 0], [None, M, M])

    def by_operations(parts, counted=False):
        return place_graph(parts, adjusted, size, M + 2 * size, chunk_size, counted)

    if tf.executing_eagerly() and native.available():
        extent = M + 2 * int(size)
        count = np.zeros((extent, extent), np.float32) if counted else None

        def place(patches):
            canvas = native.empty_aligned((extent, extent), np.complex64)
            canvas.fill(0)
            place_native(native.as_array(patches)[..., 0], native.as_array(adjusted), M, int(size), canvas, count)
            return native.as_tensor(canvas)

        @tf.custom_gradient
        def place_on_tape(patches):
            def gradient(upstream):
                with tf.GradientTape() as tape:
                    tape.watch(patches)
                    total, _ = by_operations(central(patches))
                return tape.gradient(total, patches, output_gradients=upstream)

            return place(patches), gradient

        # No tape watches an array, and custom_gradient would copy it.
        total = place(patches) if isinstance(patches, np.ndarray) else place_on_tape(patches)
        return total, tf.complex(count, tf.zeros_like(count)) if counted else None
    return by_operations(central(patches), counted)
