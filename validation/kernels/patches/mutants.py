"""The gallery of known-bad implementations and harness faults, each with the criterion that must reject it.

D1 to D10 really shipped somewhere; the others are ways in which a gate can be fooled. What they do is in
`bad_implementations`, `bad_placements` and `cheats` beside this module, how they are run in
`validation.gallery.running`; ``docs/mutants.md`` is the catalogue.
"""

from __future__ import annotations

from validation.contract.mutant import Measured, Mutant
from validation.contract.records import Kernel
from validation.kernels.patches.cheats.catalogue import CHEATS
from validation.kernels.registry import Implementation

_MODULES: dict[Kernel, str] = {
    "patch_extraction": "validation.kernels.patches.bad_implementations",
    "reassembly": "validation.kernels.patches.bad_placements",
}


# Standards for clock and memory: they last, or hold, what their name says, and compute nothing.
STANDARDS = (
    "lasts_200_ms", "lasts_100_ms", "lasts_22_ms", "lasts_10_ms", "lasts_5_ms", "holds_100_mib", "holds_105_mib",
    "holds_130_mib",
)  # fmt: skip
# Mutants that a standard stands for.
STANDS_FOR = {
    "nine_times": "lasts_22_ms",
    "placed_twice_as_fast": "lasts_100_ms",
    "third_more_memory": "holds_130_mib",
}
# Mutants that are a fault of the harness or of a checkout, and no implementation.
_FAULTS = ("record", "suite", "gallery")


def _output(
    name: str, defect: str, description: str, *, atol: float = 1e-6, kernel: Kernel = "patch_extraction"
) -> Mutant:
    return Mutant(
        name=name,
        defect=defect,
        description=description,
        expected_criterion="correctness",
        measured="output",
        kernel=kernel,
        module=_MODULES[kernel],
        atol=atol,
    )


def _placed(name: str, defect: str, description: str) -> Mutant:
    return _output(name, defect, description, kernel="reassembly")


def _other(
    name: str, defect: str, measured: Measured, expected: str, description: str, kernel: Kernel = "patch_extraction"
) -> Mutant:
    return Mutant(
        name=name,
        defect=defect,
        description=description,
        expected_criterion=expected,
        measured=measured,
        kernel=kernel,
        module="" if name in STANDS_FOR or measured in _FAULTS else _MODULES[kernel],
    )


def _probe(name: str, probe: str, description: str) -> Mutant:
    return Mutant(
        name=name,
        defect="METHOD",
        description=description,
        expected_criterion="correctness",
        measured="probe",
        module=_MODULES["patch_extraction"],
        probe=probe,
        because=f"probe {probe} ",
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
    _other(
        "half_pixel", "METHOD", "together", "oracle_agreement", "reference and candidate off by the same half pixel"
    ),
    _other("nine_times", "METHOD", "clock", "speed", "a speedup of 9 where 10 is promised"),
    _other("starts_slowly", "METHOD", "clock", "cold_speed", "20 times as fast once warm, 5 times in the first call"),
    _other("slow_inside", "METHOD", "speed", "speed", "a fast arm that calls the slow one"),
    _other("third_more_memory", "METHOD", "held", "memory", "1.3 times the memory where 1.2 is allowed"),
    _other("missing_case", "METHOD", "record", "completeness", "a planned case that was never run"),
    _other("prints_and_hangs", "METHOD", "failure", "speed", "a hang that prints"),
    _other("takes_all_memory", "METHOD", "failure", "memory", "an allocation far above the limit"),
    _probe("kept_result", "earlier_calls", "the result of the first call kept and given for every other"),
    _probe("batch_dependent", "batch_size", "other rounding above four groups, within the tolerance"),
    _probe("order_dependent", "order", "other rounding in the first group, whichever it is, within the tolerance"),
    _probe("changes_inputs", "inputs_unchanged", "the offsets are summed in place"),
    _probe("thread_dependent", "threads", "other rounding on one thread, within the tolerance"),
    _placed("placed_swapped", "D6", "reassembly: x and y swapped"),
    _placed("placed_by_one_axis", "D2", "reassembly: x serves both axes"),
    _placed("mean_kept", "METHOD", "reassembly: the mean offset is not subtracted"),
    _placed("last_one_wins", "METHOD", "reassembly: patches assigned where they should be added"),
    _placed("rest_forgotten", "METHOD", "reassembly: the last chunk left out where it is not a whole one"),
    _other(
        "canvas_per_patch", "D3", "memory", "memory", "reassembly: as many canvases at once as patches", "reassembly"
    ),
    _other(
        "placed_twice_as_fast",
        "METHOD",
        "promise",
        "reassembly",
        "twice as fast as the loop where 20 times is promised",
    ),
    _other(
        "tracemalloc_meter", "D3", "meter", "calibration", "memory read by tracemalloc, which sees none of TensorFlow's"
    ),
    _other(
        "breaks_the_suite",
        "METHOD",
        "suite",
        "suite",
        "a checkout whose tests pass with the flag off and fail with it on",
    ),
    _other("let_through", "METHOD", "gallery", "mutants", "a gallery in which the gate let a known-bad one through"),
    *CHEATS,
)


def implementations(kernel: str) -> tuple[Implementation, ...]:
    """Mutants, and for extraction standards, that can run as an implementation of a kernel."""
    found = [
        Implementation(
            name=mutant.name, role="mutant", target=f"{mutant.module}:{mutant.name}", summary=mutant.description
        )
        for mutant in MUTANTS
        if mutant.kernel == kernel and mutant.module
    ]
    if kernel == "patch_extraction":
        found += [
            Implementation(
                name=name,
                role="mutant",
                target=f"{_MODULES['patch_extraction']}:{name}",
                summary="a standard, which lasts or holds what its name says",
            )
            for name in STANDARDS
        ]
    return tuple(found)
