"""What is measured of a case follows from how it was planned."""

import pytest

from validation import law, measure
from validation.demo_scan import write_demo_scan
from validation.records import Protocol
from validation.runner import LocalExecutor
from validation.sweeps import PROTOCOL, TIMED, PlannedCase, make_case, replicates

SHORT = Protocol(replicates=5, max_replicates=5, samples=2, discarded=0, min_sample_s=0.001, memory_pairs=1)


@pytest.fixture
def bench(tmp_path):
    write_demo_scan(tmp_path / "scan.npz")
    with LocalExecutor(tmp_path, mode="fork", threads=2, memory_limit_bytes=None) as executor:
        yield measure.Bench(
            executor,
            scan_path=str(tmp_path / "scan.npz"),
            ptycho_path=None,
            protocol=SHORT,
            scratch=tmp_path,
            timeout_s=60.0,
        )


def context_case(context=True):
    case = make_case("patch_extraction", N=8, gridsize=1, batch=4, shape=(30, 41), pattern="fermat")
    return PlannedCase(case=case, checks=TIMED, context=context)


def test_a_case_that_is_judged_has_all_replicates_and_context_has_fewer():
    assert replicates(context_case(context=False), PROTOCOL) == 7
    assert replicates(context_case(), PROTOCOL) == 3


def test_where_the_loop_is_left_out_the_candidate_is_timed_alone_and_the_line_says_why(bench, monkeypatch):
    monkeypatch.setattr(law, "PIXELS_MOVED_LIMIT", 1)
    monkeypatch.setattr(law, "CONTEXT_PIXELS_LIMIT", 1)
    found = measure.measure(bench, context_case(), "batched", TIMED)
    assert found.timing.pairs == ()
    assert len(found.timing.noise_pairs) == 3
    arms = [arm for pair in found.timing.noise_pairs for arm in (pair.reference, pair.candidate)]
    assert {arm.implementation for arm in arms} == {"batched"}
    assert all(arm.first_call_s > min(arm.samples_s) > 0 for arm in arms)
    assert found.equivalence.candidate_vs_reference is None
    assert "4 passes over" in found.equivalence.reference_left_out


@pytest.mark.slow
def test_the_loop_of_a_context_case_is_timed_where_it_is_short(bench):
    found = measure.measure(bench, context_case(), "batched", TIMED)
    assert [(pair.reference.implementation, pair.candidate.implementation) for pair in found.timing.pairs] == [
        ("reference", "batched")
    ] * 3
    assert found.equivalence.reference_left_out is None
