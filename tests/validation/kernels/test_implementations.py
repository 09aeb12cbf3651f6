import numpy as np
import pytest

from tests.validation.children import make_case
from validation.contract.kernel import NotAvailableError
from validation.kernels import registry
from validation.kernels.loading import load
from validation.outputs.tree import complete

ALL = [
    (kernel.name, implementation.name)
    for kernel in registry.built_in()
    for implementation in (kernel.reference, *kernel.candidates)
]


@pytest.fixture
def extraction(kernels, scan_path):
    """The arguments of a small case of extraction, and what gives its implementations by name."""
    kernel = kernels["patch_extraction"]
    return kernel.inputs(make_case(), scan_path), lambda name: load(registry.find(kernel, name))


@pytest.mark.tensorflow
@pytest.mark.parametrize(("kernel", "name"), ALL)
@pytest.mark.parametrize("pattern", ["border", "fermat"])
def test_every_engine_fallback_and_flag_state_agrees_with_the_oracle(kernels, scan_path, kernel, name, pattern):
    known = kernels[kernel]
    arguments = known.inputs(make_case(kernel, pattern=pattern), scan_path)
    function, compute = load(registry.find(known, name)), load(known.oracle)
    try:
        found = complete(function(**arguments))
    except NotAvailableError as lacking:
        pytest.skip(str(lacking))
    np.testing.assert_allclose(found.array, compute(**arguments), atol=1e-6, rtol=0)


@pytest.mark.tensorflow
def test_a_checkout_without_an_engine_makes_it_not_available(extraction, monkeypatch):
    import ptycho.raw_data

    arguments, function = extraction

    def older(gt_padded, offsets_f, N, B, c):
        raise AssertionError("must not be called with options it lacks")

    monkeypatch.setattr(ptycho.raw_data, "_get_image_patches_batched", older)
    with pytest.raises(NotAvailableError, match="has no engine"):
        function("batched_xla")(**arguments)


@pytest.mark.tensorflow
def test_the_flag_states_really_choose_their_implementation(extraction, monkeypatch):
    import ptycho.raw_data

    arguments, function = extraction
    used = []
    for name in ("_get_image_patches_batched", "_get_image_patches_iterative"):
        true = getattr(ptycho.raw_data, name)
        monkeypatch.setattr(
            ptycho.raw_data, name, lambda *args, true=true, name=name, **more: used.append(name) or true(*args, **more)
        )
    for name, expected in [
        ("reference", "_get_image_patches_iterative"),
        ("batched", "_get_image_patches_batched"),
        ("batched_environment", "_get_image_patches_batched"),
        ("batched_params", "_get_image_patches_batched"),
        ("iterative_environment", "_get_image_patches_iterative"),
    ]:
        used.clear()
        function(name)(**arguments)
        assert used == [expected], name


@pytest.mark.tensorflow
def test_the_state_of_the_process_is_left_as_it_was(extraction, monkeypatch):
    import os

    import tensorflow as tf

    from ptycho import native, params

    monkeypatch.setenv("USE_BATCHED_PATCH_EXTRACTION", "false")
    before = (dict(os.environ), dict(params.cfg), native.available)
    arguments, function = extraction
    for name in ("batched_environment", "batched_params", "batched_without_native", "batched_eager"):
        function(name)(**arguments)
    assert (dict(os.environ), dict(params.cfg), native.available) == before
    assert not tf.config.functions_run_eagerly()
