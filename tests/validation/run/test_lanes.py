"""What nobody times runs two items at once: each once, with the same bits, and nothing of it beside what is timed."""

import itertools
import re
import threading
import time

import msgspec
import pytest

from validation.contract.cases import PROTOCOL, Protocol
from validation.contract.lines import CaseResult
from validation.contract.manifest import Scan
from validation.contract.measurements import Failure
from validation.measure import lines
from validation.measure.bench import Bench, CaseFailed
from validation.measure.runner import LocalExecutor
from validation.plan.items import CaseItem, MutantItem, PropertyItem, SuiteItem, plan_items
from validation.plan.sweeps import expand
from validation.run import declaration, lanes, listing, results
from validation.run.options import Options
from validation.run.progress import Progress
from validation.run.session import run
from validation.subject.demo_scan import write_demo_scan

GIB = 2**30
TIMED = """
[[cases]]
N = [8]
gridsize = [2]
batch = [6]
pattern = ["border", "zero"]
shape = [[20, 31]]
checks = ["equivalence", "time", "memory"]
"""
SCAN = Scan(name="built-in", path=None, sha256="0" * 64, object_shape=(200, 256), positions=1000)
MANY = """
[[cases]]
N = [8]
gridsize = [2]
batch = [1, 2, 3, 4, 5]
pattern = ["border", "outside"]
shape = [[20, 31]]
"""


@pytest.fixture(scope="module")
def nightly(kernels):
    return plan_items(expand("nightly", kernels, SCAN, 0), "batched", kernels)


@pytest.fixture
def apart(kernels):
    """Parts items into those that stay alone and those that go side by side, given what a lane has of memory."""
    return lambda items, limit_bytes: lanes.apart(items, limit_bytes, kernels)


@pytest.fixture
def quick_protocol(monkeypatch):
    """One replicate of everything: what is measured here is not the times."""

    def expand_quickly(*arguments, real=declaration.expand):
        protocol = Protocol(replicates=1, max_replicates=1, samples=1, discarded=0, min_sample_s=1e-4, memory_pairs=1)
        return msgspec.structs.replace(real(*arguments), protocol=protocol)

    monkeypatch.setattr(declaration, "expand", expand_quickly)


@pytest.fixture
def two_lanes(tmp_path, kernels):
    with LocalExecutor(tmp_path, mode="fork", threads=1, memory_limit_bytes=8 * GIB) as executor:
        bench = Bench(executor, kernels=kernels, scan_path="", protocol=PROTOCOL, scratch=tmp_path, timeout_s=60.0)
        yield lanes.Lanes(bench, executor, 4 * GIB)


def test_a_plan_is_parted_in_its_order_and_nothing_is_lost(nightly, apart):
    alone, shared = ([item for group in part for item in group] for part in apart(nightly, 9 * GIB))
    assert sorted(alone + shared, key=nightly.index) == list(nightly)
    assert all(part == sorted(part, key=nightly.index) for part in (alone, shared))
    assert apart(nightly[:3], 9 * GIB)[1] == []


def test_no_gallery_shares_the_machine(nightly, apart):
    alone, shared = ([item for group in part for item in group] for part in apart(nightly, 9 * GIB))
    assert {type(item) for item in shared} == {CaseItem, PropertyItem, SuiteItem}
    assert all(item.planned.optional for item in alone if isinstance(item, CaseItem))
    assert sum(isinstance(item, MutantItem) for item in alone) > 30


@pytest.mark.tensorflow
def test_nothing_is_timed_beside_other_work(tmp_path, monkeypatch, quick_protocol):
    (tmp_path / "timed.toml").write_text(MANY + TIMED)
    ended = []

    def watched(executor, task, timeout_s, real=LocalExecutor.run):
        started = time.monotonic()
        answer = real(executor, task, timeout_s)
        ended.append((started, time.monotonic(), task.action))
        return answer

    monkeypatch.setattr(LocalExecutor, "run", watched)
    out = tmp_path / "run"
    run(Options(sweep=str(tmp_path / "timed.toml"), out=str(out), command="python -m validation run"), Progress())
    lines = [line for line in results.RunFolder.open(out).lines() if isinstance(line, CaseResult)]
    assert [line.failure for line in lines] == [None] * 12
    timed = [(start, end) for start, end, action in ended if action in ("time", "copy")]
    others = [(start, end) for start, end, action in ended if action not in ("time", "copy")]
    assert len(timed) >= 2 * 4
    assert not [1 for a, b in timed for c, d in others if a < d and c < b]
    together = [(a, b) for a, b in itertools.combinations(others, 2) if a[0] < b[1] and b[0] < a[1]]
    assert together, "nothing ran side by side: the test would show nothing"


def test_what_needs_more_than_a_lane_has_stays_alone(nightly, apart):
    def shared(limit_bytes):
        return len(apart(nightly, limit_bytes)[1])

    assert shared(1) < shared(GIB) < shared(9 * GIB)


def test_candidates_of_a_case_stay_together(nightly):
    cases = [item for item in nightly if isinstance(item, CaseItem)]
    grouped = list(lanes.groups(cases))
    assert len(grouped) == len({item.planned.case.case_id for item in cases})


def test_two_groups_run_at_once_and_each_runs_once(two_lanes, nightly):
    todo = [(item,) for item in nightly[:9]]
    number, both = itertools.count(), threading.Barrier(2, timeout=60)
    done = []

    def do(bench, group):
        if next(number) < 2:
            both.wait()
        done.append((bench, group))

    two_lanes.go(todo, do)
    assert sorted(group[0].key for _, group in done) == sorted(group[0].key for group in todo)
    assert {bench for bench, _ in done} >= {two_lanes.bench}
    assert len({bench.scratch for bench, _ in done}) == 2
    assert two_lanes.executor.memory_limit_bytes == 8 * GIB


