"""From a sweep to the lines that a run will write: what meets what, one item for each line."""

from __future__ import annotations

from typing import Literal

from validation.contract.base import Record
from validation.contract.cases import EQUIVALENCE, Case, Check, PlannedCase, Sweep
from validation.contract.kernel import Kernel
from validation.contract.manifest import Planned
from validation.contract.measurements import Failure, Role
from validation.kernels.registry import Kernels
from validation.properties import generic


class CaseItem(Record, frozen=True, kw_only=True):
    """One case for one candidate."""

    planned: PlannedCase
    candidate: str
    role: Role
    checks: tuple[Check, ...]

    @property
    def key(self) -> str:
        """The key of its line (see `validation.contract.manifest.Planned`)."""
        return f"{self.planned.case.case_id}|{self.candidate}"


class PropertyItem(Record, frozen=True, kw_only=True):
    """One property of one candidate."""

    name: str
    case: Case
    candidate: str

    @property
    def key(self) -> str:
        """The key of its line."""
        return f"{self.name}|{self.case.case_id}|{self.candidate}"


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


Item = CaseItem | PropertyItem | SuiteItem | MutantItem
_KINDS: dict[type[Item], Literal["case", "property", "suite", "mutant"]] = {
    CaseItem: "case",
    PropertyItem: "property",
    SuiteItem: "suite",
    MutantItem: "mutant",
}


def _others(kernel: Kernel, judged: str) -> list[tuple[str, Role]]:
    """Everything else that comes with a kernel, with its role.

    What somebody registered is not among it: an installed package must not decide about another candidate.
    """
    others: list[tuple[str, Role]] = [(own.name, "candidate") for own in kernel.candidates]
    others += [(peer.name, "peer") for peer in kernel.peers]
    return [(name, role) for name, role in others if name != judged]


def plan_items(sweep: Sweep, candidate: str, kernels: Kernels) -> tuple[Item, ...]:
    """Pair the cases of a sweep with their candidates, and add its properties, the test suite and the mutants.

    The judged candidate meets every case with all its checks, and every property. The others that come with a kernel
    (engines, fallbacks, flag states) meet the cases that ask for them, for equivalence; peers meet the cases that ask
    for them with all checks.
    """
    items: list[Item] = []
    for planned in sweep.cases:
        items.append(CaseItem(planned=planned, candidate=candidate, role="candidate", checks=planned.checks))
        others = _others(kernels[planned.case.kernel], candidate)
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
        kernel = kernels[planned.case.kernel]
        known = generic.names(kernel)
        judged = [candidate]
        if planned.every_candidate:
            judged += [name for name, role in _others(kernel, candidate) if role == "candidate"]
        items.extend(
            PropertyItem(name=name, case=planned.case, candidate=of)
            for of in judged
            for name in sweep.properties or known
            if name in known
        )
    if sweep.suite:
        items += [SuiteItem(flag="off"), SuiteItem(flag="on")]
    if sweep.mutants:
        items += [MutantItem(mutant=mutant.name) for kernel in kernels for mutant in kernel.mutants]
    return tuple(items)


def planned_lines(items: tuple[Item, ...]) -> tuple[Planned, ...]:
    """Name the lines that a run intends to write."""
    lines = [Planned(key="calibration", kind="calibration")]
    for item in items:
        optional = isinstance(item, CaseItem) and (item.planned.optional or item.role == "peer")
        lines.append(Planned(key=item.key, kind=_KINDS[type(item)], optional=optional))
    return tuple(lines)


def memory_shortage(kernel: Kernel, item: CaseItem, limit_bytes: int | None) -> Failure | None:
    """Say so if a child of the item would need more memory than it may take."""
    if limit_bytes is None:
        return None
    oracle = () if kernel.oracle is None else (kernel.oracle.name,)
    for implementation in (item.candidate, kernel.reference.name, *oracle):
        need = kernel.needed_bytes(item.planned.case, implementation)
        if need is not None and need > limit_bytes:
            return Failure(
                reason="skipped_memory",
                message=f"{implementation} would need about {need / 2**30:.1f} GiB, "
                f"and a child may take {limit_bytes / 2**30:.1f} GiB (--memory-limit)",
                arm=implementation,
            )
    return None
