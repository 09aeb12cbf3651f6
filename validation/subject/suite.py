"""The test suite of the measured package, with the flag in one state."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from validation.contract.base import Record
from validation.subject import package

VARIABLE = "USE_BATCHED_PATCH_EXTRACTION"
# How often a suite that runs is asked whether it may go on.
_ASK_AGAIN_S = 0.5


class SuiteOutcome(Record, frozen=True, kw_only=True):
    """Counts of one run of the suite, and the command that repeats it."""

    passed: int
    failed: int
    skipped: int
    command: str


def find_suite(path: str | None) -> Path | None:
    """Find the checkout whose ``tests/ptycho`` tests the package; ``None`` where it came without tests."""
    checkout = package.find(path).parent
    return checkout if (checkout / "tests" / "ptycho").is_dir() else None


def run_suite(
    checkout: Path,
    flag: Literal["off", "on"],
    environment: dict[str, str],
    timeout_s: float,
    require_going: Callable[[], None] = lambda: None,
) -> SuiteOutcome:
    """Run the tests of the package in a process group of their own.

    A suite that cannot be collected, or does not end in time, counts as one failure. ``require_going`` is asked all
    the while; what it raises ends the suite.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "tests/ptycho"]
    shown = f"{VARIABLE}={'true' if flag == 'on' else 'false'} python -m pytest -m 'not slow' tests/ptycho"
    with tempfile.TemporaryDirectory(prefix="validation-") as folder:
        report = Path(folder) / "junit.xml"
        process = subprocess.Popen(
            [*command, f"--junitxml={report}"],
            cwd=checkout,
            env={**os.environ, **environment, VARIABLE: "true" if flag == "on" else "false"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = _wait(process, timeout_s, require_going)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return SuiteOutcome(passed=0, failed=1, skipped=0, command=shown)
            raise
        text = report.read_text() if report.is_file() else ""
    found = count_junit(text)
    if found is None or (code != 0 and found[1] == 0):
        return SuiteOutcome(passed=0, failed=1, skipped=0, command=shown)
    return SuiteOutcome(passed=found[0], failed=found[1], skipped=found[2], command=shown)


def _wait(process: subprocess.Popen[bytes], timeout_s: float, require_going: Callable[[], None]) -> int:
    """Exit code of a process; raises TimeoutExpired, or what ``require_going`` does, and leaves it running."""
    end = time.monotonic() + timeout_s
    while True:
        left_s = end - time.monotonic()
        try:
            return process.wait(min(_ASK_AGAIN_S, max(left_s, 0.0)))
        except subprocess.TimeoutExpired:
            require_going()
            if left_s <= _ASK_AGAIN_S:
                raise


def count_junit(text: str) -> tuple[int, int, int] | None:
    """Count passed, failed and skipped tests in a JUnit report; ``None`` if it is none."""
    if not text or re.search(r"<!(DOCTYPE|ENTITY)", text):
        return None
    try:
        suites = list(ElementTree.fromstring(text).iter("testsuite"))
    except ElementTree.ParseError:
        return None
    total, failed, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return total - failed - skipped, failed, skipped
