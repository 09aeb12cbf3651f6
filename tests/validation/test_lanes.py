"""What nobody times runs two items at once: each once, with the same bits, and nothing of it beside a measurement."""

import itertools
import re
import threading
import time

import pytest

from validation import lanes, listing, measure, results
from validation.catalogue import BUILT_IN
from validation.declaration import Options
from validation.demo_scan import write_demo_scan
from validation.plan import CaseItem, MutantItem, ProbeItem, SuiteItem, plan_items
from validation.progress import Progress
from validation.records import CaseResult, Scan
from validation.run import run
from validation.runner import LocalExecutor
from validation.sweeps import PROTOCOL, make_case

GIB = 2**30
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
def nightly():
    return plan_items(BUILT_IN["nightly"](SCAN, 0), "batched")


@pytest.fixture
def two_lanes(tmp_path):
    with LocalExecutor(tmp_path, mode="fork", threads=1, memory_limit_bytes=8 * GIB) as executor:
        bench = measure.Bench(
            executor, scan_path="", ptycho_path=None, protocol=PROTOCOL, scratch=tmp_path, timeout_s=60.0
        )
        yield lanes.Lanes(bench, executor, 4 * GIB)


def test_a_plan_is_cut_in_its_order_and_nothing_is_lost(nightly):
    cut = list(lanes.stretches(nightly, 9 * GIB))
    assert [item for _, stretch in cut for group in stretch for item in group] == list(nightly)
    assert [shared for shared, _ in cut][:2] == [False, True]


def test_nothing_that_is_timed_and_no_gallery_shares_the_machine(nightly):
    shared = [item for sharing, stretch in lanes.stretches(nightly, 9 * GIB) if sharing for g in stretch for item in g]
    assert {type(item) for item in shared} == {CaseItem, ProbeItem, SuiteItem}
    assert {item.checks for item in shared if isinstance(item, CaseItem)} == {("equivalence",)}
    alone = [item for item in nightly if item not in shared]
    assert {type(item) for item in alone} == {CaseItem, MutantItem}


def test_what_needs_more_than_a_lane_has_stays_alone(nightly):
    def shared(limit_bytes):
        return sum(len(stretch) for sharing, stretch in lanes.stretches(nightly, limit_bytes) if sharing)

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
    assert two_lanes.bench.alone
    assert two_lanes.executor.memory_limit_bytes == 8 * GIB


def test_in_a_lane_children_have_its_share_of_memory(two_lanes, nightly):
    seen = []
    two_lanes.go([(item,) for item in nightly[:4]], lambda bench, _: seen.append(bench.executor.memory_limit_bytes))
    assert set(seen) == {4 * GIB}


def test_the_law_learns_from_what_is_alone_and_not_from_a_lane(two_lanes, tmp_path):
    write_demo_scan(tmp_path / "scan.npz")
    two_lanes.bench.scan_path = str(tmp_path / "scan.npz")
    case = make_case("patch_extraction", N=8, gridsize=1, batch=1, shape=(20, 31), pattern="border")
    learnt = []
    two_lanes.bench.law.add = lambda *call: learnt.append(call)
    two_lanes.go([(), ()], lambda bench, _: bench.output(case, "reference"))
    assert learnt == []
    two_lanes.bench.forget_outputs()
    two_lanes.bench.output(case, "reference")
    assert len(learnt) == 1


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
        found.append({results.key_of(line): line.outputs_sha256 for line in cases})
        assert len(cases) == len(found[-1]) == 10
    assert found[0] == found[1]


def test_what_goes_side_by_side_is_predicted_to_take_less(monkeypatch):
    def total_min():
        told = listing.lines(sweep="full", data=None, ptycho=None, candidate="batched", seed=0, as_json=False)
        return int(re.fullmatch(r"\d+ lines, about (\d+) min", told[-1])[1])

    together = total_min()
    monkeypatch.setattr(lanes, "WORTH_A_SERVER", 1000)
    assert total_min() > together
