"""The cheats: what each does, what is measured of it, and what must refuse it for which reason.

The numbers are the kinds of ``docs/threat-model.md``. Most are refused in one timed process: what the parent is told
does not agree with what it sees for itself.
"""

from __future__ import annotations

from validation.contract.mutant import Measured, Mutant
from validation.kernels.patches.case import Name

WRONG = r"wrong_output|differs by|holds \d+ NaN"
TAMPERED = "tampered"
LEFT = "left_processes"
# The object that makes the calls takes no other methods, and no class of another layout.
SEALED = "is read-only|object layout differs"


def _cheat(
    kind: int,
    where: str,
    measured: Measured,
    expected: str,
    because: str,
    description: str,
    *,
    kernel: Name = "patch_extraction",
    property: str | None = None,
) -> Mutant:
    family, _, name = where.partition(":")
    return Mutant(
        name=name,
        defect=f"T{kind}",
        description=description,
        expected_criterion=expected,
        measured=measured,
        kernel=kernel,
        module=f"validation.kernels.patches.cheats.{family}",
        property=property,
        because=because,
    )


def _refused(
    kind: int,
    where: str,
    because: str,
    description: str,
    *,
    measured: Measured = "timed",
    kernel: Name = "patch_extraction",
) -> Mutant:
    return _cheat(kind, where, measured, "correctness", because, description, kernel=kernel)


def _slow(kind: int, where: str, description: str, expected: str = "speed") -> Mutant:
    return _cheat(kind, where, "clock", expected, "x median", description)


def _hungry(kind: int, where: str, description: str) -> Mutant:
    return _cheat(kind, where, "memory", "memory", "worst pair", description)


def _wrong(kind: int, where: str, because: str, description: str) -> Mutant:
    return _cheat(kind, where, "output", "correctness", because, description)


def _probed(kind: int, where: str, property: str, description: str) -> Mutant:
    because = f"(probe|property) {property} "
    return _cheat(kind, where, "property", "correctness", because, description, property=property)


