"""What a child process does with its task.

The process is fresh: TensorFlow may be imported, no operation of it has run. Whatever goes wrong inside an
implementation becomes an `ErrorReply`; the traceback goes to standard error.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from validation.child import memory, timing
from validation.child.channel import Channel, ProtocolError, generator
from validation.child.instruments import TamperedError
from validation.child.watch import Watch, WrongOutputError, clocked, complete
from validation.contract.records import Case, Protocol, Scan
from validation.contract.tasks import (
    CalibrateReply,
    Calls,
    ErrorReply,
    KeptPart,
    MemoryReply,
    OutputReply,
    ProbeReply,
    Reply,
    ScanReply,
    Task,
    TimelineReply,
    TimeReply,
)
from validation.kernels import registry as kernels
from validation.kernels.patches import workloads
from validation.subject import scans

Made = TypeVar("Made")
_DEFAULT_PROTOCOL = Protocol(replicates=7, max_replicates=7, samples=5, discarded=2, min_sample_s=0.01, memory_pairs=5)


def _required(task: Task) -> tuple[Case, str]:
    if task.case is None or task.implementation is None:
        raise ValueError(f"a task of action {task.action!r} needs a case and an implementation")
    return task.case, task.implementation


def _arguments(task: Task) -> workloads.Arguments:
    case, _ = _required(task)
    base = workloads.build(case, task.scan_path)
    return base if task.entropy is None else workloads.fresh(case, base, generator(task.entropy))


def _load(task: Task) -> kernels.Function:
    case, name = _required(task)
    return kernels.load(kernels.find(case.kernel, name))


def _watch(task: Task, channel: Channel) -> Watch:
    """Prepare the calls of an implementation, which is imported in the first of them."""
    case, name = _required(task)
    implementation = kernels.find(case.kernel, name)
    return Watch(lambda: kernels.load(implementation), case, _arguments(task), channel)


def _told(task: Task, watch: Watch) -> Calls:
    """Leave the parts that were kept where the parent reads them, and say what was called."""
    if task.output_path is not None:
        with open(task.output_path, "wb") as file:
            for _, values in watch.kept.values():
                np.save(file, values, allow_pickle=False)
    return Calls(
        calls_s=tuple(watch.calls_s),
        processor_s=watch.processor_s,
        small=tuple(watch.small),
        kept=tuple(KeptPart(which=which, call=call) for which, (call, _) in watch.kept.items()),
    )


def _scan(task: Task, channel: Channel) -> Reply:
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


def _output(task: Task, channel: Channel) -> Reply:
    if task.output_path is None:
        raise ValueError("a task of action 'output' needs an output_path")
    memory.poison_allocations()
    arguments = _arguments(task)
    call_s, output = clocked(lambda: complete(_load(task)(**arguments)))
    with open(task.output_path, "wb") as file:
        np.save(file, output, allow_pickle=False)
    return OutputReply(output_path=task.output_path, call_s=call_s)


def _time(task: Task, channel: Channel) -> Reply:
    _, name = _required(task)
    watch = _watch(task, channel)
    arm = timing.measure_arm(watch, name, task.protocol or _DEFAULT_PROTOCOL)
    return TimeReply(timing=arm, calls=_told(task, watch), measured_s=sum(watch.calls_s))


def _copy(task: Task, channel: Channel) -> Reply:
    if task.case is None:
        raise ValueError("a task of action 'copy' needs a case")
    memory.return_freed_memory()  # so that each fresh target really is fresh
    return timing.time_copy(workloads.output_bytes(task.case), (task.protocol or _DEFAULT_PROTOCOL).samples)


def _metered(task: Task, channel: Channel, meter: Callable[[Callable[[], Any], str], Made]) -> tuple[Made, Watch]:
    """Call an implementation once to warm it up, then under a meter.

    The loop of extraction is warmed up on the smallest part of the work: its compiled step is the same for all of it.
    """
    memory.return_freed_memory()
    case, name = _required(task)
    watch = _watch(task, channel)
    watch.call(small=name == "reference" and case.kernel == "patch_extraction")
    found: list[Made] = []

    def within(work: Callable[[], Any]) -> Any:
        outputs: list[Any] = []
        found.append(meter(lambda: outputs.append(work()), name))
        return outputs[0]

    watch.call(within=within)
    watch.finish()
    return found[0], watch


def _memory(task: Task, channel: Channel) -> Reply:
    (arm, metered_s), watch = _metered(task, channel, memory.measure_arm)
    return MemoryReply(
        memory=arm,
        metered_s=metered_s,
        meter=memory.recorded_meter(),
        output_bytes=watch.output_bytes,
        calls=_told(task, watch),
        measured_s=sum(watch.calls_s),
    )


def _timeline(task: Task, channel: Channel) -> Reply:
    timeline, watch = _metered(task, channel, memory.measure_timeline)
    return TimelineReply(timeline=timeline, measured_s=sum(watch.calls_s))


def _calibrate(task: Task, channel: Channel) -> Reply:
    from validation.child.calibration import calibrate, hold_in_a_subprocess

    return CalibrateReply(checks=calibrate(task.scan_path), held_s=hold_in_a_subprocess())


def _probe(task: Task, channel: Channel) -> Reply:
    from validation.kernels.patches.probes import run

    if task.probe is None:
        raise ValueError("a task of action 'probe' needs the name of a probe")
    case, name = _required(task)
    function = _load(task)
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


def execute(task: Task, channel: Channel | None = None) -> Reply:
    """Do what a task asks for.

    Parameters
    ----------
    task : Task
    channel : Channel, optional
        Where entropy comes from and marks go; without one nobody outside sees the calls.

    Returns
    -------
    Reply
        `ErrorReply` where the implementation or the user's input failed.
    """
    # What was imported stays: the collector need not walk through TensorFlow's objects between samples.
    gc.freeze()
    try:
        return _ACTIONS[task.action](task, channel or Channel(None))
    except kernels.NotAvailableError as error:
        return ErrorReply(reason="not_available", message=str(error))
    except WrongOutputError as error:
        return ErrorReply(reason="wrong_output", message=str(error))
    except (TamperedError, ProtocolError) as error:
        return ErrorReply(reason="tampered", message=str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        reason: Any = "out_of_memory" if _is_out_of_memory(error) else "exception"
        return ErrorReply(reason=reason, message=_one_line(error))
    finally:
        gc.unfreeze()
