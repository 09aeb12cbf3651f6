"""Run and verdict in, one self-contained HTML page out."""

from __future__ import annotations

import base64
import datetime
import hashlib
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing import case_plots, context_plots, cost_plots, plots
from reports.drawing.figure import Plot
from reports.drawing.parameters import columns, filtered, head
from reports.drawing.rows import CaseRow, case_rows
from reports.drawing.worst_part import Part, keep_command, worst_part
from reports.judging.criterion import Context
from reports.judging.policy import Policy, flat, read_policy, tolerance
from reports.reading.evidence import Evidence, subject
from reports.reading.run import Run, is_paired, is_sweep
from reports.reading.verdict import Criterion, Fix, Verdict
from reports.telling import panel as panels
from reports.telling.texts import counts_line, percent
from reports.telling.words import SIGNS, STATE_WORDS, TITLES, meaning, title
from validation.contract.lines import CalibrationResult, MutantResult, PropertyResult

if TYPE_CHECKING:
    import jinja2

ASSETS = Path(__file__).parents[1].joinpath("assets")


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def style() -> str:
    """Style sheet of all pages."""
    return _asset("page.css")


def content_security_policy(*scripts: str) -> str:
    """Policy that lets in the given scripts and nothing else; nothing may leave the page."""
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    return (
        f"default-src 'none'; script-src {' '.join(hashes) or chr(39) + 'none' + chr(39)}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def templates() -> jinja2.Environment:
    """Give the templates; everything put into them is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def draw(run: Run, verdict: Verdict, policy: Policy, evidence: tuple[Evidence, ...], part: Part | None) -> list[Plot]:
    """All plots that there is data for, in the order of the page."""
    timings = plots.timed(run)
    made = (
        plots.speedup_forest(run, policy, timings),
        plots.memory_forest(run, policy),
        worst_part(part) if part is not None else None,
        case_plots.heat_map(run, policy, timings),
        *cost_plots.costs(run),
        context_plots.timeline(run),
        case_plots.ulp(run),
        context_plots.peers(run),
        context_plots.history(evidence, verdict),
    )
    return [plot for plot in made if plot is not None]


def headline(verdict: Verdict) -> str:
    """Verdict in the words of the page's title."""
    names = {"INSTRUMENT_FAILURE": "No verdict: instrument failure", "NOTHING_RAN": "No verdict: nothing ran"}
    return names.get(verdict.outcome, f"Verdict: {verdict.outcome}")


def because(verdict: Verdict, run: Run | None = None) -> str:
    """Question that the verdict answers, and its answer."""
    if verdict.outcome == "NOTHING_RAN":
        return "No case ran, so there is nothing to judge."
    if verdict.outcome == "INSTRUMENT_FAILURE":
        return "The instruments do not read what is known, so no number of this run counts."
    answers = {
        "ACCEPT": "Yes, every judged criterion holds.",
        "REJECT": "No.",
        "INCONCLUSIVE": "Not known yet: nothing failed, but not everything is decided.",
    }
    pair = next((card.source.pair for card in run.manifest.kernels), None) if run is not None else None
    asked = f"May {verdict.candidate} take the place of the reference that it is measured against?"
    if pair is not None:
        asked = f"May {pair.fast} take the place of {pair.slow}?"
    return f"{asked} {answers[verdict.outcome]}"


def flag(verdict: Verdict) -> str:
    """Say what the verdict means for the flag that the recorded verdicts are for; empty of other kernels."""
    name, selected = subject().flag, subject().candidate
    if not subject().is_of(verdict):
        return ""
    if verdict.candidate != selected:
        return f"{name} selects {selected}; this verdict is about {verdict.candidate} and says nothing of the flag."
    if verdict.outcome not in ("ACCEPT", "REJECT"):
        return f"Leave {name} as it is: what is not decided neither flips it nor takes it back."
    sentences = {
        ("ACCEPT", True): f"{name} may be on by default, as soon as this run is recorded (python -m reports record).",
        ("ACCEPT", False): f"Leave {name} as it is: only a nightly sweep with the promised thresholds moves it.",
        ("REJECT", True): f"{name} must not be on: switch it off until what is named below is mended.",
        ("REJECT", False): f"Do not switch {name} on. Where it is on, run the nightly sweep now; if that rejects too, "
        "switch it off.",
    }
    return sentences[verdict.outcome, not (verdict.provisional or verdict.relaxed)]


def worth(verdict: Verdict) -> str:
    """Say what a verdict is worth."""
    if verdict.outcome not in ("ACCEPT", "REJECT", "INCONCLUSIVE"):
        return "Nothing: there is no verdict."
    if verdict.relaxed:
        return "It is no evidence: the thresholds are looser than promised."
    if verdict.provisional:
        return f"The {verdict.sweep} sweep is small: its verdict is a hint and no evidence."
    return "It is evidence for these sources on this machine."


def next_step(verdict: Verdict, context: Context) -> Fix:
    """Say the one thing to do now, with its command; an empty one where there is none."""
    open_ones = reasons(verdict)
    fixes = [fix for criterion in open_ones for fix in criterion.fixes]
    if fixes:
        return fixes[0]
    if verdict.outcome != "ACCEPT":
        return Fix(action="Look at the machine before you measure again.", command="python -m validation doctor")
    if verdict.provisional and is_sweep(context.run.manifest):
        return Fix(action="For evidence, measure the nightly sweep.", command=context.nightly)
    if subject().is_of(verdict) and not verdict.relaxed and is_sweep(context.run.manifest):
        return Fix(action="Record it as evidence.", command=f"python -m reports record {shlex.quote(context.folder)}")
    return Fix(action="Nothing is open.", command="")


def reasons(verdict: Verdict) -> tuple[Criterion, ...]:
    """Criteria that kept the verdict from ACCEPT, those that failed first."""
    order = {"fail": 0, "inconclusive": 1, "missing": 2}
    return tuple(sorted((item for item in verdict.criteria if item.state in order), key=lambda item: order[item.state]))


def thresholds(run: Run, verdict: Verdict, policy: Policy) -> dict[str, object]:
    """Give every threshold that the run was held to, by a name: what was promised, and how it must have measured."""
    found: dict[str, object] = {}
    for card in run.manifest.kernels:
        found[f"atol of {card.name}"] = tolerance(card, policy).atol
        found |= {f"rtol of {card.name}": card.rtol} if card.rtol else {}
        if card.coverage is not None:
            covered = {**card.coverage.values, "defects": card.coverage.defects, "versions": card.coverage.versions}
            found |= {f"{name} that {card.name} covers": values for name, values in covered.items() if values}
    for item in verdict.judged:
        found[f"{item.criterion} at {item.case_id}"] = "nothing promised" if item.promise is None else item.promise
        found |= {f"{item.criterion} from": item.min_work} if item.min_work is not None else {}
    measured = {name: value for name, value in flat(policy).items() if name.startswith(("speed.", "memory."))}
    return found | measured


def age(created_at: str, now: datetime.datetime) -> str:
    """How long ago, in days; empty where the date cannot be read."""
    try:
        created = datetime.datetime.fromisoformat(created_at.replace("Z", "+00:00"))
    except ValueError:
        return ""
    if created.tzinfo is None:
        created = created.replace(tzinfo=datetime.timezone.utc)
    days = (now - created).days
    return "less than a day ago" if days < 1 else "1 day ago" if days == 1 else f"{days} days ago"


def page(
    run: Run,
    verdict: Verdict,
    policy: Policy | None = None,
    *,
    folder: str = "DIR",
    now: datetime.datetime | None = None,
    evidence: tuple[Evidence, ...] = (),
    part: Part | None = None,
    history: str = "",
    no_history: str = "none was asked for",
) -> str:
    """Make the page.

    Parameters
    ----------
    run : Run
    verdict : Verdict
        Of that run.
    policy : Policy, optional
        The one it was judged by; the promised one if left out.
    folder : str
        Folder of the run as the user names it; commands carry it.
    now : datetime, optional
        With a time zone; the age of the run is counted to it.
    evidence : tuple of Evidence
        Recorded verdicts, for the history.
    part : Part, optional
        The worst part of a result, where one was kept; the page names the command that keeps one where none was.
    history : str, optional
        HTML of the history across commits (see `reports.history.page.history_section`).
    no_history : str
        Why there is none.

    Returns
    -------
    str
        HTML that needs no other file and no network.
    """
    from markupsafe import Markup

    environment = templates()
    tiles = panels.panel(run, verdict)
    rows: list[CaseRow] = case_rows(run)
    policy = policy or read_policy()
    shown = columns(run.manifest)
    words = {at for row in rows for at, value in enumerate(row.parameters) if isinstance(value, bool | str)}
    script = _asset("tablesort.js") + _asset("page.js")
    values: dict[str, Any] = {
        "run": run,
        "manifest": run.manifest,
        "verdict": verdict,
        "headline": headline(verdict),
        "because": because(verdict, run),
        "tiles": tiles,
        "interval_width": panels.WIDTH,
        "interval_height": panels.HEIGHT,
        "summary": panels.summary(tiles, verdict),
        "next": next_step(verdict, Context(run=run, policy=policy or read_policy(), folder=folder)),
        "worth": worth(verdict),
        "flag": flag(verdict),
        "reasons": reasons(verdict),
        "age": age(verdict.created_at, now or datetime.datetime.now(datetime.timezone.utc)),
        "counts_line": counts_line(verdict),
        "plots": draw(run, verdict, policy, evidence, part),
        "keep_part": None if part is not None else keep_command(run, folder),
        "compared": any(row.max_abs_error is not None for row in rows),
        "history": Markup(history),
        "no_history": no_history,
        "mutants": [line for line in run.lines if isinstance(line, MutantResult)],
        "calibration": [check for line in run.lines if isinstance(line, CalibrationResult) for check in line.checks],
        "properties": [line for line in run.lines if isinstance(line, PropertyResult)],
        "thresholds": thresholds(run, verdict, policy),
        "rows": rows,
        "columns": [(one.name, head(one), at not in words) for at, one in enumerate(shown)],
        "filters": [(one.name, head(one)) for one in shown if one.name in filtered(run.manifest)],
        "in_pairs": is_paired(run.manifest),
        "title": title,
        "meaning": meaning,
        "titles": TITLES | {criterion.id: title(criterion) for criterion in verdict.criteria},
        "signs": SIGNS,
        "state_words": STATE_WORDS,
        "csp": content_security_policy(script),
        "style": Markup(style()),
        "script": Markup(script),
        "markup": Markup,
    }
    return environment.get_template("page.html.jinja").render(values)
