"""Frozen configuration records and their mapping to the legacy parameter dictionary.

The defaults of the whole package live here; ``ptycho.params`` derives its own from these records.
A record checks itself when it is made, so an invalid configuration never exists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _require_int(name: str, value: Any, minimum: int, *, even: bool = False) -> None:
    kind = ("an even integer" if even else "an integer") + f" of at least {minimum}"
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (even and value % 2):
        raise ValueError(f"{name} must be {kind}, got {value!r}")


def _require_path(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, (str, Path)):
        raise ValueError(f"{name} must be a path or None, got {value!r}")


@dataclass(frozen=True)
class ModelConfig:
    """Geometry of the patches.

    Attributes
    ----------
    N : int
        Patch size in pixels, even and positive.
    gridsize : int
        Groups hold ``gridsize**2`` patches, one per channel.
    use_batched_patch_extraction : bool
        Extract patches by the batched implementation instead of the loop.
    patch_extraction_batch_size : int or None
        Groups the batched implementation works on at a time; None chooses by memory. Changes no bit.
    """

    N: int = 64
    gridsize: int = 1
    use_batched_patch_extraction: bool = True
    patch_extraction_batch_size: int | None = None

    def __post_init__(self) -> None:
        _require_int("N", self.N, 2, even=True)
        _require_int("gridsize", self.gridsize, 1)
        if not isinstance(self.use_batched_patch_extraction, bool):
            raise ValueError(
                f"use_batched_patch_extraction must be True or False, got {self.use_batched_patch_extraction!r}"
            )
        if self.patch_extraction_batch_size is not None:
            _require_int("patch_extraction_batch_size", self.patch_extraction_batch_size, 1)


@dataclass(frozen=True)
class _DataConfig:
    """What preparing a scan needs, for training and inference alike."""

    model: ModelConfig = field(default_factory=ModelConfig)
    n_groups: int = 512
    neighbor_count: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, ModelConfig):
            raise ValueError(f"model must be a ModelConfig, got {type(self.model).__name__}")
        _require_int("n_groups", self.n_groups, 0)
        _require_int("neighbor_count", self.neighbor_count, 1)
        _require_int("seed", self.seed, 0)


@dataclass(frozen=True)
class TrainingConfig(_DataConfig):
    """Preparation of training data.

    Attributes
    ----------
    model : ModelConfig
    n_groups : int
        Number of groups drawn from the scan.
    neighbor_count : int
        Nearest neighbours (the position itself included) from which the members of a group are drawn;
        raised to ``gridsize**2`` where it is smaller.
    seed : int
        Seed of the draw.
    train_data_file : str, Path or None
        The scan, an .npz file.
    """

    train_data_file: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_path("train_data_file", self.train_data_file)


@dataclass(frozen=True)
class InferenceConfig(_DataConfig):
    """Preparation of data for inference; attributes as in `TrainingConfig`, the scan is ``test_data_file``."""

    test_data_file: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_path("test_data_file", self.test_data_file)


# Record field -> legacy key, where the two differ.
KEY_MAPPING: dict[str, str] = {
    "train_data_file": "train_data_file_path",
    "test_data_file": "test_data_file_path",
    "seed": "subsample_seed",
}


def legacy_items(config: ModelConfig | TrainingConfig | InferenceConfig) -> dict[str, Any]:
    """Flatten a configuration into legacy keys and values.

    Parameters
    ----------
    config : ModelConfig, TrainingConfig or InferenceConfig

    Returns
    -------
    dict
        Legacy key to value; the fields of ``config.model`` stand beside the others.

    Raises
    ------
    TypeError
        If ``config`` is not one of the configuration records.
    """
    if not isinstance(config, (ModelConfig, _DataConfig)):
        got = f"the class {config.__name__}" if isinstance(config, type) else type(config).__name__
        raise TypeError(f"config must be a ModelConfig, TrainingConfig or InferenceConfig, got {got}")
    items: dict[str, Any] = {}
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if isinstance(value, ModelConfig):
            items.update(legacy_items(value))
        else:
            items[KEY_MAPPING.get(entry.name, entry.name)] = value
    return items


def update_legacy_dict(cfg: MutableMapping[str, Any], config: ModelConfig | TrainingConfig | InferenceConfig) -> None:
    """Write a configuration into a legacy dictionary, under the legacy keys.

    Parameters
    ----------
    cfg : dict
        Usually ``ptycho.params.cfg``. Keys that the configuration does not have are left alone.
    config : ModelConfig, TrainingConfig or InferenceConfig

    Raises
    ------
    TypeError
        If ``cfg`` is no dictionary or ``config`` is not one of the configuration records. ``cfg`` is then unchanged.
    """
    if not isinstance(cfg, MutableMapping):
        raise TypeError(f"cfg must be a dictionary, got {type(cfg).__name__}")
    cfg.update(legacy_items(config))
