"""The rooms of ``validation``: their order, their size, and that no arrow goes up or round."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "validation"
# From the ground up; what stands in no room is above all of them.
ROOMS = (
    "contract",
    "machine",
    "outputs",
    "subject",
    "properties",
    "kernels",
    "plan",
    "child",
    "measure",
    "run",
    "gallery",
    "cluster",
)
MOST_MODULES, MOST_LINES = 12, 350
SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}


def imports(path):
    """Modules of the package that a source imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES or node.module in MODULES:
                    yield whole if whole in MODULES else node.module


def floor_of(name):
    parts = name.split(".")
    return ROOMS.index(parts[1]) if len(parts) > 2 or (len(parts) == 2 and parts[1] in ROOMS) else len(ROOMS)


def test_every_folder_is_a_room():
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_imports_run_downward():
    up = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        for other in imports(path)
        if floor_of(other) > floor_of(name)
    ]
    assert not up


def test_no_imports_go_round():
    graph = {name: {other for other in imports(path) if other != name} for name, path in MODULES.items()}
    while leaves := [name for name, others in graph.items() if not others]:
        graph = {name: others.difference(leaves) for name, others in graph.items() if name not in leaves}
    assert not graph


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda folder: folder.name)
def test_a_folder_holds_a_dozen_modules_at_most(folder):
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, modules


def test_a_module_is_read_in_one_go():
    long = {name: lines for name, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > MOST_LINES}
    assert not long


def test_nothing_outside_kernels_and_subject_names_the_package_or_its_kernels():
    # The distribution's own name, as in an install hint or an entry point, is none of theirs.
    named = re.compile(r"patch_extraction|reassembly|gridsize|ptycho(?![-_]validation)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if not {"kernels", "subject"} & set(path.relative_to(ROOT).parts)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if named.search(line)
    ]
    assert not found


def test_the_page_about_the_rooms_names_them_in_their_order():
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = re.findall(r"^- `(\w+)`:", page, re.MULTILINE)
    assert tuple(told) == ROOMS
    (picture,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert tuple(re.findall(r"^│ (\w+)", picture, re.MULTILINE))[::-1] == ROOMS
