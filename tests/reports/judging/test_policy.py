from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import PROMISED, read_policy, relaxations
from reports.reading.verdict import Criterion
from reports.telling.page import page
from tests.reports import builders as b
from validation.contract.manifest import Manifest

MANIFEST = b.full_run().manifest


def changed(tmp_path: Path, old: str = "", new: str = "", more: str = "") -> Path:
    """Write the policy of the package with a change, and with what a user puts before its tables."""
    text = PROMISED.read_text()
    assert old in text
    path = tmp_path / "policy.toml"
    path.write_text(f"{more}\n{text.replace(old, new)}")
    return path


def criterion(policy: Path, name: str, **parts: object) -> Criterion:
    verdict = judge(b.full_run(**parts), read_policy(policy))
    return next(item for item in verdict.criteria if item.id == name)


def test_the_policy_of_the_package_says_how_to_measure_and_promises_nothing() -> None:
    policy = read_policy()
    assert (policy.atol, policy.promise) == (None, {})
    assert (policy.speed.min_replicates, policy.speed.min_samples, policy.memory.min_pairs) == (7, 5, 5)
    assert relaxations(policy, MANIFEST) == ()


@pytest.mark.parametrize(
    ("old", "new", "more", "relaxed"),
    [
        ("", "", "promise.speed = 3.0", "promise.speed is 3.0 where 10.0 was promised"),
        ("", "", "promise.speed = 30.0", None),
        ("", "", "promise.reassembly = 3.0", None),  # which this run does not judge
        ("", "", "atol = 5e-3", "atol is 0.005 where 1e-06 was promised"),
        ("", "", "atol = 1e-7", None),
        ("", "", "promise.memory = 1.3", "promise.memory is 1.3 where 1.2 was promised"),
        ("", "", "promise.memory = 1.1", None),
        ("min_replicates = 7", "min_replicates = 3", "", "speed.min_replicates is 3 where 7 was promised"),
        ("max_bias = 0.05", "max_bias = 0.1", "", "speed.max_bias is 0.1 where 0.05 was promised"),
        ("max_bias = 0.05", "max_bias = 0.01", "", None),
        (
            'meters = ["VmHWM"]',
            'meters = ["VmHWM", "memory_profiler"]',
            "",
            "memory.meters is VmHWM, memory_profiler where VmHWM was promised",
        ),
        (
            "spread_bytes = 1_000_000",
            "spread_bytes = 5_000_000",
            "",
            "memory.spread_bytes is 5000000 where 1000000 was promised",
        ),
    ],
)
def test_only_a_policy_that_is_nowhere_looser_is_not_relaxed(
    tmp_path: Path, old: str, new: str, more: str, relaxed: str | None
) -> None:
    found = relaxations(read_policy(changed(tmp_path, old, new, more)), MANIFEST)
    assert found == (() if relaxed is None else (relaxed,))


def test_a_promise_of_several_figures_is_relaxed_where_it_is_looser_than_any(tmp_path: Path) -> None:
    first = MANIFEST.judged[0]
    other = msgspec.structs.replace(first, case_id="another", promise=2.0)
    manifest: Manifest = msgspec.structs.replace(MANIFEST, judged=(first, other))
    assert relaxations(read_policy(changed(tmp_path, more="promise.speed = 5.0")), manifest) == (
        "promise.speed is 5.0 where 10.0 was promised",
    )


def test_a_promise_takes_the_place_of_the_runs(tmp_path: Path) -> None:
    nine = b.timing(9.0, cold_ratio=40.0)
    assert criterion(PROMISED, "speed", timing=nine).state == "fail"
    found = criterion(changed(tmp_path, more="promise.speed = 3.0"), "speed", timing=nine)
    assert (found.state, found.threshold) == ("pass", 3.0)
    assert found.promise == "at least 3x the speed of the reference once warmed up"
    verdict = judge(b.full_run(), read_policy(changed(tmp_path, more="promise.speed = 3.0")))
    assert [item.promise for item in verdict.judged] == [3.0, 10.0, 1.2]


def test_a_stricter_tolerance_refuses_what_was_compared_by_the_kernels(tmp_path: Path) -> None:
    found = criterion(changed(tmp_path, more="atol = 1e-7"), "correctness")
    assert found.state == "fail"
    assert "was judged by a tolerance of 1e-06 where 1e-07 is promised" in found.finding


def test_a_relaxed_verdict_says_so_wherever_it_appears(tmp_path: Path) -> None:
    run = b.full_run(timing=b.timing(5.0))
    policy = read_policy(changed(tmp_path, more="promise.speed = 3.0"))
    verdict = judge(run, policy)
    assert verdict.line == "VERDICT: ACCEPT (RELAXED)"
    assert "RELAXED" in page(run, verdict, policy)
    assert "promise.speed is 3.0 where 10.0 was promised" in page(run, verdict, policy)


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [
        ("min_replicates = 7\n", "\n", ""),
        ("max_bias = 0.05", "max_bias = 0.0", ""),
        ("max_bias = 0.05", "max_bias = nan", ""),
        ("max_bias = 0.05", 'max_bias = "small"', ""),
        ("", "", "rtol = 1"),
        ("", "", "atol = 0.0"),
        ("", "", "promise.speed = nan"),
        ("", "", "promise.speed = -1"),
        ("", "", 'promise.speed = "ten"'),
        ("[speed]", "[speed", ""),
    ],
)
def test_a_policy_that_is_none_is_refused(tmp_path: Path, old: str, new: str, more: str) -> None:
    with pytest.raises(InputError, match="--policy"):
        read_policy(changed(tmp_path, old, new, more))


def test_a_promise_that_the_run_does_not_know_is_refused_with_those_it_knows(tmp_path: Path) -> None:
    policy = read_policy(changed(tmp_path, more="promise.sped = 3.0"))
    known = "speed, cold_speed, memory, reassembly"
    with pytest.raises(InputError, match=rf"\[promise\] must name criteria of the run, {known}, got sped"):
        judge(b.full_run(), policy)


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_policy(tmp_path / "none.toml")
