"""The figures the gate decides from, worked out by hand, and what holds at exactly a threshold."""

from __future__ import annotations

import functools
import math
from typing import Any

import msgspec
import pytest

from reports.judging.criterion import Context
from reports.judging.paired import arm_s, bound_rank, log_ratio, speedup, timing_faults
from reports.judging.policy import read_policy
from reports.judging.statistics import memory_faults, pair_ratio, peak_ratio
from tests.reports import builders as b
from tests.reports.judging.test_gate import verdict_of
from validation.contract.measurements import (
    ArmMemory,
    ArmTiming,
    Measurement,
    Memory,
    MemoryPair,
    Timing,
    TimingPair,
)

# The rule for pairs, by which runs before schema 1.4 are judged.
old = functools.partial(b.full_run, b.FIRST)
RULES: dict[str, Any] = {
    "min_replicates": 2, "min_noise_pairs": 1, "min_samples": 3, "min_sample_s": 0.01, "long_call_s": 5.0,
}  # fmt: skip


def arm(cold_s: float, *samples_s: float, calls: int = 1) -> ArmTiming:
    return ArmTiming(
        implementation="one", first_call_s=cold_s, samples_s=samples_s, calls_per_sample=calls, involuntary_switches=0
    )


def timing(pairs: list[tuple[ArmTiming, ArmTiming]], noise: list[tuple[ArmTiming, ArmTiming]]) -> Timing:
    return msgspec.structs.replace(
        b.paired(),
        pairs=tuple(TimingPair(order="reference_first", reference=left, candidate=right) for left, right in pairs),
        noise_pairs=tuple(
            TimingPair(order="reference_first", reference=left, candidate=right) for left, right in noise
        ),
    )


KNOWN = timing(
    [
        (arm(9.0, 8.0, 1.0, 7.0), arm(3.0, 0.5, 0.25, 0.125)),  # warm 7 / 0.25 = 28, cold 3
        (arm(8.0, 6.0, 6.0, 6.0), arm(2.0, 0.5, 0.5, 0.5)),  # warm 12, cold 4
        (arm(5.0, 5.0, 5.0, 5.0), arm(1.0, 0.25, 0.25, 0.25)),  # warm 20, cold 5
    ],
    [(arm(1.0, 1.0), arm(1.5, 2.0)), (arm(1.0, 1.0), arm(1.0, 1.0))],  # warm ln 2, cold ln 1.5
)


def test_the_speedup_of_known_times_is_known() -> None:
    warm, cold = speedup(KNOWN, "warm"), speedup(KNOWN, "cold")
    assert (warm.replicates, warm.noise_pairs, warm.confidence) == (3, 2, 0.875)
    assert (warm.reference_s, warm.candidate_s) == (6.0, 0.25)
    assert (cold.reference_s, cold.candidate_s) == (8.0, 2.0)
    expected = {"median": 20, "lower": 12, "upper": 28, "noise": math.log(2), "judged_lower": 6, "judged_upper": 56}
    assert {name: getattr(warm, name) for name in expected} == pytest.approx(expected)
    expected = {"median": 4, "lower": 3, "upper": 5, "noise": math.log(1.5), "judged_lower": 2, "judged_upper": 7.5}
    assert {name: getattr(cold, name) for name in expected} == pytest.approx(expected)


def test_an_arm_tells_its_median_or_its_first_call() -> None:
    pair = KNOWN.pairs[0]
    assert (arm_s(pair, "reference", "warm"), arm_s(pair, "candidate", "warm")) == (7.0, 0.25)
    assert (arm_s(pair, "reference", "cold"), arm_s(pair, "candidate", "cold")) == (9.0, 3.0)
    assert log_ratio(pair, "warm") == pytest.approx(math.log(28))


def faults(reference: ArmTiming, **rules: Any) -> tuple[str, ...]:
    good = arm(1.0, 0.01, 0.01, 0.01)
    return timing_faults(timing([(reference, good), (good, good)], [(good, good)]), **(RULES | rules))


