"""Patches in bounded memory, for scans whose patches do not fit at once."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from ptycho import params
from ptycho.checks import check_N_and_gridsize
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import get_image_patches


def _model(N, gridsize, config):
    """Merge arguments over the config over the legacy dictionary; always batched."""
    model = config.model if config is not None else ModelConfig(N=params.get("N"), gridsize=params.get("gridsize"))
    N = model.N if N is None else N
    gridsize = model.gridsize if gridsize is None else gridsize
    check_N_and_gridsize(N, gridsize)
    return dataclasses.replace(model, N=N, gridsize=gridsize, use_batched_patch_extraction=True)


def iter_patches(gt_image, global_offsets, local_offsets, batch_size, N=None, gridsize=None, config=None):
    """Iterate over the patches of a scan, some groups at a time.

    Parameters
    ----------
    gt_image, global_offsets, local_offsets, N, gridsize, config
        As in `ptycho.raw_data.get_image_patches`; the batched implementation is always used.
    batch_size : int
        Groups per step; the last step may hold fewer.

    Yields
    ------
    tensor, shape (batch_size, N, N, c), complex64
        The same bits as one call for all groups gives.

    Raises
    ------
    ValueError
        If an argument does not have the form that `get_image_patches` expects. Raised before the first step.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
    settings = TrainingConfig(model=_model(N, gridsize, config))
    count = len(global_offsets)
    if len(local_offsets) != count:
        raise ValueError(
            "global_offsets and local_offsets must have the same number of groups, "
            f"got {count} and {len(local_offsets)}"
        )
    get_image_patches(gt_image, global_offsets[:0], local_offsets[:0], config=settings)  # checks the shapes

    def steps():
        for first in range(0, count, batch_size):
            part = slice(first, first + batch_size)
            yield get_image_patches(gt_image, global_offsets[part], local_offsets[part], config=settings)

    return steps()


def patch_dataset(gt_image, global_offsets, local_offsets, batch_size, N=None, gridsize=None, config=None):
    """Wrap `iter_patches` as a ``tf.data.Dataset``; arguments and errors are the same.

    Returns
    -------
    tf.data.Dataset
        Elements of shape (batch_size or fewer, N, N, c), complex64.
    """
    model = _model(N, gridsize, config)
    arguments = (gt_image, global_offsets, local_offsets, batch_size, N, gridsize, config)
    iter_patches(*arguments)  # an error belongs to this call, not to the first element
    signature = tf.TensorSpec([None, model.N, model.N, model.gridsize**2], tf.complex64)
    return tf.data.Dataset.from_generator(lambda: iter_patches(*arguments), output_signature=signature)
