"""A verdict from Python: what it is asked, what it refuses, what it says."""

import numpy as np
import pytest

from tests.pairs import small
from validation import judge
from validation.contract.errors import UsageError
from validation.judging import Judged, Verdict, assert_replaces, target_of

QUICK = {"sizes": (3, 300), "min_speedup": 2}


# Whether it is fast enough rests on times, which other work disturbs: those tests are run with the slow ones.
@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """The verdict on a fast function that is right."""
    return judge(small.slow, small.fast, small.make, out=tmp_path_factory.mktemp("pair") / "run", **QUICK)


@pytest.mark.slow
def test_a_right_and_fast_function_is_accepted(accepted):
    assert accepted.accepted, accepted
    states = {item.id: item.state for item in accepted.criteria}
    assert states["correctness"] == states["speed"] == "pass"
    assert {states["oracle_agreement"], states["cold_speed"], states["memory"]} == {"not_judged"}


@pytest.mark.slow
def test_a_notebook_shows_the_verdict_without_script_or_network(accepted):
    shown = accepted._repr_html_()
    assert "ACCEPT" in shown
    assert "speed" in shown
    assert "<script" not in shown
    assert "http" not in shown


def test_a_wrong_function_is_rejected_with_the_command_that_shows_it(tmp_path):
    with pytest.raises(AssertionError, match="correctness") as caught:
        assert_replaces(small.slow, small.off_at_the_end, small.make, out=tmp_path / "run", **QUICK)
    assert "REJECT" in str(caught.value)
    assert "python -m validation reproduce pair-n" in str(caught.value)


def test_a_function_that_changes_its_inputs_is_rejected(tmp_path):
    verdict = judge(small.slow, small.fast_in_place, small.make, out=tmp_path / "run", **QUICK)
    assert verdict.outcome == "REJECT", verdict


def test_a_view_is_allowed_where_the_slow_function_gives_one(tmp_path):
    verdict = judge(small.view, small.other_view, small.make, out=tmp_path / "run", sizes=(3, 300))
    assert {item.id: item.state for item in verdict.criteria}["correctness"] == "pass", verdict


@pytest.mark.parametrize("function", [lambda x: x, np.float64(3).item, pytest])
def test_a_function_that_no_other_process_can_import_is_refused(function):
    with pytest.raises(UsageError, match="at the top of a module"):
        target_of("fast", function)


def test_a_function_of_a_notebook_is_refused_by_name():
    def fast():
        pass

    fast.__module__, fast.__qualname__ = "__main__", "fast"
    with pytest.raises(UsageError, match=r"--fast .* but fast is defined in a notebook"):
        judge(small.slow, fast, small.make)


def test_the_words_of_a_verdict_name_each_criterion():
    item = Judged(id="speed", state="fail", finding="2x", promise="3x", fixes=({"command": "again"},))
    verdict = Verdict(outcome="REJECT", criteria=(item,), folder="DIR")
    assert str(verdict).splitlines() == ["VERDICT: REJECT", "fail         speed            2x", "run: DIR"]
    assert item.command == "again"
