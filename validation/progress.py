"""What a run says while it goes on: a bar on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from typing import IO, Any

from validation.records import CalibrationResult, Case, CaseResult, Manifest


def describe_result(line: CaseResult) -> str:
    """Say what a case gave, in a few words."""
    if line.failure is not None:
        return f"{line.failure.reason}: {line.failure.message}"
    if line.measurement is None or line.measurement.equivalence is None:
        return "measured"
    found = line.measurement.equivalence
    against_reference = found.candidate_vs_reference
    worst = found.candidate_vs_oracle.max_abs_error
    error = "no error figure" if worst is None else f"error {worst:.1e} to the oracle"
    if against_reference is None or against_reference.identical_share is None:
        return error
    return f"{error}, {100 * against_reference.identical_share:.6g} % of the bits like the reference"


class Progress:
    """Plain lines: one per case when it is done."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout
        self.total = 0
        self.done = 0
        self.failed = 0

    def _say(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def begin(self, manifest: Manifest, total: int, done: int) -> None:
        """Tell the run and its size; ``done`` cases were there before."""
        self.total, self.done = total, done
        before = f", {done} already done" if done else ""
        self._say(f"run {manifest.run_id}: sweep {manifest.sweep}, {total} cases{before}, scan {manifest.scan.name}")

    def note(self, text: str) -> None:
        """Tell something out of the ordinary."""
        self._say(text)

    def step(self, text: str) -> None:
        """Tell what is being done now; plain lines leave it out."""

    def calibrated(self, line: CalibrationResult) -> None:
        """Tell that the instruments read right."""
        self._say(f"calibration: {len(line.checks)} instruments read right")

    def case_started(self, case: Case, candidate: str) -> None:
        """Tell that a case starts; plain lines leave it out."""

    def case_done(self, line: CaseResult, passed: bool) -> None:
        """Tell what a case gave."""
        self.done += 1
        self.failed += not passed
        state = "ok" if passed else "FAILED"
        self._say(
            f"[{self.done}/{self.total}] {state:6} {line.case.case_id} {line.candidate}: "
            f"{describe_result(line)} ({line.wall_s:.1f} s)"
        )


class JsonProgress(Progress):
    """One JSON object per event."""

    def _event(self, event: str, **fields: Any) -> None:
        self._say(json.dumps({"event": event, **fields}, allow_nan=False))

    def begin(self, manifest: Manifest, total: int, done: int) -> None:
        """Tell the run and its size."""
        self._event("begin", run_id=manifest.run_id, sweep=manifest.sweep, cases=total, done=done)

    def note(self, text: str) -> None:
        """Tell something out of the ordinary."""
        self._event("note", text=text)

    def calibrated(self, line: CalibrationResult) -> None:
        """Tell that the instruments read right."""
        self._event("calibrated", instruments=len(line.checks))

    def case_done(self, line: CaseResult, passed: bool) -> None:
        """Tell what a case gave."""
        self._event(
            "case",
            case_id=line.case.case_id,
            candidate=line.candidate,
            passed=passed,
            failure=None if line.failure is None else line.failure.reason,
            wall_s=line.wall_s,
        )


class BarProgress(Progress):
    """A bar with counts, time left and the worst case so far, for a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.console = Console()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[step]}", style="dim"),
            console=self.console,
        )
        self.task = self.bar.add_task("starting", total=None, step="")
        self.worst = 0.0
        self.started = time.monotonic()

    def __enter__(self) -> BarProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, manifest: Manifest, total: int, done: int) -> None:
        """Tell the run and its size."""
        super().begin(manifest, total, done)
        self.bar.update(self.task, total=total, completed=done, description=manifest.sweep)

    def step(self, text: str) -> None:
        """Show what is being done now."""
        self.bar.update(self.task, step=text)

    def case_done(self, line: CaseResult, passed: bool) -> None:
        """Tell what a case gave."""
        super().case_done(line, passed)
        equivalence = line.measurement.equivalence if line.measurement else None
        if equivalence is not None and equivalence.candidate_vs_oracle.max_abs_error is not None:
            self.worst = max(self.worst, equivalence.candidate_vs_oracle.max_abs_error)
        self.bar.update(
            self.task, advance=1, description=f"{self.failed} failed, worst error {self.worst:.1e}", step=""
        )