def test_times_at_the_limits_of_the_rules_are_evidence() -> None:
    assert faults(arm(1e-9, 0.01, 0.01, 0.01)) == ()
    assert faults(arm(1.0, 0.0098, 0.02, 0.01)) == ()  # two per cent short
    assert faults(arm(1.0, 0.001, 0.001, 0.001, calls=10)) == ()
    assert faults(arm(1.0, 5.0)) == ()  # a long call is a sample by itself


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        (arm(0.0, 0.01, 0.01, 0.01), "times that are not finite and positive"),
        (arm(math.inf, 0.01, 0.01, 0.01), "times that are not finite and positive"),
        (arm(1.0, 0.01, math.inf, 0.01), "times that are not finite and positive"),
        (arm(1.0, 0.0097, 0.02, 0.01), "samples shorter than 10 ms"),
        (arm(1.0, 0.02, 0.02, 0.001, calls=9), "samples shorter than 10 ms"),
        (arm(1.0, 0.02, 0.02), "2 of 3 samples in 1 of 6 arms"),
        (arm(1.0, 4.99), "1 of 3 samples in 1 of 6 arms"),
        (arm(1.0, 6.0, 4.99), "2 of 3 samples in 1 of 6 arms"),
        (arm(1.0), "0 of 3 samples in 1 of 6 arms"),
    ],
)
def test_times_beyond_a_limit_are_named(reference: ArmTiming, fault: str) -> None:
    assert faults(reference) == (fault,)


def test_too_few_pairs_are_counted() -> None:
    assert faults(arm(1.0, 0.01, 0.01, 0.01), min_replicates=3, min_noise_pairs=2) == (
        "2 of 3 replicate pairs", "1 of 2 A/A pairs",
    )  # fmt: skip


def memory(*pairs: tuple[int, int, int, int]) -> Memory:
    """Pairs of (baseline, peak) of the reference and of the candidate."""
    arms = [
        MemoryPair(
            reference=ArmMemory(implementation="one", baseline_bytes=base, peak_bytes=peak),
            candidate=ArmMemory(implementation="two", baseline_bytes=other, peak_bytes=top),
        )
        for base, peak, other, top in pairs
    ]
    return msgspec.structs.replace(b.memory(), pairs=tuple(arms))


def test_the_ratio_of_known_peaks_is_known() -> None:
    found = peak_ratio(memory((100, 300, 100, 350), (100, 500, 100, 300), (200, 300, 100, 250)), 10, 50)
    assert (found.pairs, found.meter) == (3, "VmHWM")
    # Increments 200 and 250, 400 and 200, 100 and 150: all large, so no spread counts.
    assert (found.increment, found.increment_best) == (1.5, 0.5)
    assert (found.increment_lower, found.increment_upper) == (1.5, 1.5)
    assert (found.absolute, found.absolute_best) == (350 / 300, 300 / 500)
    assert (found.reference_increment_bytes, found.candidate_increment_bytes) == (200, 200)
    assert (found.reference_peak_bytes, found.candidate_peak_bytes) == (300, 300)


def test_small_increments_are_widened_by_the_spread_of_the_meter() -> None:
    small = peak_ratio(memory((0, 40, 0, 30)), 10, 31)
    assert (small.increment_lower, small.increment, small.increment_upper) == (20 / 50, 30 / 40, 40 / 30)
    large = peak_ratio(memory((0, 40, 0, 30)), 10, 30)
    assert (large.increment_lower, large.increment_upper) == (0.75, 0.75)


@pytest.mark.parametrize(("reference", "readable"), [(11, True), (10, False), (0, False), (-5, False)])
def test_an_increment_within_the_spread_cannot_be_divided_by(reference: int, readable: bool) -> None:
    found = peak_ratio(memory((100, 100 + reference, 100, 105), (100, 200, 100, 200)), 10, 50)
    assert (found.increment is not None) is readable
    assert (found.increment_best is not None) is readable
    assert (found.increment_upper is not None) is readable
    assert found.increment_lower == 1.0


