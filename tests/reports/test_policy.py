from __future__ import annotations

from pathlib import Path

import pytest

from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import PROMISED, read_policy, relaxations
from reports.telling.page import page
from tests.reports import builders as b


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PROMISED.read_text()
    assert old in text
    path = tmp_path / "policy.toml"
    path.write_text(text.replace(old, new))
    return path


def test_the_defaults_are_what_was_promised() -> None:
    policy = read_policy()
    assert policy.atol == 1e-6
    assert policy.speed.min_speedup == policy.speed.min_cold_speedup == 10.0
    assert policy.memory.max_ratio == 1.20
    assert (policy.speed.min_replicates, policy.speed.min_samples, policy.memory.min_pairs) == (7, 5, 5)


@pytest.mark.parametrize(
    ("old", "new", "relaxed"),
    [
        ("min_speedup = 10.0", "min_speedup = 3.0", True),
        ("min_speedup = 10.0", "min_speedup = 30.0", False),
        ("atol = 1e-6", "atol = 5e-3", True),
        ("atol = 1e-6", "atol = 1e-7", False),
        ("max_ratio = 1.20", "max_ratio = 1.3", True),
        ("max_ratio = 1.20", "max_ratio = 1.1", False),
        ("min_replicates = 7", "min_replicates = 3", True),
        ("gridsize = [1, 2, 3]", "gridsize = [1]", True),
        ("gridsize = [1, 2, 3]", "gridsize = [1, 2, 3, 4]", False),
        ('meters = ["VmHWM"]', 'meters = ["VmHWM", "memory_profiler"]', True),
        ("spread_bytes = 1_000_000", "spread_bytes = 5_000_000", True),
        ("min_patches = 500", "min_patches = 5000", True),
    ],
)
def test_only_a_policy_that_is_nowhere_looser_is_not_relaxed(tmp_path: Path, old: str, new: str, relaxed: bool) -> None:
    assert bool(relaxations(read_policy(changed(tmp_path, old, new)), read_policy())) == relaxed


def test_a_relaxed_verdict_says_so_wherever_it_appears(tmp_path: Path) -> None:
    run = b.full_run(timing=b.timing(5.0))
    policy = read_policy(changed(tmp_path, "min_speedup = 10.0", "min_speedup = 3.0"))
    verdict = judge(run, policy)
    assert verdict.line == "VERDICT: ACCEPT (RELAXED)"
    assert "RELAXED" in page(run, verdict, policy)
    assert "speed.min_speedup is 3.0 where 10.0 was promised" in page(run, verdict, policy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("min_speedup = 10.0\n", "\n"),
        ("min_speedup = 10.0", "min_speedup = 0.0"),
        ("min_speedup = 10.0", "min_speedup = nan"),
        ("min_speedup = 10.0", 'min_speedup = "ten"'),
        ("atol = 1e-6", "atol = 1e-6\nrtol = 1"),
        ("[speed]", "[speed"),
    ],
)
def test_a_policy_that_is_none_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(InputError, match="--policy"):
        read_policy(changed(tmp_path, old, new))


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_policy(tmp_path / "none.toml")
