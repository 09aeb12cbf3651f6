"""What is measured of a case follows from how it was planned."""

import msgspec
import numpy as np
import pytest

from tests.validation.builders import SCAN
from validation import catalogue, law, listing, measure, peaks, times
from validation.bench import ORACLE, REFERENCE, Bench
from validation.demo_scan import write_demo_scan
from validation.output import Output
from validation.plan import CaseItem
from validation.records import ArmTiming, Protocol, TimingPair
from validation.runner import LocalExecutor
from validation.sweeps import PROTOCOL, TIMED, PlannedCase, make_case, noise_pairs, replicates

SMOKE = catalogue.expand("smoke", SCAN, 0)
SHORT = Protocol(replicates=5, max_replicates=5, samples=2, discarded=0, min_sample_s=0.001, memory_pairs=1)


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    with LocalExecutor(tmp_path_factory.mktemp("executor"), mode="fork", threads=2, memory_limit_bytes=None) as shared:
        yield shared


@pytest.fixture
def bench(executor, tmp_path):
    write_demo_scan(tmp_path / "scan.npz")
    made = Bench(
        executor,
        scan_path=str(tmp_path / "scan.npz"),
        ptycho_path=None,
        protocol=SHORT,
        scratch=tmp_path,
        timeout_s=60.0,
    )
    yield made
    made.forget_outputs()


def context_case(context=True):
    case = make_case("patch_extraction", N=8, gridsize=1, batch=4, shape=(30, 41), pattern="fermat")
    return PlannedCase(case=case, checks=TIMED, context=context)


def test_a_case_that_is_judged_has_all_replicates_and_context_has_fewer():
    assert replicates(context_case(context=False), PROTOCOL) == 7
    assert replicates(context_case(), PROTOCOL) == 3
    assert [noise_pairs(context_case(of), PROTOCOL, with_reference=True) for of in (False, True)] == [7, 1]
    assert noise_pairs(context_case(), PROTOCOL, with_reference=False) == 3


@pytest.mark.tensorflow
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


def pairs_of(*speedups, cold=50.0):
    def arm(name, first_call_s, seconds):
        return ArmTiming(
            implementation=name,
            first_call_s=first_call_s,
            samples_s=(seconds,) * 5,
            calls_per_sample=1,
            involuntary_switches=0,
        )

    return [
        TimingPair(order="reference_first", reference=arm("a", cold, speedup), candidate=arm("b", 1.0, 1.0))
        for speedup in speedups
    ]


STEADY = pairs_of(1.0, 1.0, cold=1.0)


@pytest.mark.parametrize(
    ("kernel", "pairs", "noise", "expected"),
    [
        ("patch_extraction", pairs_of(10.0, 11.0), STEADY, False),
        ("patch_extraction", pairs_of(9.9, 10.0), STEADY, True),
        ("patch_extraction", pairs_of(8.0, 9.9), STEADY, False),
        ("patch_extraction", pairs_of(10.5, 11.0), pairs_of(1.0, 1.1, cold=1.0), True),
        ("patch_extraction", pairs_of(8.0, 9.5), pairs_of(1.0, 1.1, cold=1.0), True),
        ("patch_extraction", pairs_of(50.0, 60.0, cold=9.9) + pairs_of(50.0, cold=10.0), STEADY, True),
        ("patch_extraction", pairs_of(50.0, 0.0), STEADY, False),
        ("reassembly", pairs_of(19.0, 21.0, cold=1.0), STEADY, True),
        ("reassembly", pairs_of(9.0, 11.0, cold=10.0), STEADY, False),
    ],
)
def test_what_the_promise_leaves_open_is_undecided(kernel, pairs, noise, expected):
    assert times.undecided(kernel, pairs, noise) is expected


@pytest.mark.tensorflow
@pytest.mark.parametrize(("open_question", "expected"), [(True, 5), (False, 3)])
def test_an_undecided_case_has_its_one_extension(bench, monkeypatch, open_question, expected):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=3, max_replicates=5)
    asked = []
    monkeypatch.setattr(
        times, "undecided", lambda kernel, pairs, noise, margin: asked.append(len(pairs)) or open_question
    )
    timing = times.measure_timing(bench, context_case(context=False), "batched")
    assert (len(timing.pairs), len(timing.noise_pairs)) == (expected, expected)
    assert timing.extended is open_question
    assert asked == [3]


@pytest.mark.tensorflow
def test_context_is_not_extended(bench, monkeypatch):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=1, max_replicates=2)
    monkeypatch.setattr(times, "undecided", lambda *arguments: True)
    assert not times.measure_timing(bench, context_case(), "batched").extended


def test_kept_contended_replicates_ask_for_the_margin_of_the_gate():
    from reports.kernel_criteria import CONTENDED_MARGIN

    assert times.CONTENDED_MARGIN == CONTENDED_MARGIN
    pairs = pairs_of(15.0, 16.0)
    assert times.undecided("patch_extraction", pairs, STEADY) is False
    assert times.undecided("patch_extraction", pairs, STEADY, times.CONTENDED_MARGIN) is True
    assert times.undecided("patch_extraction", pairs_of(8.0, 9.0), STEADY, times.CONTENDED_MARGIN) is False


def test_the_promises_that_an_extension_looks_at_are_those_of_the_gate():
    from reports.policy import read_policy

    policy = read_policy()
    assert {
        "patch_extraction": (policy.speed.min_cold_speedup, policy.speed.min_speedup),
        "reassembly": (None, policy.reassembly.min_speedup),
    } == times.PROMISED_SPEEDUPS


@pytest.mark.tensorflow
def test_the_time_of_the_oracle_is_no_measured_time(bench):
    case = context_case().case
    bench.output(case, ORACLE)
    assert bench.measured_s == 0.0
    bench.output(case, REFERENCE)
    assert bench.measured_s > 0.0


