"""Who may import whom: the rooms of the house, read from the sources."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"ptycho", "validation", "reports", "asv_bench"}
ALLOWED = {"ptycho": {"ptycho"}, "validation": {"validation", "ptycho"}, "reports": {"reports", "validation"}}
ALLOWED["asv_bench"] = {"asv_bench", "ptycho"}
# Rooms of a package from the ground floor up; those of a floor stand beside each other.
FLOORS = {
    "reports": (
        {"errors"}, {"reading"}, {"judging"}, {"drawing"}, {"telling"}, {"history", "operating_characteristics"},
        {"cli"}, {"__main__"},
    ),
}  # fmt: skip
MODULES_IN_A_FOLDER, LINES_OF_A_MODULE = 12, 350
# What no kernel but its own folder names, and where a package may name it all the same: the distribution's own name.
OF_KERNELS = re.compile("patch_extraction|reassembly|gridsize|ptycho(?!-validation)")


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


def module_of(path):
    """Name of the module in a file; a package's own file is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph(package):
    """What each module of a package imports of it, inside functions too."""
    files = {module_of(path): path for path in sources(package)}

    def found(name):
        while name not in files:
            name = name.rpartition(".")[0]
        return name

    return {
        module: {found(name) for name in modules(path.read_text()) if within(name, package)} - {module}
        for module, path in files.items()
    }


def floor(package, module):
    """Floor of a module; the package's own file, which everybody may import and which imports when it is asked."""
    room = module.split(".")[1] if "." in module else None
    if room is None:
        return None
    (number,) = (number for number, rooms in enumerate(FLOORS[package]) if room in rooms)
    return number


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_downward_only(package):
    up = [
        f"{module} imports {other}"
        for module, others in graph(package).items()
        for other in others
        if floor(package, module) is not None
        and floor(package, other) is not None
        and (
            floor(package, other) > floor(package, module)
            or (floor(package, other) == floor(package, module) and module.split(".")[1] != other.split(".")[1])
        )
    ]
    assert up == []


@pytest.mark.parametrize("package", FLOORS)
def test_no_module_imports_itself_by_way_of_others(package):
    tuple(graphlib.TopologicalSorter(graph(package)).static_order())


@pytest.mark.parametrize("package", FLOORS)
def test_a_folder_has_a_dozen_modules_at_most_and_none_is_long(package):
    for folder in {path.parent for path in sources(package)}:
        held = sorted(folder.glob("*.py"))
        assert len(held) <= MODULES_IN_A_FOLDER, f"{folder.relative_to(ROOT)} holds {len(held)} modules"
    for path in sources(package):
        lines = len(path.read_text().splitlines())
        assert lines <= LINES_OF_A_MODULE, f"{path.relative_to(ROOT)} has {lines} lines"


@pytest.mark.parametrize("package", FLOORS)
def test_what_belongs_to_a_kernel_or_to_the_package_under_test_is_named_nowhere_else(package):
    for path in sources(package):
        named = [line.strip() for line in path.read_text().splitlines() if OF_KERNELS.search(line)]
        assert named == [], f"{path.relative_to(ROOT)} names what belongs to a kernel"
