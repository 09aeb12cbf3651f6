"""A run from the command line: what it shows, and how it is stopped."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from validation.contract.errors import CommandError, UsageError

if TYPE_CHECKING:
    from validation.run.options import Options

INTERRUPTED = 130


def go(options: Options, as_json: bool) -> None:
    """Run what is asked for, and tell how it went."""
    from validation.gallery.lines import mutant_lines
    from validation.run import progress, summary
    from validation.run.session import run as run_here

    if as_json:
        shown: progress.Progress = progress.JsonProgress()
    else:
        shown = progress.BarProgress() if sys.stdout.isatty() else progress.Progress()
    with shown if isinstance(shown, progress.BarProgress) else contextlib.nullcontext():
        try:
            with _sigterm_as_ctrl_c():
                found = (
                    run_here(options, shown, mutant_lines) if options.cluster is None else _cluster()(options, shown)
                )
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; what was measured is kept, continue with: {options.resume_command()}"
            ) from None
    click.echo(summary.as_json(found) if as_json else summary.one_line(found))


def _cluster() -> Any:
    """Give what runs a sweep on a cluster."""
    try:
        from validation.cluster.session import run_on_cluster
    except ImportError as error:
        raise UsageError(
            f"a run on a cluster needs the extra distributed ({error}); "
            "install it with: pip install 'ptycho-validation[distributed]'"
        ) from None
    return run_on_cluster


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Take the first SIGTERM, by which systemd and Slurm stop a job, for Ctrl-C, and no other.

    A service's whole group gets it, and what called this may pass it on once more.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, before)


class Interrupted(CommandError):
    """The user stopped the command."""

    exit_code = INTERRUPTED
