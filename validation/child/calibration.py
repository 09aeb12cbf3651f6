"""The instruments against known quantities, before anything counts.

A run whose calibration fails is an instrument failure and gives no verdict.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from validation.child import memory
from validation.child.watch import clocked
from validation.contract.cases import Case
from validation.contract.kernel import Arguments, Kernel
from validation.contract.lines import CalibrationCheck
from validation.machine.residents import Resident, within
from validation.outputs.compare import compare
from validation.outputs.tree import Tree, arrays_in

SLEEP_S = 0.05
BLOCK_BYTES = 256 * 2**20
OFF_BY = 2e-6
HELD_BYTES = 128 * 2**20
# An interpreter that starts takes some MiB of its own.
_HELD_LIMIT = 0.15
# Long beside a look, also on a busy machine.
_HELD_S = 0.3
_HOLD = "import sys; block = b'x' * int(sys.argv[1]); print(flush=True); sys.stdin.read()"
_REPETITIONS = 5
_SAMPLE_S = 0.01
HighWater = Callable[[Callable[[], float]], tuple[int, int, float]]


def check(
    instrument: str, expected: float, measured: float, limit: float, unit: str, detail: str = ""
) -> CalibrationCheck:
    """Judge one reading; ``limit`` is relative to ``expected``, and absolute where that is zero."""
    deviation = abs(measured - expected) / abs(expected) if expected else abs(measured)
    return CalibrationCheck(
        instrument=instrument,
        expected=float(expected),
        measured=float(measured),
        limit=limit,
        unit=unit,
        passed=bool(deviation <= limit),
        detail=detail,
    )


def clock() -> tuple[CalibrationCheck, ...]:
    """Time a known sleep and a call that does nothing, both by the timer of the arms."""
    sleeps = [clocked(lambda: time.sleep(SLEEP_S))[0] for _ in range(_REPETITIONS)]
    nothing = [clocked(lambda: None)[0] for _ in range(100)]
    return (
        check("clock: sleep", SLEEP_S, min(sleeps), 0.05, "s", f"shortest of {_REPETITIONS}"),
        check(
            "clock: no-op",
            0.0,
            float(np.median(nothing)) / _SAMPLE_S,
            0.01,
            "of a 10 ms sample",
            "median of 100; what the timer itself adds",
        ),
    )


def _touch_numpy() -> float:
    block = np.ones(BLOCK_BYTES // 8)
    return float(block[-1])


def _touch_tensorflow() -> float:
    import tensorflow as tf

    block = tf.ones([BLOCK_BYTES // 4], tf.float32)
    return float(block[-1])


def memory_meter(high_water: HighWater | None = None) -> tuple[CalibrationCheck, ...]:
    """Read a block that is touched and freed at once, warm, through NumPy and, where it is there, TensorFlow.

    Parameters
    ----------
    high_water : callable
        Runs a function and gives bytes before it and at its peak, and its result; the meter of the
        measurements where it is left out.
    """
    high_water = high_water or memory.high_water
    limit = 0.02 if memory.meter() == memory.KERNEL_METER else 0.1
    found = []
    touches: list[tuple[str, Callable[[], float]]] = [("NumPy", _touch_numpy)]
    if "tensorflow" in sys.modules:
        touches.append(("TensorFlow", _touch_tensorflow))
    for name, touch in touches:
        touch()  # so that what is read is a warm call, where an arena would hide the block
        baseline, peak, _ = high_water(touch)
        found.append(check(f"memory: {name}", BLOCK_BYTES, peak - baseline, limit, "bytes", memory.meter()))
    return tuple(found)


def hold_in_a_subprocess() -> tuple[float, float]:
    """Let a subprocess hold `HELD_BYTES` while somebody looks on, from before its start to its end."""
    time.sleep(_HELD_S)  # a mark that was set shortly before counts in the look after it
    began = time.monotonic()
    time.sleep(_HELD_S)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _HOLD, str(HELD_BYTES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        time.sleep(_HELD_S)
        ended = time.monotonic()
        process.communicate()
    return began, ended


def descendants(looks: tuple[Resident, ...], held_s: tuple[float, float]) -> CalibrationCheck:
    """Judge what was seen from outside of a subprocess that held a known amount of memory.

    Parameters
    ----------
    looks : tuple of Resident
        At the process that started it.
    held_s : tuple of float
        What `hold_in_a_subprocess` returned.
    """
    seen = within(looks, *held_s)
    alone = [look.all_bytes for look in seen if not look.descendants]
    measured = max(look.all_bytes for look in seen) - min(alone) if alone else 0
    return check("descendants: subprocess", HELD_BYTES, measured, _HELD_LIMIT, "bytes", memory.WITH_DESCENDANTS)


def equivalence() -> tuple[CalibrationCheck, ...]:
    """Show the comparison an output that is off by 2e-6 in one element, and one that is off by one ULP."""
    rng = np.random.default_rng(0)
    right = (rng.uniform(0.5, 1.0, (4, 16, 16, 3)) + 1j * rng.uniform(0.5, 1.0, (4, 16, 16, 3))).astype(np.complex64)
    compared = functools.partial(
        compare, Tree.of(right), expected_name="made", actual_name="made, one element changed", atol=1e-6
    )
    off, last_place = right.copy(), right.copy()
    off[2, 7, 3, 1] += OFF_BY
    last_place.imag[1, 4, 15, 2] = np.nextafter(last_place.imag[1, 4, 15, 2], np.float32(2))
    refused = compared(Tree.of(off))
    seen = compared(Tree.of(last_place))
    return (
        # One rounding to float32 of numbers below 1 moves the difference by up to 6e-8.
        check("comparison: one element off", OFF_BY, refused.max_abs_error or 0.0, 0.05, "absolute"),
        check("comparison: refused", 1.0, float(not refused.passed), 0.0, "yes"),
        check("comparison: one ULP", 1.0, float(seen.max_ulp or 0), 0.0, "ULP"),
        check("comparison: element found", 1.0, float(seen.worst_index == (1, 4, 15, 2)), 0.0, "yes"),
    )


def _digest(arguments: Arguments) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays_in(arguments).items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def seed(kernel: Kernel, case: Case, scan_path: str | None) -> tuple[CalibrationCheck, ...]:
    """Make the inputs of the same case twice, and those of another seed once; of a call where no seed changes them."""
    one, two = (_digest(kernel.inputs(case, scan_path)) for _ in range(2))
    if kernel.seeded(case):
        changed = kernel.inputs(kernel.case(seed=case.seed + 1, **case.params), scan_path)
    else:
        changed = kernel.fresh(case, kernel.inputs(case, scan_path), np.random.default_rng(1), scan_path)
    return (
        check("seed: same bits", 1.0, float(one == two), 0.0, "yes"),
        check("seed: another seed differs", 1.0, float(one != _digest(changed)), 0.0, "yes"),
    )


def calibrate(kernel: Kernel | None, case: Case | None, scan_path: str | None) -> tuple[CalibrationCheck, ...]:
    """Check every instrument; in a process where no TensorFlow operation has run.

    Parameters
    ----------
    kernel : Kernel or None
    case : Case or None
        Whose inputs must be the same every time; with work, if there is any.
    scan_path : str or None
        The .npz that feeds the inputs, where the kernel takes one.

    Returns
    -------
    tuple of CalibrationCheck
    """
    memory.return_freed_memory()
    for name in () if kernel is None else kernel.preload:
        importlib.import_module(name)  # where the server has not done so
    seeds = () if kernel is None or case is None else seed(kernel, case, scan_path)
    return (*clock(), *memory_meter(), *equivalence(), *seeds)
