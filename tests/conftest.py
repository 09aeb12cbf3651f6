"""What holds for all tests: what Hypothesis draws, which tests start TensorFlow, and the table of faults."""

import os
import re

import pytest

from tests import drawing

PROFILE = drawing.load()
# A module that imports TensorFlow, or what imports it, or that says of itself that its tests start it.
STARTS_TENSORFLOW = re.compile(
    r"^(import tensorflow|from ptycho\.(?!config|params)|from ptycho import (?!params$)|pytestmark = .*\btensorflow\b)",
    re.MULTILINE,
)
FAULT_COLUMNS = ("fault", "tries", "lost", "twice", "exit codes", "what is said", "held")


@pytest.fixture(autouse=True)
def nothing_left_by_dask():
    """Dask sets a variable of malloc in its own process, which a run tells of."""
    yield
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)


def pytest_report_header():
    return f"examples of Hypothesis: {PROFILE}"


def pytest_ignore_collect(collection_path, config):
    """In `make check` a module that needs TensorFlow is not even imported."""
    if "not tensorflow" in config.option.markexpr and collection_path.name.startswith("test_"):
        return bool(STARTS_TENSORFLOW.search(collection_path.read_text())) or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    if os.environ.get("REVERSED"):
        items.reverse()
    texts = {path: path.read_text() for path in {item.path for item in items}}
    for item in items:
        if STARTS_TENSORFLOW.search(texts[item.path]):
            item.add_marker(pytest.mark.tensorflow)


def pytest_terminal_summary(terminalreporter):
    """Print what `tests/faults` found, also where its tests ran in workers."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    properties = [entry for one in reports if getattr(one, "when", "") == "teardown" for entry in one.user_properties]
    rows = [cells for name, cells in properties if name == "fault"]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.write_line("| " + " | ".join(FAULT_COLUMNS) + " |")
        terminalreporter.write_line("|" + "---|" * len(FAULT_COLUMNS))
    for cells in rows:
        terminalreporter.write_line("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
