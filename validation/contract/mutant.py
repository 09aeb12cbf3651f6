"""One known-bad thing of the gallery: what it does, what is measured of it, what must reject it and why."""

from __future__ import annotations

from typing import Literal

from validation.contract.records import Kernel, Record

Measured = Literal[
    "output", "together", "probe", "speed", "clock", "promise", "memory", "held", "timed", "metered", "failure",
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
        candidate are wrong ``together``; a ``probe``; its ``speed`` against the reference; its ``clock`` reading or
        ``held`` memory against a standard; the clock at the case of a ``promise``; its ``memory`` against the
        reference; one ``timed`` or one ``metered`` process, which must be refused; its ``failure``; the calibration
        with another ``meter``; a test ``suite``; what the ``gallery`` itself let through; or nothing, where the fault
        is in the ``record``.
    kernel : str
        Which kernel it is an implementation of.
    module : str
        Where its implementation is; empty where it has none of its own.
    probe : str or None
        Which probe.
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
    kernel: Kernel = "patch_extraction"
    module: str = ""
    probe: str | None = None
    atol: float = 1e-6
    because: str = ""