@pytest.mark.tensorflow
@pytest.mark.parametrize(("context", "expected"), [(False, ["reference", "batched"]), (True, [])])
def test_time_lines_of_memory_are_drawn_of_cases_that_are_judged(bench, context, expected):
    found = peaks.measure_memory(bench, context_case(context), "batched")
    assert len(found.pairs) == 1
    assert [line.implementation for line in found.timelines] == expected


def test_time_lines_are_predicted_where_they_are_taken():
    def predicted_s(context):
        planned = context_case(context)
        item = CaseItem(planned=planned, candidate="batched", role="candidate", checks=("memory",))
        return listing.predicted_time_s(item, SMOKE, law.ReferenceLaw())

    assert predicted_s(context=False) / predicted_s(context=True) == pytest.approx(
        (SMOKE.protocol.memory_pairs + 1) / SMOKE.protocol.memory_pairs
    )


@pytest.mark.parametrize("nudge", [0, 1])
def test_the_reference_is_compared_with_the_oracle_whether_or_not_the_candidate_has_its_bits(
    bench, tmp_path, monkeypatch, nudge
):
    rng = np.random.default_rng(0)
    oracle = rng.random((4, 3)).astype(np.complex64)
    reference = oracle + np.complex64(1e-7)
    candidate = reference.copy()
    candidate[2, 1] += nudge
    arrays = {"oracle": oracle, "reference": reference, "batched": candidate}
    outputs = {}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        outputs[name] = Output(tmp_path / f"{name}.npy")
    monkeypatch.setattr(bench, "output", lambda case, name: outputs[name])
    case = context_case().case
    compared = []
    compare = measure.compare
    monkeypatch.setattr(measure, "compare", lambda *both, **names: compared.append(names) or compare(*both, **names))
    found = measure.compare_outputs(bench, case, "batched")
    assert len(compared) == 2 + nudge
    assert found.reference_vs_oracle == measure._compare(bench, case, "oracle", "reference")
    assert found.reference_vs_oracle.max_abs_error < 1e-6
    assert found.candidate_vs_oracle.passed is (nudge == 0)


@pytest.mark.tensorflow
def test_the_copy_is_measured_before_amid_and_after_the_replicates(bench, monkeypatch):
    asked = []
    ask = bench.ask
    monkeypatch.setattr(
        bench, "ask", lambda action, *rest, **fields: asked.append(action) or ask(action, *rest, **fields)
    )
    monkeypatch.setattr(times, "busy_s", lambda: None)  # what else runs here repeats no replicate
    bench.protocol = msgspec.structs.replace(SHORT, replicates=1, max_replicates=1, samples=1)
    times.measure_timing(bench, context_case(context=False), "batched")
    assert asked == ["copy", "time", "time", "copy", "time", "time", "copy"]


def switched_away(times, candidate="batched"):
    """Build a replicate of two seconds per arm, in which the candidate was switched away so often."""
    arm = {"first_call_s": 1.0, "samples_s": (0.1, 0.1), "calls_per_sample": 10}
    return TimingPair(
        order="reference_first",
        reference=ArmTiming(implementation="reference", involuntary_switches=0, **arm),
        candidate=ArmTiming(implementation=candidate, involuntary_switches=times, **arm),
    )


def test_a_replicate_is_contended_by_processor_time_of_others():
    contention = times.Contention()
    assert not contention.disturbed(switched_away(0), 0.2)
    assert contention.disturbed(switched_away(0), 0.3)


def test_a_replicate_is_contended_where_it_is_switched_away_more_often_than_others_of_its_arm():
    contention = times.Contention()
    assert not contention.disturbed(switched_away(500), 0.0)  # there is nothing to compare it with yet
    assert not contention.disturbed(switched_away(80), 0.0)
    assert contention.disturbed(switched_away(500), 0.0)
    assert not contention.disturbed(switched_away(190), 0.0)  # under 100 a second
    assert not contention.disturbed(switched_away(500, "jax"), 0.0)
    assert not contention.disturbed(switched_away(900, "jax"), 0.0)  # that is how this one works


def test_few_switches_in_a_short_time_say_nothing():
    short = msgspec.structs.replace(switched_away(0).candidate, samples_s=(0.01,), calls_per_sample=1)
    contention = times.Contention()
    for switches in (0, 19, 20):
        arm = msgspec.structs.replace(short, involuntary_switches=switches)
        pair = msgspec.structs.replace(switched_away(0), candidate=arm)
        assert contention.disturbed(pair, 0.0) is (switches == 20)


@pytest.mark.tensorflow
def test_a_replicate_from_before_there_was_a_quiet_one_is_repeated(bench, monkeypatch):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=3, max_replicates=3)
    rates = iter([500, 500, *[0] * 20])
    monkeypatch.setattr(times, "_pair", lambda *arguments: (switched_away(next(rates)), 0.0))
    timing = times.measure_timing(bench, context_case(context=False), "batched")
    assert (timing.contended_rejected, timing.contended_kept) == (2, 0)
    both = (*timing.pairs, *timing.noise_pairs)
    assert len(both) == 6
    assert all(pair.candidate.involuntary_switches == 0 for pair in both)


@pytest.mark.tensorflow
def test_replicates_that_stay_contended_are_counted_as_kept(bench, monkeypatch):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=3, max_replicates=3)
    rates = iter([500] * 5 + [0] + [500] * 20)
    monkeypatch.setattr(times, "_pair", lambda *arguments: (switched_away(next(rates)), 0.0))
    timing = times.measure_timing(bench, context_case(context=False), "batched")
    assert (timing.contended_rejected, timing.contended_kept) == (3, 5)
    assert len(timing.pairs) + len(timing.noise_pairs) == 6
