"""Configurations and parameters: what they promise is taken, anything else refused by name, and nothing is written."""

import dataclasses
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptycho import params
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, legacy_items, update_legacy_dict
from tests.fuzz import hostile
from tests.fuzz.conftest import FUZZ
from tests.fuzz.contract import outcome

RECORDS = (ModelConfig, TrainingConfig, InferenceConfig)


@FUZZ
@given(st.sampled_from(RECORDS), st.data())
def test_a_record_of_hostile_fields_refuses_one_by_name_or_has_only_legal_legacy_items(record, data):
    good = {entry.name: getattr(record(), entry.name) for entry in dataclasses.fields(record)}
    arguments = hostile.replaced(data.draw, good)
    changed = [f"{name} must be" for name in good if arguments[name] is not good[name]]
    made = outcome(record, changed, **arguments)
    if isinstance(made, Exception):
        return
    cfg = {"mine": 1}
    update_legacy_dict(cfg, made.item())
    assert cfg == {"mine": 1, **legacy_items(made.item())}
    for key, value in legacy_items(made.item()).items():
        params.validate(key, value)


@FUZZ
@given(hostile.anything)
def test_what_is_no_configuration_is_refused_and_nothing_written(config):
    cfg = {"mine": 1}
    with pytest.raises(TypeError, match="config must be a ModelConfig"):
        update_legacy_dict(cfg, config)
    assert cfg == {"mine": 1}
    with pytest.raises(TypeError, match="config must be a ModelConfig"):
        legacy_items(config)


@FUZZ
@given(hostile.anything, hostile.anything)
def test_a_key_that_is_no_parameter_is_refused_and_nothing_written(key, value):
    before = dict(params.cfg)
    if isinstance(key, str) and key in before:
        return
    refusal, words = (KeyError, "unknown parameter") if isinstance(key, Hashable) else (TypeError, "unhashable")
    with pytest.raises(refusal, match=words):
        params.get(key)
    with pytest.raises(refusal, match=words):
        params.set(key, value)
    assert params.cfg == before
