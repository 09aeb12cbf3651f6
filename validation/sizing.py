"""A reference case as large as its machine is fast: a run doubles it until a call of the loop takes long enough.

A sweep that is over in minutes cannot have one size for all machines. Where the loop takes less than
`validation.timing.SLOW_CALL_S` it is sampled several times in each replicate, which takes longer than fewer calls of
more patches; and the first call of the candidate, which loads compiled code for about as long however small the
case, is then too close to the loop's to be told from a tenth of it. The size is chosen before the manifest is
written, from calls of the loop alone: never from the candidate, and never below the size declared. A run on a cluster
keeps that.

The size is doubled, not made to measure: calls of 740 groups took 2.6 to 5 s on one machine, within one run, and so it
gets the same case day after day. (Short calls were no better guide: the quickest of twelve of 50 groups said 3.5 to
more than 6.8 ms a group there within two hours.)
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from validation.bench import ORACLE, REFERENCE, Bench, CaseFailed
from validation.records import Case
from validation.sweeps import PlannedCase, Sweep, make_case
from validation.tasks import TimeReply
from validation.workloads import predicted_bytes

# Groups of the reference case of the full sweep; that of a sweep of minutes grows no larger.
MOST_GROUPS = 5000


def reference_case(sweep: Sweep) -> PlannedCase | None:
    """Give the reference case of a sweep, where it is among its cases and its size follows the machine."""
    if sweep.reference_loop_s is None:
        return None
    return next((planned for planned in sweep.cases if planned.case.case_id == sweep.reference_case_id), None)


def with_groups(case: Case, groups: int) -> Case:
    """Give the same case with another number of groups, and the id that says so."""
    return make_case(
        case.kernel,
        N=case.N,
        gridsize=case.gridsize,
        batch=groups,
        shape=(case.height, case.width),
        pattern=case.pattern,
        dtype=case.dtype,
        seed=case.seed,
        M=case.M,
    )


def loop_s(bench: Bench, case: Case) -> float | None:
    """Time one call of the loop at a case, the second of a process. ``None`` where the loop fails."""
    bench.step("a call of the loop, for the size of the reference case")
    protocol = msgspec.structs.replace(bench.protocol, discarded=0, samples=1)
    try:
        reply, _ = bench.ask("time", TimeReply, case=case, implementation=REFERENCE, protocol=protocol)
    except CaseFailed:  # the lines of the run tell why
        return None
    return reply.timing.samples_s[0]


def groups_for(case: Case, call_s: Callable[[Case], float | None], shall_take_s: float, limit_bytes: int | None) -> int:
    """Double the groups of a case until its loop takes long enough, as far as memory and `MOST_GROUPS` go.

    Parameters
    ----------
    case : Case
    call_s : callable
        Times the loop at a case; ``None`` where it fails. Asked at every size but one that is long enough by twice the
        time of its half.
    shall_take_s : float
        Seconds that the loop shall take at least.
    limit_bytes : int or None
        What a child may take.
    """

    def fits(larger: Case) -> bool:
        need = max(predicted_bytes(larger, arm) for arm in (REFERENCE, ORACLE))
        return larger.batch <= MOST_GROUPS and (limit_bytes is None or need <= limit_bytes)

    took_s = call_s(case) if case.batch else None
    while took_s is not None and took_s < shall_take_s and fits(larger := with_groups(case, 2 * case.batch)):
        took_s = 2 * took_s if 2 * took_s >= shall_take_s else call_s(larger)
        if took_s is not None:
            case = larger
    return case.batch


def resized(sweep: Sweep, groups: int) -> Sweep:
    """Give the sweep with another number of groups in its reference case."""
    planned = reference_case(sweep)
    if planned is None:
        return sweep
    other = msgspec.structs.replace(planned, case=with_groups(planned.case, groups))
    cases = tuple(other if each is planned else each for each in sweep.cases)
    return msgspec.structs.replace(sweep, cases=cases, reference_case_id=other.case.case_id)
