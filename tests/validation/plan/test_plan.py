"""The plan names every line that a run will write, once."""

import pytest

from tests.validation.builders import SCAN
from validation.contract.kernel import NotAvailableError
from validation.kernels import registry
from validation.kernels.patches.mutants import MUTANTS
from validation.kernels.registry import Kernels
from validation.plan.items import CaseItem, PropertyItem, memory_shortage, planned_lines
from validation.plan.items import plan_items as plan_items_of
from validation.plan.sweeps import BUILT_IN, expand, select
from validation.properties import generic

KERNELS = Kernels(registry.built_in())


def plan_items(sweep, candidate):
    return plan_items_of(sweep, candidate, KERNELS)


@pytest.fixture(scope="module")
def nightly():
    return expand("nightly", KERNELS, SCAN, 0)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_line_is_planned_twice(name):
    keys = [line.key for line in planned_lines(plan_items(expand(name, KERNELS, SCAN, 0), "batched"))]
    assert keys[0] == "calibration"
    assert len(set(keys)) == len(keys)


def test_nightly_plans_the_suite_every_mutant_and_every_peer(nightly):
    items = plan_items(nightly, "batched")
    keys = {item.key for item in items}
    assert {"suite|off", "suite|on"} <= keys
    assert {f"mutant|{mutant.name}" for mutant in MUTANTS} <= keys
    offered = {other.name for other in registry.candidates(KERNELS["patch_extraction"]) if other.role == "peer"}
    assert offered
    assert offered == {item.candidate for item in items if isinstance(item, CaseItem) and item.role == "peer"}


def test_the_judged_candidate_meets_every_case_and_every_property(nightly):
    items = plan_items(nightly, "batched")
    judged = [item for item in items if isinstance(item, CaseItem) and item.candidate == "batched"]
    assert [item.planned for item in judged] == list(nightly.cases)
    assert all(item.checks == item.planned.checks and item.role == "candidate" for item in judged)
    for kernel in ("patch_extraction", "reassembly"):
        probed = {
            item.name
            for item in items
            if isinstance(item, PropertyItem) and item.candidate == "batched" and item.case.kernel == kernel
        }
        assert probed == set(generic.names(KERNELS[kernel]))


def test_every_engine_fallback_and_flag_state_is_swept_and_has_its_properties_checked(nightly):
    items = plan_items(nightly, "batched")
    for kernel in ("patch_extraction", "reassembly"):
        offered = {other.name for other in registry.candidates(KERNELS[kernel]) if other.role == "candidate"}
        cases = {i.candidate for i in items if isinstance(i, CaseItem) and i.planned.case.kernel == kernel}
        probed = {i.candidate for i in items if isinstance(i, PropertyItem) and i.case.kernel == kernel}
        assert offered <= cases
        assert offered <= probed


def test_only_peers_and_cases_declared_so_are_optional(nightly):
    items = plan_items(nightly, "batched")
    for item, line in zip(items, planned_lines(items)[1:], strict=True):
        expected = isinstance(item, CaseItem) and (item.planned.optional or item.role == "peer")
        assert line.optional == expected


def test_a_filtered_sweep_plans_neither_suite_nor_mutants(nightly):
    keys = [item.key for item in plan_items(select(nightly, where={"N": ("32",)}), "batched")]
    assert keys
    assert not [key for key in keys if key.startswith(("suite|", "mutant|"))]


def test_a_shortage_names_need_and_limit(nightly):
    item = plan_items(nightly, "batched")[0]
    kernel = KERNELS[item.planned.case.kernel]
    assert memory_shortage(kernel, item, None) is None
    assert memory_shortage(kernel, item, 2**50) is None
    shortage = memory_shortage(kernel, item, 2**20)
    assert shortage.reason == "skipped_memory"
    assert "a child may take 0.0 GiB" in shortage.message


def test_what_another_package_registered_meets_nothing_unless_it_is_the_judged_one(nightly, monkeypatch):
    monkeypatch.setattr(registry, "registered", lambda: {"windows": "my_windows:windows"})
    assert "windows" in {other.name for other in registry.candidates(KERNELS["reassembly"])}
    items = plan_items(nightly, "batched")
    assert "windows" not in {item.candidate for item in items if isinstance(item, (CaseItem, PropertyItem))}
    judged = [item for item in plan_items(nightly, "windows") if isinstance(item, CaseItem)]
    assert "windows" in {item.candidate for item in judged}


def test_an_implementation_belongs_to_the_kernels_that_offer_it(monkeypatch):
    monkeypatch.setattr(registry, "registered", lambda: {"windows": "my_windows:windows"})

    def offering(name):
        return [kernel.name for kernel in KERNELS.offering(name)]

    assert offering("batched") == ["patch_extraction", "reassembly"]
    assert offering("batched_xla") == ["patch_extraction"]
    assert offering("windows") == offering("a.b:c") == ["patch_extraction"]
    with pytest.raises(NotAvailableError, match="got 'widnows'"):
        KERNELS.offering("widnows")
