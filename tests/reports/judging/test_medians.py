"""The rule for times: bounds of medians from order statistics, and what they are worth in simulated runs."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import quantile_test

from reports import operating_characteristics
from validation.contract import medians

TIMES = st.floats(1e-3, 1e3)
ARMS = {
    "reference": (medians.REFERENCES, medians.REFERENCE_ERROR),
    "candidate": (medians.CANDIDATES, medians.CANDIDATE_ERROR),
}
RUNS = 20_000


def chance(count: int, rank: int) -> Fraction:
    """How probable it is that at most rank - 1 of so many fair coins show heads."""
    return Fraction(sum(comb(count, heads) for heads in range(rank)), 2**count)


@given(count=st.integers(1, 300), error=st.floats(1e-6, 0.4))
def test_a_rank_is_the_largest_that_keeps_the_error(count: int, error: float) -> None:
    found = medians.rank(count, error)
    limit = Fraction(error) * (1 + Fraction(1, 10**6))
    assert chance(count, found) <= limit
    if chance(count, found + 1) < Fraction(1, 2):
        assert chance(count, found + 1) > Fraction(error)


@given(values=st.lists(TIMES, min_size=12, max_size=40, unique=True), error=st.sampled_from([0.01, 0.005, 1 / 128]))
def test_one_look_gives_the_interval_of_scipy(values: list[float], error: float) -> None:
    found = medians.median_bounds(values, len(values), error)
    one_sided = quantile_test(values, p=0.5, alternative="less").confidence_interval(1 - error)
    other = quantile_test(values, p=0.5, alternative="greater").confidence_interval(1 - error)
    assert {float(found.lower), float(found.upper)} == {float(other.low), float(one_sided.high)}


def test_the_errors_of_all_looks_at_both_arms_are_one_per_cent() -> None:
    total = Fraction(0)
    for first, error in ARMS.values():
        for look in range(8):
            count, allowed = first << look, error * medians.SPENT_LATER**look
            total += chance(count, medians.rank(count, allowed))
        total += Fraction(allowed * medians.SPENT_LATER / (1 - medians.SPENT_LATER))  # all looks after these
    assert total <= Fraction(1, 100)


@pytest.mark.parametrize(
    ("arm", "count", "rank"),
    [
        ("reference", 7, 1),
        ("reference", 14, 2),  # of 14 fair coins at most one shows heads in 15 of 16384 cases; 1/1024 is allowed
        ("reference", 28, 5),
        ("candidate", 28, 6),
        ("candidate", 56, 14),
    ],
)
def test_a_look_takes_the_order_statistic_worked_out_by_hand(arm: str, count: int, rank: int) -> None:
    first, error = ARMS[arm]
    allowed = error / 8 ** (count // first).bit_length() * 8
    assert medians.rank(count, allowed) == rank
    later = [float(value) for value in range(count)]
    found = medians.median_bounds(np.random.default_rng(0).permutation(later)[:count], count, allowed)
    assert found == (rank - 1, count - rank)


@given(
    values=st.lists(TIMES, min_size=7, max_size=60), more=st.lists(TIMES, min_size=1, max_size=60),
    first=st.sampled_from([7, 14, 28]),
)  # fmt: skip
def test_more_values_never_loosen_a_bound(values: list[float], more: list[float], first: int) -> None:
    if len(values) < first:
        values += [values[-1]] * (first - len(values))
    before = medians.median_bounds(values, first, 1 / 128)
    after = medians.median_bounds(values + more, first, 1 / 128)
    assert before.lower <= after.lower <= after.upper <= before.upper


def test_a_look_that_contradicts_the_ones_before_changes_nothing() -> None:
    # Seven fives bound the median from both sides; of 56 values the 13th largest is one.
    assert medians.median_bounds([5.0] * 7 + [1.0] * 49, 7, 1 / 128) == (5.0, 5.0)
    assert medians.median_bounds([1.0] * 7 + [5.0] * 49, 7, 1 / 128) == (1.0, 1.0)


@given(count=st.integers(0, 500), first=st.sampled_from([7, 14, 28]))
def test_values_after_the_last_look_wait_for_the_next(count: int, first: int) -> None:
    found = medians.used(count, first)
    assert found <= count
    assert found == count if count < first else found * 2 > count
    if count:
        values = np.random.default_rng(count).random(count)
        assert medians.median_bounds(values, first, 0.01) == medians.median_bounds(values[:found], first, 0.01)


def test_fewer_values_than_a_look_needs_give_their_range() -> None:
    assert medians.median_bounds([3.0, 1.0, 2.0], 7, 0.01) == (1.0, 3.0)
    assert medians.median_bounds([3.0], 7, 0.01) == (3.0, 3.0)


def test_the_ratio_of_known_times_is_known() -> None:
    slow, quick = [70.0, 60.0, 65.0, 80.0, 90.0, 75.0, 85.0], [float(value) for value in range(1, 29)]
    found = medians.judged(slow, quick[::-1])
    # The smallest and largest of seven over the sixth largest and sixth smallest of 28; A is twice to 1.04 times A'.
    assert found.bias == pytest.approx(np.log(24 / 23))
    assert found.lower == pytest.approx(60 / 23 * 23 / 24)
    assert found.upper == pytest.approx(90 / 6 * 24 / 23)


@pytest.mark.parametrize(("second", "bias"), [(1.0, 0.0), (1.1, np.log(1.1)), (1 / 1.1, np.log(1.1))])
def test_neighbours_of_which_the_second_differs_show_the_bias_of_the_instrument(second: float, bias: float) -> None:
    assert medians.bias([1.0, second] * 14) == pytest.approx(bias)
    assert medians.bias([1.0, second] * 13) == 0.0  # too few to tell


def test_the_bias_of_noise_is_nearly_always_none() -> None:
    values = np.exp(0.2 * np.random.default_rng(0).standard_normal((RUNS, medians.CANDIDATES)))
    assert np.mean(medians.bias(values) > 0) < 0.018
    assert np.mean(medians.bias(values * np.tile([1.0, 2.0], 14)) > np.log1p(0.05)) > 0.99


NOISES = sorted(operating_characteristics.noises())


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("sizes", operating_characteristics.SIZES)
def test_at_or_below_the_promise_a_run_is_accepted_once_in_a_hundred_at_most(name: str, sizes: tuple[int, int]) -> None:
    noise = operating_characteristics.noises()[name]
    for shares in operating_characteristics.simulate(noise, sizes, runs=RUNS, ratios=(0.5, 0.9, 1.0)):
        assert shares.accept <= 0.01
    for shares in operating_characteristics.simulate(noise, sizes, runs=RUNS, ratios=(1.0, 1.1, 4.0)):
        assert shares.reject <= 0.01


def test_the_error_is_kept_and_nearly_used_up_where_either_arm_alone_can_break_it() -> None:
    def either(fast: float, slow: float) -> operating_characteristics.Noise:
        return lambda random, when: np.where(random.random(when.shape) < 0.5, fast, slow)

    # One is a median of both, so that the true ratio is one; a bound that is wrong once is wrong by a hundred.
    noise = either(1.0, 100.0), either(0.01, 1.0)
    (shares,) = operating_characteristics.simulate(noise, (14, 56), runs=100_000, ratios=(1.0,))
    assert 0.008 < shares.accept <= 0.01


@pytest.mark.parametrize("name", [name for name in NOISES if name == "heavy-tailed" or name.startswith("recorded")])
@pytest.mark.parametrize("sizes", operating_characteristics.SIZES)
def test_half_as_fast_again_as_promised_is_rarely_left_open(name: str, sizes: tuple[int, int]) -> None:
    noise = operating_characteristics.noises()[name]
    (shares,) = operating_characteristics.simulate(noise, sizes, runs=RUNS, ratios=(1.5,))
    assert shares.inconclusive <= 0.05
    assert shares.accept >= 0.95


@pytest.mark.parametrize("name", NOISES)
def test_a_decision_never_gets_less_likely_with_more_processes(name: str) -> None:
    reference, candidate = operating_characteristics.noises()[name]
    random, runs = np.random.default_rng(1), 500
    hours = 2 * random.random((runs, 1))
    slow = reference(random, hours + np.arange(100) / medians.REFERENCES)
    quick = candidate(random, hours + np.arange(400) / medians.CANDIDATES)
    ratios = np.array([0.5, 0.9, 1.1, 1.25, 1.5, 2.0])[:, None]
    least = np.zeros(len(ratios))
    for count in range(medians.REFERENCES, 101):
        found = medians.judged(slow[:, :count], quick[:, : 4 * count])
        decided = (ratios * found.lower > 1) | (ratios * found.upper < 1)
        shares = np.mean(decided & (found.bias <= np.log1p(0.05)), axis=1)
        # What a later look at the A/A pairs finds may take a decision back, with a chance of a thousandth.
        assert (shares >= least - 0.004).all(), count
        least = np.maximum(least, shares)
    assert least[-1] > 0.99


@given(
    counts=st.tuples(st.integers(7, 100), st.integers(28, 100)), more=st.tuples(st.integers(0, 50), st.integers(0, 50))
)
def test_either_arm_alone_only_gains_from_more_processes(counts: tuple[int, int], more: tuple[int, int]) -> None:
    random = np.random.default_rng(counts)
    slow, quick = (
        np.exp(random.standard_normal((20, count + grown))) for count, grown in zip(counts, more, strict=True)
    )
    before, after = medians.judged(slow[:, : counts[0]], quick[:, : counts[1]]), medians.judged(slow, quick)
    assert (before.lower * np.exp(before.bias) <= after.lower * np.exp(after.bias) * (1 + 1e-12)).all()
    assert (before.upper / np.exp(before.bias) >= after.upper / np.exp(after.bias) * (1 - 1e-12)).all()
