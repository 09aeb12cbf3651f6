"""A reference case as large as its machine is fast: a run enlarges it until a call of the loop takes long enough.

A sweep that is over in minutes cannot have one size for all machines. Where the loop takes less than
`validation.timing.SLOW_CALL_S` it is sampled several times in each replicate, which takes longer than fewer calls of
more patches; and the first call of the candidate, which loads compiled code for about as long however small the
case, is then too close to the loop's to be told from a tenth of it. The size is chosen before the manifest is
written, from a few short calls of the loop alone: never from the candidate, and never below the size declared. A run
on a cluster keeps the size declared.
"""

from __future__ import annotations

import msgspec

from validation.measure import ORACLE, REFERENCE, Bench, CaseFailed
from validation.records import Case, Manifest
from validation.sweeps import PlannedCase, Sweep, make_case, parse_case_id
from validation.tasks import TimeReply
from validation.workloads import predicted_bytes

# Groups of the short calls, and how many are timed: a quarter of a second each on a fast machine. There the quickest of
# them said 3.5 to 6.4 ms a group within an hour, and calls of 1400 groups took 4.3 to 6.7 ms: too far apart for a size
# made to measure. Doubling gives the same case day after day instead.
SHORT_GROUPS = 50
SHORT_CALLS = 12
# The reference case of the full sweep, which no other exceeds.
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


def loop_s_per_group(bench: Bench, case: Case) -> float | None:
    """Time short calls of the loop on the scan; the quickest counts. ``None`` where the loop fails."""
    protocol = msgspec.structs.replace(bench.protocol, discarded=1, samples=SHORT_CALLS)
    bench.step("short calls of the loop, for the size of the reference case")
    try:
        reply, _ = bench.ask(
            "time", TimeReply, case=with_groups(case, SHORT_GROUPS), implementation=REFERENCE, protocol=protocol
        )
    except CaseFailed:  # the lines of the run tell why
        return None
    return min(reply.timing.samples_s) / SHORT_GROUPS


def groups_for(case: Case, loop_s: float, s_per_group: float, limit_bytes: int | None) -> int:
    """Double the groups of a case until its loop takes a time, as far as memory and `MOST_GROUPS` go.

    Parameters
    ----------
    case : Case
    loop_s : float
        Seconds that a call of the loop shall take at least.
    s_per_group : float
        Seconds that the loop takes for a group.
    limit_bytes : int or None
        What a child may take.
    """

    def fits(groups: int) -> bool:
        need = max(predicted_bytes(with_groups(case, groups), arm) for arm in (REFERENCE, ORACLE))
        return groups <= MOST_GROUPS and (limit_bytes is None or need <= limit_bytes)

    groups = case.batch
    while groups and groups * s_per_group < loop_s and fits(2 * groups):
        groups *= 2
    return groups


def recorded_groups(manifest: Manifest) -> int:
    """Give the number of groups that a run which is continued chose for its reference case."""
    return parse_case_id(manifest.reference_case_id).batch


def resized(sweep: Sweep, groups: int) -> Sweep:
    """Give the sweep with another number of groups in its reference case."""
    planned = reference_case(sweep)
    if planned is None:
        return sweep
    other = msgspec.structs.replace(planned, case=with_groups(planned.case, groups))
    cases = tuple(other if each is planned else each for each in sweep.cases)
    return msgspec.structs.replace(sweep, cases=cases, reference_case_id=other.case.case_id)