def test_a_call_that_adds_nothing_has_ratio_zero_and_one_against_nothing_is_infinite() -> None:
    shrunk = memory((100, 110, 100, 90))
    assert (peak_ratio(shrunk, 5, 50).increment, peak_ratio(shrunk, 5, 50).increment_upper) == (0.0, 5 / 5)
    assert peak_ratio(shrunk, 5, 50).increment_lower == 0.0
    assert pair_ratio(shrunk.pairs[0]) == 90 / 110
    assert pair_ratio(memory((100, 100, 100, 101)).pairs[0]) == math.inf
    assert pair_ratio(memory((100, 99, 100, 101)).pairs[0]) == math.inf
    assert pair_ratio(memory((100, 101, 100, 103)).pairs[0]) == 3.0
    assert pair_ratio(memory((1000, 1001, 10, 10)).pairs[0]) == pytest.approx(10 / 1001)


@pytest.mark.parametrize(
    ("pair", "fault"),
    [
        ((0, 1, 0, 1), ()),
        ((0, 0, 0, 1), ("peaks that are not positive",)),
        ((0, 1, 0, 0), ("peaks that are not positive",)),
        ((-1, 1, 0, 1), ("peaks that are not positive",)),
        ((0, 1, -1, 1), ("peaks that are not positive",)),
    ],
)
def test_peaks_must_be_positive_and_baselines_not_negative(pair: tuple[int, int, int, int], fault: tuple[str]) -> None:
    assert memory_faults(memory(pair), min_pairs=1) == fault
    assert memory_faults(memory(pair), min_pairs=2) == ("1 of 2 pairs of peaks", *fault)


def states(**reference: Any) -> dict[str, str]:
    return {item.id: item.state for item in verdict_of(old(**reference)).criteria}


def test_an_error_of_exactly_the_tolerance_holds() -> None:
    assert states(equivalence=b.equivalence(1e-6, 1e-6))["correctness"] == "pass"
    assert states(equivalence=b.equivalence(1e-6, 1e-6))["oracle_agreement"] == "pass"
    beyond = math.nextafter(1e-6, 1)
    assert states(equivalence=b.equivalence(beyond, beyond))["correctness"] == "fail"
    assert states(equivalence=b.equivalence(beyond, beyond))["oracle_agreement"] == "fail"


def exactly(ratio: float) -> Timing:
    """Seven pairs with the same ratio, no noise, in times that binary fractions hold."""
    one, other = arm(0.25 * ratio, *[0.25 * ratio] * 5), arm(0.25, *[0.25] * 5)
    return timing([(one, other)] * 7, [(other, other)] * 7)


def test_a_speedup_just_below_the_promise_fails_and_just_above_it_passes() -> None:
    for criterion in ("speed", "cold_speed"):
        assert states(timing=exactly(10.0 - 1e-9))[criterion] == "fail"
        assert states(timing=exactly(10.0 + 1e-9))[criterion] == "pass"


def test_memory_at_exactly_the_limit_passes() -> None:
    at_limit = memory(*[(0, 500_000_000, 0, 600_000_000)] * 5)
    beyond = memory(*[(0, 500_000_000, 0, 600_000_001)] * 5)
    assert states(memory=at_limit)["memory"] == "pass"
    assert states(memory=beyond)["memory"] == "fail"


@pytest.mark.parametrize(
    ("count", "extended", "rank", "confidence"),
    [
        (7, False, 1, 1 - 1 / 128),
        (14, False, 1, 1 - 2.0**-14),
        # Of 14 fair coins at most two are heads in 1 + 14 + 91 of 16384 cases, at most three in 470 of them.
        (14, True, 3, 1 - 1 / 128 - 106 / 16384),
        (13, True, 3, 1 - 1 / 64 - 92 / 8192),
        (2, True, 1, 1 - 1 / 2 - 1 / 4),
    ],
)
def test_an_extension_takes_another_order_statistic(count: int, extended: bool, rank: int, confidence: float) -> None:
    assert bound_rank(count, extended) == (rank, confidence)


