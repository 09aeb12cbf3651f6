"""One item of the plan in, its result line out: the same wherever the item runs.

Whatever happens to an item becomes its line. ``head`` holds the fields that every line has.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from validation.contract.lines import CaseResult, PropertyResult, SuiteResult
from validation.contract.measurements import Failure, Measurement
from validation.contract.tasks import PropertyReply
from validation.measure import case as measure
from validation.measure.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.plan.items import CaseItem, PropertyItem, SuiteItem, memory_shortage
from validation.subject.suite import find_suite, run_suite

SUITE_TIMEOUT_S = 1200.0


def _outputs_sha256(bench: Bench, item: CaseItem, measurement: Measurement | None) -> dict[str, str]:
    """Digests of the outputs that were compared."""
    if measurement is None or measurement.equivalence is None:
        return {}
    found = measurement.equivalence
    names = [item.candidate]
    names += [ORACLE] if found.candidate_vs_oracle is not None else []
    names += [REFERENCE] if found.candidate_vs_reference is not None else []
    return {name: bench.output(item.planned.case, name).sha256() for name in names}


def case_line(bench: Bench, item: CaseItem, memory_limit_bytes: int | None, head: dict[str, Any]) -> CaseResult:
    """Measure one case for one candidate."""
    started, measured_before, elsewhere_before = time.monotonic(), bench.measured_s, bench.elsewhere_s
    measurement = None
    failure: Failure | None = memory_shortage(bench.kernel(item.planned.case), item, memory_limit_bytes)
    if failure is None:
        try:
            measurement = measure.measure(bench, item.planned, item.candidate, item.checks)
        except CaseFailed as failed:
            failure = failed.failure
    return CaseResult(
        case=item.planned.case,
        candidate=item.candidate,
        role=item.role,
        checks=item.checks,
        measurement=measurement,
        failure=failure,
        outputs_sha256=_outputs_sha256(bench, item, measurement),
        wall_s=time.monotonic() - started + bench.elsewhere_s - elsewhere_before,
        measured_s=bench.measured_s - measured_before,
        **head,
    )


def property_line(bench: Bench, item: PropertyItem, head: dict[str, Any]) -> PropertyResult:
    """Check one property; a child that fails is a property that does not hold."""
    started = time.monotonic()
    may_share = bench.may_share(item.case)
    asked = {"case": item.case, "implementation": item.candidate, "property": item.name, "may_share": may_share}
    answer = bench.executor.run(bench.task("property", **asked), bench.timeout_s)
    reply, failure = answer.reply, answer.failure
    found = reply if isinstance(reply, PropertyReply) else None
    why = f"{failure.reason}: {failure.message}" if failure else f"expected a PropertyReply, got {reply}"
    return PropertyResult(
        name=item.name,
        case_id=item.case.case_id,
        candidate=item.candidate,
        passed=found is not None and found.passed,
        figure=found.figure if found else None,
        limit=found.limit if found else None,
        detail=found.detail if found else why,
        wall_s=time.monotonic() - started,
        measured_s=found.measured_s if found else 0.0,
        **head,
    )


def suite_line(bench: Bench, item: SuiteItem, head: dict[str, Any]) -> SuiteResult | None:
    """Run the package's own tests with the flag in one state; ``None`` where it came without tests."""
    checkout = find_suite(bench.package)
    if checkout is None:
        return None
    found = run_suite(checkout, item.flag, dict(head["provenance"].threads), SUITE_TIMEOUT_S, bench.require_going)
    return SuiteResult(flag=item.flag, **msgspec.to_builtins(found), **head)
