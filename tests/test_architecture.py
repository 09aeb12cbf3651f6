"""Who may import whom: the rooms of the house, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"ptycho", "validation", "reports", "asv_bench"}
ALLOWED = {"ptycho": {"ptycho"}, "validation": {"validation", "ptycho"}, "reports": {"reports", "validation"}}
ALLOWED["asv_bench"] = {"asv_bench", "ptycho"}


def imported(source, *, only_at_import_time=False):
    """Top-level names of what a source file imports; those inside functions can be left out."""
    tree = ast.parse(source)
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if only_at_import_time and id(node) in inner:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def modules(source):
    """Whole names of what a source file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(room):
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_whom_it_may(room):
    assert sources(room)
    for path in sources(room):
        foreign = (set(imported(path.read_text())) & ROOMS) - ALLOWED[room]
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(foreign)}"


def within(name, package):
    return name == package or name.startswith(f"{package}.")


def test_judging_shares_the_contract_with_measuring_and_nothing_else():
    shared = set()
    for path in sources("reports"):
        names = {name for name in modules(path.read_text()) if within(name, "validation")}
        shared |= names
        foreign = {name for name in names if not within(name, "validation.contract")}
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(foreign)}"
    assert shared


def test_the_contract_imports_nothing_of_those_who_share_it():
    for path in sources("validation/contract"):
        names = {name for name in modules(path.read_text()) if any(within(name, room) for room in ROOMS)}
        foreign = {name for name in names if not within(name, "validation.contract")}
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(foreign)}"


@pytest.mark.parametrize("room", ["validation", "asv_bench"])
def test_ptycho_is_imported_inside_functions_only(room):
    for path in sources(room):
        names = set(imported(path.read_text(), only_at_import_time=True))
        assert "ptycho" not in names, f"{path.relative_to(ROOT)} imports ptycho when it is imported"


@pytest.mark.parametrize("room", ["validation", "reports"])
def test_tensorflow_is_never_imported_at_import_time(room):
    for path in sources(room):
        names = set(imported(path.read_text(), only_at_import_time=True))
        assert "tensorflow" not in names, f"{path.relative_to(ROOT)} imports tensorflow when it is imported"
