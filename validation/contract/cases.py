"""Cases: a kernel, its parameters and a seed; and which of them a run measures, how, and what it promises of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from typing import Protocol as TypingProtocol

import msgspec

from validation.contract.base import Record
from validation.contract.errors import UsageError

Scalar = bool | int | float | str
Check = Literal["equivalence", "time", "memory"]
Figure = Literal["warm", "cold", "memory"]

CANDIDATE = "batched"
EQUIVALENCE: tuple[Check, ...] = ("equivalence",)
TIMED: tuple[Check, ...] = ("equivalence", "time")
ALL_CHECKS: tuple[Check, ...] = ("equivalence", "time", "memory")


class Parameter(Record, frozen=True, kw_only=True):
    """One parameter of a kernel: what it is called in ids, tables and plots, and its unit.

    ``short`` stands before the value in a case's id, ``names`` says what stands for some values.
    """

    name: str
    label: str
    short: str = ""
    unit: str = ""
    names: dict[str, str] = msgspec.field(default_factory=dict)


class Case(Record, frozen=True, kw_only=True):
    """One point of a sweep. The same kernel, parameters and seed give the same id and the same bits.

    ``work`` is the amount of work, in the unit that the kernel's card names; 0 where there is nothing to do.
    """

    case_id: str
    kernel: str
    params: dict[str, Scalar]
    seed: int
    work: float = 1.0


def case_id(kernel: str, parameters: Sequence[Parameter], params: Mapping[str, Scalar], seed: int) -> str:
    """Name a case: the kernel, each parameter in the order of the card, the seed."""
    parts = [f"{card.short}{card.names.get(str(params[card.name]), params[card.name])}" for card in parameters]
    return "-".join([kernel, *parts, f"s{seed}"])


# The criterion of each figure, where a kernel has no other name for it.
CRITERIA: dict[Figure, str] = {"warm": "speed", "cold": "cold_speed", "memory": "memory"}


class Judged(Record, frozen=True, kw_only=True):
    """A figure of a case that is judged: by which criterion, and what is promised of it.

    ``promise`` is the least speedup, of memory the largest ratio of peaks; ``None`` where nothing is promised and the
    figure is only told. The promise holds from ``min_work`` on.
    """

    criterion: str
    case_id: str
    figure: Figure
    promise: float | None
    min_work: float | None = None


class Protocol(Record, frozen=True, kw_only=True):
    """How a run measures, declared before it starts.

    ``replicates`` counts the processes of the reference; with each go ``noise_pairs_per_reference`` pairs of
    neighbouring processes of the candidate (before schema 1.4: pairs of both arms). A ``max_replicates`` above
    ``replicates`` is the one extension that may be used.
    """

    replicates: int
    max_replicates: int
    samples: int
    discarded: int
    min_sample_s: float
    memory_pairs: int
    noise_pairs_per_reference: int = 2


# Seven processes of the reference, two A/A pairs of the candidate with each, one extension by as many, two calls
# discarded, five samples of ten milliseconds.
PROTOCOL = Protocol(replicates=7, max_replicates=14, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)
# The same without an extension.
QUICK_PROTOCOL = msgspec.structs.replace(PROTOCOL, max_replicates=PROTOCOL.replicates)
# Processes of the reference at a case whose times are context, and A/A pairs of the candidate beside them; where the
# reference is not timed, as many pairs as there would be processes of it.
CONTEXT_REPLICATES = 3
CONTEXT_NOISE_PAIRS = 2


class PlannedCase(Record, frozen=True, kw_only=True):
    """A case, what is measured of it, and whether the gate may do without it.

    ``every_candidate`` asks for all candidates that come with the kernel besides the one that is judged, ``peers`` for
    what a user might pick instead. The times of a ``context`` case show how speed depends on the case and decide
    nothing: they come from fewer replicates, and a long reference is not timed. ``with_reference`` compares with the
    reference, however long that takes.
    """

    case: Case
    checks: tuple[Check, ...] = EQUIVALENCE
    optional: bool = False
    every_candidate: bool = False
    peers: bool = False
    context: bool = False
    with_reference: bool = False


class Schedule(NamedTuple):
    """How many blocks a timed case has, and what is in each: processes of the reference, A/A pairs of the candidate."""

    blocks: int
    references: int
    pairs: int


def schedule(planned: PlannedCase, protocol: Protocol, *, with_reference: bool) -> Schedule:
    """Give the schedule of a timed case; ``with_reference``: whether the reference is timed, too."""
    if not planned.context:
        return Schedule(protocol.replicates, int(with_reference), protocol.noise_pairs_per_reference)
    few = min(CONTEXT_REPLICATES, protocol.replicates)
    if not with_reference:
        return Schedule(1, 0, few)
    return Schedule(1, few, min(CONTEXT_NOISE_PAIRS, protocol.replicates))


class Sweep(Record, frozen=True, kw_only=True):
    """A declared set of cases.

    ``judged`` are the figures that the verdict rests on; at least one. ``provisional`` marks a sweep whose verdict is
    no evidence. ``probed`` are the cases at which properties are checked, ``properties`` their names (empty: all of
    the kernel's); ``suite`` asks for the package's own tests with the flag in both states, ``mutants`` for the gallery
    of known-bad implementations.
    """

    name: str
    provisional: bool
    seed: int
    protocol: Protocol
    cases: tuple[PlannedCase, ...]
    judged: tuple[Judged, ...]
    probed: tuple[PlannedCase, ...] = ()
    properties: tuple[str, ...] = ()
    suite: bool = False
    mutants: bool = False

    def __post_init__(self) -> None:
        judged = {item.case_id for item in self.judged}
        for planned in self.cases:
            if planned.context and planned.case.case_id in judged:
                raise UsageError(
                    f"the case that speed is judged at needs all its replicates, but {planned.case.case_id} "
                    "is declared as context"
                )


class Law(TypingProtocol):
    """How long the reference takes, so that it can be left out where it is too slow."""

    def add(self, case: Case, call_s: float) -> None:
        """Take in one timed call of the reference."""

    def start_s(self) -> float:
        """Predict what a call takes before it does any work."""

    def predict_s(self, case: Case) -> float:
        """Predict the time of one call of the reference."""

    def times_reference(self, planned: PlannedCase) -> bool:
        """Say whether the reference is timed at a case that is timed."""

    def reason_to_leave_out(self, planned: PlannedCase) -> str | None:
        """Say why the reference's output is not compared at a case, or ``None`` where it is."""


class NoLaw:
    """Nothing is known of how long the reference takes: it is never left out."""

    def add(self, case: Case, call_s: float) -> None:
        """Forget the call."""

    def start_s(self) -> float:
        """Predict nothing."""
        return 0.0

    def predict_s(self, case: Case) -> float:
        """Predict nothing."""
        return 0.0

    def times_reference(self, planned: PlannedCase) -> bool:
        """Time the reference wherever a case is timed."""
        return True

    def reason_to_leave_out(self, planned: PlannedCase) -> str | None:
        """Leave nothing out."""
        return None
