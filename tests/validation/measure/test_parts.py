"""A case in parts: each check once, whatever comes between them, and one line in the end."""

import io
import itertools

import msgspec
import pytest

from tests.validation.builders import make_manifest, make_result
from tests.validation.misbehaving import TARGET, WAYS
from validation.child import memory
from validation.contract.cases import ALL_CHECKS, PlannedCase, Protocol
from validation.contract.errors import UsageError
from validation.contract.lines import CaseResult
from validation.contract.measurements import Failure, Measurement, Memory, Timing
from validation.kernels.patches.case import make_case
from validation.measure import parts
from validation.measure.runner import LocalExecutor
from validation.plan.items import CaseItem, PropertyItem
from validation.run import declaration, lanes, results
from validation.run.options import Options
from validation.run.progress import Progress
from validation.run.session import run

TIMING = Timing(copy_fresh_s=(0.5,), copy_warm_s=(0.25,), contended_rejected=0, extended=False)
MEMORY = Memory(meter="VmHWM", pairs=(), output_bytes=8)
CASE = make_case("patch_extraction", N=8, gridsize=1, batch=1, shape=(20, 31), pattern="border")
ITEM = CaseItem(
    planned=PlannedCase(case=CASE, checks=ALL_CHECKS), candidate="batched", role="candidate", checks=ALL_CHECKS
)


def part_of(check, failure=None, started_at="2026-01-01T00:00:00.000+00:00", name="case-0"):
    made = make_result(name)
    measured = {
        "equivalence": made.measurement,
        "time": Measurement(timing=TIMING),
        "memory": Measurement(memory=MEMORY),
    }[check]
    return msgspec.structs.replace(
        made,
        checks=(check,),
        started_at=started_at,
        measurement=None if failure else measured,
        failure=Failure(reason=failure, message="a message") if failure else None,
        outputs_sha256={"batched": "0" * 64} if check == "equivalence" else {},
    )


@pytest.mark.parametrize("order", list(itertools.permutations(ALL_CHECKS)))
def test_parts_in_any_order_make_the_line_that_one_go_would_have_made(order):
    made = [part_of(check, started_at=f"2026-01-0{day}T00:00:00.000+00:00") for day, check in enumerate(order, 1)]
    for few in (made[:1], made[:2]):
        assert parts.merge(few, ALL_CHECKS) is None
    whole = parts.merge(made, ALL_CHECKS)
    assert whole.checks == ALL_CHECKS
    assert whole.measurement.equivalence == make_result().measurement.equivalence
    assert (whole.measurement.timing, whole.measurement.memory) == (TIMING, MEMORY)
    assert (whole.wall_s, whole.measured_s) == (6.0, 3.0)
    assert whole.started_at == "2026-01-01T00:00:00.000+00:00"
    assert whole.outputs_sha256 == {"batched": "0" * 64}


def test_one_failed_part_is_the_end_of_the_case():
    whole = parts.merge([part_of("time"), part_of("memory", failure="timeout")], ALL_CHECKS)
    assert whole.failure.reason == "timeout"
    assert whole.measurement is None
    assert whole.checks == ALL_CHECKS
    assert whole.wall_s == 4.0


def test_what_is_missing_is_asked_for_and_nothing_else():
    key = ITEM.key
    assert parts.missing(ITEM, {}) == ALL_CHECKS
    assert parts.missing(ITEM, {key: [part_of("time")]}) == ("equivalence", "memory")
    assert parts.missing(ITEM, {"another": [part_of("time")]}) == ALL_CHECKS


def test_peaks_go_one_by_one_and_the_comparisons_of_a_case_together():
    other = msgspec.structs.replace(ITEM, candidate="peer", role="peer")
    prop = PropertyItem(name="delta", case=CASE, candidate="batched")
    had = {item.key: [part_of("time")] for item in (ITEM, other)}
    assert [[(i.key, getattr(i, "checks", None)) for i in group] for group in parts.beside([(ITEM, other)], had)] == [
        [(ITEM.key, ("memory",))],
        [(other.key, ("memory",))],
        [(ITEM.key, ("equivalence",)), (other.key, ("equivalence",))],
    ]
    assert list(parts.beside([(prop,)], {})) == [(prop,)]
    had[ITEM.key].append(part_of("memory"))
    had[ITEM.key].append(part_of("equivalence"))
    assert list(parts.beside([(ITEM,)], had)) == []


class TestFile:
    @pytest.fixture
    def folder(self, tmp_path):
        return results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1")))

    def test_parts_come_back_by_key_and_are_no_lines(self, folder):
        kept = [part_of("time"), part_of("time", name="case-1"), part_of("memory")]
        for part in kept:
            folder.append_part(part)
        assert folder.parts() == {"case-0|batched": [kept[0], kept[2]], "case-1|batched": [kept[1]]}
        assert folder.lines() == []
        folder.forget_parts()
        assert folder.parts() == {}
        folder.forget_parts()

    def test_a_check_twice_is_refused(self, folder):
        folder.append_part(part_of("time"))
        folder.append_part(part_of("time"))
        with pytest.raises(UsageError, match=r"line 2 of .*parts\.jsonl repeats time of case-0\|batched"):
            folder.parts()

    def test_a_part_of_another_run_is_refused(self, folder):
        folder.append_part(msgspec.structs.replace(part_of("time"), run_id="run-2"))
        with pytest.raises(UsageError, match=r"line 1 of .*parts\.jsonl belongs to run run-2, not to run-1"):
            folder.parts()

    def test_what_is_not_of_a_case_is_refused(self, folder):
        from tests.validation.builders import make_calibration

        folder.append(make_calibration())
        (folder.path / results.RESULTS).rename(folder.path / results.PARTS)
        with pytest.raises(UsageError, match=r"line 1 of .*parts\.jsonl must be of a case, got calibration"):
            folder.parts()

    def test_a_torn_part_is_set_aside(self, folder):
        folder.append_part(part_of("time"))
        path = folder.path / results.PARTS
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:40])
        assert folder.set_torn_line_aside(results.PARTS).read_bytes() == whole[:40]
        assert folder.parts() == {"case-0|batched": [part_of("time")]}


