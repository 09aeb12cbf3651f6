import numpy as np
import pytest

from tests.validation.children import make_case
from validation.child.watch import complete
from validation.kernels import registry as kernels
from validation.kernels.patches import workloads
from validation.subject.demo_scan import write_demo_scan

ALL = [
    (kernel, implementation.name)
    for kernel, known in kernels.KERNELS.items()
    for implementation in (known.reference, *known.candidates)
]


@pytest.fixture(scope="module")
def scan_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    return str(path)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("kernel", "name"), ALL)
@pytest.mark.parametrize("pattern", ["border", "fermat"])
def test_every_engine_fallback_and_flag_state_agrees_with_the_oracle(scan_path, kernel, name, pattern):
    arguments = workloads.build(make_case(kernel=kernel, pattern=pattern), scan_path)
    function = kernels.load(kernels.find(kernel, name))
    compute = kernels.load(kernels.KERNELS[kernel].oracle)
    try:
        found = complete(function(**arguments))
    except kernels.NotAvailableError as lacking:
        pytest.skip(str(lacking))
    np.testing.assert_allclose(found, compute(**arguments), atol=1e-6, rtol=0)


@pytest.mark.tensorflow
def test_a_checkout_without_an_engine_makes_it_not_available(scan_path, monkeypatch):
    import ptycho.raw_data

    def older(gt_padded, offsets_f, N, B, c):
        raise AssertionError("must not be called with options it lacks")

    monkeypatch.setattr(ptycho.raw_data, "_get_image_patches_batched", older)
    with pytest.raises(kernels.NotAvailableError, match="has no engine"):
        kernels.load(kernels.find("patch_extraction", "batched_xla"))(**workloads.build(make_case(), scan_path))


@pytest.mark.tensorflow
def test_the_flag_states_really_choose_their_implementation(scan_path, monkeypatch):
    import ptycho.raw_data

    used = []
    for name in ("_get_image_patches_batched", "_get_image_patches_iterative"):
        true = getattr(ptycho.raw_data, name)
        monkeypatch.setattr(
            ptycho.raw_data, name, lambda *args, true=true, name=name, **more: used.append(name) or true(*args, **more)
        )
    arguments = workloads.build(make_case(), scan_path)
    for name, expected in [
        ("reference", "_get_image_patches_iterative"),
        ("batched", "_get_image_patches_batched"),
        ("batched_environment", "_get_image_patches_batched"),
        ("batched_params", "_get_image_patches_batched"),
        ("iterative_environment", "_get_image_patches_iterative"),
    ]:
        used.clear()
        kernels.load(kernels.find("patch_extraction", name))(**arguments)
        assert used == [expected], name


@pytest.mark.tensorflow
def test_the_state_of_the_process_is_left_as_it_was(scan_path, monkeypatch):
    import os

    import tensorflow as tf

    from ptycho import native, params

    monkeypatch.setenv("USE_BATCHED_PATCH_EXTRACTION", "false")
    before = (dict(os.environ), dict(params.cfg), native.available)
    arguments = workloads.build(make_case(), scan_path)
    for name in ("batched_environment", "batched_params", "batched_without_numba", "batched_eager"):
        kernels.load(kernels.find("patch_extraction", name))(**arguments)
    assert (dict(os.environ), dict(params.cfg), native.available) == before
    assert not tf.config.functions_run_eagerly()
