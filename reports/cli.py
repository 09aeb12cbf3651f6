"""The command line of the reports. Commands import what they need when they run, so that help answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from reports.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from reports.records import Run
    from reports.verdict import Verdict

INTERRUPTED = 130
policy_option = click.option(
    "--policy", metavar="FILE", help="Thresholds other than the promised ones; a looser one marks the verdict RELAXED."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Judge the runs of python -m validation, and draw them."""


def _judged(folder: str, policy: str | None) -> tuple[Run, Verdict]:
    from reports.gate import judge
    from reports.policy import read_policy
    from reports.reader import read_run

    run = read_run(folder)
    return run, judge(run, read_policy(policy), folder)


def _write_verdict(verdict: Verdict, folder: Path) -> None:
    import msgspec

    from reports import files, texts

    files.write(folder / "verdict.json", msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    files.write(folder / "review.md", texts.review(verdict))


@cli.command()
@click.argument("folder", metavar="DIR")
@policy_option
@click.pass_context
def gate(context: click.Context, folder: str, policy: str | None) -> None:
    """Judge the run in DIR, and leave with the verdict's exit code.

    Writes DIR/verdict.json and DIR/review.md. Exit codes: 0 ACCEPT, 1 REJECT, 2 bad input, 3 INCONCLUSIVE,
    4 instrument failure, 5 nothing ran.
    """
    from pathlib import Path

    from reports import texts

    _, verdict = _judged(folder, policy)
    _write_verdict(verdict, Path(folder))
    click.echo(texts.terminal(verdict))
    context.exit(verdict.exit_code)


@cli.command()
@click.argument("folder", metavar="DIR")
@policy_option
def build(folder: str, policy: str | None) -> None:
    """Write DIR/report.html, one file that needs nothing else."""
    from pathlib import Path

    from reports import files
    from reports.page import page

    run, verdict = _judged(folder, policy)
    target = Path(folder) / "report.html"
    files.write(target, page(run, verdict))
    click.echo(f"{verdict.line}\nwrote {target}")


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