SWEEP = """
[[cases]]
N = [8]
gridsize = [1]
batch = {batches}
pattern = ["border"]
shape = [[20, 31]]
checks = ["equivalence", "time", "memory"]
"""


@pytest.mark.tensorflow
class TestRun:
    @pytest.fixture
    def asked(self, monkeypatch):
        """What was asked of children: (action, batch). One replicate of everything, and lanes however few the cases."""
        made = []

        def expand(*arguments, real=declaration.expand):
            protocol = Protocol(
                replicates=1, max_replicates=1, samples=1, discarded=0, min_sample_s=1e-4, memory_pairs=1
            )
            return msgspec.structs.replace(real(*arguments), protocol=protocol)

        def watched(executor, task, timeout_s, real=LocalExecutor.run):
            made.append((task.action, task.case and task.case.params["batch"]))
            return real(executor, task, timeout_s)

        monkeypatch.setattr(declaration, "expand", expand)
        monkeypatch.setattr(LocalExecutor, "run", watched)
        monkeypatch.setattr(lanes, "WORTH_A_SERVER", 1)
        return made

    @staticmethod
    def go(tmp_path, batches, **options):
        path = tmp_path / "sweep.toml"
        path.write_text(SWEEP.format(batches=batches))
        stream = io.StringIO()
        chosen = {"sweep": str(path), "out": str(tmp_path / "run"), "command": "python -m validation run", **options}
        run(Options(**chosen), Progress(stream))
        return stream.getvalue()

    def test_times_are_on_disk_before_other_checks_and_are_not_taken_again(self, tmp_path, asked, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(lanes.Lanes, "go", interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.go(tmp_path, [1, 2])
        folder = results.RunFolder.open(tmp_path / "run")
        kept = folder.parts()
        assert {key: [part.checks for part in of] for key, of in kept.items()} == {
            f"patch_extraction-N8-g1-B{batch}-c64-20x31-border-s0|batched": [("time",)] for batch in (1, 2)
        }
        assert [line for line in folder.lines() if isinstance(line, CaseResult)] == []
        asked.clear()
        told = self.go(tmp_path, [1, 2], resume=True)
        assert "time" not in {action for action, _ in asked}
        cases = [line for line in folder.lines() if isinstance(line, CaseResult)]
        assert {line.key: line.measurement.timing for line in cases} == {
            key: of[0].measurement.timing for key, of in kept.items()
        }
        for line in cases:
            assert line.checks == ALL_CHECKS
            assert line.measurement.equivalence is not None
            assert line.measurement.memory is not None
            assert set(line.outputs_sha256) == {"batched", "reference", "oracle"}
        assert folder.parts() == {}
        assert not (folder.path / results.PARTS).exists()
        assert "[2/2] ok" in told

    def test_peaks_that_are_sampled_are_taken_alone_too(self, tmp_path, asked, monkeypatch):
        monkeypatch.setattr(memory, "meter", lambda: memory.SAMPLING_METER)
        went = []
        monkeypatch.setattr(lanes.Lanes, "go", lambda self, todo, do: went.extend(todo))
        self.go(tmp_path, [1])
        assert [action for action, _ in asked if action == "memory"] == ["memory", "memory"]
        assert [[item.checks for item in group] for group in went] == [[("equivalence",)]]

    def test_parts_are_used_where_nothing_goes_side_by_side(self, tmp_path, asked, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(lanes.Lanes, "go", interrupted)
        with pytest.raises(KeyboardInterrupt):
            self.go(tmp_path, [1])
        monkeypatch.setattr(lanes, "WORTH_A_SERVER", 1000)
        asked.clear()
        self.go(tmp_path, [1], resume=True)
        assert "time" not in {action for action, _ in asked}
        (case,) = (x for x in results.RunFolder.open(tmp_path / "run").lines() if isinstance(x, CaseResult))
        assert case.measurement.timing is not None

    def test_a_case_that_cannot_be_timed_has_its_line_and_nothing_else_is_asked_of_it(self, tmp_path, asked):
        bad = WAYS.index("raise")
        told = self.go(tmp_path, [WAYS.index("well"), bad], candidate=TARGET)
        lines = results.RunFolder.open(tmp_path / "run").lines()
        (failed,) = [line for line in lines if isinstance(line, CaseResult) and line.case.params["batch"] == bad]
        assert failed.failure.reason == "exception"
        assert failed.checks == ALL_CHECKS
        assert not {action for action, batch in asked if batch == bad} & {"memory", "timeline"}
        assert told.count("FAILED") >= 1
