"""What the criteria share: the run they look at, when a line holds, and the commands of required fixes."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

from reports.judging.comparisons import comparison_fault, comparisons
from reports.judging.policy import Policy, Tolerance, judged, tolerance
from reports.reading.run import Run, is_pair, is_sweep, repeat_command, resume_command
from reports.reading.verdict import Fix, State
from validation.contract.cards import Coverage
from validation.contract.cases import Judged
from validation.contract.lines import (
    CalibrationResult,
    CaseResult,
    MutantResult,
    PropertyResult,
    ResultLine,
    SuiteResult,
)

# At most this many required fixes are spelled out per criterion; the rest is counted.
SHOWN_FIXES = 5
SKIPPED = ("skipped_memory", "not_available")
# Failures of these arms say nothing about the candidate; what belongs to no arm is the copy of the output.
OTHER_ARMS = ("reference", "oracle", None)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be judged, the policy, and the run's folder as the user names it."""

    run: Run
    policy: Policy
    folder: str

    def find(self, case_id: str) -> CaseResult | None:
        """Line of the judged candidate at a case."""
        key = f"{case_id}|{self.run.manifest.candidate}"
        return next((line for line in self.run.cases if line.key == key and line.role == "candidate"), None)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Figures that are judged, with what they are held to."""
        return judged(self.run.manifest, self.policy)

    @property
    def coverages(self) -> dict[str, Coverage]:
        """What a verdict that is evidence must cover, by kernel; of kernels that ask for it."""
        return {card.name: card.coverage for card in self.run.manifest.kernels if card.coverage is not None}

    def tolerance(self, line: CaseResult) -> Tolerance:
        """Tolerance that is promised of a case."""
        return tolerance(self.run.card(line), self.policy)

    @property
    def optional_keys(self) -> frozenset[str]:
        """Keys the run may leave out."""
        return frozenset(item.key for item in self.run.manifest.planned if item.optional)

    def reproduce(
        self, case_id: str, candidate: str | None = None, property: str | None = None, entropy: str | None = None
    ) -> str:
        """Command that compares the outputs of one case again, and keeps its worst part for the page.

        Parameters
        ----------
        case_id : str
        candidate : str, optional
            Another implementation than the judged one.
        property : str, optional
            A property to check again, instead of the comparison.
        entropy : str, optional
            Of the inputs of a timed call, instead of the case's own.
        """
        folder = shlex.quote(self.folder)
        words = ["python -m validation reproduce", shlex.quote(case_id), "--from", folder]
        if candidate not in (None, self.run.manifest.candidate):
            words += ["--candidate", shlex.quote(str(candidate))]
        words += ["--entropy", entropy] if entropy else []
        words += ["--property", shlex.quote(property)] if property else ["--out", f"{folder}/patches"]
        return " ".join(words)

    def measure(self, case_id: str) -> str:
        """Command that times one case again and reads its memory."""
        return self._run(f"-k {shlex.quote(case_id)}")

    @property
    def resume(self) -> str:
        """Command that runs what is missing."""
        return resume_command(self.run.manifest)

    @property
    def again(self) -> str:
        """Command that makes a new run of the same sweep."""
        return self._run()

    @property
    def nightly(self) -> str:
        """Command that measures everything, for the same candidate on the same scan."""
        return self._run(sweep="nightly")

    def _run(self, *options: str, sweep: str | None = None) -> str:
        manifest = self.run.manifest
        if is_pair(manifest):
            return repeat_command(manifest)
        if sweep is None and not is_sweep(manifest):
            return manifest.command
        scan, origin = manifest.scan, manifest.provenance
        folders = dict.fromkeys(card.source.folder for card in manifest.kernels if card.source.folder is not None)
        words = ["--sweep", shlex.quote(sweep or manifest.sweep)]
        words += [] if scan is None or scan.path is None else ["--data", shlex.quote(scan.path)]
        words += [] if scan is None else [shlex.quote(word) for word in scan.reading]
        for folder in folders:
            words += ["--kernel-folder", shlex.quote(folder)]
        words += ["--candidate", shlex.quote(manifest.candidate)]
        words += [] if origin.package_path == "installed" else ["--package", shlex.quote(origin.package_path)]
        words += ["--seed", str(manifest.seed)] if manifest.seed else []
        return " ".join(["python -m validation run", *words, *options, "--out NEW-DIR"])


def was_skipped(line: ResultLine) -> bool:
    """Whether a case was not started."""
    return isinstance(line, CaseResult) and line.failure is not None and line.failure.reason in SKIPPED


def line_passed(line: ResultLine) -> bool:
    """Whether a line holds, by its own tolerance."""
    if isinstance(line, CaseResult):
        return line.failure is None and all(comparison_fault(item) is None for item in comparisons(line))
    if isinstance(line, CalibrationResult):
        return bool(line.checks) and all(check.passed for check in line.checks)
    if isinstance(line, MutantResult):
        return line.caught
    if isinstance(line, SuiteResult):
        return line.failed == 0 and line.passed > 0
    return isinstance(line, PropertyResult) and line.passed


def shown(fixes: list[Fix]) -> tuple[Fix, ...]:
    """Keep the first fixes, and say in the last one how many more there are."""
    if len(fixes) <= SHOWN_FIXES:
        return tuple(fixes)
    last = fixes[SHOWN_FIXES - 1]
    more = f"{last.action} (and {len(fixes) - SHOWN_FIXES} more like it in the table of cases)"
    return (*fixes[: SHOWN_FIXES - 1], msgspec.structs.replace(last, action=more))


def absent(context: Context, case_id: str, check: Literal["timing", "memory"]) -> tuple[State, str] | None:
    """Say why a case has no figure; ``None`` if it has one.

    The candidate that ran out of memory needs too much of it, and one that hit the time limit is too slow:
    those are failures, the rest is missing evidence.
    """
    line = context.find(case_id)
    if line is None:
        return "missing", "the case was not measured"
    if line.failure is not None:
        reason = line.failure.reason
        mine = line.failure.arm not in OTHER_ARMS
        if mine and (check, reason) in (("memory", "out_of_memory"), ("timing", "timeout")):
            return "fail", f"candidate {line.candidate} gave no result ({reason})"
        return "missing", f"the case gave no result ({reason})"
    if line.measurement is None or getattr(line.measurement, check) is None:
        return "missing", "the case was not timed" if check == "timing" else "the memory of the case was not measured"
    return None
