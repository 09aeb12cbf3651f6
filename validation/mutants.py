"""The gallery of known-bad implementations and harness faults, each with the criterion that must reject it.

D1 to D10 really shipped somewhere; the others are ways in which a gate can be fooled. What they do is in
`validation.bad_implementations`, how they are run in `validation.gallery`; ``docs/mutants.md`` is the catalogue.
"""

from __future__ import annotations

from typing import Literal

from validation.kernels import Implementation
from validation.records import Record

Measured = Literal["output", "probe", "speed", "clock", "memory", "held", "failure", "record"]


class Mutant(Record, frozen=True, kw_only=True):
    """One known-bad thing.

    Attributes
    ----------
    name : str
        Also the name of its implementation, where it is one.
    defect : str
        D1 .. D10, or ``METHOD`` for the others.
    expected_criterion : str
        The criterion that must reject it.
    measured : str
        What is measured of it, the rest being the control's: its ``output``; a ``probe``; its ``speed`` against
        the reference; its ``clock`` reading or ``held`` memory against a standard; its ``memory`` against the
        reference; its ``failure``; or nothing, where the fault is in the ``record``.
    probe : str or None
        Which probe.
    atol : float
        Tolerance its comparison is made with.
    """

    name: str
    defect: str
    description: str
    expected_criterion: str
    measured: Measured
    probe: str | None = None
    atol: float = 1e-6


def _output(name: str, defect: str, description: str, *, atol: float = 1e-6) -> Mutant:
    return Mutant(
        name=name,
        defect=defect,
        description=description,
        expected_criterion="correctness",
        measured="output",
        atol=atol,
    )


def _other(name: str, defect: str, measured: Measured, expected: str, description: str) -> Mutant:
    return Mutant(name=name, defect=defect, description=description, expected_criterion=expected, measured=measured)


def _probe(name: str, probe: str, description: str) -> Mutant:
    return Mutant(
        name=name,
        defect="METHOD",
        description=description,
        expected_criterion="correctness",
        measured="probe",
        probe=probe,
    )


MUTANTS: tuple[Mutant, ...] = (
    _output("interleaved_channels", "D1", "flat patches reshaped to (B, N, N, c): pixels of different patches mixed"),
    _output("one_axis_offsets", "D2", "offsets taken as [:, 0, 0, :], so that x serves both axes"),
    _output("broadcast_offsets", "D2", "the first patch's offset broadcast over the batch"),
    _other("tiled_object", "D3", "memory", "memory", "the padded object repeated B*c times"),
    _other("mini_batches", "D4", "speed", "speed", "the whole-image translation in mini-batches: little is gained"),
    _output("raised_tolerance", "D5", "off by 0.002, compared with a tolerance of 5e-3", atol=5e-3),
    _output("swapped_axes", "D6", "x and y swapped"),
    _output("clamped_edge", "D7", "the edge pixel instead of zero outside the object"),
    _output("fails_when_large", "D8", "a vectorised path that fails above 200 patches"),
    _other("bare_claim", "D9", "record", "completeness", "a speedup with no commit, machine or raw samples behind it"),
    _output("other_fallback", "D10", "without XLA: opposite direction, other edges, offsets repeated in another order"),
    _output("one_element", "METHOD", "one element wrong by 2e-6"),
    _output("wrong_dtype", "METHOD", "complex128 instead of complex64"),
    _output("unwritten_patch", "METHOD", "one patch never written"),
    _other("nine_times", "METHOD", "clock", "speed", "a speedup of 9 where 10 is promised"),
    _other("slow_inside", "METHOD", "speed", "speed", "a fast arm that calls the slow one"),
    _other("third_more_memory", "METHOD", "held", "memory", "1.3 times the memory where 1.2 is allowed"),
    _other("missing_case", "METHOD", "record", "completeness", "a planned case that was never run"),
    _other("prints_and_hangs", "METHOD", "failure", "speed", "a hang that prints"),
    _other("takes_all_memory", "METHOD", "failure", "memory", "an allocation far above the limit"),
    _probe("kept_result", "earlier_calls", "the result of the first call kept and given for every other"),
    _probe("batch_dependent", "batch_size", "other rounding above four groups, within the tolerance"),
)

# Standards for clock and memory: they last, or hold, what their name says, and compute nothing.
STANDARDS = ("lasts_200_ms", "lasts_22_ms", "lasts_10_ms", "holds_100_mib", "holds_105_mib", "holds_130_mib")
# Mutants that a standard stands for.
STANDS_FOR = {"nine_times": "lasts_22_ms", "third_more_memory": "holds_130_mib"}

_MODULE = "validation.bad_implementations"


def implementations(kernel: str) -> tuple[Implementation, ...]:
    """Mutants and standards that can run as an implementation of a kernel."""
    if kernel != "patch_extraction":
        return ()
    bad = tuple(
        Implementation(name=mutant.name, role="mutant", target=f"{_MODULE}:{mutant.name}", summary=mutant.description)
        for mutant in MUTANTS
        if mutant.measured != "record" and mutant.name not in STANDS_FOR
    )
    standards = tuple(
        Implementation(name=name, role="mutant", target=f"{_MODULE}:{name}", summary="a standard, computes nothing")
        for name in STANDARDS
    )
    return (*bad, *standards)
