"""``python -m reports history``: asv's results over the commits, as a page and as a section of the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reports.history.results import History, Point

ASSETS = Path(__file__).parents[1].joinpath("assets")
CONFIG = Path("asv.conf.json")
# The table of values has the newest commits of a long history.
MOST_COLUMNS = 60


def _cell(point: Point, unit: str) -> str:
    from reports.history.results import amount

    return point.state if point.value is None else amount(point.value, unit)


def _render(template: str, history: History) -> str:
    import jinja2
    from markupsafe import Markup

    from reports.history.plots import draw
    from reports.history.results import amount
    from reports.history.steps import changes, losses
    from reports.telling.page import content_security_policy

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    points = [point for series in history.series for point in series.points]
    return environment.get_template(template).render(
        history=history,
        changes=changes(history),
        losses=losses(history),
        first=max(0, len(history.commits) - MOST_COLUMNS),
        plots=draw(history),
        counts={
            state: sum(point.state == state for point in points) for state in ("measured", "failed", "n/a", "not run")
        },
        amount=amount,
        cell=_cell,
        markup=Markup,
        style=Markup((ASSETS / "page.css").read_text(encoding="utf-8")),
        csp=content_security_policy(),
    )


def history_section(history: History) -> str:
    """Make the part of a page that shows a history: HTML of ``<h2>`` and below, plots as inline SVG.

    Parameters
    ----------
    history : History
        See `reports.history.results.read_history`.

    Returns
    -------
    str
        HTML that needs `assets/page.css` and nothing else.
    """
    return _render("history_section.html.jinja", history)


def history_page(history: History) -> str:
    """Make the page that shows a history: HTML that needs no other file and no network."""
    return _render("history.html.jinja", history)


def section_or_reason(results: Path | None) -> tuple[str, str]:
    """Make the history's section of a report, or say why there is none.

    Parameters
    ----------
    results : Path or None
        Folder of asv's results. ``None``: that of ``asv.conf.json`` in the working directory, if it holds any.

    Returns
    -------
    section, reason : str
        One of them is empty.

    Raises
    ------
    InputError
        If a folder is given and no history can be read from it.
    """
    from reports.errors import InputError
    from reports.history.results import NoResultsError, read_history

    if results is not None:
        return history_section(read_history(CONFIG, results=results, last_machine=True)), ""
    if not CONFIG.is_file():
        return "", f"there is no {CONFIG} where this page was built"
    try:
        return history_section(read_history(CONFIG, last_machine=True)), ""
    except NoResultsError:
        return "", "asv has measured nothing here yet"
    except InputError as error:
        return "", str(error)


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), default=CONFIG, show_default=True,
    help="Configuration of asv; its folder is the repository.",
)  # fmt: skip
@click.option("--branch", default="HEAD", show_default=True, help="Whose commits are the history.")
@click.option("--machine", metavar="NAME", help="Whose results, where there are several machines.")
@click.option("--environment", metavar="NAME", help="asv's name of it; by default the one that was measured last.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(".asv/history.html"), show_default=True,
    help="The page to write.",
)  # fmt: skip
def history(config: Path, branch: str, machine: str | None, environment: str | None, output: Path) -> None:
    """Draw asv's results over the commits, and name the commits that changed a level or lost a value.

    Exit codes: 0 the page is written, 2 bad input (no results, several machines to choose from).
    """
    from reports.history.results import amount, read_history
    from reports.history.steps import changes, losses
    from reports.reading import files

    read = read_history(config, branch, machine, environment)
    files.write(output, history_page(read))
    for change in changes(read):
        commit, unit = change.commit, change.series.unit
        click.echo(
            f"{commit.hash[:8]} {commit.author_date[:10]} {'worse' if change.ratio > 1 else 'better'} "
            f"{amount(change.before, unit)} -> {amount(change.after, unit)} ({change.ratio:.3g}x) "
            f"{change.series.label}, held for {change.held} commit{'s' * (change.held != 1)}: {commit.told}"
        )
    for loss in losses(read):
        since = f"back at {loss.back.hash[:8]}" if loss.back else "not since"
        click.echo(
            f"{loss.told} {loss.commit.author_date[:10]} {loss.series.label}, "
            f"{amount(loss.value, loss.series.unit)} at {loss.last.hash[:8]}, {since}: {loss.commit.told}"
        )
    failed = [
        f"{commit.hash[:8]} failed {series.label}"
        for series in read.series
        for commit, point in zip(read.commits, series.points, strict=True)
        if point.state == "failed"
    ]
    click.echo("\n".join([*failed, f"{len(read.commits)} commits, {len(read.series)} series, {len(failed)} failed"]))
    click.echo(f"wrote {output}")
