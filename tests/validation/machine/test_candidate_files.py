"""The digest of a candidate covers all it is made of, and a change of any of it is seen."""

import os
import time

import pytest

from validation.contract.errors import UsageError
from validation.machine import candidate_files
from validation.run import provenance


def digest(target="fast:windows"):
    return candidate_files.digest(target)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A lone module in the folder where the command is started."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fast.py"
    path.write_text("def windows(**arguments):\n    return 1\n")
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "fast"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "inner" / "_core.so").write_bytes(b"\x7fELF 1")
    (folder / "table.npy").write_bytes(b"1")
    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution: a module, compiled code of another name, data, and a record of the installation."""
    site = tmp_path / "site"
    info = site / "fast-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "fast.py").write_text("import _fast_core\n")
    (site / "_fast_core.so").write_bytes(b"\x7fELF 1")
    (site / "of_another.py").write_text("1\n")
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "table.bin").write_bytes(b"1")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fast\nVersion: 1.0\n")
    (info / "RECORD").write_text("fast.py,,\n_fast_core.so,,\n../share/table.bin,,\nfast-1.0.dist-info/RECORD,,\n")
    (info / "top_level.txt").write_text("fast\n_fast_core\n")
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.mark.parametrize("name", ["__init__.py", "inner/_core.so", "table.npy"])
def test_any_file_of_a_package_counts(package, name):
    before = digest()
    (package / name).write_bytes(b"\x7fELF 2")
    assert digest() != before


def test_a_file_that_is_added_removed_or_renamed_counts(package):
    digests = {digest()}
    (package / "new.bin").write_bytes(b"1")
    digests.add(digest())
    (package / "new.bin").rename(package / "newer.bin")
    digests.add(digest())
    (package / "table.npy").unlink()
    digests.add(digest())
    assert len(digests) == 4
    assert None not in digests


@pytest.mark.parametrize("name", ["__pycache__/a.pyc", ".git/index", "inner/__pycache__/k.nbi", "a.pyc"])
def test_caches_do_not_count(package, name):
    before = digest()
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_bytes(b"1")
    assert digest() == before


@pytest.mark.parametrize("name", ["_fast.so", "helper.py", "table.npz"])
def test_what_lies_beside_a_lone_module_counts(module, name):
    before = digest()
    (module.parent / name).write_bytes(b"1")
    assert digest() != before


def test_a_log_or_a_run_beside_a_lone_module_does_not_count(module):
    before = digest()
    (module.parent / "run.log").write_text("going on")
    (module.parent / "runs").mkdir()
    (module.parent / "runs" / "results.jsonl").write_text("{}")
    assert digest() == before


def test_in_a_crowded_folder_the_files_of_the_modules_own_name_count(module, monkeypatch):
    monkeypatch.setattr(candidate_files, "MAX_BESIDE", 3)
    for index in range(4):
        (module.parent / f"scan-{index}.npz").write_bytes(b"1")
    before = digest()
    (module.parent / "scan-0.npz").write_bytes(b"2")
    assert digest() == before
    (module.parent / "_fast.abi3.so").write_bytes(b"1")
    assert digest() != before


@pytest.mark.parametrize("name", ["site/fast.py", "site/_fast_core.so", "share/table.bin"])
def test_all_files_of_an_installed_distribution_count_and_those_of_others_do_not(installed, name):
    before = digest()
    (installed / "site" / "of_another.py").write_text("2\n")
    assert digest() == before
    (installed / name).write_bytes(b"2")
    assert digest() != before


def test_a_module_in_the_working_folder_hides_an_installed_one(installed):
    (installed / "elsewhere" / "fast.py").write_text("1\n")
    before = digest()
    (installed / "site" / "_fast_core.so").write_bytes(b"\x7fELF 2")
    assert digest() == before
    (installed / "elsewhere" / "fast.py").write_text("2\n")
    assert digest() != before


def test_a_file_that_was_not_written_is_not_read_again_and_one_with_its_old_time_is(package, monkeypatch):
    before = digest()
    core = package / "inner" / "_core.so"
    opened = []
    real = type(core).open
    monkeypatch.setattr(type(core), "open", lambda self, mode: opened.append(self.name) or real(self, mode))
    assert digest() == before
    assert opened == []
    at = core.stat()
    time.sleep(0.02)
    with open(core, "wb") as file:
        file.write(b"\x7fELF 2")
    os.utime(core, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert digest() != before
    assert opened == ["_core.so"]


def test_compiled_code_that_changes_while_a_run_goes_on_ends_it(package):
    sources = provenance.Sources(candidate="fast:windows")
    recorded = provenance.describe(sources, {})
    provenance.check_unchanged(sources, recorded)
    (package / "inner" / "_core.so").write_bytes(b"\x7fELF 3")
    with pytest.raises(UsageError, match="the candidate's sources changed while they were measured"):
        provenance.check_unchanged(sources, recorded)
