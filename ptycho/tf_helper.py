"""Layouts of patches, padding, translation, and putting patches back together."""

from __future__ import annotations

import tensorflow as tf

from ptycho.checks import check_patches, flat_positions
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


def _adjusted_offsets(global_offsets):
    """Offsets minus their mean, float32, and the even padding that holds the largest of them."""
    positions = flat_positions(global_offsets, "global_offsets")
    center = tf.cast(tf.reduce_mean(tf.cast(positions, tf.float64), axis=0), tf.float32)
    adjusted = tf.cast(positions, tf.float32) - center
    size = tf.cast(tf.math.ceil(tf.reduce_max(tf.abs(adjusted))), tf.int32)
    return adjusted, size + size % 2


def shift_and_sum_old(obj_tensor, global_offsets, M=10):
    """Add the central parts of patches at their positions, one whole canvas per patch: the reference.

    Parameters
    ----------
    obj_tensor : tensor, shape (P, N, N, 1), complex64
    global_offsets : tensor, shape (P, 1, 1, 2) or (P, 1, 2, 1), float
        [x, y] in pixels.
    M : int
        Size of the central part that is kept.

    Returns
    -------
    tensor, shape (S, S, 1), complex64
        ``S = M + 2 * pad``, ``pad = ceil(max |offset - mean offset|)`` made even.
    """
    obj_tensor = check_patches(obj_tensor, global_offsets, M)
    adjusted, size = _adjusted_offsets(global_offsets)
    parts = _central_part(obj_tensor, M)
    canvas = tf.zeros([M + 2 * size, M + 2 * size, 1], obj_tensor.dtype)
    for index in range(int(obj_tensor.shape[0])):
        padded = pad(parts[index : index + 1], size)
        canvas += translate(padded, adjusted[index : index + 1])[0]
    return canvas


def reassemble_position_old(obj_tensor, global_offsets, M=10):
    """Average overlapping patches into one object: `shift_and_sum_old` over the sum of ones.

    Parameters and shapes are those of `shift_and_sum_old`.
    """
    total = shift_and_sum_old(obj_tensor, global_offsets, M)
    count = shift_and_sum_old(tf.ones_like(obj_tensor), global_offsets, M)
    return total / (1e-9 + count)
