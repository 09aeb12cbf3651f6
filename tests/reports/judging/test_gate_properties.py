from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.reader import make_run
from reports.reading.run import Run
from tests.reports import builders as b
from validation.contract.lines import CaseResult, ResultLine
from validation.contract.measurements import Measurement

POLICY = read_policy()
# From the best outcome to the worst; the last two are no verdict at all, and nothing may turn them into ACCEPT.
RANK = {"ACCEPT": 0, "INCONCLUSIVE": 1, "REJECT": 2, "NOTHING_RAN": 3, "INSTRUMENT_FAILURE": 3}
REASONS = (
    "exception", "wrong_output", "timeout", "signal", "out_of_memory", "exit_code", "no_result", "skipped_memory",
    "not_available",
)  # fmt: skip


def outcome(run: Run) -> str:
    return judge(run, POLICY).outcome


@st.composite
def result_lines(draw: st.DrawFn) -> list[ResultLine]:
    """Lines of a run that may deserve any verdict, ACCEPT among them often enough."""
    fine = draw(st.booleans())
    ratio = 40.0 if fine else draw(st.sampled_from([2.0, 9.9, 10.2, 12.0, 40.0]))
    error = 0.0 if fine else draw(st.sampled_from([0.0, 5e-7, 2e-6, 1.0]))
    lines: list[ResultLine] = b.lines_of_full_run(
        timing=b.timing(ratio, replicates=7 if fine else draw(st.integers(5, 8))),
        memory=b.memory(0.9 if fine else draw(st.sampled_from([0.5, 1.1, 1.3]))),
        equivalence=b.equivalence(error),
    )
    if not fine:
        for index in draw(st.sets(st.integers(0, len(lines) - 1), max_size=3)):
            line = lines[index]
            if isinstance(line, CaseResult):
                reason = draw(st.sampled_from(REASONS))
                arm = draw(st.sampled_from([b.CANDIDATE, "reference", None]))
                lines[index] = msgspec.structs.replace(line, measurement=None, failure=b.failure(reason, arm=arm))
        lines[0] = b.calibration(passed=draw(st.booleans()))
    return lines


def run_of(lines: list[ResultLine], planned: list[ResultLine], optional: Set[int] = frozenset()) -> Run:
    manifest = b.make(planned, first=b.case().case_id).manifest
    items = [msgspec.structs.replace(item, optional=at in optional) for at, item in enumerate(manifest.planned)]
    return make_run(msgspec.structs.replace(manifest, planned=tuple(items)), lines)


checked = settings(max_examples=60)


@checked
@given(lines=result_lines(), data=st.data())
def test_leaving_a_planned_line_out_never_improves_a_verdict(lines: list[ResultLine], data: st.DataObject) -> None:
    before = outcome(run_of(lines, lines))
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=4))
    left = [line for index, line in enumerate(lines) if index not in gone]
    optional = data.draw(st.sets(st.integers(0, len(lines) - 1)))
    after = outcome(run_of(left, lines, optional))
    assert RANK[after] >= RANK["REJECT"], before


@checked
@given(lines=result_lines(), data=st.data())
def test_adding_a_failure_never_improves_a_verdict(lines: list[ResultLine], data: st.DataObject) -> None:
    before = outcome(run_of(lines, lines))
    reason = data.draw(st.sampled_from(REASONS))
    role = data.draw(st.sampled_from(["candidate", "peer"]))
    name = data.draw(st.sampled_from([b.CANDIDATE, "fallback"]))
    fields: dict[str, Any] = {"candidate": name, "role": role, "failure": b.failure(reason)}
    if data.draw(st.booleans()):
        fields = {"candidate": name, "measurement": Measurement(equivalence=b.equivalence(1.0))}
    added = b.case_result(b.case(batch=data.draw(st.integers(2, 9))), **fields)
    planned = [*lines, added] if data.draw(st.booleans()) else lines
    after = outcome(run_of([*lines, added], planned))
    if before in ("ACCEPT", "INCONCLUSIVE", "REJECT"):
        assert RANK[after] >= RANK[before]
    else:
        assert after != "ACCEPT"


@checked
@given(lines=result_lines(), data=st.data())
def test_turning_a_case_into_a_failure_never_makes_an_accept(lines: list[ResultLine], data: st.DataObject) -> None:
    cases = [index for index, line in enumerate(lines) if isinstance(line, CaseResult)]
    index = data.draw(st.sampled_from(cases))
    failed = msgspec.structs.replace(
        lines[index], measurement=None, failure=b.failure(data.draw(st.sampled_from(REASONS)))
    )
    assert outcome(run_of([*lines[:index], failed, *lines[index + 1 :]], lines)) != "ACCEPT"


@checked
@given(lines=result_lines(), data=st.data())
def test_the_order_of_lines_never_matters(lines: list[ResultLine], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(lines))
    assert judge(run_of(list(shuffled), lines), POLICY) == judge(run_of(lines, lines), POLICY)


@checked
@given(ratio=st.floats(1.0, 100.0), spread=st.floats(0.0, 0.5), noise=st.floats(0.0, 0.5))
def test_more_noise_only_ever_undecides(ratio: float, spread: float, noise: float) -> None:
    def state(noise: float) -> str:
        verdict = judge(b.full_run(b.FIRST, timing=b.paired(ratio, spread=spread, noise=noise)), POLICY)
        return next(item.state for item in verdict.criteria if item.id == "speed")

    assert state(noise + 0.1) in (state(noise), "inconclusive")


def test_the_strategy_reaches_every_verdict() -> None:
    assert outcome(b.full_run()) == "ACCEPT"
    seen: set[str] = set()

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(lines=result_lines())
    def collect(lines: list[ResultLine]) -> None:
        seen.add(outcome(run_of(lines, lines)))

    collect()
    assert {"ACCEPT", "REJECT", "INSTRUMENT_FAILURE"} <= seen


@pytest.mark.parametrize("count", [6, 7, 8])
def test_the_bound_of_the_median_has_its_confidence(count: int) -> None:
    from reports.judging.paired import speedup

    assert speedup(b.paired(replicates=count), "warm").confidence == 1 - 0.5**count
