"""A quick sweep enlarges its reference case until the loop takes long enough on the machine."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.builders import SCAN
from validation import catalogue, declaration, lanes, results, sizing
from validation.bench import Bench
from validation.declaration import Options
from validation.errors import UsageError
from validation.progress import Progress
from validation.records import CaseResult, Protocol
from validation.run import run
from validation.runner import LocalExecutor
from validation.scans import materialise
from validation.sweeps import make_case, parse_case_id, select
from validation.timing import SLOW_CALL_S

CASE = make_case("patch_extraction", N=64, gridsize=2, batch=740, shape=(200, 256), pattern="scan")
QUICK = catalogue.expand("quick", SCAN, 0)


@given(
    s_per_group=st.floats(1e-5, 1.0),
    start_s=st.floats(0.0, 3.0),
    shall_take_s=st.floats(0.1, 100.0),
    limit=st.none() | st.integers(0, 2**36),
)
def test_a_loop_takes_the_time_asked_for_unless_size_or_memory_end_first(s_per_group, start_s, shall_take_s, limit):
    asked = []

    def call_s(case):
        asked.append(case.batch)
        return start_s + s_per_group * case.batch

    groups = sizing.groups_for(CASE, call_s, shall_take_s, limit)
    assert asked == sorted(set(asked))
    assert asked[-1] <= groups
    assert groups in {CASE.batch * times for times in (1, 2, 4)}
    half = sizing.with_groups(CASE, groups // 2)
    if limit is None and 2 * groups <= sizing.MOST_GROUPS:
        assert call_s(sizing.with_groups(CASE, groups)) >= shall_take_s or 2 * call_s(half) >= shall_take_s
    if groups > CASE.batch:
        assert call_s(half) < shall_take_s
        assert limit is None or sizing.predicted_bytes(sizing.with_groups(CASE, groups), "reference") <= limit


@pytest.mark.parametrize(
    ("took_s", "groups"),
    [
        ({740: 9.0}, 740),
        ({740: 5.6}, 740),
        ({740: 5.0}, 1480),
        ({740: 2.8}, 1480),
        ({740: 2.6, 1480: 6.4}, 1480),
        ({740: 2.6, 1480: 5.2}, 2960),
        ({740: 2.6, 1480: None}, 740),
        ({740: None}, 740),
    ],
)
def test_a_size_is_doubled_until_the_loop_takes_long_enough(took_s, groups):
    left = dict(took_s)
    assert sizing.groups_for(CASE, lambda case: left.pop(case.batch), QUICK.reference_loop_s, None) == groups
    assert not left


def test_a_case_grows_no_further_than_memory_goes():
    need = sizing.predicted_bytes(sizing.with_groups(CASE, 1480), "reference")
    assert sizing.groups_for(CASE, lambda _: 1.0, 6.0, None) == 2960
    assert sizing.groups_for(CASE, lambda _: 1.0, 6.0, need) == 1480
    assert sizing.groups_for(CASE, lambda _: 1.0, 6.0, need - 1) == CASE.batch


def test_a_case_without_groups_stays_as_it_is():
    assert sizing.groups_for(sizing.with_groups(CASE, 0), lambda _: 0.0, 6.0, None) == 0


def test_the_quick_loop_is_long_enough_to_be_the_one_sample_of_its_replicate():
    assert QUICK.reference_loop_s >= SLOW_CALL_S


def test_only_the_reference_case_gets_another_size():
    sweep = sizing.resized(QUICK, 1500)
    before, after = ([planned.case for planned in each.cases] for each in (QUICK, sweep))
    assert sweep.reference_case_id == "patch_extraction-N64-g2-B1500-c64-200x256-scan-s0"
    assert [case for case in after if case not in before] == [parse_case_id(sweep.reference_case_id)]
    assert [case.case_id for case in before if case not in after] == [QUICK.reference_case_id]
    assert sizing.reference_case(sweep).checks == sizing.reference_case(QUICK).checks


@pytest.mark.parametrize("name", ["smoke", "full", "nightly", "peers"])
def test_other_sweeps_keep_their_size_on_every_machine(name):
    sweep = catalogue.expand(name, SCAN, 0)
    assert sizing.reference_case(sweep) is None
    assert sizing.resized(sweep, 1500) == sweep


def test_a_filtered_sweep_keeps_the_cases_that_it_was_filtered_by():
    assert sizing.reference_case(select(QUICK, N=(64,))) is None


SWEEP = """
[[cases]]
N = [8]
gridsize = [1]
batch = [4, 5]
pattern = ["border"]
shape = [[20, 31]]
"""


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Run a small sweep that asks for a loop of so many seconds; gives what was told."""

    def expanding(loop_s):
        def expand(*arguments, real=catalogue.expand):
            protocol = Protocol(
                replicates=1, max_replicates=1, samples=3, discarded=0, min_sample_s=1e-4, memory_pairs=1
            )
            return msgspec.structs.replace(real(*arguments), protocol=protocol, reference_loop_s=loop_s)

        return expand

    def start(loop_s, **options):
        path = tmp_path / "sweep.toml"
        path.write_text(SWEEP)
        monkeypatch.setattr(declaration, "expand", expanding(loop_s))
        stream = io.StringIO()
        chosen = {"sweep": str(path), "out": str(tmp_path / "run"), "command": "python -m validation run", **options}
        run(Options(**chosen), Progress(stream))
        return stream.getvalue(), results.RunFolder.open(tmp_path / "run")

    return start


