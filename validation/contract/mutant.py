"""One known-bad thing of the gallery: what it does, what is measured of it, what must reject it and why."""

from __future__ import annotations

from typing import Literal

from validation.contract.base import Record
from validation.contract.cases import Case

Measured = Literal[
    "output", "together", "property", "speed", "clock", "promised", "memory", "held", "timed", "metered", "failure",
    "meter", "suite", "gallery", "record",
]  # fmt: skip


class Mutant(Record, frozen=True, kw_only=True):
    """One known-bad thing.

    Attributes
    ----------
    name : str
        Also the name of its implementation, where it is one.
    defect : str
        D1 .. D10 for what shipped somewhere, T1 .. T40 for a kind of ``docs/threat-model.md``, else ``METHOD``.
    expected_criterion : str
        The criterion that must reject it.
    measured : str
        What is measured of it, the rest being the control's: its ``output``; its output where reference and
        candidate are wrong ``together``; a ``property``; its ``speed`` against the reference; its ``clock`` reading or
        ``held`` memory against a standard; the clock at another ``promised`` case; its ``memory`` against the
        reference; one ``timed`` or one ``metered`` process, which must be refused; its ``failure``; the calibration
        with another ``meter``; a test ``suite``; what the ``gallery`` itself let through; or nothing, where the fault
        is in the ``record``.
    kernel : str
        Which kernel it is an implementation of.
    module : str
        Where its implementation is; empty where it has none of its own.
    property : str or None
        Which property.
    standard : str
        The standard that is timed or metered in its place; empty where it is itself.
    atol : float
        Tolerance its comparison is made with.
    because : str
        Regular expression that the finding of the criterion must match: what is stopped for another reason is missed.
    """

    name: str
    defect: str
    description: str
    expected_criterion: str
    measured: Measured
    kernel: str
    module: str = ""
    property: str | None = None
    standard: str = ""
    atol: float = 1e-6
    because: str = ""


class Standards(Record, frozen=True, kw_only=True):
    """Implementations that last, or hold, what is known of them, so that a gallery says the same on a busy machine.

    They run at ``case``. ``reference`` and ``candidate`` make the clock of the control, ``held`` and ``more`` its
    memory; ``promised`` is the candidate at another promised case. ``names`` are all of them, ``module`` is where they
    are.
    """

    case: Case
    module: str
    names: tuple[str, ...]
    reference: str
    candidate: str
    held: str
    more: str
    promised: str | None = None


class Exhibition(Record, frozen=True, kw_only=True):
    """The cases at which the mutants of a kernel are measured.

    Attributes
    ----------
    main : Case
        Outputs and peaks of memory; a result of at least 20 MB, so that a peak can be read.
    probed : Case
        Properties.
    clock : Case
        Mutants that are timed in one process, or by the clock of the standards.
    slow : Case or None
        Mutants that are timed against the reference; the main case where ``None``.
    never_run : Case or None
        Planned and never measured, for the mutant that leaves a case out.
    promised : Case or None
        Another promised case.
    criterion : str
        The criterion that the promise there is judged by.
    metered : Case or None
        The case whose peaks are the control's memory; the main case where ``None``.
    standards : Standards or None
        ``None``: the control is timed against the true reference.
    """

    main: Case
    probed: Case
    clock: Case
    slow: Case | None = None
    never_run: Case | None = None
    promised: Case | None = None
    criterion: str = ""
    metered: Case | None = None
    standards: Standards | None = None
