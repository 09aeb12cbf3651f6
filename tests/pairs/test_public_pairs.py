"""Pairs from public packages get the verdict that they deserve, each within three minutes."""

import time

import pytest

from tests.pairs.public import PAIRS
from validation import judge


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_gets_its_verdict_in_time(name, tmp_path):
    slow, fast, inputs, sizes, options, outcome, criterion = PAIRS[name]
    started = time.monotonic()
    verdict = judge(
        slow,
        fast,
        f"tests.pairs.public:{inputs}",
        sizes=[int(size) for size in sizes.split(",")],
        out=tmp_path / "run",
        **options,
    )
    assert verdict.outcome == outcome, verdict
    stopped_by = {item.id for item in verdict.criteria if item.state not in ("pass", "not_judged")}
    assert criterion is None or criterion in stopped_by, verdict
    assert time.monotonic() - started < 180
