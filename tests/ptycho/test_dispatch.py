"""The flag: who may set it, who wins, and what is logged."""

import errno
import functools
import logging
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from ptycho import machine_code, native, params, raw_data
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict
from tests.ptycho.conftest import make_object, make_positions, to_offsets

VARIABLE = "USE_BATCHED_PATCH_EXTRACTION"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def implementation_used(caplog, config=None):
    """Run a small extraction; return the implementation and the reason that were logged."""
    image = make_object()
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="ptycho.raw_data"):
        raw_data.get_image_patches(
            image, *to_offsets(make_positions("interior", 4, *image.shape), 2), N=8, gridsize=2, config=config
        )
    (record,) = [r for r in caplog.records if r.name == "ptycho.raw_data"]
    return record.args


def test_one_info_line_names_the_implementation_and_the_reason(caplog):
    implementation_used(caplog)
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    name = "batched" if ModelConfig().use_batched_patch_extraction else "iterative"
    assert record.getMessage() == f"patch extraction: {name} implementation, set by params.cfg"


def test_the_implementation_that_is_logged_is_the_one_that_runs(caplog, monkeypatch):
    calls = []
    for name in ("_get_image_patches_iterative", "_get_image_patches_batched"):
        original = getattr(raw_data, name)
        monkeypatch.setattr(raw_data, name, lambda *a, n=name, f=original, **k: (calls.append(n), f(*a, **k))[1])
    for value in ("0", "1"):
        monkeypatch.setenv(VARIABLE, value)
        implementation_used(caplog)
    assert calls == ["_get_image_patches_iterative", "_get_image_patches_batched"]


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("record", [TrainingConfig, InferenceConfig])
def test_config_comes_before_everything_else(caplog, monkeypatch, flag, record):
    monkeypatch.setenv(VARIABLE, str(not flag))
    params.set(raw_data.FLAG, not flag)
    config = record(model=ModelConfig(N=8, use_batched_patch_extraction=flag))
    name, source = implementation_used(caplog, config)
    assert name == ("batched" if flag else "iterative")
    assert source == "config.model.use_batched_patch_extraction"


@pytest.mark.parametrize(
    ("text", "name"),
    [(t, "batched") for t in ("true", "1", "yes", "TRUE", " Yes ")] + [(t, "iterative") for t in ("false", "0", "no")],
)
def test_the_environment_comes_before_the_legacy_dictionary(caplog, monkeypatch, text, name):
    monkeypatch.setenv(VARIABLE, text)
    params.set(raw_data.FLAG, name == "iterative")
    assert implementation_used(caplog) == (name, f"the environment variable {VARIABLE}")


def test_anything_else_in_the_environment_is_an_error(caplog, monkeypatch):
    for text in ("on", "", "2"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(ValueError, match=f"{VARIABLE} must be one of true, 1, yes, false, 0, no, got '{text}'"):
            implementation_used(caplog)


def test_the_legacy_dictionary_comes_before_the_default(caplog):
    names = {True: "batched", False: "iterative"}
    default = ModelConfig().use_batched_patch_extraction
    update_legacy_dict(params.cfg, ModelConfig(use_batched_patch_extraction=not default))
    assert implementation_used(caplog) == (names[not default], "params.cfg")
    del params.cfg[raw_data.FLAG]
    assert implementation_used(caplog) == (names[default], "the default")


def test_the_flag_must_be_a_boolean():
    with pytest.raises(ValueError, match="use_batched_patch_extraction must be True or False, got 'yes'"):
        ModelConfig(use_batched_patch_extraction="yes")
    params.cfg[raw_data.FLAG] = 1
    image = make_object()
    with pytest.raises(ValueError, match="must be True or False, got 1"):
        raw_data.get_image_patches(image, *to_offsets(np.full((1, 2), 9.0), 1), N=8, gridsize=1)


def test_the_batch_size_reaches_the_batched_implementation(monkeypatch):
    seen = []
    original = raw_data._get_image_patches_batched
    monkeypatch.setattr(raw_data, "_get_image_patches_batched", lambda *a: (seen.append(a[-1]), original(*a))[1])
    image, offsets = make_object(), to_offsets(np.full((4, 2), 30.0), 1)
    for size in (None, 3):
        model = ModelConfig(N=8, use_batched_patch_extraction=True, patch_extraction_batch_size=size)
        raw_data.get_image_patches(image, *offsets, config=TrainingConfig(model=model))
        update_legacy_dict(params.cfg, model)
        raw_data.get_image_patches(image, *offsets)
    assert seen == [None, None, 3, 3]
    with pytest.raises(ValueError, match="patch_extraction_batch_size must be an integer of at least 1, got 0"):
        ModelConfig(patch_extraction_batch_size=0)


@pytest.mark.parametrize("default", [True, False])
def test_the_iterative_implementation_is_deprecated_once_the_batched_one_is_the_default(monkeypatch, default):
    monkeypatch.setattr(raw_data, "ModelConfig", functools.partial(ModelConfig, use_batched_patch_extraction=default))
    image = make_object()
    offsets = to_offsets(make_positions("interior", 4, *image.shape), 2)
    caught = {}
    for value in ("0", "1"):
        monkeypatch.setenv(VARIABLE, value)
        with warnings.catch_warnings(record=True) as caught[value]:
            warnings.simplefilter("always")
            raw_data.get_image_patches(image, *offsets, N=8, gridsize=2)
    assert [warning.category for warning in caught["0"]] == [DeprecationWarning] * default
    assert caught["1"] == []
    if default:
        assert VARIABLE in str(caught["0"][0].message)
        assert caught["0"][0].filename == __file__


def test_a_legacy_dictionary_of_before_the_chunk_size_works(monkeypatch):
    older = {key: value for key, value in params.cfg.items() if key != "patch_extraction_batch_size"}
    monkeypatch.setattr(params, "cfg", older)
    offsets = to_offsets(make_positions("interior", 4, 83, 71), 1)
    patches = raw_data.get_image_patches(make_object(), *offsets, N=np.int64(8), gridsize=np.int64(1))
    assert patches.shape == (4, 8, 8, 1)


def test_the_variable_of_numba_that_disables_compilation_still_does():
    code = "from ptycho import native; assert not native.available()"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_legacy_chunk_size_that_cannot_be_is_refused_by_its_key(monkeypatch):
    monkeypatch.setattr(params, "cfg", {**params.cfg, "patch_extraction_batch_size": 0})
    offsets = to_offsets(make_positions("interior", 4, 83, 71), 1)
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(ValueError, match="patch_extraction_batch_size must be"):
        raw_data.get_image_patches(make_object(), *offsets, N=8, gridsize=1)


@pytest.mark.skipif(not native.available(), reason="the compiled engine needs llvmlite")
def test_a_full_disk_at_the_cache_of_compiled_code_costs_the_cache_only(tmp_path, monkeypatch):
    tried = []

    def full(**arguments):
        tried.append(arguments["dir"])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(machine_code.tempfile, "mkstemp", full)
    monkeypatch.setattr(machine_code, "folders", lambda: [tmp_path])
    monkeypatch.setenv(VARIABLE, "1")
    native.compiled.cache_clear()
    zero = np.zeros((1, 1, 2, 1))
    patches = raw_data.get_image_patches(np.ones((9, 9), np.complex64), zero + 4, zero, 4, 1)
    assert tried == [tmp_path]
    assert patches.numpy().all()
