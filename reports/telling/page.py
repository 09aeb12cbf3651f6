"""Run and verdict in, one self-contained HTML page out."""

from __future__ import annotations

import base64
import datetime
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing import case_plots, context_plots, plots
from reports.drawing.context_plots import Patch, keep_command, worst_patch
from reports.drawing.figure import Plot
from reports.judging.policy import Policy, flat, read_policy
from reports.judging.rows import CaseRow, case_rows
from reports.reading.evidence import JUDGED, Evidence
from reports.reading.records import CalibrationResult, MutantResult, ProbeResult, Run
from reports.reading.verdict import Criterion, Verdict
from reports.telling.texts import counts_line, percent
from reports.telling.words import MEANINGS, SIGNS, STATE_WORDS, TITLES

if TYPE_CHECKING:
    import jinja2

ASSETS = Path(__file__).parents[1].joinpath("assets")
FLAG = "use_batched_patch_extraction"


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


def draw(run: Run, verdict: Verdict, policy: Policy, evidence: tuple[Evidence, ...], patch: Patch | None) -> list[Plot]:
    """All plots that there is data for, in the order of the page."""
    timings = plots.timed(run)
    made = (
        plots.speedup_forest(run, policy, timings),
        plots.memory_forest(run, policy),
        worst_patch(patch) if patch is not None else None,
        case_plots.heat_map(policy, timings),
        *case_plots.costs(run),
        context_plots.timeline(run),
        case_plots.ulp(run),
        context_plots.peers(run),
        context_plots.history(evidence, verdict, policy),
    )
    return [plot for plot in made if plot is not None]


def headline(verdict: Verdict) -> str:
    """Verdict in the words of the page's title."""
    names = {"INSTRUMENT_FAILURE": "No verdict: instrument failure", "NOTHING_RAN": "No verdict: nothing ran"}
    return names.get(verdict.outcome, f"Verdict: {verdict.outcome}")


def because(verdict: Verdict) -> str:
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
    return (
        f"May {verdict.candidate} take the place of the reference, the loop it is measured against? "
        f"{answers[verdict.outcome]}"
    )


def flag(verdict: Verdict) -> str:
    """Say what the verdict means for the flag that selects the batched implementation."""
    if verdict.candidate != JUDGED:
        return f"{FLAG} selects {JUDGED}; this verdict is about {verdict.candidate} and says nothing of the flag."
    if verdict.outcome not in ("ACCEPT", "REJECT"):
        return f"Leave {FLAG} as it is: what is not decided neither flips it nor takes it back."
    sentences = {
        ("ACCEPT", True): f"{FLAG} may be on by default, as soon as this run is recorded (python -m reports record).",
        ("ACCEPT", False): f"Leave {FLAG} as it is: only a nightly sweep with the promised thresholds moves it.",
        ("REJECT", True): f"{FLAG} must not be on: switch it off until what is named below is mended.",
        ("REJECT", False): f"Do not switch {FLAG} on. Where it is on, run the nightly sweep now; if that rejects too, "
        "switch it off.",
    }
    return sentences[verdict.outcome, not (verdict.provisional or verdict.relaxed)]


def reasons(verdict: Verdict) -> tuple[Criterion, ...]:
    """Criteria that kept the verdict from ACCEPT, those that failed first."""
    order = {"fail": 0, "inconclusive": 1, "missing": 2}
    return tuple(sorted((item for item in verdict.criteria if item.state in order), key=lambda item: order[item.state]))


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
    patch: Patch | None = None,
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
    patch : Patch, optional
        The worst patch, where one was kept; the page names the command that keeps one where none was.
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
    rows: list[CaseRow] = case_rows(run)
    script = _asset("tablesort.js") + _asset("page.js")
    values: dict[str, Any] = {
        "run": run,
        "manifest": run.manifest,
        "verdict": verdict,
        "headline": headline(verdict),
        "because": because(verdict),
        "flag": flag(verdict),
        "reasons": reasons(verdict),
        "age": age(verdict.created_at, now or datetime.datetime.now(datetime.timezone.utc)),
        "counts_line": counts_line(verdict),
        "plots": draw(run, verdict, policy or read_policy(), evidence, patch),
        "keep_patch": None if patch is not None else keep_command(run, folder),
        "compared": any(row.max_abs_error is not None for row in rows),
        "history": Markup(history),
        "no_history": no_history,
        "mutants": [line for line in run.lines if isinstance(line, MutantResult)],
        "calibration": [check for line in run.lines if isinstance(line, CalibrationResult) for check in line.checks],
        "probes": [line for line in run.lines if isinstance(line, ProbeResult)],
        "policy": flat(policy or read_policy()),
        "rows": rows,
        "titles": TITLES,
        "meanings": MEANINGS,
        "signs": SIGNS,
        "state_words": STATE_WORDS,
        "csp": content_security_policy(script),
        "style": Markup(style()),
        "script": Markup(script),
        "markup": Markup,
    }
    return environment.get_template("page.html.jinja").render(values)
