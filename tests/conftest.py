"""What holds for all tests."""

from tests import drawing

PROFILE = drawing.load()


def pytest_report_header():
    return f"examples of Hypothesis: {PROFILE}"
