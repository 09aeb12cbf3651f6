"""Patches in bounded memory, for scans whose patches do not fit at once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ptycho import native
from ptycho.checks import check_flat_offsets
from ptycho.patches import extract
from ptycho.raw_data import check_arguments, chosen_chunk_size, pad_object, setting


def iter_patches(gt_image, global_offsets, local_offsets, batch_size, N=None, gridsize=None, config=None):
    """Iterate over the patches of a scan, some groups at a time.

    Parameters
    ----------
    gt_image, global_offsets, local_offsets, N, gridsize, config
        As in `ptycho.raw_data.get_image_patches`; the batched implementation is always used. An array is read
        where it is: do not write to it before the last step.
    batch_size : int
        Groups per step; the last step may hold fewer.

    Returns
    -------
    iterator of tensors, shape (batch_size, N, N, c), complex64
        The same bits as one call for all groups gives.

    Raises
    ------
    ValueError
        If an argument does not have the form that `get_image_patches` expects, or the number of groups is unknown
        (inside ``tf.function``). Raised before the first step.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
    image, offsets_f, N, B, c = check_arguments(gt_image, global_offsets, local_offsets, N, gridsize, config)
    if B is None:
        raise ValueError("iter_patches must know the number of groups; inside tf.function call get_image_patches")
    positions = check_flat_offsets(offsets_f, B, c)
    chunk_size = chosen_chunk_size(config)
    # An array is read in place by the compiled engine: a padded copy would cost a short stream a tenth of its time.
    in_place = tf.executing_eagerly() and isinstance(image, np.ndarray) and native.available()
    source = native.as_array(image)[np.newaxis, :, :, np.newaxis] if in_place else pad_object(image, N)

    def steps():
        for first in range(0, B, batch_size):
            count = min(batch_size, B - first)
            chosen = positions[first * c : (first + count) * c]
            if in_place:
                with tf.init_scope():  # eagerly, also where a function that is being traced asks for the next part
                    part = extract(source, chosen, N, count, c, chunk_size, border=N // 2)
            else:
                part = extract(source, chosen, N, count, c, chunk_size)
            yield part

    return steps()


def patch_dataset(gt_image, global_offsets, local_offsets, batch_size, N=None, gridsize=None, config=None):
    """Wrap `iter_patches` as a ``tf.data.Dataset``; arguments and errors are the same.

    Returns
    -------
    tf.data.Dataset
        Elements of shape (batch_size or fewer, N, N, c), complex64.
    """
    for name, value in (
        ("gt_image", gt_image), ("global_offsets", global_offsets), ("local_offsets", local_offsets)
    ):  # fmt: skip
        if tf.is_symbolic_tensor(value):
            raise ValueError(f"{name} must be an array or an eager tensor, got a tensor of the function being traced")
    N, gridsize = setting("N", N, config), setting("gridsize", gridsize, config)
    arguments = (gt_image, global_offsets, local_offsets, batch_size, N, gridsize, config)
    iter_patches(*arguments)  # an error belongs to this call, not to the first element
    signature = tf.TensorSpec([None, N, N, gridsize**2], tf.complex64)
    return tf.data.Dataset.from_generator(lambda: iter_patches(*arguments), output_signature=signature)
