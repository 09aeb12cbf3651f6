"""The law that stands in for the slow loop is fitted to what was measured, and never rules where time is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.contract.cases import PlannedCase
from validation.kernels.patches.case import make_case, of
from validation.kernels.patches.law import PRIOR_S, ReferenceLaw, passes_and_pixels


def case_of(batch, N=64, gridsize=2, shape=(200, 256)):
    return make_case("patch_extraction", N=N, gridsize=gridsize, batch=batch, shape=shape, pattern="fermat")


def planned(batch, checks=("equivalence",), context=False):
    return PlannedCase(case=case_of(batch), checks=checks, context=context)


def test_passes_and_pixels_of_the_padded_object():
    assert passes_and_pixels(of(case_of(5000))) == (20000, (200 + 64) * (256 + 64))


@given(
    start=st.floats(0.5, 3.0),
    per_pass=st.floats(1e-4, 1e-3),
    per_pixel=st.floats(1e-9, 1e-7),
)
def test_a_law_that_holds_is_found_again(start, per_pass, per_pixel):
    law = ReferenceLaw()
    for batch in (10, 100, 1000):
        for N in (32, 256):
            case = case_of(batch, N=N)
            passes, pixels = passes_and_pixels(of(case))
            law.add(case, start + passes * (per_pass + per_pixel * pixels))
    passes, pixels = passes_and_pixels(of(case_of(5000)))
    expected = start + passes * (per_pass + per_pixel * pixels)
    assert law.predict_s(case_of(5000)) == pytest.approx(expected, rel=1e-3)
    assert law.fit()[3] < 1e-6


def test_the_residual_shows_a_law_that_does_not_hold():
    law = ReferenceLaw()
    for batch, call_s in zip((1, 10, 20, 100, 500, 1000), (2.0, 2.0, 9.0, 2.0, 4.0, 5.0), strict=True):
        law.add(case_of(batch), call_s)
    assert law.fit()[3] > 0.3


def test_until_enough_is_measured_the_prior_rules_and_says_so():
    law = ReferenceLaw()
    law.add(case_of(10), 100.0)
    assert law.fit() == (*PRIOR_S, None)
    assert "before any was timed" in law.reason_to_leave_out(planned(5000))


@pytest.mark.parametrize("checks", [("equivalence", "time"), ("equivalence", "memory")])
def test_the_loop_is_never_left_out_where_time_or_memory_is_judged(checks):
    assert ReferenceLaw().reason_to_leave_out(planned(5000, checks)) is None


def test_the_loop_is_left_out_where_it_is_long_and_its_time_is_context():
    law, checks = ReferenceLaw(), ("equivalence", "time")
    compared = [law.reason_to_leave_out(planned(batch, checks, context=True)) is None for batch in (100, 1000, 5000)]
    timed = [law.times_reference(planned(batch, checks, context=True)) for batch in (100, 1000, 5000)]
    assert compared == [True, True, False]
    assert timed == [True, False, False]


def test_many_passes_are_long_however_few_pixels_each_has():
    case = case_of(5000, N=32, gridsize=3, shape=(24, 17))
    assert ReferenceLaw().reason_to_leave_out(PlannedCase(case=case)) is not None


def test_the_loop_is_always_timed_where_its_time_is_judged():
    assert ReferenceLaw().times_reference(planned(5000, ("time",)))


def test_the_loop_runs_where_it_is_affordable():
    assert ReferenceLaw().reason_to_leave_out(planned(100)) is None
