"""What is measured of a case follows from how it was planned."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.judging.policy import read_policy
from tests.validation.builders import SCAN
from validation.contract.cases import PROTOCOL, TIMED, PlannedCase, Protocol, Schedule, schedule
from validation.contract.measurements import ArmTiming
from validation.kernels import registry
from validation.kernels.patches import law
from validation.kernels.patches.case import make_case
from validation.kernels.registry import Kernels
from validation.machine import others
from validation.measure import case as measure
from validation.measure import peaks, times
from validation.measure.bench import ORACLE, REFERENCE, Bench
from validation.measure.runner import LocalExecutor
from validation.outputs import saved
from validation.outputs.tree import Tree
from validation.plan.items import CaseItem
from validation.plan.sweeps import expand
from validation.run import listing
from validation.run.declaration import declare
from validation.run.options import Options
from validation.run.session import bench_of

KERNELS = Kernels(registry.built_in())
SMOKE = expand("smoke", KERNELS, SCAN, 0)
SHORT = Protocol(replicates=5, max_replicates=5, samples=2, discarded=0, min_sample_s=0.001, memory_pairs=1)


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("executor")
    with LocalExecutor(scratch, mode="fork", threads=2, memory_limit_bytes=None, preload=KERNELS.preload) as shared:
        yield shared


@pytest.fixture
def bench(executor, scan_path, tmp_path):
    made = Bench(
        executor,
        scan_path=scan_path,
        kernels=KERNELS,
        protocol=SHORT,
        scratch=tmp_path,
        timeout_s=60.0,
    )
    yield made
    made.forget_outputs()


def context_case(context=True):
    case = make_case("patch_extraction", N=8, gridsize=1, batch=4, shape=(30, 41), pattern="fermat")
    return PlannedCase(case=case, checks=TIMED, context=context)


PLACED = make_case("reassembly", N=8, gridsize=1, batch=500, shape=(30, 41), pattern="fermat", M=6)
JUDGED = {case.kernel: KERNELS[case.kernel].judged(case) for case in (context_case().case, PLACED)}


def test_a_case_that_is_judged_has_all_processes_and_context_has_fewer():
    assert schedule(context_case(context=False), PROTOCOL, with_reference=True) == Schedule(7, 1, 2)
    assert schedule(context_case(), PROTOCOL, with_reference=True) == Schedule(1, 3, 2)
    assert schedule(context_case(), PROTOCOL, with_reference=False) == Schedule(1, 0, 3)


@given(blocks=st.integers(1, 14), pairs=st.integers(1, 4), seed=st.text(max_size=3))
def test_neighbours_are_pairs_and_the_place_of_the_reference_is_balanced(blocks, pairs, seed):
    order = times.shuffled(Schedule(blocks, 1, pairs), seed)
    size = 2 * pairs + 1
    places = [order[first : first + size].index("reference") for first in range(0, len(order), size)]
    assert len(order) == blocks * size
    assert order.count("reference") == blocks
    assert all(place % 2 == 0 for place in places)  # so that no pair is torn
    counts = [places.count(place) for place in range(0, size, 2)]
    assert max(counts) - min(counts) <= 1
    assert order == times.shuffled(Schedule(blocks, 1, pairs), seed)


def test_another_case_has_another_order():
    assert len({tuple(times.shuffled(Schedule(7, 1, 2), f"case {number}")) for number in range(20)}) > 10


@pytest.mark.tensorflow
def test_where_the_loop_is_left_out_the_candidate_is_timed_alone_and_the_line_says_why(bench, monkeypatch):
    monkeypatch.setattr(law, "PIXELS_MOVED_LIMIT", 1)
    monkeypatch.setattr(law, "CONTEXT_PIXELS_LIMIT", 1)
    found = measure.measure(bench, context_case(), "batched", TIMED)
    assert found.timing.references == ()
    arms = found.timing.candidates
    assert len(arms) == 6
    assert {arm.implementation for arm in arms} == {"batched"}
    assert all(arm.first_call_s > min(arm.samples_s) > 0 for arm in arms)
    assert found.equivalence.candidate_vs_reference is None
    assert "4 passes over" in found.equivalence.reference_left_out


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_loop_of_a_context_case_is_timed_where_it_is_short(bench):
    found = measure.measure(bench, context_case(), "batched", TIMED)
    assert [arm.implementation for arm in found.timing.references] == ["reference"] * 3
    assert [arm.implementation for arm in found.timing.candidates] == ["batched"] * 4
    assert found.equivalence.reference_left_out is None


def arm_of(name, first_call_s, seconds):
    return ArmTiming(
        implementation=name,
        first_call_s=first_call_s,
        samples_s=(seconds,) * 5,
        calls_per_sample=1,
        involuntary_switches=0,
    )


def arms_of(times_s, cold_s=50.0):
    return [arm_of("one", cold_s, seconds) for seconds in times_s]


STEADY = arms_of([1.0] * 28, cold_s=1.0)
WAVERING = arms_of([0.8, 1.0, 1.2, 1.0] * 7, cold_s=1.0)
LEANING = arms_of([1.0, 1.06] * 14, cold_s=1.0)


@pytest.mark.parametrize(
    ("kernel", "references", "candidates", "expected"),
    [
        ("patch_extraction", arms_of([10.1] * 7), STEADY, False),
        ("patch_extraction", arms_of([10.0] * 7), STEADY, True),
        ("patch_extraction", arms_of([9.9] * 7), STEADY, False),
        ("patch_extraction", arms_of([10.1] * 6 + [9.9]), STEADY, True),
        ("patch_extraction", arms_of([9.9] * 6 + [10.0]), STEADY, True),
        ("patch_extraction", arms_of([11.0] * 7), WAVERING, True),
        ("patch_extraction", arms_of([12.1] * 7), WAVERING, False),
        ("patch_extraction", arms_of([10.0] * 7), LEANING, False),  # biased: more of it would not mend it
        ("patch_extraction", arms_of([10.0] * 7, cold_s=10.0), LEANING, True),  # the first calls are not
        ("patch_extraction", arms_of([50.0] * 7, cold_s=10.0), STEADY, True),
        ("patch_extraction", arms_of([50.0] * 7, cold_s=9.9), STEADY, False),
        ("patch_extraction", arms_of([10.0] * 6 + [0.0]), STEADY, False),
        ("reassembly", arms_of([20.0] * 7, cold_s=1.0), STEADY, True),
        ("reassembly", arms_of([19.0] * 7, cold_s=10.0), STEADY, False),
    ],
)
def test_what_the_promise_leaves_open_is_undecided(kernel, references, candidates, expected):
    assert times.undecided(JUDGED[kernel], references, candidates) is expected


@given(seed=st.integers(0, 2**32), ratio=st.floats(5.0, 20.0), spread=st.floats(0.0, 0.3), extended=st.booleans())
def test_what_is_undecided_is_what_the_gate_leaves_open(seed, ratio, spread, extended):
    from reports.judging.gate import judge
    from tests.reports import builders as made

    random = np.random.default_rng(seed)
    size = 2 if extended else 1
    slow, quick = (np.exp(spread * random.standard_normal(size * count)) for count in (7, 28))
    timing = made.apart(tuple(ratio * slow), tuple(quick), extended=extended)
    arms = [
        [arm_of(each.implementation, each.first_call_s, each.samples_s[0]) for each in of]
        for of in (timing.references, timing.candidates)
    ]
    states = {item.id: item for item in judge(made.full_run(timing=timing), read_policy()).criteria}
    judged = [states[name] for name in ("speed", "cold_speed")]
    open_still = any(item.state == "inconclusive" and "biased" not in item.fixes[0].action for item in judged)
    assert times.undecided(JUDGED["patch_extraction"], *arms) is open_still


@pytest.mark.tensorflow
@pytest.mark.parametrize(("open_question", "expected"), [(True, (4, 8)), (False, (2, 4))])
def test_an_undecided_case_has_its_one_extension(bench, monkeypatch, open_question, expected):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=2, max_replicates=4, noise_pairs_per_reference=1)
    asked = []
    monkeypatch.setattr(
        times, "undecided", lambda judged, *arms: asked.append(list(map(len, arms[:2]))) or open_question
    )
    timing = times.measure_timing(bench, context_case(context=False), "batched")
    assert (len(timing.references), len(timing.candidates)) == expected
    assert timing.extended is open_question
    assert asked == [[2, 4]]


@pytest.mark.tensorflow
def test_context_is_not_extended(bench, monkeypatch):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=1, max_replicates=2)
    monkeypatch.setattr(times, "undecided", lambda *arguments: True)
    assert not times.measure_timing(bench, context_case(), "batched").extended


def test_kept_contended_replicates_ask_for_the_margin_of_the_gate():
    from reports.judging.speed_criteria import CONTENDED_MARGIN

    assert times.CONTENDED_MARGIN == CONTENDED_MARGIN
    references = arms_of([15.0] * 7)
    assert times.undecided(JUDGED["patch_extraction"], references, STEADY) is False
    assert times.undecided(JUDGED["patch_extraction"], references, STEADY, times.CONTENDED_MARGIN) is True
    assert times.undecided(JUDGED["patch_extraction"], arms_of([9.0] * 7), STEADY, times.CONTENDED_MARGIN) is False


def test_the_promises_that_an_extension_looks_at_are_those_of_the_manifest(executor, tmp_path):
    assert read_policy().speed.max_bias == times.MAX_BIAS
    options = Options(sweep="full", out="", command="")
    declared = declare(options)
    made = bench_of(declared, options, executor, None, tmp_path, lambda text: None)
    assert made.judged == declared.manifest.judged
    promised = {(item.criterion, item.figure): item.promise for item in made.judged}
    assert promised == {
        ("speed", "warm"): 10.0,
        ("cold_speed", "cold"): 10.0,
        ("memory", "memory"): 1.2,
        ("reassembly", "warm"): 20.0,
    }


def test_what_is_not_promised_or_of_memory_leaves_nothing_open():
    speed, cold, memory = JUDGED["patch_extraction"]
    references = arms_of([10.0] * 7, cold_s=10.0)
    assert times.undecided((speed,), references, STEADY) is True
    assert times.undecided((cold,), references, STEADY) is True
    unpromised = msgspec.structs.replace(speed, promise=None)
    assert times.undecided((unpromised, memory), references, STEADY) is False
    assert times.undecided((), references, STEADY) is False


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


@pytest.mark.tensorflow
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
        with (tmp_path / name).open("wb") as file:
            saved.save(file, Tree.of(array))
        outputs[name] = saved.Output(tmp_path / name)
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
    monkeypatch.setattr(others, "busy_s", lambda: None)  # what else runs here repeats no process
    monkeypatch.setattr(times, "CONTENDED_SWITCHES", 10**9)
    bench.protocol = msgspec.structs.replace(SHORT, replicates=1, max_replicates=1, samples=1)
    times.measure_timing(bench, context_case(context=False), "batched")
    assert asked == [*["output"] * 2, "copy", *["time"] * 2, "copy", *["time"] * 3, "copy"]


@pytest.mark.tensorflow
def test_the_first_process_of_either_arm_is_thrown_away(bench, monkeypatch):
    bench.protocol = msgspec.structs.replace(SHORT, replicates=1, max_replicates=1)
    asked = []
    ask = bench.ask

    def noted(action, *rest, **fields):
        if "case" in fields:
            asked.append((fields["implementation"], fields["case"].work))
        return ask(action, *rest, **fields)

    def time_arm(on, case, implementation):
        asked.append((implementation, case.work))
        return arm_of(implementation, float(len(asked)), 1.0), 8, 0.0

    monkeypatch.setattr(bench, "ask", noted)
    monkeypatch.setattr(times, "time_arm", time_arm)
    timing = times.measure_timing(bench, context_case(context=False), "batched")
    assert asked[:2] == [("reference", 1), ("batched", 4)]
    kept = [arm.first_call_s for arm in (*timing.references, *timing.candidates)]
    assert sorted(kept) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert list(bench.scratch.iterdir()) == []  # nor is its output kept
    asked.clear()
    times.measure_timing(bench, context_case(), "batched")
    assert {work for _, work in asked} == {4}  # context decides nothing


def switched_away(times, candidate="batched"):
    """Build a process of two seconds that was switched away so often."""
    return ArmTiming(
        implementation=candidate,
        first_call_s=1.0,
        samples_s=(0.1, 0.1),
        calls_per_sample=10,
        involuntary_switches=times,
    )


def test_a_process_is_contended_by_processor_time_of_others():
    contention = times.Contention()
    assert not contention.disturbed(switched_away(0), 0.2)
    assert contention.disturbed(switched_away(0), 0.3)


def test_a_process_is_contended_where_it_is_switched_away_more_often_than_others_of_its_arm():
    contention = times.Contention()
    assert not contention.disturbed(switched_away(500), 0.0)  # there is nothing to compare it with yet
    assert not contention.disturbed(switched_away(80), 0.0)
    assert contention.disturbed(switched_away(500), 0.0)
    assert not contention.disturbed(switched_away(190), 0.0)  # under 100 a second
    assert not contention.disturbed(switched_away(500, "jax"), 0.0)
    assert not contention.disturbed(switched_away(900, "jax"), 0.0)  # that is how this one works


def test_few_switches_in_a_short_time_say_nothing():
    short = msgspec.structs.replace(switched_away(0), samples_s=(0.01,), calls_per_sample=1)
    contention = times.Contention()
    for switches in (0, 19, 20):
        arm = msgspec.structs.replace(short, involuntary_switches=switches)
        assert contention.disturbed(arm, 0.0) is (switches == 20)


@pytest.fixture
def timed(bench, monkeypatch):
    """Time three replicates whose processes are switched away as often as told."""

    def start(rates):
        bench.protocol = msgspec.structs.replace(SHORT, replicates=3, max_replicates=3, noise_pairs_per_reference=1)
        monkeypatch.setattr(times, "shuffled", lambda *_: ["candidate"] * 2 + ["reference", "candidate", "candidate"])
        left = iter(rates)
        monkeypatch.setattr(times, "_throw_away", lambda on, case, name: None)
        monkeypatch.setattr(times, "time_arm", lambda on, case, name: (switched_away(next(left), name), 8, 0.0))
        return times.measure_timing(bench, context_case(context=False), "batched")

    return start


@pytest.mark.tensorflow
def test_a_process_from_before_there_was_a_quiet_one_is_repeated(timed):
    timing = timed([500, 500, *[0] * 20])
    assert (timing.contended_rejected, timing.contended_kept) == (2, 0)
    arms = (*timing.references, *timing.candidates)
    assert len(arms) == 5
    assert all(arm.involuntary_switches == 0 for arm in arms)


@pytest.mark.tensorflow
def test_processes_that_stay_contended_are_counted_as_kept(timed):
    timing = timed([0, 500, 500, 500, 500, 500, 500, 500])
    # Two of five may be repeated; the reference had no quieter one to be compared with.
    assert (timing.contended_rejected, timing.contended_kept) == (2, 3)
    assert [arm.involuntary_switches for arm in timing.candidates] == [0, 500, 500, 500]
