"""From a sweep to the lines that a run will write: what meets what, one item for each line."""

from __future__ import annotations

from typing import Literal

from validation.contract.records import Case, Check, Failure, Planned, Record, Role
from validation.measure.bench import ORACLE, REFERENCE
from validation.plan.sweeps import EQUIVALENCE, PlannedCase, Sweep


class CaseItem(Record, frozen=True, kw_only=True):
    """One case for one candidate."""

    planned: PlannedCase
    candidate: str
    role: Role
    checks: tuple[Check, ...]

    @property
    def key(self) -> str:
        """The key of its line (see `validation.contract.records.Planned`)."""
        return f"{self.planned.case.case_id}|{self.candidate}"


class ProbeItem(Record, frozen=True, kw_only=True):
    """One probe of one candidate."""

    probe: str
    case: Case
    candidate: str

    @property
    def key(self) -> str:
        """The key of its line."""
        return f"{self.probe}|{self.case.case_id}|{self.candidate}"


class SuiteItem(Record, frozen=True, kw_only=True):
    """The test suite of the package with the flag in one state."""

    flag: Literal["off", "on"]

    @property
    def key(self) -> str:
        """The key of its line."""
        return f"suite|{self.flag}"


class MutantItem(Record, frozen=True, kw_only=True):
    """One known-bad implementation or harness fault, for the gate to reject."""

    mutant: str

    @property
    def key(self) -> str:
        """The key of its line."""
        return f"mutant|{self.mutant}"


Item = CaseItem | ProbeItem | SuiteItem | MutantItem
_KINDS: dict[type[Item], Literal["case", "probe", "suite", "mutant"]] = {
    CaseItem: "case",
    ProbeItem: "probe",
    SuiteItem: "suite",
    MutantItem: "mutant",
}


def _candidates_of(kernel: str, judged: str) -> list[tuple[str, Role]]:
    """Everything else that the project itself offers for a kernel, with its role.

    What somebody registered is not among it: an installed package must not decide about another candidate.
    """
    from validation.kernels.registry import KERNELS, peers

    others: list[tuple[str, Role]] = [(ours.name, "candidate") for ours in KERNELS[kernel].candidates]
    others += [(peer.name, "peer") for peer in peers(kernel)]
    return [(name, role) for name, role in others if name != judged]


def plan_items(sweep: Sweep, candidate: str) -> tuple[Item, ...]:
    """Pair the cases of a sweep with their candidates, and add its probes, the test suite and the mutants.

    The judged candidate meets every case with all its checks, and every probe. The others (engines,
    fallbacks, flag states) meet the cases that ask for them, for equivalence; peers meet the cases that ask
    for them with all checks.
    """
    from validation.kernels.patches import probes

    items: list[Item] = []
    for planned in sweep.cases:
        items.append(CaseItem(planned=planned, candidate=candidate, role="candidate", checks=planned.checks))
        others = _candidates_of(planned.case.kernel, candidate)
        if planned.every_candidate:
            items.extend(
                CaseItem(planned=planned, candidate=name, role=role, checks=EQUIVALENCE)
                for name, role in others
                if role == "candidate"
            )
        if planned.peers:
            items.extend(
                CaseItem(planned=planned, candidate=name, role=role, checks=planned.checks)
                for name, role in others
                if role == "peer"
            )
    for planned in sweep.probed:
        names = sweep.probes or probes.names(planned.case.kernel)
        judged = [candidate]
        if planned.every_candidate:
            judged += [name for name, role in _candidates_of(planned.case.kernel, candidate) if role == "candidate"]
        items.extend(
            ProbeItem(probe=probe, case=planned.case, candidate=name)
            for name in judged
            for probe in names
            if probe in probes.names(planned.case.kernel)
        )
    if sweep.suite:
        items += [SuiteItem(flag="off"), SuiteItem(flag="on")]
    if sweep.mutants:
        from validation.kernels.patches.mutants import MUTANTS

        items += [MutantItem(mutant=mutant.name) for mutant in MUTANTS]
    return tuple(items)


def planned_lines(items: tuple[Item, ...]) -> tuple[Planned, ...]:
    """Name the lines that a run intends to write."""
    lines = [Planned(key="calibration", kind="calibration")]
    for item in items:
        optional = isinstance(item, CaseItem) and (item.planned.optional or item.role == "peer")
        lines.append(Planned(key=item.key, kind=_KINDS[type(item)], optional=optional))
    return tuple(lines)


def memory_shortage(item: CaseItem, limit_bytes: int | None) -> Failure | None:
    """Say so if a child of the item would need more memory than it may take."""
    from validation.kernels.patches.workloads import predicted_bytes

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
