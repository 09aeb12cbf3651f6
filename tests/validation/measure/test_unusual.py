import importlib.util

import pytest

from tests.validation import unusual
from validation.contract.tasks import MemoryReply, TimeReply
from validation.gallery import bench as gallery_bench
from validation.kernels.patches.case import make_case
from validation.measure.bench import Bench
from validation.measure.case import compare_outputs
from validation.measure.runner import LocalExecutor

CASE = make_case("patch_extraction", N=16, gridsize=2, batch=10, shape=(40, 52), pattern="border")


@pytest.fixture(scope="module")
def bench(tmp_path_factory, scan_path, kernels):
    folder = tmp_path_factory.mktemp("unusual")
    with LocalExecutor(
        folder, mode="fork", threads=2, memory_limit_bytes=4 * 2**30, preload=kernels.preload
    ) as executor:
        yield Bench(
            executor,
            scan_path=scan_path,
            kernels=kernels,
            protocol=gallery_bench.PROTOCOL,
            scratch=folder,
            timeout_s=120.0,
        )


def _target(form):
    needed = unusual.NEEDS.get(form, "numpy")
    if importlib.util.find_spec(needed.partition(".")[0]) is None:
        pytest.skip(f"{needed} is not installed")
    return f"{unusual.__name__}:{form}"


@pytest.mark.parametrize("form", unusual.FORMS)
def test_an_honest_result_of_an_unusual_form_is_compared(bench, form):
    found = compare_outputs(bench, CASE, _target(form))
    assert found.candidate_vs_oracle.passed
    assert found.candidate_vs_reference.passed


@pytest.mark.parametrize("form", unusual.FORMS)
def test_an_honest_result_of_an_unusual_form_is_timed_and_metered(bench, form):
    name = _target(form)
    timed, _ = bench.ask("time", TimeReply, case=CASE, implementation=name, protocol=bench.protocol)
    assert len(timed.timing.samples_s) == bench.protocol.samples
    metered, _ = bench.ask("memory", MemoryReply, case=CASE, implementation=name, protocol=bench.protocol)
    assert metered.memory.peak_bytes >= metered.memory.baseline_bytes
