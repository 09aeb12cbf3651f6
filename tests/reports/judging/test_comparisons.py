"""When a comparison holds: by its own figures, within what its kernel allows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reports.judging.comparisons import comparison_fault
from reports.judging.policy import Tolerance
from reports.reading.verdict import Criterion
from tests.reports import builders as b
from tests.reports import strangers
from tests.reports.judging.test_gate import criterion_of, replaced, verdict_of, with_manifest
from validation.contract.lines import CaseResult
from validation.contract.measurements import Measurement

PROMISED = Tolerance(1e-6, 1e-3)


def relative(share: float | None = 0.5, **fields: Any) -> Any:
    return b.comparison(0.5, **({"passed": True, "rtol": 1e-3, "worst_share": share} | fields))


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        # By a relative tolerance the largest share counts, and not the absolute error.
        (relative(0.5), None),
        (relative(1.0), None),
        (relative(1.0000001), "differs by 1 times what is allowed (1e-06 plus 0.001 of its value)"),
        (relative(3.2), "differs by 3.2 times what is allowed (1e-06 plus 0.001 of its value)"),
        (relative(float("nan")), "differs by nan times what is allowed (1e-06 plus 0.001 of its value)"),
        (relative(0.5, passed=False), "did not pass the comparison of the run"),
        (relative(None), "has no largest error on record"),
        (relative(None, elements=0), None),
        (relative(rtol=2e-3), "was judged by a relative tolerance of 0.002 where 0.001 is promised"),
        (relative(atol=2e-6), "was judged by a tolerance of 2e-06 where 1e-06 is promised"),
        # Without one the absolute error counts, whatever the share says.
        (b.comparison(2e-6, worst_share=0.1, passed=True), "differs by 2e-06 where 1e-06 is allowed"),
        # What differs in words, and where.
        (
            b.comparison(0.0, difference="a tuple of 2\n where 3 are expected"),
            "differs: a tuple of 2 where 3 are expected",
        ),
        (
            b.comparison(0.0, difference="names differ", path="[1]['x'].index"),
            "differs: names differ, at [1]['x'].index",
        ),
        (b.comparison(2e-6, path="[0]"), "differs by 2e-06 where 1e-06 is allowed, at [0]"),
        (
            b.comparison(0.0, path="['a']", actual_dtype="complex128"),
            "has dtype complex128 where complex64 is expected, at ['a']",
        ),
        (relative(3.0, path="[2]"), "differs by 3 times what is allowed (1e-06 plus 0.001 of its value), at [2]"),
        (b.comparison(0.0, path="[2]"), None),
        # Nothing may differ.
        (b.comparison(0.0, atol=0.0), None),
        (b.comparison(1e-30, atol=0.0, passed=True), "differs by 1e-30 where 0 is allowed"),
    ],
)
def test_a_comparison_holds_by_its_figures(found: Any, fault: str | None) -> None:
    assert comparison_fault(found, PROMISED) == fault


def test_a_relative_tolerance_that_nobody_promised_is_refused() -> None:
    assert "relative tolerance of 0.001 where 0 is promised" in str(comparison_fault(relative(), Tolerance(1e-6)))
    assert comparison_fault(relative()) is None


def correctness(**parts: Any) -> Criterion:
    return criterion_of(strangers.pair_run(**parts), "correctness")


def test_by_a_relative_tolerance_the_figure_is_the_share_of_what_is_allowed() -> None:
    found = correctness(equivalence=strangers.against_reference(share=0.25))
    assert (found.state, found.value, found.threshold, found.margin) == ("pass", 0.25, 1.0, 0.75)
    assert found.finding.startswith("largest difference 0.25 of what is allowed, every bit equal in 3 of the 3")
    assert found.promise.startswith("no element differs by more than 0 plus 1e-09 of its value from the reference")
    wrong = correctness(equivalence=strangers.against_reference(share=4.0, path="[1]"))
    assert (wrong.state, wrong.value, wrong.margin) == ("fail", 4.0, -3.0)
    assert wrong.finding == (
        f"candidate {strangers.FAST} differs by 4 times what is allowed (0 plus 1e-09 of its value), at [1] "
        "(compared with the reference)"
    )


def test_where_nothing_may_differ_there_is_no_margin() -> None:
    exact = msgspec.structs.replace(strangers.PAIR, rtol=0.0)
    run = replaced(
        with_manifest(strangers.pair_run(speed=None), kernels=(exact,)),
        lambda line: isinstance(line, CaseResult),
        measurement=Measurement(equivalence=strangers.against_reference(rtol=0.0)),
        checks=("equivalence",),
    )
    found = criterion_of(run, "correctness")
    assert (found.state, found.value, found.threshold, found.margin) == ("pass", 0.0, 0.0, None)


def test_without_an_oracle_the_reference_is_the_only_truth() -> None:
    run = strangers.pair_run()
    oracle = criterion_of(run, "oracle_agreement")
    assert (oracle.state, oracle.finding, oracle.judged) == ("not_judged", "the reference is the only truth here", 0)
    assert verdict_of(run).outcome == "ACCEPT"


def test_a_call_that_was_wrong_is_told_with_what_it_was_compared_with() -> None:
    run = strangers.pair_run()
    wrong = strangers.timed(run.cases[0].case, found=strangers.audits(2.0))
    run = replaced(run, lambda line: line.key == wrong.key, measurement=wrong.measurement)
    found = criterion_of(run, "correctness")
    assert found.state == "fail"
    assert found.finding.endswith("(call 3 of a timed or metered process, compared with the reference)")


def test_where_one_kernel_of_two_has_an_oracle_its_cases_are_held_to_it() -> None:
    one, other = strangers.kernel_run(candidate=strangers.FAST), strangers.pair_run()
    lines = [*one.lines, *(line for line in other.cases)]
    run = b.make(
        lines,
        kernels=(strangers.KERNEL, strangers.PAIR),
        judged=one.manifest.judged,
        candidate=strangers.FAST,
        scan=None,
    )
    oracle = criterion_of(run, "oracle_agreement")
    # Two comparisons and 90 audits at each of the four cases of the kernel with an oracle, none of the pair's.
    assert (oracle.state, oracle.judged) == ("pass", 4 * (2 + 2 * 35 + 2 * 10))
    assert criterion_of(run, "correctness").promise.startswith(
        "no element differs by more than its kernel allows (0.001 or 0 plus 1e-09 of its value) from the reference"
    )


def test_a_kernel_with_an_oracle_cannot_leave_it_out() -> None:
    bare = b.equivalence(candidate_vs_oracle=None)
    run = b.full_run(equivalence=bare)
    found = criterion_of(run, "completeness")
    assert found.state == "fail"
    assert found.fixes[0].action == "Measure again, with raw data on record: no comparison with the oracle"
    nothing = b.full_run(equivalence=b.equivalence(candidate_vs_oracle=None, candidate_vs_reference=None))
    assert criterion_of(nothing, "correctness").state == "missing"
    empty = strangers.against_reference()
    empty = msgspec.structs.replace(empty, candidate_vs_reference=None)
    assert criterion_of(strangers.pair_run(equivalence=empty), "completeness").fixes[0].action == (
        "Measure again, with raw data on record: no comparison"
    )
