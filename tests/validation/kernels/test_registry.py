import importlib.metadata
import subprocess
import sys

import pytest

from validation.contract.cards import KernelSource
from validation.contract.errors import UsageError
from validation.contract.kernel import NotAvailableError
from validation.kernels import registry
from validation.kernels.loading import load

ORACLE = "validation.kernels.patches.oracle:extract_patches"
BUILT_IN = registry.built_in()


@pytest.fixture
def extraction(kernels):
    return kernels["patch_extraction"]


@pytest.mark.parametrize("kernel", BUILT_IN, ids=lambda kernel: kernel.name)
def test_every_implementation_of_ours_can_be_loaded(kernel):
    for implementation in (kernel.reference, kernel.oracle, *kernel.candidates):
        assert callable(load(implementation))


@pytest.mark.parametrize("kernel", BUILT_IN, ids=lambda kernel: kernel.name)
def test_names_are_unique(kernel):
    names = [found.name for found in registry.candidates(kernel)] + ["reference", "oracle"]
    assert len(set(names)) == len(names)


def test_a_function_of_the_users_is_taken_as_it_is(extraction):
    found = registry.find(extraction, ORACLE)
    assert found.role == "candidate"
    assert load(found).__name__ == "extract_patches"


def test_an_unknown_name_is_refused_with_the_known_ones(extraction):
    with pytest.raises(NotAvailableError, match=r"batched, .* got 'fastest'"):
        registry.find(extraction, "fastest")


@pytest.mark.parametrize("target", ["no_such_module:f", "validation.kernels.patches.oracle:no_such_function"])
def test_what_cannot_be_imported_is_not_available(extraction, target):
    with pytest.raises(NotAvailableError, match="cannot be imported"):
        load(registry.find(extraction, target))


def test_the_parents_modules_import_no_tensorflow():
    program = (
        "import sys, validation.child.actions, validation.outputs.compare, validation.subject.demo_scan;"
        "from validation.kernels import registry; registry.built_in();"
        "sys.exit('tensorflow' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def offered(monkeypatch):
    """Gives what another distribution offers under a group of entry points."""

    def offer(group, name, value):
        point = importlib.metadata.EntryPoint(name=name, value=value, group=group)
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == point.group else [])

    return offer


def test_a_candidate_registered_by_another_distribution_joins(extraction, offered):
    offered(registry.CANDIDATE_POINTS, "theirs", ORACLE)
    found = registry.find(extraction, "theirs")
    assert found in registry.candidates(extraction)
    assert found.role == "candidate"
    assert load(found).__name__ == "extract_patches"


OF_A_STRANGER = """
from validation.contract.cards import Implementation
from validation.contract.kernel import Kernel


class Doubled(Kernel):
    name = "doubled"
    reference = Implementation(name="reference", role="reference", target="numpy:add", summary="a sum")

    def build(self, case, rng, data):
        return rng.uniform(size=3), 2.0


class OfTheFuture(Doubled):
    api = 2


"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Gives a folder of a name of its own with the kernels of a stranger, and ``KERNELS``."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(kernels):
        folder = tmp_path / f"of_{tmp_path.name}"
        folder.mkdir()
        (folder / "__init__.py").write_text(OF_A_STRANGER + kernels)
        return folder

    return write


def test_a_kernel_in_a_folder_is_found_there_by_any_process(package):
    folder = package("KERNELS = (Doubled(),)\n")
    (kernel,) = registry.in_folder(str(folder))
    assert (kernel.name, kernel.source.folder) == ("doubled", str(folder))
    (again,) = registry.Kernels.of([registry.source_of(kernel)])
    assert again.name == "doubled"
    with pytest.raises(UsageError, match="must hold tripled, but does not"):
        registry.Kernels.of([KernelSource(name="tripled", folder=str(folder))])


@pytest.mark.parametrize("kernels", ["Doubled()", "Doubled", "[Doubled()]"])
def test_a_kernel_a_class_of_one_and_a_list_are_taken(package, kernels):
    (kernel,) = registry.in_folder(str(package(f"KERNELS = {kernels}\n")))
    assert kernel.name == "doubled"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold KERNELS, .* got NoneType"),
        ("KERNELS = (3,)\n", "must hold KERNELS, .* got int"),
        ("KERNELS = (OfTheFuture(),)\n", "has API 2, expected 1"),
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_folder_without_kernels_is_refused(package, content, message):
    with pytest.raises(UsageError, match=message):
        registry.in_folder(str(package(content)))


def test_a_folder_whose_name_another_module_has_is_refused(package, tmp_path):
    folder = package("KERNELS = (Doubled(),)\n")
    registry.in_folder(str(folder))
    other = tmp_path / "other" / folder.name
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(OF_A_STRANGER + "KERNELS = (Doubled(),)\n")
    with pytest.raises(UsageError, match=f"{folder} has its name; rename it"):
        registry.in_folder(str(other))


def test_what_is_no_package_is_no_folder_of_kernels(tmp_path):
    with pytest.raises(UsageError, match=r"must be a folder with an __init__\.py"):
        registry.in_folder(str(tmp_path))


def test_a_kernel_that_another_distribution_offers_is_found_by_its_name(package, offered, monkeypatch):
    folder = package("KERNELS = (Doubled(),)\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    offered(registry.KERNEL_POINTS, "doubled", f"{folder.name}:KERNELS")
    (kernel,) = registry.Kernels.of([KernelSource(name="doubled")])
    assert kernel.name == "doubled"
    with pytest.raises(
        UsageError, match="patch_extraction, reassembly, doubled, or given with --kernel-folder, got 'h'"
    ):
        registry.Kernels.of([KernelSource(name="h")])
