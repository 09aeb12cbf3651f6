import importlib
import re

import numpy as np
import pytest

from tests.docs.pages import ROOT
from validation.gallery.bench import ONCE
from validation.kernels.patches.cheats.caching import forgotten
from validation.kernels.patches.cheats.catalogue import CHEATS, OPEN, TIMED_IN_FULL
from validation.kernels.patches.cheats.work import WORK_S, right
from validation.measure.arms import timed
from validation.measure.bench import Bench
from validation.measure.runner import LocalExecutor
from validation.properties import generic

ALL = (*CHEATS, *TIMED_IN_FULL, *OPEN)
# Kinds of the threat model that no implementation shows; the page says why.
NOT_SHOWN = {19, 30, 31, 33, 34}
# They are wrong from the first call on, or it does not come back.
WRONG_AT_ONCE = {
    "two_faces", "fills_when_touched", "finishes_later", "idle_by_environment", "idle_by_stack", "idle_unless_poisoned",
    "idle_beside_the_probes", "checker_replaced", "oracle_replaced", "comparison_replaced", "finds_the_answer",
    "all_nan", "nearest_pixel", "half_precision", "knows_the_seed", "snapshot_replaced",
}  # fmt: skip
# They change the process that calls them.
NOT_HERE = {
    "slow_clock", "clock_in_machine_code", "checker_replaced", "oracle_replaced", "comparison_replaced",
    "meter_replaced", "writer_replaced", "encoder_replaced", "asynchronous", "works_in_the_collector", "mark_reset",
    "leaves_a_busy_process", "leaves_a_sleeping_process", "slows_its_parent", "raises_its_priority", "arena_kept",
    "leaves_the_error_state", "leaves_the_environment", "leaves_the_folder", "leaves_a_handler", "leaves_the_seed",
    "kept_on_disk", "kept_in_shared_memory", "imported_slowly",
}  # fmt: skip


def test_every_kind_of_the_threat_model_has_a_cheat_or_is_said_to_have_none():
    shown = {int(cheat.defect[1:]) for cheat in ALL}
    assert shown | NOT_SHOWN == set(range(1, 41))
    assert not shown & NOT_SHOWN


def test_every_cheat_says_what_it_must_be_stopped_for():
    for cheat in CHEATS:
        assert cheat.because
        re.compile(cheat.because)


def test_every_property_that_a_cheat_must_not_have_is_there(kernels):
    for cheat in CHEATS:
        assert cheat.property is None or cheat.property in generic.names(kernels[cheat.kernel]), cheat.name


@pytest.mark.parametrize(
    "cheat", [cheat for cheat in ALL if cheat.name not in WRONG_AT_ONCE | NOT_HERE], ids=lambda cheat: cheat.name
)
def test_a_cheat_begins_with_the_right_result(kernels, scan_path, cheat):
    kernel = kernels[cheat.kernel]
    case = kernel.exhibition.clock
    arguments = kernel.inputs(case, scan_path)
    expected = right(kernel.inputs(case, scan_path))
    module = importlib.reload(importlib.import_module(cheat.module))  # none was called before
    found = np.asarray(getattr(module, cheat.name)(**arguments))
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, kernels, scan_path):
    folder = tmp_path_factory.mktemp("cheats")
    with LocalExecutor(folder, mode="fork", threads=2, memory_limit_bytes=4 * 2**30) as executor:
        yield Bench(
            executor,
            scan_path=scan_path,
            kernels=kernels,
            protocol=ONCE,
            scratch=folder,
            timeout_s=120.0,
        )


@pytest.mark.parametrize(
    "cheat",
    [
        pytest.param(cheat, id=cheat.name, marks=[pytest.mark.tensorflow] if cheat.name == "asynchronous" else [])
        for cheat in (*CHEATS, *TIMED_IN_FULL)
        if cheat.measured == "clock"
    ],
)
def test_work_done_before_or_after_the_call_is_timed_in_full(bench, kernels, cheat):
    with forgotten():
        for _ in range(2):
            timing, *_ = timed(bench, kernels[cheat.kernel].exhibition.clock, f"{cheat.module}:{cheat.name}")
    if cheat.expected_criterion == "cold_speed":
        assert timing.first_call_s >= timing.import_s >= 0.4
    else:
        assert min(timing.samples_s) >= WORK_S


@pytest.mark.parametrize("page", ["mutants.md", "threat-model.md"])
def test_the_pages_name_every_cheat(page):
    text = (ROOT / "docs" / page).read_text()
    assert [cheat.name for cheat in ALL if f"`{cheat.name}`" not in text] == []
