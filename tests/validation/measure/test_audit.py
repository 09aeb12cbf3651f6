import threading
import time

import msgspec
import numpy as np
import pytest

from tests.validation.children import make_case
from validation.child.actions import execute
from validation.child.channel import Channel, Mark, Witness, calls_of
from validation.child.watch import Watch
from validation.contract.cards import KernelSource, Pair
from validation.contract.cases import PROTOCOL
from validation.contract.measurements import ArmTiming
from validation.contract.tasks import Calls, KeptPart
from validation.kernels.pair import PairKernel
from validation.kernels.patches import oracle
from validation.kernels.registry import Kernels
from validation.measure import audit
from validation.measure.bench import Bench, CaseFailed
from validation.measure.runner import Answer
from validation.outputs import saved

pytestmark = pytest.mark.usefixtures("as_in_a_child")


def marks(*calls_s, between_s=0.5):
    """The log of calls that took so long."""
    found, at_s = [], 0.0
    for number, taken in enumerate(calls_s):
        found.append(Mark(kind="draw", at_s=at_s, entropy=f"{number:032x}"))
        found.append(Mark(kind="start", at_s=at_s + between_s))
        at_s += between_s + taken
        found.append(Mark(kind="end", at_s=at_s))
        found.append(Mark(kind="draw", at_s=at_s, entropy=f"{number + 1000:032x}"))
    return tuple(found)


def refused(found, calls_s, processor_s=0.0):
    with pytest.raises(CaseFailed) as failed:
        audit.witnessed(found, calls_s, processor_s, 2, "batched")
    assert failed.value.failure.reason == "tampered"
    assert failed.value.failure.arm == "batched"
    return failed.value.failure.message


def test_times_that_fit_what_the_server_saw_are_taken():
    calls = audit.witnessed(marks(0.2, 0.1), (0.199, 0.0995), 0.5, 2, "batched")
    assert [call.inputs[-1] for call in calls] == ["0", "1"]
    assert [call.wall_s for call in calls] == pytest.approx([0.2, 0.1])


def test_a_clock_that_ran_slow_in_the_child_is_found():
    assert "by the system's clock" in refused(marks(1.0, 1.0), (0.5, 0.5))


def test_processor_time_that_no_machine_has_is_found():
    assert "used 3 s of 2 processors" in refused(marks(1.0), (1.0,), processor_s=3.0)


def test_a_call_that_the_server_did_not_see_is_found():
    assert "the server saw 1" in refused(marks(1.0), (1.0, 1.0))


def test_marks_that_an_implementation_sent_are_found():
    found = marks(1.0)
    early = (*found[:2], Mark(kind="end", at_s=0.5), *found[2:])
    assert "do not fit what the server saw" in refused(early, (0.0,))


def test_a_witness_stamps_marks_and_gives_entropy_that_is_new():
    witness = Witness()
    channel = Channel(witness.child_descriptor)
    drawn = []

    def call():
        drawn.append(channel.draw())
        channel.start()
        channel.end()
        drawn.append(channel.draw())

    thread = threading.Thread(target=call)
    thread.start()
    while len(witness.marks) < 4:
        witness.read()
    thread.join()
    witness.close()
    assert [mark.kind for mark in witness.marks] == ["draw", "start", "end", "draw"]
    assert drawn == [witness.marks[0].entropy, witness.marks[3].entropy]
    assert drawn[0] != drawn[1]
    assert calls_of(witness.marks)[0].wall_s >= 0


def test_a_mark_that_is_read_late_has_the_time_at_which_it_was_sent():
    witness = Witness()
    channel = Channel(witness.child_descriptor)
    channel.start()
    time.sleep(0.05)
    channel.end()
    time.sleep(0.5)
    while len(witness.marks) < 2:
        witness.read()
    witness.close()
    assert 0.05 <= witness.marks[1].at_s - witness.marks[0].at_s < 0.4


class Recorded(Channel):
    """A channel that keeps the log which a server would have."""

    def __init__(self):
        super().__init__(None)
        self.marks = []

    def start(self):
        self.marks.append(Mark(kind="start", at_s=0.0))

    def end(self):
        self.marks.append(Mark(kind="end", at_s=0.0))

    def draw(self):
        entropy = super().draw()
        self.marks.append(Mark(kind="draw", at_s=0.0, entropy=entropy))
        return entropy


def parts_of(function, bench, case, arm, folder, calls=6, small=(), forged=None):
    """What the parent finds of the calls of a function."""
    channel = Recorded()
    watch = Watch(lambda: function, bench.kernel(case), case, bench.scan_path, channel)
    for number in range(calls):
        watch.call(small=number in small)
    path = folder / "parts"
    with path.open("wb") as file:
        for _, part in watch.kept.values():
            saved.save(file, part)
    kept = tuple(KeptPart(which=which, call=call) for which, (call, _) in watch.kept.items())
    told = Calls(calls_s=tuple(watch.calls_s), processor_s=0.0, small=tuple(watch.small), kept=forged or kept)
    return audit.check_parts(bench, told, calls_of(channel.marks), case=case, path=path, arm=arm)


@pytest.fixture
def audited(kernels, scan_path, tmp_path):
    """Gives what the parent finds of the calls of a function that cuts patches or places them."""
    # Nobody runs tasks: the oracle is asked here.
    bench = Bench(None, kernels=kernels, scan_path=scan_path, protocol=PROTOCOL, scratch=tmp_path, timeout_s=1.0)

    def check(function, small=(1,), forged=None, **changed):
        return parts_of(function, bench, make_case(**changed), "batched", tmp_path, small=small, forged=forged)

    return check


