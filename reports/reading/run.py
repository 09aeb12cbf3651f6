"""A run folder, read: its manifest and its lines, and the commands that its own command makes."""

from __future__ import annotations

import shlex

from validation.contract.base import Record
from validation.contract.cards import KernelCard
from validation.contract.lines import CaseResult, ResultLine
from validation.contract.manifest import Manifest
from validation.contract.upgrade import PAIRED_VERSIONS


class Run(Record, frozen=True, kw_only=True):
    """A run folder, read: lines in the order of their keys, whatever their order in the file.

    ``elsewhere`` holds the keys of lines that are there, of a machine that is not the one that is judged.
    """

    manifest: Manifest
    lines: tuple[ResultLine, ...]
    elsewhere: frozenset[str] = frozenset()

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        """The lines of cases."""
        return tuple(line for line in self.lines if isinstance(line, CaseResult))

    def card(self, line: CaseResult) -> KernelCard:
        """Card of the kernel of a case."""
        return self.manifest.kernel(line.case.kernel)

    @property
    def first_judged(self) -> str:
        """Id of the case that is judged first; empty where none is."""
        return self.manifest.judged[0].case_id if self.manifest.judged else ""

    @property
    def leading(self) -> KernelCard | None:
        """Card of the kernel that is judged first; where that case has no line, the first card there is."""
        of = next((line.case.kernel for line in self.cases if line.case.case_id == self.first_judged), None)
        cards = self.manifest.kernels
        return next((card for card in cards if card.name == of), cards[0] if cards else None)


def is_paired(manifest: Manifest) -> bool:
    """Whether times of the run are pairs, and are judged as such."""
    return manifest.written_as in PAIRED_VERSIONS


def is_sweep(manifest: Manifest) -> bool:
    """Whether ``validation run`` made the run; what another command made can only be made again by it."""
    return "run" in manifest.command.split() and not is_pair(manifest)


def is_pair(manifest: Manifest) -> bool:
    """Whether a kernel was made of two functions on the command line: only that line makes it again."""
    return any(card.source.pair is not None for card in manifest.kernels)


def repeat_command(manifest: Manifest) -> str:
    """Command that started the run, with a new folder for what it writes."""
    try:
        words = iter(shlex.split(manifest.command))
    except ValueError:
        return manifest.command
    kept = []
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--resume" and not word.startswith("--out="):
            kept.append(word)
    return shlex.join([*kept, "--out", "NEW-DIR"])


def resume_command(manifest: Manifest) -> str:
    """Command that continues the run, from the one that started it; a pair is measured anew."""
    if is_pair(manifest):
        return repeat_command(manifest)
    if not is_sweep(manifest):
        return manifest.command
    return manifest.command if "--resume" in manifest.command else f"{manifest.command} --resume"
