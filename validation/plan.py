"""From a sweep to the lines that a run will write: which candidate meets which case."""

from __future__ import annotations

from validation.measure import ORACLE, REFERENCE
from validation.records import Check, Failure, Planned, Record, Role
from validation.sweeps import EQUIVALENCE, PlannedCase, Sweep


class Item(Record, frozen=True, kw_only=True):
    """One case for one candidate: one line of the results."""

    planned: PlannedCase
    candidate: str
    role: Role
    checks: tuple[Check, ...]

    @property
    def key(self) -> str:
        """The key of its line (see `validation.records.Planned`)."""
        return f"{self.planned.case.case_id}|{self.candidate}"


def plan_items(sweep: Sweep, candidate: str) -> tuple[Item, ...]:
    """Pair the cases of a sweep with their candidates.

    The judged candidate meets every case with all its checks; the others (engines, fallbacks, flag
    states) meet the cases that ask for them, and are checked for equivalence.
    """
    from validation.kernels import candidates

    items = []
    for planned in sweep.cases:
        items.append(Item(planned=planned, candidate=candidate, role="candidate", checks=planned.checks))
        if planned.every_candidate:
            items.extend(
                Item(planned=planned, candidate=other.name, role="candidate", checks=EQUIVALENCE)
                for other in candidates(planned.case.kernel)
                if other.name != candidate and other.role == "candidate"
            )
    return tuple(items)


def planned_lines(items: tuple[Item, ...]) -> tuple[Planned, ...]:
    """Name the lines that a run intends to write."""
    cases = (Planned(key=item.key, kind="case", optional=item.planned.optional) for item in items)
    return (Planned(key="calibration", kind="calibration"), *cases)


def memory_shortage(item: Item, limit_bytes: int | None) -> Failure | None:
    """Say so if a child of the item would need more memory than it may take."""
    from validation.workloads import predicted_bytes

    if limit_bytes is None:
        return None
    for implementation in (item.candidate, REFERENCE, ORACLE):
        need = predicted_bytes(item.planned.case, implementation)
        if need > limit_bytes:
            return Failure(
                reason="skipped_memory",
                message=f"{implementation} would need about {need / 2**30:.1f} GiB, "
                f"and a child may take {limit_bytes / 2**30:.1f} GiB (--memory-limit)",
                arm=implementation,
            )
    return None
