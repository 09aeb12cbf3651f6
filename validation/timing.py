"""One arm of a timing replicate, and the copy of the output that times are read against.

The first call is timed apart. Every call gets other data of the same size, and a sample of the result is held
against the oracle, so that neither a kept result nor a skipped one counts as a time.
"""

from __future__ import annotations

import gc
import resource
import time
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from validation import oracle, workloads
from validation.kernels import Function
from validation.records import ArmTiming, Case, Protocol
from validation.workloads import Arguments

# A call longer than this is the only sample of its replicate.
SLOW_CALL_S = 5.0
# From this many patches on, the loop of the reference is warmed up on one group.
LONG_LOOP_PATCHES = 1000
_MAX_CALLS_PER_SAMPLE = 200
# Timed calls may be this much worse than the first one before they count as other work.
_STALE_FACTOR, _STALE_FLOOR = 10.0, 1e-5


class WrongOutputError(Exception):
    """An implementation returned something that cannot be used."""


def as_array(output: Any) -> NDArray[Any]:
    """Return the result as a NumPy array, complete; without a copy where the memory can be shared.

    Raises
    ------
    WrongOutputError
        If it is not an array of numbers.
    """
    try:
        array = np.asarray(memoryview(output))
    except (TypeError, ValueError):
        array = np.asarray(output)
    if array.dtype.kind not in "iufc" or array.ndim == 0:
        raise WrongOutputError(f"the result must be an array of numbers, got {type(output).__name__}")
    return array


def time_call(function: Function, arguments: Arguments) -> tuple[float, Any]:
    """Time one call; a result that is still being computed is waited for."""
    started = time.perf_counter()
    output = function(**arguments)
    if hasattr(output, "block_until_ready"):
        output.block_until_ready()
    elif "GPU" in str(getattr(output, "device", "")):
        output[..., :1].numpy()
    return time.perf_counter() - started, output


