"""The implementations by name, bound to their inputs, in whatever commit of ptycho is installed.

`require` says whether this commit has one; it runs no TensorFlow operation, so that the process may still
fork. What a commit lacks raises NotImplementedError, which asv shows as n/a. An import of ptycho that fails is
a failure and stays one, whatever it raises.
"""

import importlib

import numpy as np
import tensorflow as tf

from . import workloads
from .grid import M

FLAG = "use_batched_patch_extraction"


def _find(module, name):
    try:
        imported = importlib.import_module(module)
    except NotImplementedError as error:  # TensorFlow raises it, too; n/a is for functions that are not there
        raise RuntimeError(f"{module} cannot be imported: {error}") from error
    try:
        return getattr(imported, name)
    except AttributeError:
        raise NotImplementedError(f"{module} of this commit has no {name}") from None


def _has_flag():
    return FLAG in _find("ptycho.config.config", "ModelConfig").__dataclass_fields__


def _padded(N, dtype):
    edge = [N // 2, N // 2]
    image = tf.convert_to_tensor(workloads.random_object(dtype))
    return tf.pad(image[tf.newaxis, :, :, tf.newaxis], [[0, 0], edge, edge, [0, 0]])


def _extraction(name):
    def bind(N, gridsize, B, dtype):
        function = _find("ptycho.raw_data", name)
        c = gridsize * gridsize
        padded = _padded(N, dtype)
        total, local = workloads.group_offsets(B, c)
        flat = np.swapaxes(total[:, 0] + local[:, 0], 1, 2).reshape(-1, 1, 2, 1)
        offsets = tf.constant(flat, tf.float32)
        return lambda: function(padded, offsets, N, B, c)

    return (lambda: _find("ptycho.raw_data", name)), bind


def _dispatcher(use_batched):
    def require():
        _find("ptycho.raw_data", "get_image_patches")
        if use_batched and not _has_flag():
            raise NotImplementedError(f"ModelConfig of this commit has no {FLAG}")

    def bind(N, gridsize, B, dtype):
        function = _find("ptycho.raw_data", "get_image_patches")
        records = importlib.import_module("ptycho.config.config")
        flag = {FLAG: use_batched} if _has_flag() else {}
        config = records.TrainingConfig(model=records.ModelConfig(N=N, gridsize=gridsize, **flag))
        image = workloads.random_object(dtype)
        total, local = workloads.group_offsets(B, gridsize * gridsize)
        return lambda: function(image, total, local, config=config)

    return require, bind


def _reassembly(name):
    def bind(N, gridsize, B, dtype):
        function = _find("ptycho.tf_helper", name)
        P = B * gridsize * gridsize
        patches = tf.convert_to_tensor(workloads.random_patches(N, P).astype(dtype))
        offsets = tf.convert_to_tensor(workloads.positions(P).reshape(P, 1, 1, 2))
        return lambda: function(patches, offsets, M=M)

    return (lambda: _find("ptycho.tf_helper", name)), bind


def _translation():
    def bind(N, gridsize, B, dtype):
        function = _find("ptycho.tf_helper", "translate")
        P = B * gridsize * gridsize
        images = tf.convert_to_tensor(workloads.random_patches(N, P).astype(dtype))
        offsets = tf.constant(np.random.default_rng(3).uniform(-9.0, 7.0, (P, 2)), tf.float32)
        return lambda: function(images, offsets)

    return (lambda: _find("ptycho.tf_helper", "translate")), bind


def _grouping():
    def bind(gridsize, B):
        scan = _find("ptycho.raw_data", "RawData")
        x, y = workloads.positions(1000).T
        data = scan(objectGuess=workloads.random_object("complex64"), xcoords=x, ycoords=y)
        return lambda: data.group(B, gridsize, neighbor_count=max(4, gridsize * gridsize))

    return (lambda: _find("ptycho.raw_data", "RawData").group), bind


_BY_NAME = {
    "iterative": _extraction("_get_image_patches_iterative"),
    "batched": _extraction("_get_image_patches_batched"),
    "flag_off": _dispatcher(False),
    "flag_on": _dispatcher(True),
    "reassembly_old": _reassembly("reassemble_position_old"),
    "reassembly_new": _reassembly("reassemble_position"),
    "translate": _translation(),
    "group": _grouping(),
}


def require(*names):
    """Raise NotImplementedError if this commit lacks one of the implementations; run no TensorFlow operation."""
    for name in names:
        _BY_NAME[name][0]()


def bind(name, *case):
    """Return the implementation as a function without arguments; inputs are made here, nothing is called yet."""
    return _BY_NAME[name][1](*case)
