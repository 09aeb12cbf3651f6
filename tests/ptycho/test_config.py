"""Configuration records, the legacy dictionary, and the one set of defaults behind both."""

import dataclasses

import pytest

from ptycho import params
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict


def test_every_field_of_the_records_has_a_legacy_key_with_the_same_default():
    for config in (TrainingConfig(), InferenceConfig()):
        before = dict(params.cfg)
        update_legacy_dict(params.cfg, config)
        assert params.cfg == before


def test_update_writes_under_the_legacy_keys():
    config = TrainingConfig(model=ModelConfig(N=32, gridsize=3), seed=5, train_data_file="scan.npz")
    update_legacy_dict(params.cfg, config)
    assert params.get("N") == 32
    assert params.get("gridsize") == 3
    assert params.get("subsample_seed") == 5
    assert params.get("train_data_file_path") == "scan.npz"


def test_update_leaves_foreign_keys_alone_and_refuses_what_is_no_configuration():
    cfg = {"mine": 1}
    update_legacy_dict(cfg, ModelConfig())
    assert cfg["mine"] == 1
    before = dict(cfg)
    with pytest.raises(TypeError, match="got dict"):
        update_legacy_dict(cfg, {"N": 3})
    assert cfg == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(N=63), "N must be an even integer of at least 2, got 63"),
        (lambda: ModelConfig(N=True), "N must be an even integer"),
        (lambda: ModelConfig(gridsize=0), "gridsize must be an integer of at least 1, got 0"),
        (lambda: TrainingConfig(n_groups=-1), "n_groups must be an integer of at least 0, got -1"),
        (lambda: TrainingConfig(neighbor_count=0), "neighbor_count must be"),
        (lambda: InferenceConfig(model="x"), "model must be a ModelConfig, got str"),
        (lambda: InferenceConfig(test_data_file=3), "test_data_file must be a path or None, got 3"),
    ],
)
def test_an_invalid_record_is_never_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().N = 32


def test_a_refused_value_leaves_the_dictionary_as_it_was():
    before = dict(params.cfg)
    with pytest.raises(ValueError, match="N must be an even integer"):
        params.set("N", 5)
    with pytest.raises(KeyError, match="unknown parameter 'n'; known are"):
        params.set("n", 4)
    assert params.cfg == before
    params.set("N", 32)
    assert params.get("N") == 32


def test_an_unknown_key_is_named():
    with pytest.raises(KeyError, match="unknown parameter 'nope'"):
        params.get("nope")
