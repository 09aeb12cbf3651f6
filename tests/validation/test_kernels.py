import importlib.metadata
import subprocess
import sys

import pytest

from tests.validation.children import make_case
from validation.kernels import registry as kernels


@pytest.mark.parametrize("kernel", sorted(kernels.KERNELS))
def test_every_implementation_of_ours_can_be_loaded(kernel):
    known = kernels.KERNELS[kernel]
    for implementation in (known.reference, known.oracle, *known.candidates):
        assert callable(kernels.load(implementation))


@pytest.mark.parametrize("kernel", sorted(kernels.KERNELS))
def test_names_are_unique(kernel):
    names = [found.name for found in kernels.candidates(kernel)] + ["reference", "oracle"]
    assert len(set(names)) == len(names)


def test_a_function_of_the_users_is_taken_as_it_is():
    found = kernels.find("patch_extraction", "validation.kernels.patches.oracle:extract_patches")
    assert found.role == "candidate"
    assert kernels.load(found).__name__ == "extract_patches"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(kernels.NotAvailableError, match=r"batched, .* got 'fastest'"):
        kernels.find("patch_extraction", "fastest")


@pytest.mark.parametrize("target", ["no_such_module:f", "validation.kernels.patches.oracle:no_such_function"])
def test_what_cannot_be_imported_is_not_available(target):
    with pytest.raises(kernels.NotAvailableError, match="cannot be imported"):
        kernels.load(kernels.find("patch_extraction", target))


def test_moved_bytes_are_the_result_and_the_object():
    case = make_case(N=16, gridsize=2, batch=5, height=61, width=83)
    assert kernels.KERNELS["patch_extraction"].moved_bytes(case) == 20 * 256 * 8 + 61 * 83 * 8


def test_the_parents_modules_import_no_tensorflow():
    program = (
        "import sys, validation.child.actions, validation.outputs.compare, validation.subject.demo_scan;"
        "import validation.kernels.patches.mutants;"
        "sys.exit('tensorflow' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_candidate_registered_by_another_distribution_joins(monkeypatch):
    point = importlib.metadata.EntryPoint(
        name="theirs", value="validation.kernels.patches.oracle:extract_patches", group=kernels.ENTRY_POINTS
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == point.group else [])
    found = kernels.find("patch_extraction", "theirs")
    assert found in kernels.candidates("patch_extraction")
    assert found.role == "candidate"
    assert kernels.load(found).__name__ == "extract_patches"
