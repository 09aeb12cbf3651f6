"""Scans and their preparation: reading, grouping of positions, extraction of patches.

x is the column and comes first, y is the row, both in pixels of the object.
"""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from ptycho import native, params, patches
from ptycho import tf_helper as hh
from ptycho.checks import (
    check_flat_offsets,
    check_integer,
    check_memory,
    check_N_and_gridsize,
    check_object,
    check_padded,
    check_patch_size,
    group_offsets,
)
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig
from ptycho.scan_file import read_arrays, read_headers

logger = logging.getLogger(__name__)

FLAG = "use_batched_patch_extraction"
ENVIRONMENT_VARIABLE = "USE_BATCHED_PATCH_EXTRACTION"
_ENVIRONMENT_VALUES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

REQUIRED_ARRAYS = ("objectGuess", "xcoords", "ycoords")
OPTIONAL_ARRAYS = ("probeGuess", "diff3d", "xcoords_start", "ycoords_start")
_AXES = {"objectGuess": 2, "probeGuess": 2, "diff3d": 3}  # the others have one


@dataclass(frozen=True)
class Groups:
    """Groups of neighbouring scan positions.

    Attributes
    ----------
    global_offsets : ndarray, shape (B, 1, 2, 1), float64
        Centre of each group, axis 2 = [x, y], pixels.
    local_offsets : ndarray, shape (B, 1, 2, c), float64
        Members relative to the centre; channel k is the row-major place in the g x g group.
    indices : ndarray, shape (B, c), int64
        Which scan positions the members are.
    """

    global_offsets: np.ndarray
    local_offsets: np.ndarray
    indices: np.ndarray


def _squeezed(path, name, shape):
    """Shape without axes of length one, as far as there are too many axes."""
    kept = list(shape)
    while len(kept) > _AXES.get(name, 1) and 1 in kept:
        kept.remove(1)
    if len(kept) != len(shape):
        logger.info("%s of %s has shape %s, taken as %s", name, path, tuple(shape), tuple(kept))
    return tuple(kept)


def _check_form(path, name, shape, dtype):
    if len(shape) != _AXES.get(name, 1) or 0 in shape:
        raise ValueError(f"{name} of {path} must be a non-empty array of {_AXES.get(name, 1)} axes, got shape {shape}")
    if dtype.kind not in "iufc":
        raise ValueError(f"{name} of {path} must hold numbers, got dtype {dtype}")


def _check_finite(path, name, array):
    bad = np.count_nonzero(~np.isfinite(array))
    if bad:
        raise ValueError(f"{name} of {path} must be finite, got {bad} values that are NaN or infinite")


def _look_at_probe(path, probe):
    """Tell what is unusual about a probe, which no extraction reads."""
    if probe.dtype.kind not in "iufc" or 0 in probe.shape:
        _check_form(path, "probeGuess", probe.shape, probe.dtype)
    if probe.ndim != _AXES["probeGuess"]:
        logger.info("probeGuess of %s has shape %s, several modes; it is not read here", path, probe.shape)
    if not np.isfinite(probe).all():
        logger.info("probeGuess of %s has values that are NaN or infinite; it is not read here", path)


def _read_again(path, name, shape):
    return read_arrays(path, [name])[name].reshape(shape)


