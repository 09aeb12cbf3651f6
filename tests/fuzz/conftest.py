"""How many examples: few in the suite, as many as ``FUZZ_EXAMPLES`` says in a long run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from ptycho import params

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
FUZZ = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _fresh_parameters(monkeypatch):
    monkeypatch.setattr(params, "cfg", params.defaults())
