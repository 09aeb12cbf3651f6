"""Compare two commits with ``asv continuous``, and never pass what was not compared.

Exit codes: 0 nothing is slower or hungrier, or both commits have the same kernels, 1 something is (named), 2 bad
arguments, a side that failed, or nothing compared. A finding has to show twice: what looks worse is measured once
more on both commits.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

SAME, WORSE, NOT_COMPARED = 0, 1, 2
STOPPED = 130
FOLDER = Path(".asv", "compare")
# What a commit's kernels are made of: the sources, and what says how they are built.
KERNELS = ("ptycho", "pyproject.toml")


class CannotCompareError(Exception):
    """No comparison was made; the message says why and what to do."""


def _commit(name):
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if found.returncode:
        raise CannotCompareError(
            f"a commit of this repository is expected, got {name!r}; in a shallow clone run git fetch --unshallow"
        )
    return found.stdout.strip()


def has_same_kernels(base, head):
    """Whether both commits have the same `KERNELS`, by the digests that git itself keeps."""

    def digests(commit):
        names = [f"{commit}:{name}" for name in KERNELS]
        done = subprocess.run(["git", "rev-parse", *names], cwd=ROOT, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    return digests(base) is not None and digests(base) == digests(head)


def _measure(config, commits, machine, patterns):
    """Run ``asv continuous`` on (base, head) into a results folder of its own; return both sides' outcomes."""
    from asv.benchmarks import Benchmarks
    from asv.commands.continuous import Continuous
    from asv.machine import Machine
    from asv.results import iter_results_for_machine_and_hash
    from asv.util import UserError

    from asv_bench.judge import DEFAULT_FACTOR, outcomes

    # Nothing of an earlier comparison may stand in for a side that fails in this one.
    shutil.rmtree(config.results_dir, ignore_errors=True)
    machine_file = str(Path(config.results_dir).parent / "machine.json")
    values = Machine.get_defaults() | {"machine": machine}
    Machine.load(_path=machine_file, machine_name=machine, **values)
    base, head = commits
    try:
        Continuous.run(
            config, branch=head, base=base, factor=DEFAULT_FACTOR, bench=list(patterns) or None, machine=machine,
            show_stderr=True, record_samples=True, _machine_file=machine_file,
        )  # fmt: skip
        known = Benchmarks.load(config)
    except UserError as error:
        raise CannotCompareError(f"asv could not run: {error}") from error
    sides = []
    for commit in commits:
        files = list(iter_results_for_machine_and_hash(config.results_dir, machine, commit))
        sides.append(
            outcomes(
                files[0] if files else None,
                known,
                lambda label: not patterns or any(re.search(pattern, label) for pattern in patterns),
            )
        )
    return sides


def compare(base, head, machine, patterns=(), same=False):
    """Measure two commits and return the `asv_bench.judge.Comparison`; what is worse has shown twice.

    Commits with the same kernels are measured only if ``same`` says so; else the answer is None.

    Raises
    ------
    CannotCompareError
        If a name is no commit, both are the same, or asv cannot run at all.
    """
    import dataclasses

    from asv.config import Config
    from asv.console import log

    from asv_bench.judge import judge

    commits = _commit(base), _commit(head)
    if commits[0] == commits[1]:
        raise CannotCompareError(f"two different commits are expected, but {base} and {head} are both {commits[0][:8]}")
    if not same and has_same_kernels(*commits):
        return None
    os.chdir(ROOT)
    log.enable()
    config = Config.load("asv.conf.json")
    config.results_dir = str(ROOT / FOLDER / "results")
    first = judge(*_measure(config, commits, machine, patterns))
    if not first.worse or first.failed or first.vanished:
        return first
    click.echo(f"{len(first.worse)} look worse; measuring them once more")
    again = judge(*_measure(config, commits, machine, [f"^{re.escape(finding.name)}$" for finding in first.worse]))
    confirmed = {finding.name for finding in again.worse}
    return dataclasses.replace(
        first,
        worse=tuple(finding for finding in first.worse if finding.name in confirmed),
        failed=again.failed,
    )


