"""The gallery of known-bad implementations and harness faults, each with the criterion that must reject it.

D1 to D10 really shipped somewhere; the others are ways in which a gate can be fooled. What they do is in
`bad_implementations`, `bad_placements` and `cheats` beside this module, how they are run in
`validation.gallery.running`; ``docs/mutants.md`` is the catalogue.
"""

from __future__ import annotations

from validation.contract.mutant import Exhibition, Measured, Mutant, Standards
from validation.kernels.patches.case import Name, make_case
from validation.kernels.patches.cheats.catalogue import CHEATS

_MODULES: dict[Name, str] = {
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
    name: str, defect: str, description: str, *, atol: float = 1e-6, kernel: Name = "patch_extraction"
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
    name: str, defect: str, measured: Measured, expected: str, description: str, kernel: Name = "patch_extraction"
) -> Mutant:
    return Mutant(
        name=name,
        defect=defect,
        description=description,
        expected_criterion=expected,
        measured=measured,
        kernel=kernel,
        module="" if name in STANDS_FOR or measured in _FAULTS else _MODULES[kernel],
        standard=STANDS_FOR.get(name, ""),
    )


def _property(name: str, property: str, description: str) -> Mutant:
    return Mutant(
        name=name,
        defect="METHOD",
        description=description,
        expected_criterion="correctness",
        measured="property",
        kernel="patch_extraction",
        module=_MODULES["patch_extraction"],
        property=property,
        because=f"(probe|property) {property} ",
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
    _property("kept_result", "earlier_calls", "the result of the first call kept and given for every other"),
    _property("batch_dependent", "batch_size", "other rounding above four groups, within the tolerance"),
    _property("order_dependent", "order", "other rounding in the first group, whichever it is, within the tolerance"),
    _property("changes_inputs", "inputs_unchanged", "the offsets are summed in place"),
    _property("thread_dependent", "threads", "other rounding on one thread, within the tolerance"),
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
        "promised",
        "reassembly",
        "twice as fast as the loop where 20 times is promised",
        "reassembly",
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


def of_kernel(kernel: Name) -> tuple[Mutant, ...]:
    """Mutants of a kernel, in the order of the catalogue."""
    return tuple(mutant for mutant in MUTANTS if mutant.kernel == kernel)


# A small result, so that standards and cheats that give it last what their name says and no longer.
_CLOCK = make_case("patch_extraction", N=16, gridsize=1, batch=20, shape=(40, 52), pattern="border")
_STANDARDS = Standards(
    case=_CLOCK,
    module=_MODULES["patch_extraction"],
    names=STANDARDS,
    reference="lasts_200_ms",
    candidate="lasts_10_ms",
    held="holds_100_mib",
    more="holds_105_mib",
    promised="lasts_5_ms",
)

EXTRACTION = Exhibition(
    # More than 200 patches (D8), peaks above 20 MB (the meter), positions on every edge (D7).
    main=make_case("patch_extraction", N=96, gridsize=2, batch=51, shape=(40, 52), pattern="border"),
    probed=make_case("patch_extraction", N=16, gridsize=2, batch=10, shape=(61, 83), pattern="fermat"),
    clock=_CLOCK,
    # A large object and few patches: translating all of it is what costs.
    slow=make_case("patch_extraction", N=32, gridsize=1, batch=12, shape=(300, 400), pattern="interior"),
    never_run=make_case("patch_extraction", N=96, gridsize=2, batch=5, shape=(40, 52), pattern="border"),
    standards=_STANDARDS,
)
PLACEMENT = Exhibition(
    # Overlapping patches, their number no multiple of a power of two.
    main=make_case("reassembly", N=16, gridsize=1, batch=210, shape=(61, 83), pattern="fermat", M=10),
    probed=make_case("reassembly", N=16, gridsize=1, batch=30, shape=(61, 83), pattern="fermat", M=10),
    clock=make_case("reassembly", N=16, gridsize=1, batch=210, shape=(61, 83), pattern="fermat", M=10),
    # As many patches as the promise for reassembly begins at.
    promised=make_case("reassembly", N=16, gridsize=1, batch=500, shape=(61, 83), pattern="fermat", M=10),
    criterion="reassembly",
    metered=EXTRACTION.main,
    standards=_STANDARDS,
)