@pytest.mark.parametrize("pattern", ["interior", "scan", "integer", "zero", "border", "fading"])
@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_right_results_pass(audited, kernel, pattern, dtype):
    compute = oracle.extract_patches if kernel == "patch_extraction" else oracle.shift_and_sum
    found = audited(compute, kernel=kernel, pattern=pattern, dtype=dtype, batch=40)
    assert [each.call == 0 for each in found] == [True, False]
    assert all(each.comparison.passed for each in found)


@pytest.mark.parametrize("kernel", ["patch_extraction", "reassembly"])
def test_a_result_kept_from_an_earlier_call_fails(audited, kernel):
    compute = oracle.extract_patches if kernel == "patch_extraction" else oracle.shift_and_sum
    kept = []

    def cached(**arguments):
        if not kept:
            kept.append(compute(**arguments))
        return kept[0].copy()

    first, later = audited(cached, kernel=kernel, small=())
    assert first.comparison.passed
    assert not later.comparison.passed


def test_groups_that_are_not_computed_are_found(audited):
    def lazily(**arguments):
        found = oracle.extract_patches(**arguments)
        found[5:-5] = 0
        return found

    first, later = audited(lazily, batch=100)
    assert not first.comparison.passed
    assert not later.comparison.passed


def test_a_result_of_another_shape_fails(audited):
    first, _ = audited(lambda **given: oracle.extract_patches(**given)[:, :, :, :1].copy())
    assert not first.comparison.passed


def test_a_result_that_is_no_array_of_patches_fails(audited):
    first, later = audited(lambda **given: 0.5)
    assert not first.comparison.passed
    assert not later.comparison.passed


def test_parts_that_were_not_drawn_are_found(audited):
    with pytest.raises(CaseFailed, match="not those that were drawn"):
        audited(oracle.extract_patches, forged=(KeptPart(which="first", call=0),))


def test_the_inputs_of_a_call_can_be_made_again(audited, kernels, scan_path):
    met = []
    found = audited(lambda **given: met.append(given) or oracle.extract_patches(**given), batch=40)
    case = make_case(batch=40)
    again = audit.inputs_of(kernels[case.kernel], case, scan_path, found[1].entropy)
    for name, value in met[found[1].call].items():
        np.testing.assert_array_equal(again[name], value)


def two_numbers(rng, size):
    return rng.uniform(size=size), rng.uniform(size=size)


class Here:
    """Executes tasks in this process."""

    def run(self, task, timeout_s):
        return Answer(reply=execute(task), failure=None, wall_s=0.0, cpu_s=0.0)


@pytest.fixture
def without_an_oracle(tmp_path):
    """Gives what the parent finds of the calls of a function where the reference is the only truth."""
    pair = Pair(slow="numpy:add", fast="numpy:add", inputs=f"{__name__}:{two_numbers.__name__}")
    kernel = PairKernel(KernelSource(name="pair", pair=pair))
    bench = Bench(Here(), kernels=Kernels([kernel]), scan_path=None, protocol=PROTOCOL, scratch=tmp_path, timeout_s=1.0)
    return lambda function, arm="batched": parts_of(function, bench, kernel.case(size=30), arm, tmp_path)


def test_without_an_oracle_parts_are_held_against_the_reference_for_the_inputs_of_their_calls(without_an_oracle):
    found = without_an_oracle(np.add)
    assert [each.comparison.expected for each in found] == ["reference", "reference"]
    assert all(each.comparison.passed for each in found)
    kept = []

    def cached(one, two):
        kept.append(one + two)
        return kept[0].copy()

    first, later = without_an_oracle(cached)
    assert (first.comparison.passed, later.comparison.passed) == (True, False)


def test_a_reference_that_is_the_only_truth_is_not_held_against_itself(without_an_oracle):
    assert without_an_oracle(np.add, arm="reference") == ()


def test_samples_that_are_not_those_of_the_calls_are_found():
    calls_s = (1.0, 0.5, 0.1, 0.3, 0.2, 0.4)
    right = ArmTiming(
        implementation="batched",
        first_call_s=1.0,
        samples_s=(0.2, 0.3),
        calls_per_sample=2,
        involuntary_switches=0,
    )
    audit.require_samples_of_calls(right, calls_s)
    for changed in ({"first_call_s": 0.1}, {"samples_s": (0.02, 0.03)}):
        with pytest.raises(CaseFailed, match="not those of its calls"):
            audit.require_samples_of_calls(msgspec.structs.replace(right, **changed), calls_s)


def test_later_calls_are_held_against_the_server_apart_from_a_long_first_one():
    assert "the later calls" in refused(marks(10.0, 0.2, 0.2), (10.0, 0.05, 0.05))


def test_inputs_that_were_known_long_before_the_call_are_found():
    calls = calls_of(marks(1.0, 1.0, between_s=2.0))
    audit.require_prompt(calls, 0.4, "batched")
    with pytest.raises(CaseFailed, match="before its calls began"):
        audit.require_prompt(calls, 0.1, "batched")


def test_calls_that_end_before_their_result_can_be_written_are_found():
    timing = ArmTiming(
        implementation="batched", first_call_s=1.0, samples_s=(0.001,) * 5, calls_per_sample=10, involuntary_switches=0
    )
    audit.require_possible(timing, fill_s=0.002)
    with pytest.raises(CaseFailed, match="to write its result"):
        audit.require_possible(timing, fill_s=1.0)
