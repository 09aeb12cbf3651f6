"""The package's own tests are counted, and what cannot be counted is a failure."""

import os

import pytest

from validation.run.lanes import Stopped
from validation.subject.suite import SuiteOutcome, count_junit, find_suite, run_suite

TESTS = """
import os

import pytest


def test_follows_the_flag():
    assert os.environ["USE_BATCHED_PATCH_EXTRACTION"] == "{expected}"


def test_passes():
    pass


@pytest.mark.skip(reason="to be counted")
def test_is_skipped():
    pass
"""


def make_checkout(folder, text):
    tests = folder / "tests" / "ptycho"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(text)
    (folder / "ptycho").mkdir()
    (folder / "ptycho" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['slow']\n")
    return folder


@pytest.mark.parametrize(
    ("flag", "expected", "counts"), [("on", "true", (2, 0, 1)), ("off", "false", (2, 0, 1)), ("on", "false", (1, 1, 1))]
)
def test_the_suite_runs_with_the_flag_as_asked(tmp_path, flag, expected, counts):
    checkout = make_checkout(tmp_path, TESTS.format(expected=expected))
    found = run_suite(checkout, flag, {}, 60.0)
    assert (found.passed, found.failed, found.skipped) == counts
    assert found.command.startswith("USE_BATCHED_PATCH_EXTRACTION=")


@pytest.mark.parametrize("text", ["import absent_module", "import time\n\ndef test_it():\n    time.sleep(60)\n"])
def test_a_suite_that_cannot_be_counted_is_a_failure(tmp_path, text):
    found = run_suite(make_checkout(tmp_path, text), "on", {}, 4.0)
    assert (found.passed, found.failed) == (0, 1)


def test_a_suite_ends_with_the_run_it_belongs_to(tmp_path):
    started = tmp_path / "started"
    text = f"""
import os, pathlib, time

def test_it():
    pathlib.Path({str(started)!r}).write_text(str(os.getpid()))
    time.sleep(120)
"""

    def require_going():
        if started.exists() and started.read_text():
            raise Stopped

    with pytest.raises(Stopped):
        run_suite(make_checkout(tmp_path, text), "on", {}, 60.0, require_going)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_a_checkout_without_tests_has_no_suite(tmp_path):
    (tmp_path / "ptycho").mkdir()
    (tmp_path / "ptycho" / "__init__.py").touch()
    assert find_suite(str(tmp_path)) is None
    assert find_suite(None) is not None


@pytest.mark.parametrize("text", ["", "<a", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_what_is_no_report_is_not_counted(text):
    assert count_junit(text) is None


def test_all_suites_of_a_report_are_counted():
    text = (
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/>'
        '<testsuite tests="2" failures="0" errors="0" skipped="0"/></testsuites>'
    )
    assert count_junit(text) == (4, 2, 1)
    assert SuiteOutcome(passed=4, failed=2, skipped=1, command="").passed == 4
