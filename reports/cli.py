"""The command line of the reports. Commands import what they need when they run, so that help answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from reports.errors import InputError
from reports.history.page import history

if TYPE_CHECKING:
    from pathlib import Path

    from reports.reading.run import Run
    from reports.reading.verdict import Verdict

INTERRUPTED = 130
policy_option = click.option(
    "--policy",
    metavar="FILE",
    help="Thresholds and promises of your own; looser than the run's they mark the verdict RELAXED.",
)
machine_option = click.option(
    "--machine", metavar="FINGERPRINT", help="Judge the lines of this machine class; a cluster may have several."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Judge the runs of python -m validation, and draw them."""


def _judged(folder: str, policy: str | None, machine: str | None = None) -> tuple[Run, Verdict]:
    from pathlib import Path

    from reports.judging.gate import judge
    from reports.judging.policy import read_policy
    from reports.reading.reader import read_run

    folder = str(Path(folder))
    run = read_run(folder, machine)
    return run, judge(run, read_policy(policy), folder)


def _write_verdict(verdict: Verdict, folder: Path) -> None:
    import msgspec

    from reports.reading import files
    from reports.telling import machine_formats, texts

    files.write(folder / "verdict.json", msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    files.write(folder / "review.md", texts.review(verdict))
    files.write(folder / "junit.xml", machine_formats.junit(verdict))
    files.write(folder / "badge.svg", machine_formats.badge(verdict))
    files.write(folder / "summary.md", texts.step_summary(verdict))
    _add_to_step_summary(texts.step_summary(verdict))


def _add_to_step_summary(text: str) -> None:
    """Add to the summary of a job of GitHub Actions, where this is one."""
    if step := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(step, "a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise InputError(f"GITHUB_STEP_SUMMARY {step} cannot be written: {error.strerror or error}") from None


@cli.command()
@click.argument("folder", metavar="DIR")
@policy_option
@machine_option
@click.pass_context
def gate(context: click.Context, folder: str, policy: str | None, machine: str | None) -> None:
    """Judge the run in DIR, and leave with the verdict's exit code.

    Writes verdict.json, review.md, junit.xml, badge.svg and summary.md (also to GITHUB_STEP_SUMMARY) in DIR.
    Exit codes: 0 ACCEPT, 1 REJECT, 2 bad input, 3 INCONCLUSIVE, 4 instrument failure, 5 nothing ran.
    """
    from pathlib import Path

    from reports.telling import panel, texts

    run, verdict = _judged(folder, policy, machine)
    _write_verdict(verdict, Path(folder))
    click.echo(texts.terminal(verdict, panel.lines(panel.panel(run, verdict))))
    context.exit(verdict.exit_code)


@cli.command()
@click.argument("folder", metavar="DIR")
@policy_option
@machine_option
@click.option(
    "--history",
    "results",
    metavar="RESULTS",
    help="Folder of asv's results, drawn as the history [that of ./asv.conf.json, if it holds any].",
)
def build(folder: str, policy: str | None, machine: str | None, results: str | None) -> None:
    """Write DIR/report.html, one file that needs nothing else.

    Parts of results that python -m validation reproduce left in DIR/patches are drawn: the worst of them.
    """
    from pathlib import Path

    from reports.drawing.worst_part import read_part
    from reports.history.page import section_or_reason
    from reports.judging.policy import read_policy
    from reports.reading import files
    from reports.reading.evidence import recorded
    from reports.telling.page import page

    run, verdict = _judged(folder, policy, machine)
    target = Path(folder) / "report.html"
    section, reason = section_or_reason(Path(results) if results is not None else None)
    html = page(
        run,
        verdict,
        read_policy(policy),
        folder=str(Path(folder)),
        evidence=recorded(),
        part=read_part(run, Path(folder)),
        history=section,
        no_history=reason,
    )
    files.write(target, html)
    click.echo(f"{verdict.line}\nwrote {target}")


@cli.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--machine-a", metavar="FINGERPRINT", help="Machine class of A, where it has several.")
@click.option("--machine-b", metavar="FINGERPRINT", help="Machine class of B, where it has several.")
@click.option("--json", "as_json", is_flag=True, help="Write the comparison as JSON, all figures included.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Write the table of a pull request.")
@click.pass_context
def compare(
    context: click.Context,
    before: str,
    after: str,
    machine_a: str | None,
    machine_b: str | None,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Tell what got better or worse beyond noise from run A to run B.

    The table also goes to GITHUB_STEP_SUMMARY. Exit codes: 0 nothing got worse, 1 something did, 2 bad input,
    3 undecided: other scans, an instrument that failed, no figure in both, or B lacks what A has.
    """
    import msgspec

    from reports.judging.policy import read_policy
    from reports.telling import comparison

    if as_json and as_markdown:
        raise InputError("--json and --markdown exclude each other")
    old, new = _judged(before, None, machine_a), _judged(after, None, machine_b)
    found = comparison.judge(old, new, read_policy())
    _add_to_step_summary(comparison.markdown(found))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        click.echo(comparison.markdown(found) if as_markdown else comparison.told(found))
    context.exit(found.exit_code)


@cli.command()
@click.argument("folder", metavar="RUNS")
@click.option("--nights", default="nightly", show_default=True, metavar="SWEEP", help="Sweep of the nights.")
@click.option(
    "--stale-days", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
    help="The page warns where the newest night is older when somebody looks at it.",
)  # fmt: skip
def index(folder: str, nights: str, stale_days: int) -> None:
    """Write RUNS/index.html: verdict, trend and age of every run under RUNS."""
    from pathlib import Path

    from reports.reading import files
    from reports.telling.index import entries, index_page

    found = entries(Path(folder))
    target = Path(folder) / "index.html"
    files.write(target, index_page(found, nights=nights, stale_days=stale_days))
    for entry in found:
        click.echo(f"{entry.folder}: {entry.line}")
    click.echo(f"wrote {target}")


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--into", metavar="VERDICTS", help="Folder of the recorded verdicts [reports/verdicts].")
@machine_option
def record(folder: str, into: str | None, machine: str | None) -> None:
    """Record the verdict of the run in DIR as evidence, by the promised thresholds.

    Refused where it is none: provisional, of uncommitted sources, or no verdict at all.
    """
    from pathlib import Path

    from reports.reading import evidence

    _, verdict = _judged(folder, None, machine)
    path = evidence.record(verdict, evidence.RECORDED if into is None else Path(into))
    click.echo(f"{verdict.line}\nrecorded {path}")


@cli.command()
@click.argument("folder", metavar="RUNS")
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N", help="How many of the newest stay.")
@click.option("--sweep", default="nightly", show_default=True, help="Remove runs of this sweep only.")
@click.option("--spare", metavar="DIR", help="A run that stays, whatever its date says.")
def prune(folder: str, keep: int, sweep: str, spare: str | None) -> None:
    """Remove the oldest runs of a sweep under RUNS.

    Stay: the newest N, what a process is writing, what a recorded verdict rests on, and whatever is no run.
    """
    from pathlib import Path

    from reports.reading import retention

    removed = retention.prune(Path(folder), keep, sweep=sweep, spare=None if spare is None else Path(spare))
    for name in removed:
        click.echo(f"removed {name}")
    click.echo(f"removed {len(removed)} runs of the sweep {sweep}")


@cli.command()
@click.option("--runs", type=click.IntRange(min=1), default=20_000, show_default=True, help="Simulated runs.")
@click.option("--seed", default=0, show_default=True, help="Of the simulation.")
def simulate(runs: int, seed: int) -> None:
    """Tell how often the rule for times errs and decides, by true ratio, in simulated runs.

    Per cent of ACCEPT, REJECT and INCONCLUSIVE for five kinds of noise, recorded times among them;
    docs/evidence/operating-characteristics.txt holds the tables.
    """
    from reports.operating_characteristics import table

    click.echo(table(runs, seed), nl=False)


cli.add_command(history)


def main() -> None:
    """Run the command line; the one place where exceptions end."""
    debug = "--debug" in sys.argv[1:]
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        message = error.format_message()
    except InputError as error:
        message = str(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        if not debug:
            message += " (run with --debug for the traceback)"
    if debug:
        traceback.print_exc()
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)
