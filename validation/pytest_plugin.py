"""The fixture ``assert_replaces`` for test suites: a fast function may replace a slow one, or the test fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def assert_replaces() -> Callable[..., Any]:
    """Give `validation.assert_replaces`; nothing is imported before a test asks for it."""
    from validation.judging import assert_replaces as assertion

    return assertion
