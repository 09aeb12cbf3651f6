"""What a child process does with its task.

The process is fresh: TensorFlow may be imported, no operation of it has run. Whatever goes wrong inside an
implementation becomes an `ErrorReply`; the traceback goes to standard error.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from validation import kernels, memory, scans, timing, workloads
from validation.records import Case, Protocol, Scan
from validation.tasks import (
    CalibrateReply,
    CopyReply,
    ErrorReply,
    MemoryReply,
    OutputReply,
    ProbeReply,
    Reply,
    ScanReply,
    Task,
    TimelineReply,
    TimeReply,
)

_DEFAULT_PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)


def _required(task: Task) -> tuple[Case, str]:
    if task.case is None or task.implementation is None:
        raise ValueError(f"a task of action {task.action!r} needs a case and an implementation")
    return task.case, task.implementation


def _load(task: Task) -> tuple[kernels.Function, Case, workloads.Arguments]:
    case, name = _required(task)
    function = kernels.load(kernels.find(case.kernel, name))
    return function, case, workloads.build(case, task.scan_path)


def _scan(task: Task) -> Reply:
    from ptycho.raw_data import RawData

    try:
        data = RawData.from_npz(task.scan_path)
        digest = scans.digest(Path(task.scan_path))
    except (ValueError, OSError) as error:
        return ErrorReply(reason="bad_input", message=str(error))
    height, width = data.objectGuess.shape
    return ScanReply(
        scan=Scan(
            name=Path(task.scan_path).name,
            path=task.scan_path,
            sha256=digest,
            object_shape=(int(height), int(width)),
            positions=len(data.xcoords),
        )
    )


def _output(task: Task) -> Reply:
    if task.output_path is None:
        raise ValueError("a task of action 'output' needs an output_path")
    memory.poison_allocations()
    function, _, arguments = _load(task)
    started = time.perf_counter()
    output = function(**arguments)
    call_s = time.perf_counter() - started
    with open(task.output_path, "wb") as file:
        np.save(file, timing.as_array(output), allow_pickle=False)
    return OutputReply(output_path=task.output_path, call_s=call_s)


def _time(task: Task) -> Reply:
    function, case, arguments = _load(task)
    _, name = _required(task)
    arm, spent = timing.measure_arm(function, name, case, arguments, task.protocol or _DEFAULT_PROTOCOL)
    return TimeReply(timing=arm, measured_s=spent)


def _copy(task: Task) -> Reply:
    if task.case is None:
        raise ValueError("a task of action 'copy' needs a case")
    memory.return_freed_memory()  # so that each fresh target really is fresh
    output_bytes = workloads.output_bytes(task.case)
    fresh, warm, spent = timing.time_copy(output_bytes, (task.protocol or _DEFAULT_PROTOCOL).samples)
    return CopyReply(fresh_s=fresh, warm_s=warm, measured_s=spent)


def _warm(function: kernels.Function, name: str, case: Case, arguments: workloads.Arguments) -> float:
    """Compile before the metered call; the loop of a long reference on one group."""
    started = time.perf_counter()
    long_loop = name == "reference" and case.kernel == "patch_extraction"
    function(**(workloads.smallest(arguments) if long_loop else arguments))
    return time.perf_counter() - started


def _memory(task: Task) -> Reply:
    memory.return_freed_memory()
    function, case, arguments = _load(task)
    _, name = _required(task)
    spent = _warm(function, name, case, arguments)
    started = time.perf_counter()
    arm, output = memory.measure_arm(lambda: function(**arguments), name)
    spent += time.perf_counter() - started
    output_bytes = timing.as_array(output).nbytes
    return MemoryReply(memory=arm, meter=memory.recorded_meter(), output_bytes=output_bytes, measured_s=spent)


def _timeline(task: Task) -> Reply:
    memory.return_freed_memory()
    function, case, arguments = _load(task)
    _, name = _required(task)
    spent = _warm(function, name, case, arguments)
    started = time.perf_counter()
    timeline = memory.measure_timeline(lambda: function(**arguments), name)
    return TimelineReply(timeline=timeline, measured_s=spent + time.perf_counter() - started)


def _calibrate(task: Task) -> Reply:
    from validation.calibration import calibrate

    return CalibrateReply(checks=calibrate(task.scan_path))


def _probe(task: Task) -> Reply:
    from validation.probes import run

    if task.probe is None:
        raise ValueError("a task of action 'probe' needs the name of a probe")
    case, name = _required(task)
    function = kernels.load(kernels.find(case.kernel, name))
    spent = 0.0

    def clocked(**arguments: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        try:
            return function(**arguments)
        finally:
            spent += time.perf_counter() - started

    found = run(task.probe, clocked, name, case, task.scan_path)
    return ProbeReply(
        passed=found.passed, figure=found.figure, limit=found.limit, detail=found.detail, measured_s=spent
    )


_ACTIONS = {
    "scan": _scan,
    "output": _output,
    "time": _time,
    "copy": _copy,
    "memory": _memory,
    "timeline": _timeline,
    "calibrate": _calibrate,
    "probe": _probe,
}


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}"


def execute(task: Task) -> Reply:
    """Do what a task asks for.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Reply
        `ErrorReply` where the implementation or the user's input failed.
    """
    # What was imported stays: the collector need not walk through TensorFlow's objects between samples.
    gc.freeze()
    try:
        return _ACTIONS[task.action](task)
    except kernels.NotAvailableError as error:
        return ErrorReply(reason="not_available", message=str(error))
    except timing.WrongOutputError as error:
        return ErrorReply(reason="wrong_output", message=str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        reason: Any = "out_of_memory" if _is_out_of_memory(error) else "exception"
        return ErrorReply(reason=reason, message=_one_line(error))
    finally:
        gc.unfreeze()