def _error(case: Case, arguments: Arguments, output: Any) -> float:
    """Largest difference from the oracle in three groups of patches, or in the whole canvas."""
    array = as_array(output)
    if case.kernel == "reassembly":
        expected = oracle.shift_and_sum(**arguments)
        actual = array
    else:
        groups = sorted({0, case.batch // 2, case.batch - 1})
        some = {name: arguments[name][groups] for name in ("global_offsets", "local_offsets")}
        expected = oracle.extract_patches(**{**arguments, **some})
        if array.shape != (case.batch, *expected.shape[1:]):
            return float("inf")
        actual = array[groups]
    if actual.shape != expected.shape:
        return float("inf")
    error = float(np.abs(actual.astype(np.complex128) - expected).max())
    return error if np.isfinite(error) else float("inf")


def _require_same_quality(case: Case, arguments: Arguments, output: Any, first_error: float) -> None:
    error = _error(case, arguments, output)
    if error > max(_STALE_FACTOR * first_error, _STALE_FLOOR):
        raise WrongOutputError(
            f"a timed call must do the work of the first one, but its result is {error:.3g} from the oracle "
            f"where the first was {first_error:.3g}; is a result kept between calls?"
        )


def measure_long_loop(
    function: Function, case: Case, arguments: Arguments, protocol: Protocol
) -> tuple[ArmTiming, float]:
    """Time a reference that loops over thousands of patches.

    Its loop runs the same compiled step once per patch, so tracing and discarded calls are made on one
    group. The first call is reported as a full call plus what the first small call took above the later ones. A
    full call longer than `SLOW_CALL_S` is the one sample: a mean over thousands of passes of the loop.
    """
    small = workloads.smallest(arguments)
    first_s, output = time_call(function, small)
    first_error = _error(msgspec.structs.replace(case, batch=1), small, output)
    discarded = [time_call(function, small)[0] for _ in range(max(1, protocol.discarded))]
    spent = first_s + sum(discarded)
    samples: list[float] = []
    gc.collect()
    # A host may hand out fresh pages slowly. The other arm's discarded calls take that; here it is taken for them.
    np.ones(workloads.output_bytes(case) // 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    # The first call decides: a few samples, of which one happened to take longer, would be no evidence.
    while len(samples) < (1 if samples and samples[0] >= SLOW_CALL_S else protocol.samples):
        varied = workloads.variant(arguments, len(samples) + 1)
        taken, output = time_call(function, varied)
        spent += taken
        samples.append(taken)
        _require_same_quality(case, varied, output, first_error)
        del output
    timing = ArmTiming(
        implementation="reference",
        first_call_s=samples[0] + max(0.0, first_s - min(discarded)),
        samples_s=tuple(samples),
        calls_per_sample=1,
        involuntary_switches=resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before,
    )
    return timing, spent


def measure_arm(
    function: Function, name: str, case: Case, arguments: Arguments, protocol: Protocol
) -> tuple[ArmTiming, float]:
    """Time one implementation in this process, which has not called it yet.

    Returns
    -------
    ArmTiming, float
        The arm, and the seconds spent inside calls, discarded ones included.

    Raises
    ------
    WrongOutputError
        If a timed call does not give what the first one gave for its own input.
    """
    patches = case.batch * case.gridsize**2
    if name == "reference" and case.kernel == "patch_extraction" and patches >= LONG_LOOP_PATCHES:
        return measure_long_loop(function, case, arguments, protocol)
    gc.collect()
    first_s, output = time_call(function, arguments)
    first_error = _error(case, arguments, output) if case.batch else 0.0
    del output
    spent, taken, number = first_s, first_s, 0
    for _ in range(protocol.discarded):
        number += 1
        taken, output = time_call(function, workloads.variant(arguments, number))
        del output
        spent += taken
    calls = min(_MAX_CALLS_PER_SAMPLE, max(1, int(np.ceil(1.2 * protocol.min_sample_s / max(taken, 1e-7)))))
    samples: list[float] = []
    switches = 0
    gc.disable()
    try:
        while len(samples) < protocol.samples:
            inputs = [workloads.variant(arguments, number + 1 + index) for index in range(calls)]
            number += calls
            gc.collect()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            started = time.perf_counter()
            for each in inputs:
                _, output = time_call(function, each)
            total = time.perf_counter() - started
            switches += resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before
            spent += total
            if case.batch:
                _require_same_quality(case, inputs[-1], output, first_error)
            del output
            if total < protocol.min_sample_s and calls < _MAX_CALLS_PER_SAMPLE:
                # Too short to be read, also where earlier ones were not: all are taken again, with more calls.
                calls = min(_MAX_CALLS_PER_SAMPLE, 2 * calls)
                samples.clear()
                switches = 0
                continue
            samples.append(total / calls)
    finally:
        gc.enable()
    timing = ArmTiming(
        implementation=name,
        first_call_s=first_s,
        samples_s=tuple(samples),
        calls_per_sample=calls,
        involuntary_switches=switches,
    )
    return timing, spent


def time_copy(output_bytes: int, samples: int) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Time ``np.copyto`` of an output's bytes into fresh and into touched memory.

    Returns
    -------
    fresh_s, warm_s, spent : tuple of float, tuple of float, float
        Seconds per copy; the first repetition of each is discarded.
    """
    source = np.ones(max(1, output_bytes // 8), np.complex64)
    fresh: list[float] = []
    warm: list[float] = []
    touched = np.zeros_like(source)
    np.copyto(touched, source)
    for repetition in range(samples + 1):
        started = time.perf_counter()
        target = np.empty_like(source)
        np.copyto(target, source)
        middle = time.perf_counter()
        np.copyto(touched, source)
        ended = time.perf_counter()
        del target
        if repetition:
            fresh.append(middle - started)
            warm.append(ended - middle)
    return tuple(fresh), tuple(warm), sum(fresh) + sum(warm)
