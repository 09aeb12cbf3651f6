"""The verdict as text: one line per criterion, ``review.md``, and the summary of a GitHub step. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.reading.verdict import Criterion, Verdict
from reports.telling.words import SIGNS, STATE_WORDS, meaning, title

# What makes Markdown or HTML out of text.
_MARKUP = re.compile(r"([\\`*_\[\]<>|~$&])")


def plain(text: str) -> str:
    """Text on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", plain(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")


def code(text: str) -> str:
    """Text as a code span that cannot be left early."""
    shown = plain(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell(text: str | None) -> str:
    """Code span for a table cell, where a bar must be escaped even in code; a dash for nothing."""
    return code(text).replace("|", "\\|") if text else "-"


def percent(margin: float | None) -> str:
    """Margin to the threshold, signed; in multiples where it is far beyond a limit, a dash where there is none."""
    if margin is None:
        return "-"
    return f"{100 * margin:+.0f} %" if margin > -1.0 else f"{1.0 - margin:.3g} times the limit"


def criterion_line(criterion: Criterion) -> str:
    """One line for the terminal."""
    state = f"{SIGNS[criterion.state]} {STATE_WORDS[criterion.state]}"
    share = f"{criterion.passed}/{criterion.judged}"
    return f"{criterion.id:<17}" + f" {state:<14} {share:>9}  {plain(criterion.finding)}"


def peers_words(verdict: Verdict) -> str:
    """Say which of the failed lines decide nothing."""
    counts = verdict.counts
    which = "all" if counts.failed == counts.failed_peers else f"{counts.failed_peers} of them"
    return f"{which} peers, which decide nothing"


def counts_line(verdict: Verdict) -> str:
    """All denominators in one line."""
    counts = verdict.counts
    peers = f" ({peers_words(verdict)})" if counts.failed_peers else ""
    return (
        f"planned {counts.planned}, ran {counts.ran}, passed {counts.passed}, failed {counts.failed}{peers}, "
        f"skipped {counts.skipped}, missing {counts.missing}"
        + (f", unplanned {counts.unplanned}" if counts.unplanned else "")
    )


def terminal(verdict: Verdict, panel: Sequence[str] = ()) -> str:
    """All lines for the terminal; the panel's and the verdict are the last."""
    lines = [criterion_line(criterion) for criterion in verdict.criteria]
    lines.append(counts_line(verdict))
    lines += [verdict.rule] if verdict.rule else []
    lines += [f"relaxed: {plain(sentence)}" for sentence in verdict.relaxed]
    return "\n".join([*lines, *([""] if panel else []), *panel, verdict.line])


def _source(verdict: Verdict) -> list[str]:
    commit = code(verdict.commit) if verdict.commit else "no commit on record"
    if verdict.commit_subject:
        commit += f" ({escape(verdict.commit_subject)})"
    if verdict.dirty:
        commit += ", with uncommitted changes"
    scan = f", scan {code(verdict.scan)}" if verdict.scan is not None else ""
    reference = [f"- Reference from {code(verdict.reference_path)}"] if verdict.reference_path else []
    first = f", judged case {code(verdict.judged[0].case_id)}" if verdict.judged else ""
    return [
        f"- Candidate {code(verdict.candidate)}, sweep {code(verdict.sweep)}{scan}",
        f"- Commit {commit}",
        f"- Kernel sources {code(verdict.kernel_digest)}",
        *reference,
        f"- Machine {escape(verdict.cpu_model)}, fingerprint {code(verdict.machine)}",
        f"- Run {code(verdict.run_id)} of {escape(verdict.created_at)}{first}",
    ]


def _table(verdict: Verdict) -> list[str]:
    rows = ["| criterion | state | finding | margin | held | worst case |", "|---|---|---|---|---|---|"]
    for item in verdict.criteria:
        rows.append(
            f"| {escape(title(item))} | {SIGNS[item.state]} {STATE_WORDS[item.state]} | {escape(item.finding)} | "
            f"{percent(item.margin)} | {item.passed} of {item.judged} {item.what} | "
            f"{cell(item.worst_case)} |"
        )
    return rows


def _fixes(verdict: Verdict) -> list[str]:
    if not verdict.fixes:
        return []
    lines = ["## Required Fixes", ""]
    for number, (criterion, fix) in enumerate(verdict.fixes, 1):
        where = f" at {code(fix.case_id)}" if fix.case_id else ""
        lines += [f"{number}. **{escape(title(criterion))}**{where}: {escape(fix.action)}", f"   {code(fix.command)}"]
    return [*lines, ""]


def review(verdict: Verdict) -> str:
    """``review.md``: verdict line, required fixes, criteria, provenance."""
    lines = [verdict.line, "", *(f"- relaxed: {escape(sentence)}" for sentence in verdict.relaxed)]
    if verdict.relaxed:
        lines.append("")
    lines += _fixes(verdict)
    lines += ["## Criteria", "", *_table(verdict), "", f"Lines of the run: {counts_line(verdict)}.", ""]
    lines += [f"Here {verdict.rule}.", ""] if verdict.rule else []
    lines += [
        f"- **{escape(title(item))}**: {escape(meaning(item))} Promised: {escape(item.promise)}."
        for item in verdict.criteria
    ]
    lines += ["", "## Where it comes from", "", *_source(verdict), ""]
    return "\n".join(lines)


def step_summary(verdict: Verdict) -> str:
    """Make a summary of a GitHub step: verdict, fixes, table."""
    lines = [
        f"## {verdict.line}",
        "",
        *_fixes(verdict),
        *_table(verdict),
        "",
        f"{counts_line(verdict)}",
        "",
        *_source(verdict),
        "",
    ]
    return "\n".join(lines)