def report(result):
    """Lines that say what came of a comparison, and its exit code."""
    lines = []
    for title, findings in (("worse", result.worse), ("better", result.better)):
        lines += [
            f"{title}: {finding.name} {finding.base:.4g} -> {finding.head:.4g} {finding.unit} ({finding.ratio:.2f}x)"
            for finding in findings
        ]
    lines += [f"failed: {name}" for name in result.failed]
    lines += [f"vanished: {name} was measured at the base and does not apply at the head" for name in result.vanished]
    lines.append(
        f"{result.compared} compared: {len(result.worse)} worse, {len(result.better)} better; "
        f"{len(result.failed)} failed, {len(result.vanished)} vanished, {len(result.not_available)} n/a"
    )
    if result.failed or result.vanished:
        lines.append("not compared as a whole: mend what failed, or withdraw its benchmark")
        return lines, NOT_COMPARED
    if not result.compared:
        lines.append("nothing was compared: no benchmark applies to both commits")
        return lines, NOT_COMPARED
    return lines, WORSE if result.worse else SAME


def table(result, lines):
    """Markdown for a pull request: the last line as a heading, and a row for each finding and failure."""
    rows = [
        (title, finding.name, f"{finding.base:.4g}", f"{finding.head:.4g} {finding.unit}", f"{finding.ratio:.2f}x")
        for title, findings in (("✗ worse", result.worse), ("✓ better", result.better))
        for finding in findings
    ]
    rows += [("✗ failed", name, "", "", "") for name in result.failed]
    rows += [("✗ vanished", name, "measured", "n/a", "") for name in result.vanished]
    made = ["### bench-compare", "", lines[-1], ""]
    if rows:
        made += ["| change | benchmark | base | head | ratio |", "|---|---|---|---|---|"]
        made += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*made, ""])


def _tell(lines, markdown):
    """Print the lines; leave the table in `FOLDER`, and in the summary of a job of GitHub Actions."""
    click.echo("\n".join(lines))
    target = ROOT / FOLDER / "summary.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(markdown)
    if step := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(step, "a") as file:
            file.write(markdown)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("base")
@click.argument("head", default="HEAD")
@click.option(
    "-b",
    "--bench",
    "patterns",
    multiple=True,
    metavar="REGEX",
    help="Only benchmarks whose name with parameters matches.",
)
@click.option("--machine", metavar="NAME", help="Name of this machine; by default its processor and cores.")
@click.option("--same", is_flag=True, help="Measure also where both commits have the same kernels.")
def main(base, head, patterns, machine, same):
    """Measure the commits BASE and HEAD and say what became slower or hungrier.

    Commits are measured, not the working tree; those with the same kernels (ptycho and pyproject.toml) are not.
    Exit codes: 0 nothing worse, 1 something worse, 2 not compared, 130 stopped.
    """
    from asv_bench.machine import machine_name

    dirty = subprocess.run(["git", "status", "--porcelain", "--", "ptycho"], cwd=ROOT, capture_output=True, text=True)
    if dirty.stdout.strip():
        click.echo("note: ptycho has changes that are not committed; they are not measured", err=True)
    try:
        result = compare(base, head, machine or machine_name(), patterns, same)
        if result is None:
            told = f"{base} and {head} have the same {' and '.join(KERNELS)}: nothing to measure"
            lines, code, markdown = [told], SAME, f"### bench-compare\n\n{told}\n"
        else:
            lines, code = report(result)
            markdown = table(result, lines)
        _tell(lines, markdown)
    except CannotCompareError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(NOT_COMPARED)
    except KeyboardInterrupt:  # click would end with 1
        click.echo("error: stopped; nothing was compared", err=True)
        sys.exit(STOPPED)
    except Exception as error:  # a crash of the tool is no statement about the commits; 1 would be one
        click.echo(f"error: {type(error).__name__}: {' '.join(str(error).split())}", err=True)
        sys.exit(NOT_COMPARED)
    sys.exit(code)


if __name__ == "__main__":
    main()