def extended(outliers: int, replicates: int = 14, **fields: Any) -> Timing:
    """Forty times as fast, in some pairs only twice."""
    found = b.paired(40.0, cold_ratio=40.0, replicates=replicates, noise_pairs=14)
    slow = b.paired(2.0, cold_ratio=2.0, replicates=1).pairs
    pairs = (*slow * outliers, *found.pairs[outliers:])
    return msgspec.structs.replace(found, **{"pairs": pairs, "extended": True, **fields})


@pytest.mark.parametrize(("outliers", "outcome"), [(2, "ACCEPT"), (3, "INCONCLUSIVE")])
def test_two_outliers_of_fourteen_are_outvoted_and_three_are_not(outliers: int, outcome: str) -> None:
    verdict = verdict_of(old(timing=extended(outliers)))
    assert verdict.outcome == outcome
    speed = next(item for item in verdict.criteria if item.id == "speed")
    assert speed.judged == 14
    assert "98.6 % each" in speed.finding
    assert "the extension used" in speed.finding


@pytest.mark.parametrize(
    ("timing", "fault"),
    [
        (extended(0, extended=False), "14 replicate pairs where 7 are declared"),
        (extended(0, replicates=15), "15 replicate pairs where 14 are declared"),
        (extended(0, replicates=13), "13 of 14 replicate pairs after the extension"),
        (extended(0, noise_pairs=extended(0).noise_pairs[1:]), "13 of 14 A/A pairs"),
    ],
)
def test_more_or_fewer_pairs_than_were_declared_are_no_evidence(timing: Timing, fault: str) -> None:
    verdict = verdict_of(old(timing=timing))
    assert verdict.outcome != "ACCEPT"
    speed = next(item for item in verdict.criteria if item.id == "speed")
    assert speed.state == "missing"
    assert fault in speed.finding


@pytest.mark.parametrize(("ratio", "outcome"), [(21.0, "ACCEPT"), (19.0, "INCONCLUSIVE")])
def test_disturbed_replicates_ask_for_twice_the_margin(ratio: float, outcome: str) -> None:
    found = b.paired(ratio, cold_ratio=40.0, spread=0.0, noise=0.0)
    assert verdict_of(old(timing=found)).outcome == "ACCEPT"
    verdict = verdict_of(old(timing=msgspec.structs.replace(found, contended_kept=1)))
    assert verdict.outcome == outcome
    if outcome != "ACCEPT":
        speed = next(item for item in verdict.criteria if item.id == "speed")
        assert "1 measurements were disturbed by other work, and then 20x is asked for" in speed.fixes[0].action


def test_the_commands_of_fixes_are_about_what_failed() -> None:
    engine = "batched_eager"
    wrong = b.case_result(b.case(N=32), candidate=engine, measurement=Measurement(equivalence=b.equivalence(error=0.5)))
    lines = [*b.lines_of_full_run(), wrong, b.property_("order", candidate=engine, passed=False)]
    checkout = msgspec.structs.replace(b.PROVENANCE, package_path="../a fork")
    run = b.make(lines, seed=7, provenance=checkout)
    correctness = next(item for item in verdict_of(run).criteria if item.id == "correctness")
    commands = [fix.command for fix in correctness.fixes]
    assert (
        f"python -m validation reproduce {wrong.case.case_id} --from runs/a --candidate {engine} --out runs/a/patches"
        in commands
    )
    assert f"python -m validation reproduce probe-N32 --from runs/a --candidate {engine} --property order" in commands
    again = Context(run=run, policy=read_policy(), folder="runs/a").again
    assert again.endswith("--candidate batched --package '../a fork' --seed 7 --out NEW-DIR")
