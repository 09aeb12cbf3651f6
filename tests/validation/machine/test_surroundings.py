"""Variables that change allocators or compilers are no part of a measurement that nobody asked for."""

import pytest

from validation.machine import surroundings
from validation.run import provenance


@pytest.fixture
def odd(monkeypatch):
    for name in surroundings.changing(dict(__import__("os").environ)):
        monkeypatch.delenv(name)
    for name, value in {
        "LD_PRELOAD": "",
        "MALLOC_ARENA_MAX": "1",
        "GLIBC_TUNABLES": "",
        "XLA_FLAGS": "",
        "TF_XLA_FLAGS": "",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "KMP_BLOCKTIME": "0",
        "MKL_CBWR": "AVX2",
        "OMP_NUM_THREADS": "7",
        "PYTHONPATH": "here",
        "PYTHONMALLOC": "malloc",
        "A_SETTING": "of the user",
    }.items():
        monkeypatch.setenv(name, value)


CLEARED = (
    "GLIBC_TUNABLES",
    "KMP_BLOCKTIME",
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "MKL_CBWR",
    "PYTHONMALLOC",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)


@pytest.mark.usefixtures("odd")
def test_children_do_not_have_what_changes_allocators_or_compilers():
    environment = surroundings.child_environment(2)
    assert not set(CLEARED) & set(environment)
    assert (environment["A_SETTING"], environment["PYTHONPATH"]) == ("of the user", "here")
    assert environment["OMP_NUM_THREADS"] == "2"
    assert surroundings.cleared() == CLEARED


@pytest.mark.usefixtures("odd")
def test_what_the_user_keeps_is_there_and_on_record():
    keep = ("MALLOC_ARENA_MAX", "XLA_FLAGS", "NOT_THERE")
    assert surroundings.child_environment(2, keep)["MALLOC_ARENA_MAX"] == "1"
    on_record = surroundings.settings_on_record(2, keep)
    assert (on_record["MALLOC_ARENA_MAX"], on_record["OMP_NUM_THREADS"]) == ("1", "2")
    assert "NOT_THERE" not in on_record
    origin = provenance.describe(provenance.Sources(), on_record)
    assert origin.threads == on_record
    assert origin.cleared_env == tuple(name for name in CLEARED if name not in keep)


@pytest.mark.usefixtures("odd")
def test_the_user_is_told_what_is_cleared():
    note = surroundings.cleared_note(surroundings.cleared())
    assert "LD_PRELOAD" in note
    assert "--keep-env NAME" in note
    assert surroundings.cleared_note(()) is None


def test_the_cache_of_compiled_kernels_is_found_in_the_folder_of_a_child(tmp_path, monkeypatch):
    cache = tmp_path / "user"
    (cache / "numba").mkdir(parents=True)
    (cache / "numba" / "kernel").write_text("code")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    surroundings.make_private(tmp_path / "child")
    assert (tmp_path / "child" / "cache" / "numba" / "kernel").read_text() == "code"
    surroundings.remove_private(tmp_path / "child")
    assert (cache / "numba" / "kernel").read_text() == "code"
    assert not (tmp_path / "child").exists()