def test_in_a_lane_children_have_its_share_of_memory(two_lanes, nightly):
    seen = []
    two_lanes.go([(item,) for item in nightly[:4]], lambda bench, _: seen.append(bench.executor.memory_limit_bytes))
    assert set(seen) == {4 * GIB}


def test_the_first_exception_ends_both_lanes_and_no_answer_counts_any_more(two_lanes, nightly):
    todo = [(item,) for item in nightly[:50]]
    number, ended = itertools.count(1), []

    def do(bench, group):
        mine = next(number)
        if mine == 3:
            raise RuntimeError("the third")
        while mine > 3:
            try:
                two_lanes.require_going()
            except lanes.Stopped:
                ended.append(mine)
                raise
            time.sleep(0.01)

    with pytest.raises(RuntimeError, match="the third"):
        two_lanes.go(todo, do)
    assert ended in ([], [4])
    assert next(number) <= 5
    with pytest.raises(lanes.Stopped):
        two_lanes.require_going()


@pytest.mark.tensorflow
def test_bits_and_lines_are_those_of_a_run_without_lanes(tmp_path, monkeypatch):
    (tmp_path / "many.toml").write_text(MANY)
    write_demo_scan(tmp_path / "scan.npz")
    found = []
    for name, worth in (("lanes", lanes.WORTH_A_SERVER), ("one", 1000)):
        monkeypatch.setattr(lanes, "WORTH_A_SERVER", worth)
        out = tmp_path / name
        chosen = {"sweep": str(tmp_path / "many.toml"), "data": str(tmp_path / "scan.npz"), "out": str(out)}
        run(Options(**chosen, command="python -m validation run"), Progress())
        folder = results.RunFolder.open(out)
        cases = [line for line in folder.lines() if isinstance(line, CaseResult)]
        assert [line for line in cases if line.failure] == []
        found.append({line.key: line.outputs_sha256 for line in cases})
        assert len(cases) == len(found[-1]) == 10
    assert found[0] == found[1]


def test_what_goes_side_by_side_is_predicted_to_take_less(monkeypatch):
    def total_min():
        told = listing.lines(Options(sweep="full", out="", command=""), as_json=False)
        return int(re.fullmatch(r"\d+ lines, about (\d+) min", told[-1])[1])

    together = total_min()
    monkeypatch.setattr(lanes, "WORTH_A_SERVER", 1000)
    assert total_min() > together


class TestShare:
    """Jobs of one bench that the other lane takes while it is free."""

    def shared(self, two_lanes, nightly, jobs):
        """Share jobs from the first of two groups; what they gave, and the bench that shared them."""
        number, found = itertools.count(), []

        def do(bench, group):
            if next(number) == 0:
                before = bench.measured_s
                made = bench.each(jobs)
                found.append((made, bench, bench.measured_s - before))

        two_lanes.go([(item,) for item in nightly[:2]], do)
        return found[0]

    def test_both_lanes_take_jobs_and_results_keep_their_order(self, two_lanes, nightly):
        both = threading.Barrier(2, timeout=60)
        done = []

        def job_of(number):
            def job(bench):
                if number < 2:
                    both.wait()
                done.append((number, bench))
                bench.measured_s += 1.0
                return number

            return job

        made, owner, measured_s = self.shared(two_lanes, nightly, [job_of(number) for number in range(6)])
        assert made == list(range(6))
        assert sorted(number for number, _ in done) == list(range(6))
        assert len({id(bench) for _, bench in done}) == 2
        assert measured_s == 6.0
        assert owner.elsewhere_s > 0

    def test_a_job_that_fails_is_told_and_no_other_begins_after_it(self, two_lanes, nightly):
        number, begun, told = itertools.count(), [], []

        def job_of(which):
            def job(bench):
                begun.append(which)
                if which == 1:
                    raise CaseFailed(Failure(reason="timeout", message="the second"))
                time.sleep(0.1)

            return job

        def do(bench, group):  # as a case that failed: it gets its line, and the run goes on
            if next(number) == 0:
                try:
                    bench.each([job_of(which) for which in range(9)])
                except CaseFailed as failed:
                    told.append(str(failed))
                time.sleep(1.0)

        two_lanes.go([(item,) for item in nightly[:4]], do)
        assert told == ["the second"]
        assert len(begun) <= 4

    def test_alone_a_bench_runs_its_jobs_itself(self, two_lanes):
        bench = two_lanes.bench
        assert bench.each([lambda on: (on, 1), lambda on: (on, 2)]) == [(bench, 1), (bench, 2)]
        assert bench.elsewhere_s == 0.0

    def test_what_the_other_lane_took_counts_in_the_line_of_the_case(self, two_lanes, nightly, monkeypatch):
        def measured(bench, planned, candidate, checks):
            bench.elsewhere_s += 100.0
            bench.measured_s += 60.0
            raise CaseFailed(Failure(reason="timeout", message="a message"))

        monkeypatch.setattr(lines.measure, "measure", measured)
        monkeypatch.setattr(lines, "CaseResult", dict)  # the fields, without what every line has
        item = next(item for item in nightly if isinstance(item, CaseItem))
        found = [lines.case_line(two_lanes.bench, item, None, {}) for _ in range(2)]
        assert all(100.0 <= line["wall_s"] < 110.0 and line["measured_s"] == 60.0 for line in found)
