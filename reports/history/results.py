"""asv's results of one machine and environment, in the order of git."""

from __future__ import annotations

import itertools
import math
import subprocess
from pathlib import Path
from typing import Any, Literal

import msgspec

from reports.errors import InputError

State = Literal["measured", "failed", "n/a", "not run"]
_MERGED_TOLD = 3


class NoResultsError(InputError):
    """asv has measured nothing here yet."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of the main line; ``author_date`` is ISO 8601.

    A merge has in ``merged`` what it brought to the main line, newest first, each as hash and subject.
    """

    hash: str
    author_date: str
    subject: str
    merged: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The subject; of a merge also what it merged, at most three of it."""
        if not self.merged:
            return self.subject
        more = f"; and {len(self.merged) - _MERGED_TOLD} more" if len(self.merged) > _MERGED_TOLD else ""
        count = f"{len(self.merged)} commit{'s' * (len(self.merged) != 1)}"
        return f"{self.subject} (merge of {count}: {'; '.join(self.merged[:_MERGED_TOLD])}{more})"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark gave at one commit. ``value`` is a number exactly if it was measured."""

    state: State
    value: float | None = None
    samples: tuple[float, ...] = ()


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark with one combination of parameters; one point per commit of the history."""

    benchmark: str
    params: str
    unit: str
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        """Benchmark and parameters."""
        return f"{self.benchmark}({self.params})" if self.params else self.benchmark


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All series, oldest commit first. ``left_out`` counts result files that are not part of it."""

    machine: str
    environment: str
    commits: tuple[Commit, ...]
    series: tuple[Series, ...]
    left_out: int


def amount(value: float, unit: str) -> str:
    """Value with its unit, three digits."""
    if unit == "bytes":
        return f"{value / 2**30:.3g} GiB" if value >= 2**30 else f"{value / 2**20:.3g} MiB"
    if unit == "seconds":
        return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    return f"{value:.3g}"


