"""Two runs side by side: what got better or worse beyond noise, and whether that can be told. Pure."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from reports.drawing.plots import timed, with_memory
from reports.drawing.rows import case_row
from reports.judging.policy import Policy
from reports.reading.run import Run
from reports.reading.verdict import Verdict
from reports.telling.texts import plain

Change = Literal["better", "worse", "same"]
Outcome = Literal["not worse", "worse", "undecided"]
EXIT_CODES: dict[Outcome, int] = {"not worse": 0, "worse": 1, "undecided": 3}
_ORDER: tuple[Change, ...] = ("worse", "better", "same")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one case in both runs; intervals are after noise."""

    case_id: str
    figure: str
    before: str
    after: str
    change: Change


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of comparing run A (before) with run B (after).

    ``facts`` and ``criteria`` hold what was before and what is after. ``undecided`` says why the figures at hand do
    not tell everything; where none of them got worse, the outcome is then undecided and not good.
    """

    outcome: Outcome
    exit_code: int
    facts: dict[str, tuple[str, str]]
    criteria: dict[str, tuple[str, str]]
    differences: tuple[Difference, ...]
    counts: dict[str, int]
    undecided: tuple[str, ...]

    @property
    def line(self) -> str:
        """Outcome in one line, with what stands in the way of a better one."""
        because = f": {'; '.join(self.undecided)}" if self.undecided else ""
        return f"COMPARISON: {self.outcome.upper()}{because}"


def _change(before: tuple[float, float], after: tuple[float, float], *, more_is_better: bool) -> Change:
    """Compare two intervals: only where they do not overlap is there a change."""
    if after[0] > before[1]:
        return "better" if more_is_better else "worse"
    if after[1] < before[0]:
        return "worse" if more_is_better else "better"
    return "same"


def _interval(low: float, high: float, unit: str = "x") -> str:
    return f"{low:.3g} to {high:.3g}{unit}"


def _speedups(run: Run) -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for line, warm, cold in timed(run):
        found[line.case.case_id, "speedup, warm calls"] = (warm.judged_lower, warm.judged_upper)
        found[line.case.case_id, "speedup, first call"] = (cold.judged_lower, cold.judged_upper)
    return found


def _peaks(run: Run, policy: Policy) -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for line, figures in with_memory(run, policy):
        if figures.increment is not None and figures.increment_best is not None:
            low = min(figures.increment_best, figures.increment_lower)
            found[line.case.case_id, "peak ratio, what the call adds"] = (low, figures.increment_upper or math.inf)
        found[line.case.case_id, "peak ratio, absolute"] = (figures.absolute_best, figures.absolute)
    return found


def compare(before: Run, after: Run, policy: Policy) -> tuple[Difference, ...]:
    """Find every figure that both runs have, changes first.

    Parameters
    ----------
    before, after : Run
        Of two commits or two machines. Speedups and peak ratios are relative to the reference in the same
        run, so that they can be set side by side.
    policy : Policy
        For the spread of the memory meter.
    """
    found: list[Difference] = []
    for old, new, more_is_better in (
        (_speedups(before), _speedups(after), True),
        (_peaks(before, policy), _peaks(after, policy), False),
    ):
        found += [
            Difference(
                case_id=key[0],
                figure=key[1],
                before=_interval(*old[key]),
                after=_interval(*new[key]),
                change=_change(old[key], new[key], more_is_better=more_is_better),
            )
            for key in old
            if key in new
        ]
    states = {line.key: case_row(line).state for line in before.cases}
    for line in after.cases:
        was, now = states.get(line.key), case_row(line).state
        if was is not None and was != now:
            change: Change = "better" if now == "passed" else "worse" if was == "passed" else "same"
            found.append(
                Difference(
                    case_id=line.case.case_id, figure=f"state of {line.candidate}", before=was, after=now, change=change
                )
            )
    return tuple(sorted(found, key=lambda item: (_ORDER.index(item.change), item.case_id, item.figure)))


def _missing(before: Run, after: Run, policy: Policy, differences: tuple[Difference, ...]) -> list[str]:
    """Say what run A has and run B has not: it may have become worse, and nobody knows."""
    found = []
    lost = {line.key for line in before.cases} - {line.key for line in after.cases}
    if lost:
        found.append(f"{len(lost)} cases of A are not in B")
    figures = _speedups(before).keys() | _peaks(before, policy).keys()
    unmatched = figures - {(item.case_id, item.figure) for item in differences}
    if unmatched:
        found.append(f"{len(unmatched)} figures of A are not in B")
    return found


def judge(before: tuple[Run, Verdict], after: tuple[Run, Verdict], policy: Policy) -> Comparison:
    """Compare two judged runs.

    Returns
    -------
    Comparison
        ``worse`` where a figure got worse beyond noise or a case broke. Else ``undecided`` where the scans differ, an
        instrument failed, no figure is in both, or B lacks what A has. Else ``not worse``.
    """
    (old_run, old), (new_run, new) = before, after
    differences = compare(old_run, new_run, policy)
    undecided = []
    if old.scan_sha256 != new.scan_sha256:
        undecided.append("the runs are of different scans")
    undecided += [
        f"the instruments of {name} do not read right"
        for name, verdict in (("A", old), ("B", new))
        if verdict.outcome == "INSTRUMENT_FAILURE"
    ]
    if not any(item.figure.startswith(("speedup", "peak")) for item in differences):
        undecided.append("no time and no peak is in both runs")
    undecided += _missing(old_run, new_run, policy, differences)
    outcome: Outcome = "undecided" if undecided else "not worse"
    if any(item.change == "worse" for item in differences):
        outcome = "worse"
    old_keys, new_keys = ({line.key for line in run.cases} for run in (old_run, new_run))
    criteria = {item.id: item.state for item in new.criteria}
    return Comparison(
        outcome=outcome,
        exit_code=EXIT_CODES[outcome],
        facts={
            "run": (old.run_id, new.run_id),
            "verdict": (old.line.partition(": ")[2], new.line.partition(": ")[2]),
            "commit": (str(old.commit)[:12], str(new.commit)[:12]),
            "kernel": (old.kernel_digest[:12], new.kernel_digest[:12]),
            "machine": (f"{old.cpu_model} {old.machine}", f"{new.cpu_model} {new.machine}"),
            "scan": ((old.scan_sha256 or "none")[:12], (new.scan_sha256 or "none")[:12]),
            "sweep": (old.sweep, new.sweep),
        },
        criteria={
            item.id: (item.state, criteria[item.id])
            for item in old.criteria
            if item.id in criteria and criteria[item.id] != item.state
        },
        differences=differences,
        counts={
            **{change: sum(item.change == change for item in differences) for change in ("better", "worse", "same")},
            "in both": len(old_keys & new_keys),
            "only before": len(old_keys - new_keys),
            "only after": len(new_keys - old_keys),
        },
        undecided=tuple(undecided),
    )


def _counts(found: Comparison) -> str:
    return (
        f"beyond noise: {found.counts['better']} better, {found.counts['worse']} worse, {found.counts['same']} within "
        f"noise; {found.counts['in both']} cases in both, {found.counts['only before']} only before, "
        f"{found.counts['only after']} only after"
    )


def told(found: Comparison) -> str:
    """Tell the comparison in lines: what differs between the runs, verdicts, figures, counts, outcome."""
    lines = []
    for name, (was, now) in found.facts.items():
        lines.append(plain(f"{name:<8} {was}" + ("" if was == now else f"  ->  {now}")).replace("  ->  ", " -> "))
    lines += [f"criterion {name}: {was} -> {now}" for name, (was, now) in found.criteria.items()]
    for item in found.differences:
        if item.change != "same":
            lines.append(plain(f"{item.change:<6} {item.case_id}, {item.figure}: {item.before} -> {item.after}"))
    return "\n".join([*lines, _counts(found), found.line])


def _cell(text: str) -> str:
    """Text that stays in its cell of a Markdown table, and is no markup there."""
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def markdown(found: Comparison) -> str:
    """Make the table that a pull request shows."""
    lines = [f"### {found.line}", "", "| | A | B |", "|---|---|---|"]
    lines += [f"| {name} | {_cell(was)} | {_cell(now)} |" for name, (was, now) in found.facts.items()]
    lines += [f"| criterion {name} | {was} | {now} |" for name, (was, now) in found.criteria.items()]
    changed = [item for item in found.differences if item.change != "same"]
    if changed:
        lines += ["", "| change | case | figure | A | B |", "|---|---|---|---|---|"]
    signs = {"worse": "✗ worse", "better": "✓ better"}
    for item in changed:
        cells = (signs[item.change], *map(_cell, (item.case_id, item.figure, item.before, item.after)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _counts(found), ""])
