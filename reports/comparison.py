"""Two runs side by side: what got better or worse beyond noise. Pure."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from reports.plots import timed, with_memory
from reports.policy import Policy
from reports.records import Run
from reports.rows import case_row
from reports.texts import plain
from reports.verdict import Verdict

Change = Literal["better", "worse", "same"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one case in both runs; intervals are after noise."""

    case_id: str
    figure: str
    before: str
    after: str
    change: Change


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
    order = {"worse": 0, "better": 1, "same": 2}
    return tuple(sorted(found, key=lambda item: (order[item.change], item.case_id, item.figure)))


def told(before: tuple[Run, Verdict], after: tuple[Run, Verdict], differences: tuple[Difference, ...]) -> str:
    """Tell the comparison in lines: what differs between the runs, verdicts, figures, counts."""
    (old_run, old), (new_run, new) = before, after
    lines = []
    for name, was, now in (
        ("run", old.run_id, new.run_id),
        ("verdict", old.line.partition(": ")[2], new.line.partition(": ")[2]),
        ("commit", str(old.commit)[:12], str(new.commit)[:12]),
        ("kernel", old.kernel_digest[:12], new.kernel_digest[:12]),
        ("machine", f"{old.cpu_model} {old.machine}", f"{new.cpu_model} {new.machine}"),
        ("scan", old.scan_sha256[:12], new.scan_sha256[:12]),
        ("sweep", old.sweep, new.sweep),
    ):
        lines.append(plain(f"{name:<8} {was}" + ("" if was == now else f"  ->  {now}")).replace("  ->  ", " -> "))
    for old_item in old.criteria:
        new_state = next((item.state for item in new.criteria if item.id == old_item.id), None)
        if new_state is not None and new_state != old_item.state:
            lines.append(f"criterion {old_item.id}: {old_item.state} -> {new_state}")
    for item in differences:
        if item.change != "same":
            lines.append(plain(f"{item.change:<6} {item.case_id}, {item.figure}: {item.before} -> {item.after}"))
    counted = {change: sum(item.change == change for item in differences) for change in ("better", "worse", "same")}
    old_keys, new_keys = ({line.key for line in run.cases} for run in (old_run, new_run))
    lines.append(
        f"beyond noise: {counted['better']} better, {counted['worse']} worse, {counted['same']} within noise; "
        f"{len(old_keys & new_keys)} cases in both, {len(old_keys - new_keys)} only before, "
        f"{len(new_keys - old_keys)} only after"
    )
    return "\n".join(lines)