CHEATS: tuple[Mutant, ...] = (
    _slow(1, "laziness:lazy_result", "an object is returned at once, and the work is done when somebody looks"),
    _refused(1, "laziness:two_faces", WRONG, "the first who looks sees zeros, the next one the result"),
    _refused(1, "laziness:fills_when_touched", WRONG, "a subclass of ndarray that is empty until it is indexed"),
    _slow(2, "laziness:asynchronous", "TensorFlow's executor works on after the call has returned"),
    _refused(3, "laziness:finishes_later", WRONG, "a thread finishes the result after the call has returned"),
    _hungry(5, "caching:kept_by_content", "hungry, and the result kept by content: the second call costs nothing"),
    _probed(5, "caching:kept_by_a_corner", "impulse_matrix", "the result kept by the first elements of the inputs"),
    _slow(6, "laziness:works_ahead", "the first call does the work of all that are known to come"),
    _refused(
        6,
        "inside:works_for_the_spots",
        f"{TAMPERED}|{WRONG}",
        "the work is done while the inputs are looked at, off the clock",
    ),
    _slow(7, "caching:kept_on_disk", "results kept in a folder for all processes"),
    _slow(8, "slow_import:imported_slowly", "the work is done when the module is imported", "cold_speed"),
    _refused(9, "clocks:slow_clock", TAMPERED, "the clocks of the module `time` run 200 times slower"),
    _refused(9, "clocks:clock_in_machine_code", TAMPERED, "the clocks stay; what they point to in memory is slower"),
    _refused(9, "inside:clock_of_the_watch", TAMPERED, "the clock is exchanged in the object that keeps it"),
    _refused(10, "inside:snapshot_replaced", SEALED, "what compares with the snapshot of the instruments says yes"),
    _refused(10, "inside:answers_the_draw", SEALED, "idle; what is drawn of the result is computed after the draw"),
    _refused(10, "inside:part_replaced", SEALED, "the same, by another class of the object that keeps parts"),
    _refused(10, "clocks:checker_replaced", WRONG, "the functions that check a timed call say yes"),
    _refused(10, "clocks:oracle_replaced", TAMPERED, "the oracle in the process says what the cheat says"),
    _refused(10, "clocks:comparison_replaced", TAMPERED, "NumPy finds no difference, whoever asks"),
    _refused(
        10, "clocks:meter_replaced", TAMPERED, "the reader of the memory mark always says the same", measured="metered"
    ),
    _refused(11, "clocks:writer_replaced", TAMPERED, "what writes the reply divides the times by twenty"),
    _refused(11, "clocks:encoder_replaced", TAMPERED, "what encodes the reply divides the times by twenty"),
    _refused(11, "clocks:forged_reply", TAMPERED, "a whole reply is written by hand"),
    _wrong(12, "caching:finds_the_answer", "differs", "wrong by a half, but gives back an output that lies about"),
    _wrong(13, "state:all_nan", "NaN", "not a number, which exceeds no limit"),
    _probed(4, "caching:kept_by_identity", "earlier_calls", "the result kept for the same arrays, whatever is in them"),
    _probed(23, "state:small_to_zero", "small_amplitude", "what is below the tolerance is left out"),
    _probed(13, "state:nan_to_zero", "special_values", "what is not finite in the object becomes zero"),
    _probed(13, "state:nan_spreads", "special_values", "one pixel that is not finite spreads over the whole result"),
    _refused(14, "laziness:idle_by_environment", WRONG, "idle where a variable of compared processes is missing"),
    _refused(15, "laziness:idle_by_stack", WRONG, "idle where the stack says that time is taken"),
    _refused(
        15, "laziness:idle_when_metered", WRONG, "idle where the stack says that memory is read", measured="metered"
    ),
    _refused(15, "laziness:idle_unless_poisoned", WRONG, "idle where fresh memory is not poisoned"),
    _refused(15, "laziness:idle_beside_the_probes", WRONG, "idle where nothing is compared or probed"),
    _refused(16, "laziness:idle_once_warm", WRONG, "right in the first call of a process, idle from then on"),
    _refused(17, "laziness:only_what_is_checked", WRONG, "once warm, three groups only are computed"),
    _refused(17, "laziness:stale_patch", WRONG, "once warm, one patch is left out"),
    _refused(18, "caching:empties_the_input", WRONG, "the object is emptied, so that zeros are right"),
    _refused(18, "caching:placed_in_the_input", WRONG, "the canvas is laid into the patches", kernel="reassembly"),
    _refused(20, "caching:left_in_freed_memory", WRONG, "fresh memory, in which an earlier result may lie"),
    _refused(21, "caching:static_buffer", WRONG, "one output for all calls: a later one changes an earlier result"),
    _probed(21, "caching:two_buffers", "own_memory", "two outputs in turn"),
    _wrong(22, "state:nearest_pixel", "differs", "the nearest pixel: right for constant objects and whole pixels"),
    _wrong(24, "state:half_precision", "differs", "sixteen bits inside"),
    _refused(25, "caching:knows_the_seed", WRONG, "right for the inputs of the public seed alone"),
    _probed(25, "caching:knows_the_sizes", "impulse_matrix", "right for windows of the measured sizes alone"),
    _hungry(26, "processes:memory_in_a_child", "eight outputs' worth of memory in a subprocess"),
    _refused(27, "processes:leaves_a_busy_process", LEFT, "a process that left its session keeps a processor busy"),
    _refused(27, "processes:leaves_a_sleeping_process", LEFT, "a daemon that waits"),
    _refused(27, "processes:slows_its_parent", TAMPERED, "the process that starts all others gets one processor"),
    _probed(27, "processes:raises_its_priority", "process_state", "a better priority than the other arm's"),
    _cheat(
        28,
        "clocks:not_available_when_warm",
        "timed",
        "completeness",
        "could not be measured",
        "says that it is not here when it is timed",
    ),
    _refused(29, "clocks:raises_when_warm", "exception", "fails fast where it is timed"),
    _probed(32, "state:races", "earlier_calls", "every fourth call one group is as a race left it"),
    _refused(35, "state:other_engine_later", WRONG, "an engine of less precision takes over after the first call"),
    _probed(36, "state:leaves_the_error_state", "process_state", "NumPy raises from now on where it warned"),
    _probed(36, "state:leaves_the_environment", "process_state", "threads of what starts next are another number"),
    _probed(36, "state:leaves_the_folder", "process_state", "the working folder is another one"),
    _probed(36, "state:leaves_a_handler", "process_state", "the program cannot be interrupted any more"),
    _probed(36, "state:leaves_the_seed", "process_state", "everybody's random numbers start anew"),
    _refused(37, "processes:mark_reset", TAMPERED, "eight outputs' worth, then the mark is reset", measured="metered"),
    _hungry(38, "processes:arena_kept", "the warm-up takes an arena for good"),
    _refused(39, "clocks:leaves_with_success", "no_result", "exit code 0 in the middle of a call"),
    _probed(40, "state:wrong_between_pixels", "half_pixels", "wrong exactly half way between two pixels"),
)

# Stopped like others of their kind, at the price of many processes: a test times each in one.
TIMED_IN_FULL: tuple[Mutant, ...] = (
    _slow(6, "inside:works_in_the_collector", "the work is done when garbage is collected, before the clock starts"),
    _slow(7, "caching:kept_in_shared_memory", "results kept in shared memory for all processes"),
)

# Nothing stops these yet. What stops one moves it up, into the gallery.
OPEN: tuple[Mutant, ...] = (
    _refused(9, "inside:short_clock_of_the_watch", TAMPERED, "the same, for work of a millisecond"),
    _hungry(26, "processes:memory_in_a_file", "eight outputs' worth of memory in a file without a name"),
)
