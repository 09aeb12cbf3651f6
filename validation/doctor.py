"""Looks at the machine before it is trusted: what there is, and what would make a run untrustworthy."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from validation.contract.base import Record
from validation.contract.tasks import CalibrateReply, Task
from validation.kernels import registry
from validation.kernels.registry import Kernels
from validation.machine import limits, surroundings
from validation.measure.runner import Answer, LocalExecutor, Mode
from validation.run import provenance
from validation.subject.scans import materialise, peek

State = Literal["ok", "warn", "bad"]
LOAD_PER_CORE = 0.25
FREE_MEMORY_GIB = 4.0
FREE_DISK_GIB = 10.0  # a case keeps up to three outputs of up to 3 GiB


class Finding(Record, frozen=True, kw_only=True):
    """One thing looked at. ``warn`` makes results noisy or incomplete, ``bad`` makes a run impossible."""

    state: State
    subject: str
    text: str


def _finding(subject: str, text: str, *, warn: bool = False, bad: bool = False) -> Finding:
    return Finding(state="bad" if bad else "warn" if warn else "ok", subject=subject, text=text)


def look_at_machine() -> list[Finding]:
    """Look at processor, load, memory, disk and versions; quick, starts nothing."""
    machine = provenance.describe_machine()
    load = os.getloadavg()[0] / machine.cores
    free = limits.available_bytes() / 2**30
    room = limits.memory_room()
    disk = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    versions = provenance.describe(provenance.Sources(), {}).versions
    governor = machine.governor or "not readable (a virtual machine, or no frequency scaling)"
    return [
        _finding("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        _finding("machine", f"{machine.cpu_model}, {machine.cores} cores, fingerprint {machine.fingerprint}"),
        _finding(
            "governor",
            governor
            + ("; times drift with the clock, set it to performance" if machine.governor == "powersave" else ""),
            warn=machine.governor == "powersave",
        ),
        _finding(
            "load",
            f"{load:.2f} per core over the last minute"
            + ("; other work doubles times, wait until it is below 0.25" if load > LOAD_PER_CORE else ""),
            warn=load > LOAD_PER_CORE,
        ),
        _finding(
            "memory",
            f"{free:.1f} GiB available"
            + ("; large cases will be skipped" if free < FREE_MEMORY_GIB else "")
            + f" of {machine.memory_bytes / 2**30:.1f} GiB"
            + ("" if room is None else f"; the limit of this job, container or shell leaves {room / 2**30:.1f} GiB"),
            warn=free < FREE_MEMORY_GIB,
        ),
        _finding(
            "disk",
            f"{disk:.1f} GiB free for outputs in {tempfile.gettempdir()}"
            + ("; the full sweep needs more, set TMPDIR" if disk < FREE_DISK_GIB else ""),
            warn=disk < FREE_DISK_GIB,
        ),
        _look_at_meter(),
        _look_at_environment(),
        _finding(
            "threads",
            ", ".join(f"{name}={value}" for name, value in surroundings.settings_on_record(machine.cores).items()),
        ),
    ]


def _look_at_environment() -> Finding:
    cleared = surroundings.cleared()
    return _finding("environment", surroundings.cleared_note(cleared) or "nothing that changes allocators or compilers")


def _look_at_meter() -> Finding:
    clear_refs, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if os.access(clear_refs, os.W_OK) and status.is_file() and "VmHWM" in status.read_text():
        return _finding("memory meter", "high-water mark of the system (VmHWM), exact to pages")
    return _finding(
        "memory meter", "memory_profiler by sampling: short peaks can be missed, this system has no VmHWM", warn=True
    )


def look_at_children(start: Mode) -> list[Finding]:
    """Start children, and calibrate the instruments in one of them."""
    kernels = Kernels(registry.built_in())
    scan = peek(None)
    cases = [planned.case for kernel in kernels if (sweep := kernel.sweep("smoke", scan, 0)) for planned in sweep.cases]
    case = min(cases, key=lambda case: case.work)
    with (
        tempfile.TemporaryDirectory(prefix="validation-") as name,
        LocalExecutor(
            Path(name), mode=start, threads=limits.usable_cores(), memory_limit_bytes=None, preload=kernels.preload
        ) as executor,
    ):
        scan_path = materialise(None, Path(name))
        read = executor.run(Task(action="scan", scan_path=scan_path), 120.0)
        if read.failure is not None:
            return [_finding("children", _why(read), bad=True)]
        calibrated = executor.run(
            Task(action="calibrate", sources=kernels.sources, case=case, scan_path=scan_path), 300.0
        )
    started = _finding("children", f"{start}: start, read a scan and reply in {read.wall_s:.2f} s")
    if not isinstance(calibrated.reply, CalibrateReply):
        return [started, _finding("calibration", _why(calibrated), bad=True)]
    checks = [
        _finding(
            f"calibration: {check.instrument}",
            f"expected {check.expected:g} {check.unit}, measured {check.measured:g} "
            f"(allowed deviation {100 * check.limit:g} %)",
            bad=not check.passed,
        )
        for check in calibrated.reply.checks
    ]
    return [started, *checks]


def _why(answer: Answer) -> str:
    failure = answer.failure
    return "no reply of the right kind" if failure is None else f"{failure.reason}: {failure.message}"


def lines(findings: list[Finding]) -> list[str]:
    """Tell the findings, and at the end what they mean for a run."""
    told = [f"{finding.state:4} {finding.subject}: {finding.text}" for finding in findings]
    bad, warned = ([finding for finding in findings if finding.state == state] for state in ("bad", "warn"))
    if bad:
        told.append(f"a run would end as an instrument failure: {', '.join(finding.subject for finding in bad)}")
    elif warned:
        told.append(f"a run would be noisy or incomplete: {', '.join(finding.subject for finding in warned)}")
    else:
        told.append("nothing here makes a run untrustworthy")
    return told