def _commits(root: Path, branch: str) -> list[Commit]:
    """List the main line of a branch (the first parents of its tip), oldest first.

    A level changes on the main line where a merge brings the change, not at the commits of the side branch, which
    the graph does not order against those of the main line.
    """
    done = subprocess.run(
        ["git", "log", "--topo-order", "--format=%H%x00%P%x00%aI%x00%s", "--end-of-options", branch, "--"],
        cwd=root, capture_output=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    if done.returncode:
        raise InputError(f"--branch must name a commit or branch of {root}, got {branch!r}")
    # Not splitlines: a subject may hold any other character that ends a line somewhere.
    fields = (line.split("\0") for line in done.stdout.split("\n") if line)
    log = {name: (parents.split(), date, subject) for name, parents, date, subject in fields}
    rank = {name: place for place, name in enumerate(log)}
    main_line = []
    name = next(iter(log), None)
    while name in log:  # a shallow clone ends at a parent that it does not have
        main_line.append(name)
        name = next(iter(log[name][0]), None)
    reached: set[str] = set()
    found = []
    for name in reversed(main_line):
        brought, to_visit = [], [name]
        while to_visit:
            visited = to_visit.pop()
            if visited in log and visited not in reached:
                reached.add(visited)
                brought.append(visited)
                to_visit += log[visited][0]
        parents, date, subject = log[name]
        merged = sorted((other for other in brought if other != name), key=rank.__getitem__) if len(parents) > 1 else []
        found.append(
            Commit(
                hash=name,
                author_date=date,
                subject=subject,
                merged=tuple(f"{other[:8]} {log[other][2]}" for other in merged),
            )
        )
    return found


def _chosen(what: str, option: str, names: list[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in names:
        raise InputError(f"{option} must be one of {', '.join(names)}, got {wanted!r}")
    if wanted is None and len(names) > 1:
        raise InputError(f"results of {len(names)} {what}s are not mixed: choose one by {option}: {', '.join(names)}")
    return wanted or names[0]


def _latest_machine(results_dir: str, names: list[str]) -> str:
    """Machine that was measured last; of those without a result the first."""
    from asv.results import iter_results_for_machine  # type: ignore[import-untyped]

    def latest(name: str) -> float:
        started = [at for result in iter_results_for_machine(results_dir, name) for at in result.started_at.values()]
        return max((at or 0 for at in started), default=0)

    return max(names, key=latest)


def _latest_environment(results: list[Any]) -> str:
    """Environment that was measured last."""
    latest = max(results, key=lambda result: max((at or 0 for at in result.started_at.values()), default=0))
    return str(latest.env_name)


def _point(value: float | None, samples: list[float] | None) -> Point:
    if value is None:
        return Point(state="failed")
    if math.isnan(value):
        return Point(state="n/a")
    return Point(state="measured", value=float(value), samples=tuple(samples or ()))


def _points(result: Any, known: Any, name: str) -> list[Point]:
    """Points of all combinations of a benchmark's parameters; not run where there is no result of its version."""
    params = known[name]["params"]
    count = math.prod(len(axis) for axis in params)
    if result is None or name not in result.get_result_keys(known):
        return [Point(state="not run")] * count
    values = result.get_result_value(name, params) or [None] * count
    samples = result.get_result_samples(name, params) or [None] * count
    return [_point(value, drawn) for value, drawn in zip(values, samples, strict=True)]


def read_history(
    config_path: Path,
    branch: str = "HEAD",
    machine: str | None = None,
    environment: str | None = None,
    results: Path | None = None,
    last_machine: bool = False,
) -> History:
    """Read asv's results.

    Parameters
    ----------
    config_path : Path
        ``asv.conf.json``; its folder is the repository.
    branch : str
        Whose main line (first parents) is the history.
    machine, environment : str, optional
        By default the only machine, and the environment that was measured last.
    results : Path, optional
        Folder of asv's results, where it is not the one that the configuration names.
    last_machine : bool
        Of several machines take the one that was measured last, instead of asking for a choice.

    Raises
    ------
    InputError
        If there is no configuration or no result, or several machines to choose from.
    """
    try:
        from asv.benchmarks import Benchmarks  # type: ignore[import-untyped]
        from asv.config import Config  # type: ignore[import-untyped]
        from asv.results import iter_results_for_machine
        from asv.util import UserError  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("asv is not installed: pip install 'ptycho-validation[asv]'") from None

    if not config_path.is_file():
        raise InputError(f"--config must be an asv.conf.json, got {config_path}: no such file")
    root = config_path.resolve().parent
    try:
        config = Config.load(str(config_path))
        config.results_dir = str(root / config.results_dir if results is None else results.resolve())
        folders = sorted(path.parent.name for path in Path(config.results_dir).glob("*/machine.json"))
        if not folders:
            raise NoResultsError(f"{config.results_dir} holds no results: run make bench first")
        if machine is None and last_machine:
            machine = _latest_machine(config.results_dir, folders)
        machine = _chosen("machine", "--machine", folders, machine)
        found = list(iter_results_for_machine(config.results_dir, machine))
        if not found:
            raise NoResultsError(f"{config.results_dir} holds no results of {machine}: run make bench first")
        known = Benchmarks.load(config)
    except UserError as error:
        raise InputError(f"{config_path}: {error}") from error
    environments = sorted({str(result.env_name) for result in found})
    if environment is None:
        environment = _latest_environment(found)
    environment = _chosen("environment", "--environment", environments, environment)
    commits = _commits(root, branch)
    by_hash = {result.commit_hash: result for result in found if result.env_name == environment}
    commits = [commit for commit in commits if commit.hash in by_hash]
    if not commits:
        raise InputError(f"none of the {len(found)} results is of a commit of {branch}: choose another by --branch")
    series: list[Series] = []
    for name in sorted(known):
        columns = [_points(by_hash[commit.hash], known, name) for commit in commits]
        combinations = itertools.product(*known[name]["params"])
        for combination, points in zip(combinations, zip(*columns, strict=True), strict=True):
            series.append(
                Series(
                    benchmark=name,
                    params=", ".join(text.strip("'") for text in combination),
                    unit=known[name].get("unit") or "unit",
                    points=points,
                )
            )
    return History(
        machine=machine,
        environment=environment,
        commits=tuple(commits),
        series=tuple(series),
        left_out=len(found) - len(commits),
    )