def cases_of(folder):
    return {line.case.case_id for line in folder.lines() if isinstance(line, CaseResult)}


@pytest.mark.tensorflow
def test_a_run_measures_the_size_it_chose_and_says_so(go):
    told, folder = go(0.05)
    chosen = parse_case_id(folder.manifest.reference_case_id)
    assert chosen.batch in {4 * 2**power for power in range(1, 11)}
    assert f"the reference case has {chosen.batch} groups" in told
    assert cases_of(folder) == {chosen.case_id, "patch_extraction-N8-g1-B5-c64-20x31-border-s0"}


@pytest.mark.tensorflow
def test_a_run_keeps_the_declared_size_where_the_loop_takes_long_enough(go):
    told, folder = go(1e-9)
    assert folder.manifest.reference_case_id == "patch_extraction-N8-g1-B4-c64-20x31-border-s0"
    assert "the reference case has" not in told


@pytest.mark.tensorflow
def test_a_continued_run_keeps_the_size_it_began_with(go, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lanes.Lanes, "go", interrupted)
        patch.setattr(Bench, "output", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go(0.05)
    # A slower machine would choose another size.
    told, folder = go(1e-9, resume=True)
    assert "the reference case has" not in told
    assert parse_case_id(folder.manifest.reference_case_id).batch > 4
    assert len(cases_of(folder)) == 2
    assert folder.manifest.reference_case_id in cases_of(folder)


@pytest.mark.tensorflow
def test_a_run_of_another_sweep_is_refused_by_the_name_of_the_sweep(go, tmp_path):
    go(0.05)
    with pytest.raises(UsageError, match=r"can only be continued where nothing changed, but the sweep did"):
        run(Options(sweep="quick", out=str(tmp_path / "run"), command="", resume=True), Progress(io.StringIO()))


@pytest.mark.tensorflow
def test_a_loop_that_fails_leaves_the_size_as_declared(tmp_path):
    with LocalExecutor(tmp_path, mode="fork", threads=1, memory_limit_bytes=None) as executor:
        bench = Bench(
            executor,
            scan_path=materialise(None, tmp_path),
            ptycho_path=None,
            protocol=QUICK.protocol,
            scratch=tmp_path,
            timeout_s=0.01,
        )
        assert sizing.loop_s(bench, CASE) is None
