"""The command line of the sweep. Commands import what they need when they run, so that help answers at once."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from typing import Any

import click

from validation.command_options import CLUSTER_OPTIONS, clusters, filters, processes, where
from validation.command_options import kernels as kernel_options
from validation.contract.errors import CommandError, InstrumentError, UsageError
from validation.running import INTERRUPTED, go
from validation.subject.package import package_option
from validation.subject.scan.command import reading_options, take_reading


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure kernels and their candidates, each case in a process of its own.

    What is measured is judged by python -m reports.
    """


@cli.command()
@where
@reading_options
@filters
@clusters
@processes
def run(as_json: bool, memory_limit_gib: float | None, worker_wait_s: float, **values: Any) -> None:
    """Run a sweep, and append one line per case to DIR/results.jsonl.

    It runs on this machine, or on a Dask cluster named by one of --scheduler, --local-cluster and --cluster.
    """
    from validation.run.options import ClusterOptions, Options

    of_cluster = {name: values.pop(name) for name in CLUSTER_OPTIONS}
    asked = any(value is not None for value in of_cluster.values())
    options = Options(
        cluster=ClusterOptions(worker_wait_s=worker_wait_s, **of_cluster) if asked else None,
        command=_command(),
        memory_limit_bytes=_bytes(memory_limit_gib),
        reading=take_reading(values),
        **values,
    )
    go(options, as_json)


@cli.command()
@click.option("--slow", required=True, metavar="MODULE:FUNCTION", help="The trusted function.")
@click.option("--fast", required=True, metavar="MODULE:FUNCTION", help="The one that may replace it.")
@click.option(
    "--inputs",
    required=True,
    metavar="MODULE:FUNCTION",
    help="Makes the arguments of both: make(rng, size) gives a dict or a tuple.",
)
@click.option(
    "--sizes",
    default="100,1000",
    show_default=True,
    metavar="N,N,...",
    help="Sizes that results are compared at; the largest is timed.",
)
@click.option(
    "--atol", type=float, default=0.0, show_default=True, help="Absolute tolerance of real and complex numbers."
)
@click.option("--rtol", type=float, default=0.0, show_default=True, help="Relative tolerance.")
@click.option("--min-speedup", type=float, metavar="X", help="Promised least speedup, warm [none: it is only told].")
@click.option("--cold", type=float, metavar="X", help="Promised least speedup of a first call [none].")
@click.option("--max-memory", type=float, metavar="X", help="Promised largest ratio of the peaks of memory [none].")
@click.option(
    "--path",
    multiple=True,
    metavar="PATH",
    help="Folder that comes first where modules are looked for [the working folder].",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@clusters
@processes
def pair(as_json: bool, memory_limit_gib: float | None, worker_wait_s: float, **values: Any) -> None:
    """Measure a slow function and a fast one of any package; python -m reports gate DIR judges them.

    
    python -m validation pair --slow scipy.signal:convolve2d --fast mypkg:convolve \
        --inputs my_inputs:make --min-speedup 10 --out runs/pair
    """
    from validation.run.options import ClusterOptions, Options, pair_options

    of_cluster = {name: values.pop(name) for name in CLUSTER_OPTIONS}
    asked = any(value is not None for value in of_cluster.values())
    options = Options(
        sweep="pair",
        cluster=ClusterOptions(worker_wait_s=worker_wait_s, **of_cluster) if asked else None,
        command=_command(),
        memory_limit_bytes=_bytes(memory_limit_gib),
        pair=pair_options(values),
        **values,
    )
    go(options, as_json)


def _command() -> str:
    return shlex.join(["python", "-m", "validation", *sys.argv[1:]])


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * 2**30)


@cli.command("list")
@where
@reading_options
@filters
@click.option("--json", "as_json", is_flag=True, help="One JSON object per case.")
def list_cases(as_json: bool, **values: Any) -> None:
    """List the cases of a sweep, with what they are predicted to take."""
    from validation.run import listing
    from validation.run.options import Options

    options = Options(out="", command=_command(), reading=take_reading(values), **values)
    click.echo("\n".join(listing.lines(options, as_json=as_json)))


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
@package_option
@click.option("--kernel-folder", multiple=True, metavar="PATH", help="Folder that holds kernels of yours.")
@click.option("--candidate", help="What is compared [the run's, or the first of the kernel].")
@click.option("--property", "--probe", "property", metavar="NAME",
              help="Check this property again, instead of comparing outputs.")  # fmt: skip
@click.option("--entropy", metavar="HEX", help="Take the inputs of the timed call that drew these digits.")
@click.option("--out", default="reproduced", show_default=True, metavar="DIR", help="Folder for the worst part.")
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=1800.0, show_default=True)
def reproduce(case_id: str, **values: Any) -> None:
    """Rerun one case alone, with the same bits, and show where its outputs differ."""
    from validation.run import reproduce as reproducing

    asked = reproducing.Asked(case_id=case_id, reading=take_reading(values), **values)
    found = reproducing.reproduce(asked)
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
@kernel_options
@click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True)
def mutants(only: tuple[str, ...], **values: Any) -> None:
    """Run the known-bad implementations, and see the gate reject each for its own reason."""
    from validation.gallery import command as known_bad
    from validation.run.options import Options

    sound, told = known_bad.show(Options(sweep="", command=_command(), **values), only)
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
    from validation.contract.lines import schema_text

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
