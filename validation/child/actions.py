"""What a child process does with its task.

The process is fresh: what the kernels name may be imported, no operation of it has run. Whatever goes wrong inside an
implementation becomes an `ErrorReply`; the traceback goes to standard error.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from validation.child import afresh, memory, timing
from validation.child.channel import Channel, ProtocolError, generator
from validation.child.instruments import TamperedError
from validation.child.watch import Watch, clocked
from validation.contract.cards import KernelSource
from validation.contract.cases import PROTOCOL, Case
from validation.contract.errors import UsageError
from validation.contract.kernel import Arguments, Function, Kernel, NotAvailableError
from validation.contract.tasks import (
    CalibrateReply,
    Calls,
    ErrorReply,
    KeptPart,
    MemoryReply,
    OutputReply,
    PropertyReply,
    Reply,
    ScanReply,
    Task,
    TimelineReply,
    TimeReply,
)
from validation.kernels import registry
from validation.kernels.loading import load
from validation.outputs import saved
from validation.outputs.tree import WrongOutputError, arrays_in, complete
from validation.properties import generic
from validation.properties.tested import Tested, apply

Made = TypeVar("Made")


def _required(task: Task) -> tuple[Kernel, Case, str]:
    if task.case is None or task.implementation is None:
        raise ValueError(f"a task of action {task.action!r} needs a case and an implementation")
    return _kernel(task, task.case), task.case, task.implementation


def _kernel(task: Task, case: Case) -> Kernel:
    """Find the kernel of a case: at the task's sources, or by its name alone."""
    return registry.Kernels.of(task.sources or (KernelSource(name=case.kernel),))[case.kernel]


def _arguments(task: Task, entropy: str | None) -> Arguments:
    kernel, case, _ = _required(task)
    base = kernel.inputs(case, task.scan_path)
    return base if entropy is None else kernel.fresh(case, base, generator(entropy), task.scan_path)


def _load(task: Task) -> Function:
    kernel, _, name = _required(task)
    return load(registry.find(kernel, name))


def _watch(task: Task, channel: Channel) -> Watch:
    """Prepare the calls of an implementation, which is imported in the first of them."""
    kernel, case, name = _required(task)
    implementation = registry.find(kernel, name)
    return Watch(lambda: load(implementation), kernel, case, task.scan_path, channel, may_share=task.may_share)


def _told(task: Task, watch: Watch) -> Calls:
    """Leave the parts that were kept where the parent reads them, and say what was called."""
    if task.output_path is not None:
        with open(task.output_path, "wb") as file:
            for _, values in watch.kept.values():
                saved.save(file, values)
    return Calls(
        calls_s=tuple(watch.calls_s),
        processor_s=watch.processor_s,
        small=tuple(watch.small),
        kept=tuple(KeptPart(which=which, call=call) for which, (call, _) in watch.kept.items()),
    )


def _scan(task: Task, channel: Channel) -> Reply:
    from validation.subject import package

    if task.scan_path is None:
        raise ValueError("a task of action 'scan' needs a scan_path")
    try:
        return ScanReply(scan=package.read_scan(task.scan_path))
    except (ValueError, OSError) as error:
        return ErrorReply(reason="bad_input", message=str(error))


def _output(task: Task, channel: Channel) -> Reply:
    if task.output_path is None:
        raise ValueError("a task of action 'output' needs an output_path")
    memory.poison_allocations()
    arguments = _arguments(task, task.entropy)
    call_s, output = clocked(lambda: complete(apply(_load(task), arguments)))
    inputs = arrays_in(arguments).values()
    shares = any(np.may_share_memory(one, other) for one in output.arrays for other in inputs)
    with open(task.output_path, "wb") as file:
        saved.save(file, output)
    return OutputReply(output_path=task.output_path, call_s=call_s, shares=shares)


def _outputs(task: Task, channel: Channel) -> Reply:
    """Leave the result of one call for each of the entropies, one after the other."""
    if task.output_path is None:
        raise ValueError("a task of action 'outputs' needs an output_path")
    kernel, case, _ = _required(task)
    function, base, spent = _load(task), kernel.inputs(case, task.scan_path), 0.0
    with open(task.output_path, "wb") as file:
        for entropy in task.entropies:
            arguments = kernel.fresh(case, base, generator(entropy), task.scan_path)
            call_s, output = clocked(lambda given=arguments: complete(apply(function, given)))  # type: ignore[misc]
            spent += call_s
            saved.save(file, output)
    return OutputReply(output_path=task.output_path, call_s=spent)


def _time(task: Task, channel: Channel) -> Reply:
    _, _, name = _required(task)
    watch = _watch(task, channel)
    arm = timing.measure_arm(watch, name, task.protocol or PROTOCOL)
    return TimeReply(
        timing=arm, calls=_told(task, watch), output_bytes=watch.output_bytes, measured_s=sum(watch.calls_s)
    )


def _copy(task: Task, channel: Channel) -> Reply:
    memory.return_freed_memory()  # so that each fresh target really is fresh
    return timing.time_copy(task.copy_bytes, (task.protocol or PROTOCOL).samples)


def _metered(task: Task, channel: Channel, meter: Callable[[Callable[[], Any], str], Made]) -> tuple[Made, Watch]:
    """Call an implementation once to warm it up, then under a meter."""
    memory.return_freed_memory()
    kernel, _, name = _required(task)
    watch = _watch(task, channel)
    watch.call(small=kernel.warms_up_on_the_smallest(name))
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

    kernel = None if task.case is None else _kernel(task, task.case)
    return CalibrateReply(checks=calibrate(kernel, task.case, task.scan_path), held_s=hold_in_a_subprocess())


def _property(task: Task, channel: Channel) -> Reply:
    if task.property is None:
        raise ValueError("a task of action 'property' needs the name of a property")
    kernel, case, _ = _required(task)
    checked = generic.find(kernel, case, task.property)
    function = _load(task)
    spent = 0.0

    def clocked_calls(*places: Any, **arguments: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        try:
            return function(*places, **arguments)
        finally:
            spent += time.perf_counter() - started

    with tempfile.TemporaryDirectory() as folder:
        again = afresh.Afresh(task, Path(folder), execute)
        found = checked(Tested(clocked_calls, kernel, case, task.scan_path, again, task.may_share))
    return PropertyReply(
        passed=found.passed, figure=found.figure, limit=found.limit, detail=found.detail, measured_s=spent
    )


_ACTIONS = {
    "scan": _scan,
    "output": _output,
    "outputs": _outputs,
    "time": _time,
    "copy": _copy,
    "memory": _memory,
    "timeline": _timeline,
    "calibrate": _calibrate,
    "property": _property,
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
    except NotAvailableError as error:
        return ErrorReply(reason="not_available", message=str(error))
    except UsageError as error:
        return ErrorReply(reason="bad_input", message=str(error))
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
