"""Provenance names what was measured, and tells two different things apart."""

import subprocess
import sys

import pytest

from validation.contract.errors import UsageError
from validation.run import provenance
from validation.run.provenance import Sources
from validation.subject import package


@pytest.fixture
def checkout(tmp_path):
    package = tmp_path / "ptycho" / "config"
    package.mkdir(parents=True)
    folder = tmp_path / "ptycho"
    for source in (folder / "__init__.py", folder / "patches.py", package / "__init__.py", package / "config.py"):
        source.write_text('"""A module."""\n')
    return tmp_path


def digest(checkout):
    return package.digest(package.find(str(checkout)))


@pytest.mark.parametrize("name", ["__init__.py", "patches.py"])
def test_one_character_in_any_kernel_source_changes_the_digest(checkout, name):
    before = digest(checkout)
    source = checkout / "ptycho" / name
    source.write_text(source.read_text().replace("module", "modula"))
    assert digest(checkout) != before


def test_a_renamed_source_changes_the_digest(checkout):
    before = digest(checkout)
    (checkout / "ptycho" / "patches.py").rename(checkout / "ptycho" / "pitches.py")
    assert digest(checkout) != before


def test_a_default_may_change_without_a_new_digest(checkout):
    before = digest(checkout)
    (checkout / "ptycho" / "config" / "config.py").write_text("flag = True\n")
    assert digest(checkout) == before


def test_what_is_no_source_leaves_the_digest(checkout):
    before = digest(checkout)
    (checkout / "ptycho" / "notes.txt").write_text("notes")
    assert digest(checkout) == before


def test_a_checkout_without_the_package_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a folder that holds the package ptycho"):
        package.find(str(tmp_path))


def test_a_checkout_that_git_does_not_track_has_no_commit(checkout):
    found = provenance.describe(Sources(package=str(checkout)), {})
    assert (found.commit, found.dirty, found.package_path) == (None, None, str(checkout))


def commit_all(checkout):
    def git(*arguments):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(checkout), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "First")


def test_a_changed_source_makes_the_commit_dirty(checkout):
    commit_all(checkout)
    clean = provenance.describe(Sources(package=str(checkout)), {})
    assert (len(clean.commit), clean.dirty, clean.commit_subject) == (40, False, "First")
    (checkout / "ptycho" / "__init__.py").write_text("changed = 1\n")
    assert provenance.describe(Sources(package=str(checkout)), {}).dirty is True


def test_the_fingerprint_of_this_machine_is_the_same_in_another_process():
    program = "from validation.run.provenance import describe_machine; print(describe_machine().fingerprint)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == provenance.describe_machine().fingerprint


def test_describing_imports_no_tensorflow():
    described = "from validation.run.provenance import Sources, describe; describe(Sources(), {})"
    program = f"import sys; {described}; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_source_that_git_does_not_know_makes_the_checkout_dirty(checkout):
    commit_all(checkout)
    assert provenance.describe(Sources(package=str(checkout)), {}).dirty is False
    (checkout / "ptycho" / "new.py").write_text("1\n")
    assert provenance.describe(Sources(package=str(checkout)), {}).dirty is True


def test_sources_that_changed_are_noticed(checkout):
    recorded = provenance.describe(Sources(package=str(checkout)), {})
    provenance.check_unchanged(Sources(package=str(checkout)), recorded)
    (checkout / "ptycho" / "new.py").write_text("1\n")
    with pytest.raises(UsageError, match="the kernel's sources changed while they were measured"):
        provenance.check_unchanged(Sources(package=str(checkout)), recorded)


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """A module of somebody's, in the folder where the command is started."""
    path = tmp_path / "my_windows.py"
    path.write_text("def windows(**arguments):\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    return path


def test_a_candidate_of_the_users_is_part_of_the_provenance(windows):
    sources = Sources(candidate="my_windows:windows")
    found = provenance.describe(sources, {})
    assert len(found.candidate_digest) == len(found.harness_digest) == 64
    provenance.check_unchanged(sources, found)
    windows.write_text(windows.read_text().replace("1", "2"))
    with pytest.raises(UsageError, match="the candidate's sources changed while they were measured"):
        provenance.check_unchanged(sources, found)


def test_a_candidate_is_found_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "fast.py").write_text("def windows():\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    sources = Sources(candidate="my_package.fast:windows")
    before = sources.candidate_digest()
    assert len(before) == 64
    (package / "fast.py").write_text("def windows():\n    return 2\n")
    assert sources.candidate_digest() != before


def test_a_candidate_of_the_projects_or_of_nobody_has_no_digest_of_its_own():
    assert provenance.describe(Sources(), {}).candidate_digest is None
    assert Sources(candidate="no_such_module_anywhere:f").candidate_digest() is None