class _OnDemand:
    """A field that may be given a function; it is called for the array when the field is first asked for."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return None  # the default of the field
        value = vars(instance)[self.name]
        if callable(value):
            value = vars(instance)[self.name] = value()
        return value

    def __set__(self, instance, value):
        vars(instance)[self.name] = value


@dataclass(frozen=True)
class RawData:
    """A ptychography scan: object, positions, and what else the file holds.

    Attributes
    ----------
    objectGuess : ndarray, shape (H, W), complex64 or complex128
    xcoords, ycoords : ndarray, shape (n,), float64
        Scan positions in object pixels, x = column, y = row.
    probeGuess : ndarray, shape (N, N), or None
        Another shape where the file holds several modes.
    diff3d : ndarray, shape (n, N, N), or None
        Diffraction patterns, one per position. Those of a file are read when they are first asked for, and not checked
        for NaN.
    xcoords_start, ycoords_start : ndarray, shape (n,), float64, or None
        Positions before refinement.
    """

    objectGuess: np.ndarray
    xcoords: np.ndarray
    ycoords: np.ndarray
    probeGuess: np.ndarray | None = None
    diff3d: np.ndarray | None = _OnDemand()
    xcoords_start: np.ndarray | None = None
    ycoords_start: np.ndarray | None = None

    @classmethod
    def from_npz(cls, path):
        """Read and check a scan file.

        Parameters
        ----------
        path : str or Path
            An .npz with ``objectGuess``, ``xcoords``, ``ycoords``; the other arrays are optional. Axes of length one
            that are too many are left out, and a log line (INFO) says so.

        Returns
        -------
        RawData

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not an .npz, an array is missing, pickled or of a wrong shape, the object or a
            position is not finite, or a position lies outside the object.
        """
        arrays = read_arrays(path, [name for name in REQUIRED_ARRAYS + OPTIONAL_ARRAYS if name != "diff3d"])
        missing = [key for key in REQUIRED_ARRAYS if key not in arrays]
        if missing:
            raise ValueError(f"{path} must hold the arrays {', '.join(REQUIRED_ARRAYS)}; missing: {', '.join(missing)}")
        arrays = {name: array.reshape(_squeezed(path, name, array.shape)) for name, array in arrays.items()}
        patterns = {
            name: (_squeezed(path, name, shape), dtype)
            for name, (shape, dtype) in read_headers(path, ["diff3d"]).items()
        }
        for name, (shape, dtype) in {**{name: (a.shape, a.dtype) for name, a in arrays.items()}, **patterns}.items():
            if name == "probeGuess":
                _look_at_probe(path, arrays[name])
                continue
            _check_form(path, name, shape, dtype)
            if name in arrays:
                _check_finite(path, name, arrays[name])
        height, width = arrays["objectGuess"].shape
        count = len(arrays["xcoords"])
        lengths = {name: len(a) for name, a in arrays.items() if name not in _AXES}
        lengths.update({name: shape[0] for name, (shape, _) in patterns.items()})
        for name, length in lengths.items():
            if length != count:
                raise ValueError(f"{name} of {path} must have {count} entries like xcoords, got {length}")
            if name in arrays:
                if arrays[name].dtype.kind == "c":
                    raise ValueError(f"{name} of {path} must be real, got dtype {arrays[name].dtype}")
                arrays[name] = arrays[name].astype(np.float64)
        for name, (shape, _) in patterns.items():
            arrays[name] = partial(_read_again, Path(path).absolute(), name, shape)
        for name, extent in (("xcoords", width), ("ycoords", height)):
            outside = np.count_nonzero((arrays[name] < 0) | (arrays[name] > extent - 1))
            if outside:
                raise ValueError(
                    f"{name} of {path} must lie in 0..{extent - 1} (the object is {height} x {width}), "
                    f"got {outside} positions outside, from {arrays[name].min():g} to {arrays[name].max():g}"
                )
        single = arrays["objectGuess"].dtype.newbyteorder("=") in (np.complex64, np.float32, np.float16)
        wanted = np.complex64 if single else np.complex128  # in native byte order
        arrays["objectGuess"] = arrays["objectGuess"].astype(wanted, copy=False)
        return cls(**arrays)

    def group(self, n_groups, gridsize, neighbor_count=4, seed=0):
        """Draw groups of neighbouring positions.

        Each group takes a random position and ``gridsize**2 - 1`` of its nearest neighbours, drawn
        without repetition, and lays them out row by row: sorted by y into rows, by x within a row.

        Parameters
        ----------
        n_groups : int
            Number of groups B; positions repeat only where B exceeds their number.
        gridsize : int
        neighbor_count : int
            How many nearest positions (itself included) the members come from; raised to
            ``gridsize**2`` where it is smaller.
        seed : int

        Returns
        -------
        Groups

        Raises
        ------
        ValueError
            If an argument is out of range or the scan has fewer than ``gridsize**2`` positions.
        """
        for name, value in (("n_groups", n_groups), ("gridsize", gridsize), ("neighbor_count", neighbor_count)):
            check_integer(name, value)
        check_integer("seed", seed, 0)
        # Python's integers: a product of NumPy's wraps round, and one with a huge number has no type.
        n_groups, gridsize, neighbor_count = int(n_groups), int(gridsize), int(neighbor_count)
        c = gridsize * gridsize
        count = len(self.xcoords)
        if n_groups < 0:
            raise ValueError(f"n_groups must not be negative, got {n_groups}")
        if gridsize < 1 or neighbor_count < 1:
            raise ValueError(f"gridsize and neighbor_count must be positive, got {gridsize} and {neighbor_count}")
        if count < c:
            raise ValueError(f"gridsize {gridsize} needs at least {c} positions, the scan has {count}")
        check_memory(32 * n_groups * min(max(neighbor_count, c), count), f"{n_groups} groups (n_groups)")
        from scipy.spatial import cKDTree

        rng = np.random.default_rng(seed)
        positions = np.column_stack([self.xcoords, self.ycoords])
        rounds = [rng.permutation(count) for _ in range(-(-n_groups // count))]
        centres = np.concatenate([np.empty(0, np.int64), *rounds])[:n_groups].astype(np.int64)
        k = min(max(neighbor_count, c), count)
        neighbours = cKDTree(positions).query(positions[centres], k=k)[1].reshape(n_groups, k)
        # Others at the same place may come before the position itself, or crowd it out.
        own = centres[:, np.newaxis]
        neighbours[(neighbours != own).all(axis=1), -1] = own[(neighbours != own).all(axis=1), 0]
        neighbours = np.take_along_axis(neighbours, np.argsort(neighbours != own, axis=1, kind="stable"), axis=1)
        # The centre stays; the others are a random choice of the rest.
        order = np.argsort(rng.random((n_groups, k - 1)), axis=1)[:, : c - 1] + 1
        members = np.concatenate([neighbours[:, :1], np.take_along_axis(neighbours, order, axis=1)], axis=1)
        by_y = np.take_along_axis(members, np.argsort(positions[members, 1], axis=1, kind="stable"), axis=1)
        rows = by_y.reshape(n_groups, gridsize, gridsize)
        by_x = np.take_along_axis(rows, np.argsort(positions[rows, 0], axis=2, kind="stable"), axis=2)
        indices = by_x.reshape(n_groups, c)
        grouped = positions[indices]  # (B, c, 2)
        centre = grouped.mean(axis=1, keepdims=True)
        local = np.ascontiguousarray(np.swapaxes(grouped - centre, 1, 2))[:, np.newaxis]
        return Groups(centre[:, :, :, np.newaxis], local, indices)


def get_image_patches(gt_image, global_offsets, local_offsets, N=None, gridsize=None, config=None):
    """Cut the N x N window of the object around every scan position.

    Patch p with offset (ox, oy) = float32(global + local) has at row i, column j the bilinear sample of
    the object, padded by ``N // 2`` zeros on each side, at row ``i + oy``, column ``j + ox``; so the
    window is centred on the position. Each neighbour outside the padded object counts as zero.

    Parameters
    ----------
    gt_image : array, shape (H, W)
        complex64, complex128 or real. A complex128 object is sampled in float64 and rounded once.
    global_offsets : array, shape (B, 1, 2, 1) or (B, 1, 1, 2), float
    local_offsets : array, shape (B, 1, 2, c) or (B, g, g, 2), float
        ``c = g * g``; the axis of two is [x, y], in pixels.
    N : int, optional
        Patch size, even. Taken from ``config``, then from ``params.cfg``, when left out.
    gridsize : int, optional
        Likewise.
    config : TrainingConfig or InferenceConfig, optional
        ``config.model.use_batched_patch_extraction`` selects the implementation; without a config the
        environment variable ``USE_BATCHED_PATCH_EXTRACTION`` does (true/false/1/0/yes/no), then
        ``params.cfg``, then the default. A log line (INFO) says which and why.

    Returns
    -------
    tensor, shape (B, N, N, c), complex64
        Channel k is the row-major position in the g x g group.

    Raises
    ------
    ValueError
        If an argument or the environment variable does not have one of the forms above.

    Warns
    -----
    DeprecationWarning
        If the iterative implementation is selected although the batched one is the default.
    """
    gt_padded, offsets_f, N, B, c = prepare(gt_image, global_offsets, local_offsets, N, gridsize, config)
    use_batched, source = _choose_batched(config)
    logger.info("patch extraction: %s implementation, set by %s", "batched" if use_batched else "iterative", source)
    if not use_batched:
        if getattr(ModelConfig(), FLAG):
            warnings.warn(
                f"the iterative patch extraction, selected by {source}, is deprecated; see DEPRECATIONS.md",
                DeprecationWarning,
                stacklevel=2,
            )
        return _get_image_patches_iterative(gt_padded, offsets_f, N, B, c)
    return _get_image_patches_batched(gt_padded, offsets_f, N, B, c, chosen_chunk_size(config))


def prepare(gt_image, global_offsets, local_offsets, N=None, gridsize=None, config=None):
    """Check the arguments of `get_image_patches`, pad the object and flatten the offsets.

    Returns
    -------
    gt_padded : tensor, shape (1, H + 2*(N//2), W + 2*(N//2), 1), complex64 or complex128
    offsets_f : array or tensor, shape (B*c, 1, 2, 1), float32
    N, B, c : int
        ``B`` is None where it is unknown (inside ``tf.function``).
    """
    image, offsets_f, N, B, c = check_arguments(gt_image, global_offsets, local_offsets, N, gridsize, config)
    return pad_object(image, N), offsets_f, N, B, c


def check_arguments(gt_image, global_offsets, local_offsets, N=None, gridsize=None, config=None):
    """Check the arguments of `get_image_patches` and flatten the offsets.

    Returns
    -------
    image : array or tensor, shape (H, W), complex64 or complex128
        An array only where ``gt_image`` is one.
    offsets_f, N, B, c
        As `prepare` returns them.
    """
    N, gridsize = check_N_and_gridsize(setting("N", N, config), setting("gridsize", gridsize, config))
    image = check_object(gt_image)
    offsets_f = group_offsets(global_offsets, local_offsets, gridsize)
    c = gridsize * gridsize
    B = None if offsets_f.shape[0] is None else offsets_f.shape[0] // c
    return image, offsets_f, N, B, c


def pad_object(image, N):
    """Put ``N // 2`` zeros around an object (H, W); return it as a tensor (1, H + 2*(N//2), W + 2*(N//2), 1)."""
    # Inside a gradient tape or tf.function the padding has to be an operation of TensorFlow, and padding two axes
    # takes a third of the time of padding four; the others are added without a copy.
    if isinstance(image, np.ndarray) and tf.executing_eagerly():
        return native.as_tensor(_with_border(native.as_array(image), N // 2)[np.newaxis, :, :, np.newaxis])
    return tf.expand_dims(tf.expand_dims(tf.pad(image, [[N // 2, N // 2]] * 2), 0), -1)


def _with_border(image, width):
    """Copy an object (H, W) into a border of zeros, in memory that TensorFlow reads in place."""
    height, columns = image.shape
    padded = native.empty_aligned((height + 2 * width, columns + 2 * width), image.dtype)
    padded[:width] = padded[width + height :] = 0
    padded[:, :width] = padded[:, width + columns :] = 0
    padded[width : width + height, width : width + columns] = image
    return padded


def _choose_batched(config):
    """Whether to use the batched implementation, and what said so.

    Precedence: ``config``, the environment variable, ``params.cfg``, the default.
    """
    if config is not None:
        return getattr(_model_of(config), FLAG), f"config.model.{FLAG}"
    text = os.environ.get(ENVIRONMENT_VARIABLE)
    if text is not None:
        value = _ENVIRONMENT_VALUES.get(text.strip().lower())
        if value is None:
            raise ValueError(f"{ENVIRONMENT_VARIABLE} must be one of {', '.join(_ENVIRONMENT_VALUES)}, got {text!r}")
        return value, f"the environment variable {ENVIRONMENT_VARIABLE}"
    if FLAG in params.cfg:
        params.validate(FLAG, params.cfg[FLAG])
        return params.cfg[FLAG], "params.cfg"
    return getattr(ModelConfig(), FLAG), "the default"


def _model_of(config):
    if not isinstance(config, (TrainingConfig, InferenceConfig)):
        raise TypeError(f"config must be a TrainingConfig, an InferenceConfig or None, got {type(config).__name__}")
    return config.model


def setting(name, argument, config):
    """Take a setting from the argument, else from the config, else from the legacy dictionary."""
    if argument is not None:
        return argument
    if config is not None:
        return getattr(_model_of(config), name)
    return params.get(name)


def chosen_chunk_size(config):
    """Return the groups in work at a time; a legacy dictionary of before that setting lacks its key."""
    name = "patch_extraction_batch_size"
    if config is None:
        if name not in params.cfg:
            return None
        params.validate(name, params.cfg[name])
    return setting(name, None, config)


def _get_image_patches_iterative(gt_padded, offsets_f, N, B, c):
    """Extract patches by translating the whole padded object once per patch: the reference.

    Parameters
    ----------
    gt_padded : tensor, shape (1, H + 2*(N//2), W + 2*(N//2), 1), complex64 or complex128
    offsets_f : tensor, shape (B*c, 1, 2, 1) or (B*c, 1, 1, 2), float32
        [x, y] in pixels.
    N, B, c : int
        Patch size, number of groups, channels per group.

    Returns
    -------
    tensor, shape (B, N, N, c), complex64
    """
    if not tf.executing_eagerly():
        raise ValueError(
            "the iterative implementation works eagerly only; inside tf.function set use_batched_patch_extraction"
        )
    gt_padded = check_padded(gt_padded)
    positions = tf.convert_to_tensor(check_flat_offsets(offsets_f, B, c))
    check_patch_size(N, B, c)
    canvas = np.zeros((B, N, N, c), dtype=np.complex64)
    for index in range(B * c):
        translated = hh.translate(gt_padded, -positions[index : index + 1])
        canvas[index // c, :, :, index % c] = translated[0, :N, :N, 0].numpy()
    return tf.convert_to_tensor(canvas)


def _get_image_patches_batched(gt_padded, offsets_f, N, B, c, chunk_size=None, engine=None):
    """Extract patches by touching only the window of the object under each of them.

    Same arguments and bits as `_get_image_patches_iterative`; no loop over patches in Python. Gradients
    flow to the object, not to the offsets. Inside ``tf.function`` B may be None (unknown).

    Parameters
    ----------
    gt_padded : tensor, shape (1, H + 2*(N//2), W + 2*(N//2), 1), complex64 or complex128
    offsets_f : tensor, shape (B*c, 1, 2, 1) or (B*c, 1, 1, 2), float32
        [x, y] in pixels.
    N, B, c : int
        Patch size, number of groups, channels per group.
    chunk_size : int, optional
        Groups in work at a time; bounds the memory beyond the output, changes no bit.
    engine : {'native', 'xla'}, optional
        See `ptycho.patches.extract`.

    Returns
    -------
    tensor, shape (B, N, N, c), complex64
    """
    gt_padded = check_padded(gt_padded)
    positions = check_flat_offsets(offsets_f, B, c)
    check_patch_size(N, B, c)
    return patches.extract(gt_padded, positions, N, B, c, chunk_size, engine)
