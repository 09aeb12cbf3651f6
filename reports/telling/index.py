"""All runs under a folder on one page: verdict, trend and age."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from reports.drawing.context_plots import Point, trend
from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.evidence import moment
from reports.reading.reader import MANIFEST, read_manifest, read_run
from reports.reading.run import Run
from reports.telling.page import ASSETS, content_security_policy, style, templates
from reports.telling.texts import plain

# One night may be missed; where the second is as well, nights have stopped.
STALE_DAYS = 2


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run, judged by the promised thresholds, or the reason why it could not be read."""

    folder: str
    line: str
    outcome: str
    created_at: str = ""
    sweep: str = ""
    scan: str = ""
    commit: str = ""
    machine: str = ""
    failing: tuple[str, ...] = ()
    speedup: float | None = None
    promised: float | None = None
    peak_ratio: float | None = None
    has_report: bool = False
    provisional: bool = False

    @property
    def link(self) -> str:
        """Address of the run's report from the index."""
        return f"{quote(self.folder)}/report.html"


def _read(folder: Path) -> Run:
    """Read a run; of one with several machine classes the lines of the one that it was declared on."""
    try:
        return read_run(folder)
    except InputError as error:
        with contextlib.suppress(InputError):
            return read_run(folder, read_manifest(folder).provenance.machine.fingerprint)
        raise error


def entries(runs: Path) -> tuple[Entry, ...]:
    """Judge every run right under a folder, newest first; runs that cannot be read come last.

    Raises
    ------
    InputError
        If there is no such folder, or no run in it.
    """
    if not runs.is_dir():
        raise InputError(f"RUNS must be a folder that holds runs, but there is no folder {runs}")
    policy = read_policy()
    found = []
    for folder in sorted(path.parent for path in runs.glob(f"*/{MANIFEST}")):
        try:
            verdict = judge(_read(folder), policy, str(folder))
        except InputError as error:
            found.append(Entry(folder=folder.name, line=plain(f"cannot be read: {error}"), outcome="UNREADABLE"))
            continue
        criteria = {item.id: item for item in verdict.criteria}
        speed, memory = criteria.get("speed"), criteria.get("memory")
        found.append(
            Entry(
                folder=folder.name,
                line=verdict.line,
                outcome=verdict.outcome,
                created_at=verdict.created_at,
                sweep=verdict.sweep,
                scan=verdict.scan or "",
                commit=verdict.commit or "",
                machine=verdict.cpu_model,
                failing=verdict.rejected_by,
                speedup=speed.value if speed else None,
                promised=speed.threshold if speed else None,
                peak_ratio=memory.value if memory else None,
                has_report=(folder / "report.html").is_file(),
                provisional=verdict.provisional,
            )
        )
    if not found:
        raise InputError(f"{runs} must hold runs, but none of its folders has a {MANIFEST}")
    return tuple(sorted(found, key=lambda item: moment(item.created_at), reverse=True))


def _utc(created_at: str) -> datetime.datetime | None:
    """Read a date, in UTC; ``None`` where it is none."""
    found = moment(created_at).astimezone(datetime.timezone.utc)
    return found if found.year > 1 else None


def _date(created_at: str) -> str:
    """Date and minute in UTC; as it stands where it cannot be read."""
    at = _utc(created_at)
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else created_at


def _stamp(created_at: str) -> str:
    """Give a date as scripts read it; empty where it cannot be read."""
    at = _utc(created_at)
    return at.isoformat() if at else ""


def index_page(
    found: tuple[Entry, ...],
    now: datetime.datetime | None = None,
    *,
    nights: str = "nightly",
    stale_days: int = STALE_DAYS,
) -> str:
    """Make the page of all runs; the trend is that of runs that are not provisional, if there are any.

    Dates stand in the page, ages do not: a script counts them by the clock of whoever looks, and warns where the newest
    night is too old. Without scripts the page says by when the next night is due.

    Parameters
    ----------
    found : tuple of Entry
        Newest first, as `entries` gives them.
    now : datetime, optional
        When the page is made.
    nights : str
        Sweep of the nights.
    stale_days : int
        How old the newest night may become before nights have stopped, days.
    """
    from markupsafe import Markup

    now = now or datetime.datetime.now(datetime.timezone.utc)
    serious = [entry for entry in found if not entry.provisional]
    points = [
        Point(
            created_at=entry.created_at,
            outcome=f"{entry.outcome}, provisional" if entry.provisional else entry.outcome,
            commit=entry.commit[:8],
            speedup=entry.speedup,
        )
        for entry in (serious or found)
        if entry.speedup is not None
    ]
    promised = next((entry.promised for entry in found if entry.promised is not None), None)
    night = next((entry.created_at for entry in found if entry.sweep == nights and _utc(entry.created_at)), "")
    due = moment(night) + datetime.timedelta(days=stale_days) if night else now
    script = (ASSETS / "index.js").read_text(encoding="utf-8")
    return (
        templates()
        .get_template("index.html.jinja")
        .render(
            entries=found,
            date=_date,
            stamp=_stamp,
            made=now.isoformat(),
            night=night,
            nights=nights,
            stale_days=stale_days,
            due=due.isoformat(),
            plot=trend(points, promised, "Speedup of the runs"),
            csp=content_security_policy(script),
            script=Markup(script),
            style=Markup(style()),
            markup=Markup,
        )
    )
