"""The command line of the sweep. Commands import what they need when they run, so that help answers at once."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

import click

from validation.contract.errors import CommandError, InstrumentError, UsageError
from validation.subject.scan.command import reading_options, take_reading

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure kernels and their candidates, each case in a process of its own.

    What is measured is judged by python -m reports.
    """


def filters(command: Any) -> Any:
    """Options that choose among the cases of a sweep."""
    for option in reversed(
        (
            click.option("-k", "text", metavar="WORDS", help="Keep cases whose id contains each of these words."),
            click.option("--N", "N", type=int, multiple=True, help="Keep this patch size; may be repeated."),
            click.option("--gridsize", type=int, multiple=True, help="Keep this grid size."),
            click.option("--batch", type=int, multiple=True, help="Keep this number of groups."),
            click.option("--dtype", type=click.Choice(["complex64", "complex128"]), multiple=True),
            click.option("--kernel", type=click.Choice(["patch_extraction", "reassembly"]), multiple=True),
        )
    ):
        command = option(command)
    return command


def where(command: Any) -> Any:
    """Options that say what is measured and how its processes start."""
    for option in reversed(
        (
            click.option(
                "--sweep",
                default="quick",
                show_default=True,
                help="A built-in sweep or a TOML file.",
            ),
            click.option(
                "--data", metavar="SCAN", help="Scan to take object and positions from, of any known format [built-in]."
            ),
            click.option("--ptycho", metavar="PATH", help="Folder that holds the ptycho package to measure."),
            click.option("--candidate", default="batched", show_default=True, help="What is judged."),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        )
    ):
        command = option(command)
    return command


