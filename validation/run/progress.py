"""What a run says while it goes on: a bar on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from validation.contract.lines import (
    CalibrationResult,
    CaseResult,
    MutantResult,
    PropertyResult,
    ResultLine,
    SuiteResult,
)
from validation.contract.manifest import Manifest
from validation.run.summary import is_skipped


def name_of(line: ResultLine) -> str:
    """Name a line in the words of its plan."""
    return line.key.replace("|", " ")


def describe_result(line: ResultLine) -> str:
    """Say what a line holds, in a few words."""
    if isinstance(line, CalibrationResult):
        return f"{sum(check.passed for check in line.checks)} of {len(line.checks)} instruments read right"
    if isinstance(line, PropertyResult):
        return line.detail if line.figure is None else f"{line.figure:.1e} of {line.limit or 0.0:.1e}, {line.detail}"
    if isinstance(line, SuiteResult):
        return f"{line.passed} passed, {line.failed} failed, {line.skipped} skipped"
    if isinstance(line, MutantResult):
        return f"rejected by {', '.join(line.rejected_by) or 'nothing'}, must be by {line.expected_criterion}"
    if line.failure is not None:
        return f"{line.failure.reason}: {line.failure.message}"
    if line.measurement is None or line.measurement.equivalence is None:
        return "measured"
    found = line.measurement.equivalence
    against_reference = found.candidate_vs_reference
    to_truth = found.candidate_vs_oracle or against_reference
    worst = None if to_truth is None else to_truth.max_abs_error
    error = "no error figure" if worst is None or to_truth is None else f"error {worst:.1e} to the {to_truth.expected}"
    if against_reference is None or against_reference.identical_share is None:
        return error
    return f"{error}, {100 * against_reference.identical_share:.6g} % of the bits like the reference"


class Progress:
    """Plain lines: one per result when it is on disk."""

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
        scan = "" if manifest.scan is None else f", scan {manifest.scan.name}"
        self._say(f"run {manifest.run_id}: sweep {manifest.sweep}, {total} lines planned{before}{scan}")

    def note(self, text: str) -> None:
        """Tell something out of the ordinary."""
        self._say(text)

    def step(self, text: str) -> None:
        """Tell what is being done now; plain lines leave it out."""

    def work(self, done: int, total: int) -> None:
        """Tell how much of the work is done, the checks of a case counted one by one; plain lines leave it out."""

    def part_done(self, part: CaseResult) -> None:
        """Tell that some checks of a case are on disk; its line comes with the last of them."""
        checks = " and ".join(part.checks)
        self._say(f"[{self.done}/{self.total}] part   {name_of(part)}: {checks} ({part.wall_s:.1f} s)")

    def line_done(self, line: ResultLine, passed: bool) -> None:
        """Tell what a line holds that is now on disk."""
        count = ""
        if not isinstance(line, CalibrationResult):
            self.done += 1
            count = f"[{self.done}/{self.total}] "
        skipped = is_skipped(line)
        self.failed += not passed and not skipped
        state = "ok" if passed else "skip" if skipped else "FAILED"
        took = f" ({line.wall_s:.1f} s)" if isinstance(line, CaseResult) else ""
        self._say(f"{count}{state:6} {name_of(line)}: {describe_result(line)}{took}")


class JsonProgress(Progress):
    """One JSON object per event."""

    def _event(self, event: str, **fields: Any) -> None:
        self._say(json.dumps({"event": event, **fields}, allow_nan=False))

    def begin(self, manifest: Manifest, total: int, done: int) -> None:
        """Tell the run and its size."""
        self._event("begin", run_id=manifest.run_id, sweep=manifest.sweep, lines=total, done=done)

    def note(self, text: str) -> None:
        """Tell something out of the ordinary."""
        self._event("note", text=text)

    def part_done(self, part: CaseResult) -> None:
        """Tell that some checks of a case are on disk."""
        self._event("part", key=part.key, checks=part.checks)

    def line_done(self, line: ResultLine, passed: bool) -> None:
        """Tell what a line holds that is now on disk."""
        failure = line.failure.reason if isinstance(line, CaseResult) and line.failure else None
        self._event("line", key=line.key, passed=passed, failure=failure, text=describe_result(line))


class BarProgress(Progress):
    """A bar with counts, time left and the worst case so far, for a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.console = Console()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[lines]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[step]}", style="dim"),
            console=self.console,
        )
        self.task = self.bar.add_task("starting", total=None, step="", lines="")
        self.worst = 0.0

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
        self.bar.update(self.task, total=total, completed=done, description=manifest.sweep, lines=f"{done}/{total}")

    def work(self, done: int, total: int) -> None:
        """Move the bar, and with it the time left."""
        self.bar.update(self.task, total=total, completed=done)

    def step(self, text: str) -> None:
        """Show what is being done now."""
        self.bar.update(self.task, step=text)

    def line_done(self, line: ResultLine, passed: bool) -> None:
        """Tell what a line holds, and keep the worst error so far in sight."""
        super().line_done(line, passed)
        equivalence = line.measurement.equivalence if isinstance(line, CaseResult) and line.measurement else None
        found = (equivalence.candidate_vs_oracle or equivalence.candidate_vs_reference) if equivalence else None
        if found is not None and found.max_abs_error is not None:
            self.worst = max(self.worst, found.max_abs_error)
        self.bar.update(
            self.task,
            lines=f"{self.done}/{self.total}",
            description=f"{self.failed} failed, worst error {self.worst:.1e}",
            step="",
        )
