"""The warp engine: batched translation of images with sub-pixel offsets.

One expression serves every path. Compiled by XLA (`use_jit=True`) or run as it stands, it differs by
at most the contraction of a multiplication and an addition into one rounding.
"""

from __future__ import annotations

import tensorflow as tf

from ptycho.checks import check_tensor

INTERPOLATIONS = ("bilinear", "nearest")
FILL_MODES = ("zeros", "edge")


def _source_index(size, shift, coordinate_dtype, interpolation):
    """Per-image source coordinates along one axis: lower index (int32, clamped just outside) and weight."""
    coordinate = tf.cast(tf.range(size), coordinate_dtype)[tf.newaxis, :] - shift[:, tf.newaxis]
    if interpolation == "nearest":
        lower = tf.floor(coordinate + 0.5)
        weight = tf.zeros_like(coordinate)
    else:
        lower = tf.floor(coordinate)
        weight = coordinate - lower
    # Everything at -2 or below, and at size or above, lies outside with both neighbours.
    clamped = tf.clip_by_value(lower, tf.cast(-2, coordinate_dtype), tf.cast(size, coordinate_dtype))
    return tf.cast(clamped, tf.int32), weight


def _corner(plane, y, x, fill_mode):
    """Pixels ``plane[b, y[b], x[b], :]`` of shape (b, H, W, channels); what lies outside is filled."""
    height, width = tf.shape(plane)[1], tf.shape(plane)[2]
    rows = tf.gather(plane, tf.clip_by_value(y, 0, height - 1), axis=1, batch_dims=1)
    pixels = tf.gather(rows, tf.clip_by_value(x, 0, width - 1), axis=2, batch_dims=1)
    if fill_mode == "edge":
        return pixels
    inside = ((y >= 0) & (y < height))[:, :, tf.newaxis] & ((x >= 0) & (x < width))[:, tf.newaxis, :]
    return tf.where(inside[..., tf.newaxis], pixels, tf.zeros((), plane.dtype))


def _translate_plane(plane, translations, interpolation, fill_mode):
    """Translate real images (b, H, W, channels) by ``translations`` (b, 2) [dx, dy] of the same dtype."""
    height, width = tf.shape(plane)[1], tf.shape(plane)[2]
    x0, wx = _source_index(width, translations[:, 0], plane.dtype, interpolation)
    y0, wy = _source_index(height, translations[:, 1], plane.dtype, interpolation)
    if interpolation == "nearest":
        return _corner(plane, y0, x0, fill_mode)
    wx = wx[:, tf.newaxis, :, tf.newaxis]
    wy = wy[:, :, tf.newaxis, tf.newaxis]
    return (
        ((1 - wx) * (1 - wy)) * _corner(plane, y0, x0, fill_mode)
        + (wx * (1 - wy)) * _corner(plane, y0, x0 + 1, fill_mode)
        + ((1 - wx) * wy) * _corner(plane, y0 + 1, x0, fill_mode)
        + (wx * wy) * _corner(plane, y0 + 1, x0 + 1, fill_mode)
    )


def _translate(images, translations, interpolation, fill_mode):
    coordinate_dtype = images.dtype.real_dtype
    translations = tf.broadcast_to(tf.cast(translations, coordinate_dtype), [tf.shape(images)[0], 2])
    if not images.dtype.is_complex:
        return _translate_plane(images, translations, interpolation, fill_mode)
    return tf.complex(
        _translate_plane(tf.math.real(images), translations, interpolation, fill_mode),
        _translate_plane(tf.math.imag(images), translations, interpolation, fill_mode),
    )


_translate_jit = tf.function(_translate, jit_compile=True, reduce_retracing=True)


def translate_xla(images, translations, interpolation="bilinear", fill_mode="zeros", use_jit=True):
    """Move the content of images by sub-pixel translations.

    Output pixel (row i, column j) is the sample of the image at row ``i - dy``, column ``j - dx``.

    Parameters
    ----------
    images : tensor, shape (b, H, W, channels)
        float32, float64, complex64 or complex128. Complex images are sampled as real and imaginary part
        apart, in the precision of their parts.
    translations : tensor, shape (b, 2) or (1, 2)
        [dx, dy] in pixels, x = column first. One row is used for the whole batch.
    interpolation : {'bilinear', 'nearest'}
        'nearest' takes the pixel at ``floor(coordinate + 0.5)``.
    fill_mode : {'zeros', 'edge'}
        What a neighbour outside the image counts as, one by one: zero, or the nearest edge pixel.
    use_jit : bool
        Compile by XLA (default), or run the same operations without it.

    Returns
    -------
    tensor, shape (b, H, W, channels), dtype of ``images``

    Raises
    ------
    ValueError
        If a rank, size, dtype or option is not one of the above.
    """
    images = check_tensor(images, "images")
    translations = check_tensor(translations, "translations")
    if images.shape.rank != 4:
        raise ValueError(f"images must have shape (b, H, W, channels), got {images.shape}")
    if images.dtype not in (tf.float32, tf.float64, tf.complex64, tf.complex128):
        raise ValueError(f"images must be float32, float64, complex64 or complex128, got {images.dtype.name}")
    if translations.shape.rank != 2 or translations.shape[1] != 2:
        raise ValueError(f"translations must have shape (b, 2), got {translations.shape}")
    if not translations.dtype.is_floating:
        raise ValueError(f"translations must be floating point, got {translations.dtype.name}")
    batch, rows = images.shape[0], translations.shape[0]
    if batch is not None and rows is not None and rows not in (1, batch):
        raise ValueError(f"translations must have 1 row or one per image ({batch}), got {rows}")
    if not isinstance(interpolation, str) or interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")
    if not isinstance(fill_mode, str) or fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode must be one of {FILL_MODES}, got {fill_mode!r}")
    run = _translate_jit if use_jit else _translate
    return run(images, translations, interpolation, fill_mode)
