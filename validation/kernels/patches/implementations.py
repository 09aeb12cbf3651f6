"""The states of ``ptycho`` that are measured: every engine, fallback and setting of the flag.

Each has the signature of its kernel's function. ``ptycho`` and TensorFlow are imported inside, in the child
process; a checkout that lacks a function makes the implementation unavailable, not wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from validation.contract.kernel import NotAvailableError

_VARIABLE = "USE_BATCHED_PATCH_EXTRACTION"
_FLAG = "use_batched_patch_extraction"


def _attribute(module: str, name: str) -> Any:
    import importlib

    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotAvailableError(f"the ptycho that is measured has no {module}.{name}: {error}") from error


def _require_flag() -> Any:
    """Give the ``ModelConfig`` of the checkout, which must know the flag: an older one would ignore it."""
    model_config = _attribute("ptycho.config.config", "ModelConfig")
    if _FLAG not in model_config.__dataclass_fields__:
        raise NotAvailableError(f"the ptycho that is measured has no {_FLAG} in its ModelConfig")
    return model_config


def _extract_with_config(batched: bool, arguments: dict[str, Any]) -> Any:
    get_image_patches = _attribute("ptycho.raw_data", "get_image_patches")
    training_config = _attribute("ptycho.config.config", "TrainingConfig")
    model_config = _require_flag()
    N, gridsize = arguments["N"], arguments["gridsize"]
    config = training_config(model=model_config(N=N, gridsize=gridsize, **{_FLAG: batched}))
    return get_image_patches(
        arguments["gt_image"], arguments["global_offsets"], arguments["local_offsets"], config=config
    )


def extract_iterative(**arguments: Any) -> Any:
    """Extract with the flag off in the config: the reference."""
    return _extract_with_config(False, arguments)


def extract_batched(**arguments: Any) -> Any:
    """Extract with the flag on in the config: the candidate."""
    return _extract_with_config(True, arguments)


@contextlib.contextmanager
def _environment(value: str) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def extract_batched_by_environment(**arguments: Any) -> Any:
    """Extract with the flag on by the environment variable."""
    _require_flag()
    with _environment("true"):
        return _attribute("ptycho.raw_data", "get_image_patches")(**arguments)


def extract_iterative_by_environment(**arguments: Any) -> Any:
    """Extract with the flag off by the environment variable."""
    _require_flag()
    with _environment("false"):
        return _attribute("ptycho.raw_data", "get_image_patches")(**arguments)


def extract_batched_by_params(**arguments: Any) -> Any:
    """Extract with the flag on in the legacy dictionary, nothing else set."""
    _require_flag()
    cfg = _attribute("ptycho.params", "cfg")
    before = dict(cfg)
    environment = os.environ.pop(_VARIABLE, None)
    cfg[_FLAG] = True
    try:
        return _attribute("ptycho.raw_data", "get_image_patches")(**arguments)
    finally:
        cfg.clear()
        cfg.update(before)
        if environment is not None:
            os.environ[_VARIABLE] = environment


def _low_level(arguments: dict[str, Any]) -> tuple[Any, Any, int, int, int]:
    """Arguments of the two private implementations: gt_padded, offsets_f, N, B, c."""
    import numpy as np
    import tensorflow as tf

    N, channels = arguments["N"], arguments["gridsize"] ** 2
    total = (arguments["global_offsets"] + arguments["local_offsets"]).astype(np.float32)
    batch = len(total)
    offsets_f = np.swapaxes(total[:, 0], 1, 2).reshape(batch * channels, 1, 2, 1)
    gt_padded = np.pad(arguments["gt_image"], N // 2)[None, ..., None]
    return tf.constant(gt_padded), tf.constant(offsets_f), N, batch, channels


def _batched(arguments: dict[str, Any], **options: Any) -> Any:
    """Call the private batched function with options that a checkout may not have."""
    import inspect

    function = _attribute("ptycho.raw_data", "_get_image_patches_batched")
    lacking = sorted(set(options) - set(inspect.signature(function).parameters))
    if lacking:
        raise NotAvailableError(f"the ptycho that is measured has no {', '.join(lacking)} in {function.__name__}")
    return function(*_low_level(arguments), **options)


def extract_batched_by_xla(**arguments: Any) -> Any:
    """Extract by the XLA engine."""
    return _batched(arguments, engine="xla")


def extract_batched_by_single_groups(**arguments: Any) -> Any:
    """Extract with one group per chunk."""
    return _batched(arguments, chunk_size=1)


def extract_batched_in_graph(**arguments: Any) -> Any:
    """Extract by the batched function, traced into a graph of the caller's."""
    import tensorflow as tf

    function = _attribute("ptycho.raw_data", "_get_image_patches_batched")
    gt_padded, offsets_f, N, batch, channels = _low_level(arguments)
    return tf.function(lambda image, offsets: function(image, offsets, N, batch, channels))(gt_padded, offsets_f)


@contextlib.contextmanager
def _without_native() -> Iterator[None]:
    """Make ``ptycho`` believe that machine code cannot be made."""
    _attribute("ptycho.native", "available")
    import ptycho.native

    before = ptycho.native.available
    ptycho.native.available = lambda: False
    try:
        yield
    finally:
        ptycho.native.available = before


def extract_batched_without_native(**arguments: Any) -> Any:
    """Extract with the flag on where machine code cannot be made."""
    with _without_native():
        return extract_batched(**arguments)


def place_batched_without_native(**arguments: Any) -> Any:
    """Place by the batched function where machine code cannot be made."""
    with _without_native():
        return place_batched(**arguments)


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def extract_batched_eagerly(**arguments: Any) -> Any:
    """Extract by the XLA engine's operations with no graph and no XLA."""
    with _eagerly():
        return _batched(arguments, engine="xla")


def extract_iterative_eagerly(**arguments: Any) -> Any:
    """Extract by the loop with no graph and no XLA."""
    function = _attribute("ptycho.raw_data", "_get_image_patches_iterative")
    with _eagerly():
        return function(*_low_level(arguments))


def place_by_loop(**arguments: Any) -> Any:
    """Place by the loop: the reference."""
    return _attribute("ptycho.tf_helper", "shift_and_sum_old")(**arguments)


def place_batched(**arguments: Any) -> Any:
    """Place by the batched function: the candidate."""
    return _attribute("ptycho.tf_helper", "shift_and_sum")(**arguments)


def place_batched_in_graph(**arguments: Any) -> Any:
    """Place inside a graph of the caller's, the number of patches unknown when it is traced."""
    import tensorflow as tf

    function, M = _attribute("ptycho.tf_helper", "shift_and_sum"), arguments["M"]
    patches, offsets = arguments["obj_tensor"], arguments["global_offsets"]
    signature = [
        tf.TensorSpec([None, *patches.shape[1:]], tf.complex64),
        tf.TensorSpec([None, *offsets.shape[1:]], tf.float64),
    ]
    return tf.function(lambda parts, at: function(parts, at, M=M), input_signature=signature)(patches, offsets)


def place_batched_eagerly(**arguments: Any) -> Any:
    """Place where machine code cannot be made, with no graph and no XLA."""
    with _without_native(), _eagerly():
        return place_batched(**arguments)
