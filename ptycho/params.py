"""Legacy parameter dictionary: the one mutable place of the package.

Older code reads ``params.cfg``. It is written by `set` and by
`ptycho.config.config.update_legacy_dict`; its defaults are those of the configuration records.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ptycho.config.config import KEY_MAPPING, InferenceConfig, ModelConfig, TrainingConfig, legacy_items

_RECORDS = (ModelConfig, TrainingConfig, InferenceConfig)
_FIELD_OF_KEY = {
    KEY_MAPPING.get(entry.name, entry.name): (record, entry.name)
    for record in _RECORDS
    for entry in dataclasses.fields(record)
    if entry.name != "model"
}


def defaults() -> dict[str, Any]:
    """Return a fresh dictionary with the default of every legacy key."""
    return {**legacy_items(TrainingConfig()), **legacy_items(InferenceConfig())}


cfg: dict[str, Any] = defaults()


def validate(key: str, value: Any) -> None:
    """Raise if ``value`` may not stand under ``key``; write nothing.

    Raises
    ------
    KeyError
        If the key is unknown.
    ValueError
        If the value is not allowed.
    """
    if key not in _FIELD_OF_KEY:
        raise KeyError(f"unknown parameter {key!r}; known are {', '.join(sorted(_FIELD_OF_KEY))}")
    record, name = _FIELD_OF_KEY[key]
    record(**{name: value})


def get(key: str) -> Any:
    """Return the value of a parameter; an unknown key raises KeyError and names the known ones."""
    if key not in cfg:
        raise KeyError(f"unknown parameter {key!r}; known are {', '.join(sorted(cfg))}")
    return cfg[key]


def set(key: str, value: Any) -> None:
    """Check ``value``, then store it; a refused value leaves the dictionary as it was."""
    validate(key, value)
    cfg[key] = value