def clusters(command: Any) -> Any:
    """Options that name a Dask cluster to run on, and how it is reached."""
    for option in reversed(
        (
            click.option("--scheduler", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler."),
            click.option("--local-cluster", "local_workers", type=click.IntRange(min=1), metavar="N",
                         help="Run on a Dask cluster of N workers on this machine."),
            click.option("--cluster", "cluster_class", metavar="MODULE:CLASS",
                         help="Run on a cluster that this class makes, such as dask_jobqueue:SLURMCluster."),
            click.option("--cluster-options", "class_options", metavar="YAML", help="Arguments of the class."),
            click.option("--tls-ca-file", metavar="PEM", help="Certificate authority of the cluster."),
            click.option("--tls-cert", metavar="PEM", help="Certificate of this run."),
            click.option("--tls-key", metavar="PEM", help="Its key."),
            click.option("--worker-wait", "worker_wait_s", type=click.FloatRange(min=0), default=600.0,
                         show_default=True, metavar="SECONDS", help="How long a cluster may be without workers."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


CLUSTER_OPTIONS = (
    "scheduler",
    "local_workers",
    "cluster_class",
    "class_options",
    "tls_ca_file",
    "tls_cert",
    "tls_key",
)


@cli.command()
@where
@reading_options
@filters
@clusters
@click.option("--out", required=True, metavar="DIR", help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Continue the run that the folder holds.")
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the kernels [all usable cores].")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=600.0, show_default=True)
@click.option("--memory-limit", "memory_limit_gib", type=click.FloatRange(min=0, min_open=True), metavar="GIB",
              help="Memory that one child may take [80 % of what is available].")  # fmt: skip
@click.option("--keep-env", multiple=True, metavar="NAME",
              help="Keep a variable that changes allocators or compilers; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Tell the progress as JSON lines.")
def run(as_json: bool, memory_limit_gib: float | None, worker_wait_s: float, **values: Any) -> None:
    """Run a sweep, and append one line per case to DIR/results.jsonl.

    It runs on this machine, or on a Dask cluster named by one of --scheduler, --local-cluster and --cluster.
    """
    from validation.run import progress, summary
    from validation.run.declaration import ClusterOptions, Options
    from validation.run.session import run as run_sweep

    of_cluster = {name: values.pop(name) for name in CLUSTER_OPTIONS}
    asked = any(value is not None for value in of_cluster.values())
    options = Options(
        cluster=ClusterOptions(worker_wait_s=worker_wait_s, **of_cluster) if asked else None,
        command=shlex.join(["python", "-m", "validation", *sys.argv[1:]]),
        memory_limit_bytes=None if memory_limit_gib is None else int(memory_limit_gib * 2**30),
        reading=take_reading(values),
        **values,
    )
    if as_json:
        shown: progress.Progress = progress.JsonProgress()
    else:
        shown = progress.BarProgress() if sys.stdout.isatty() else progress.Progress()
    with shown if isinstance(shown, progress.BarProgress) else contextlib.nullcontext():
        try:
            with _sigterm_as_ctrl_c():
                found = run_sweep(options, shown)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; what was measured is kept, continue with: {options.resume_command()}"
            ) from None
    click.echo(summary.as_json(found) if as_json else summary.one_line(found))


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


@cli.command("list")
@where
@reading_options
@filters
@click.option("--json", "as_json", is_flag=True, help="One JSON object per case.")
def list_cases(as_json: bool, **values: Any) -> None:
    """List the cases of a sweep, with what they are predicted to take."""
    from validation.run import listing

    click.echo("\n".join(listing.lines(as_json=as_json, reading=take_reading(values), **values)))


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(folder: str, as_json: bool) -> None:
    """Count what the run in DIR has done, and what is left."""
    from pathlib import Path

    from validation.run import results, summary

    found = summary.summarise(results.RunFolder.open(Path(folder)))
    click.echo(summary.as_json(found) if as_json else summary.one_line(found))


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--format", "form", type=click.Choice(["parquet", "csv"]), default="csv", show_default=True)
@click.option("--out", metavar="FILE", help="File to write [DIR/results.FORMAT].")
def export(folder: str, form: Any, out: str | None) -> None:
    """Write the cases of the run in DIR as a flat table."""
    from pathlib import Path

    from validation.run.export import export as write_table
    from validation.run.results import RunFolder

    target = Path(out) if out else Path(folder) / f"results.{form}"
    count = write_table(RunFolder.open(Path(folder)), form, target)
    click.echo(f"wrote {count} cases to {target}")


@cli.command()
@click.argument("case_id", metavar="CASE-ID")
@click.option("--from", "source", metavar="DIR", help="Run whose scan, candidate and figures to take.")
@click.option("--data", metavar="SCAN", help="Scan, where it is not the run's.")
@reading_options
@click.option("--ptycho", metavar="PATH", help="Folder that holds the ptycho package to measure.")
@click.option("--candidate", help="What is compared [the run's, or batched].")
@click.option("--probe", metavar="NAME", help="Ask this probe again, instead of comparing outputs.")
@click.option("--entropy", metavar="HEX", help="Take the inputs of the timed call that drew these digits.")
@click.option("--out", default="reproduced", show_default=True, metavar="DIR", help="Folder for the worst patch.")
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=1800.0, show_default=True)
def reproduce(case_id: str, **values: Any) -> None:
    """Rerun one case alone, with the same bits, and show where its outputs differ."""
    from validation.run import reproduce as reproducing

    found = reproducing.reproduce(case_id, reading=take_reading(values), **values)
    click.echo("\n".join(reproducing.lines(found)))


@cli.command()
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding.")
def doctor(start: Any, as_json: bool) -> None:
    """Look at this machine, and say what would make a run untrustworthy."""
    import msgspec

    from validation import doctor as examining

    findings = [*examining.look_at_machine(), *examining.look_at_children(start)]
    told = [msgspec.json.encode(finding).decode() for finding in findings] if as_json else examining.lines(findings)
    click.echo("\n".join(told))
    if any(finding.state == "bad" for finding in findings):
        sys.exit(InstrumentError.exit_code)


@cli.command()
@click.option("--out", required=True, metavar="DIR", help="Folder for the run folders of the mutants.")
@click.option("--only", multiple=True, metavar="NAME", help="Run this mutant; may be repeated.")
@click.option("--candidate", default="batched", show_default=True, help="The true candidate, which must pass.")
@click.option("--ptycho", metavar="PATH", help="Folder that holds the ptycho package to measure.")
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
def mutants(**values: Any) -> None:
    """Run the known-bad implementations, and see the gate reject each for its own reason."""
    from validation.gallery import command as known_bad

    sound, told = known_bad.show(**values)
    click.echo("\n".join(told))
    if not sound:
        sys.exit(InstrumentError.exit_code)


@cli.command()
@click.argument("folder", metavar="DIR")
def peers(folder: str) -> None:
    """Show what the run in DIR measured of the peers, beside the candidate.

    Measure them first with: python -m validation run --sweep peers --out DIR
    """
    from pathlib import Path

    from validation.run.peer_table import lines
    from validation.run.results import RunFolder

    click.echo("\n".join(lines(RunFolder.open(Path(folder)))))


@cli.command()
@click.argument("file", metavar="FILE")
@reading_options
@click.option("--write", metavar="OUT.npz", help="Write the scan in our own form.")
@click.option("--picture", metavar="OUT.png", help="Draw the positions on the object.")
def scan(file: str, write: str | None, picture: str | None, **values: Any) -> None:
    """Tell what the scan in FILE is read as: format, object, positions, and what is odd."""
    from validation.subject.scan.command import show

    click.echo("\n".join(show(file, take_reading(values), write, picture)))


@cli.command("demo-data")
@click.argument("path", default="demo.npz")
def demo_data(path: str) -> None:
    """Write the built-in scan to PATH."""
    from pathlib import Path

    from validation.subject.demo_scan import write_demo_scan

    target = Path(path)
    if target.suffix != ".npz":
        raise UsageError(f"PATH must end in .npz, got {path}")
    try:
        write_demo_scan(str(target))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    click.echo(f"wrote {path}; measure it with: python -m validation run --data {shlex.quote(path)} --out runs/demo")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the manifest and of the result lines."""
    from validation.contract.schema import schema_text

    click.echo(schema_text(), nl=False)


def _outcome(error: Exception) -> tuple[str, int]:
    """Give the line and the exit code that an error ends with."""
    if isinstance(error, click.ClickException):
        return error.format_message(), 2
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    return f"{type(error).__name__}: {error} (run with --debug for the traceback)", 2


def main() -> None:
    """Run the command line; the one place where exceptions end."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter must not try to flush into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            traceback.print_exc()
        message, code = _outcome(error)
        click.echo(f"error: {' '.join(message.split())}", err=True)
        sys.exit(code)
