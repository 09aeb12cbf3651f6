"""Which benchmarks differ between two commits. Pure: results in, findings out."""

import dataclasses
import itertools
import math

from asv.commands.compare import _is_result_better

# A change counts from this factor on. Peaks are steady to about one per cent, and 1.2 is what the gate allows them.
FACTORS = {"bytes": 1.2}
DEFAULT_FACTOR = 1.5


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one benchmark gave at one commit, for one combination of its parameters.

    ``value`` is None if it failed and NaN if it does not apply (n/a).
    """

    value: float | None
    unit: str
    stats: dict | None = None
    samples: list | None = None

    @property
    def failed(self):
        return self.value is None

    @property
    def not_available(self):
        return self.value is not None and math.isnan(self.value)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A benchmark that differs; ``ratio`` is head over base, above 1 is worse."""

    name: str
    base: float
    head: float
    unit: str

    @property
    def ratio(self):
        return self.head / self.base if self.base else math.inf


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Findings of one comparison; names are those asv prints.

    ``failed`` names the side, too. ``vanished`` were measured at the base and do not apply at the head.
    """

    worse: tuple[Finding, ...]
    better: tuple[Finding, ...]
    failed: tuple[str, ...]
    vanished: tuple[str, ...]
    not_available: tuple[str, ...]
    compared: int


def outcomes(results, benchmarks, chosen=None):
    """Flatten a commit's results: name with parameters to `Outcome`.

    Parameters
    ----------
    results : asv.results.Results or None
        None (there is no result file) makes every benchmark a failure.
    benchmarks : dict
        As of ``asv.benchmarks.Benchmarks``: name to its description.
    chosen : callable, optional
        Says of a name with parameters whether it was to be measured; all were if left out.
    """
    found = {}
    for name, benchmark in benchmarks.items():
        params = benchmark["params"]
        combinations = list(itertools.product(*params))
        known = results is not None and name in results.get_all_result_keys()
        columns = [
            reader(name, params) if known else None
            for reader in (
                getattr(results, "get_result_value", None),
                getattr(results, "get_result_stats", None),
                getattr(results, "get_result_samples", None),
            )
        ]
        values, stats, samples = (column or [None] * len(combinations) for column in columns)
        for combination, value, stat, sample in zip(combinations, values, stats, samples, strict=True):
            label = f"{name}({', '.join(combination)})" if combination else name
            if chosen is None or chosen(label):
                found[label] = Outcome(value, benchmark.get("unit", "unit"), stat, sample)
    return found


def _worse(before, after, factor):
    """Whether ``before`` is better by the factor and, where there are samples, by asv's test."""
    return _is_result_better(
        before.value, after.value, (before.stats, before.samples), (after.stats, after.samples), factor
    )


def judge(base, head):
    """Compare two sides, each a dict of `Outcome` by name."""
    worse, better, failed, vanished, not_available = [], [], [], [], []
    compared = 0
    for name in sorted(base.keys() | head.keys()):
        before, after = base.get(name), head.get(name)
        sides = [side for side, outcome in (("base", before), ("head", after)) if outcome is None or outcome.failed]
        if sides:
            failed.append(f"{name} [{' and '.join(sides)}]")
        elif after.not_available:
            (not_available if before.not_available else vanished).append(name)
        elif before.not_available:
            not_available.append(name)
        else:
            compared += 1
            factor = FACTORS.get(after.unit, DEFAULT_FACTOR)
            finding = Finding(name, before.value, after.value, after.unit)
            if _worse(before, after, factor):
                worse.append(finding)
            elif _worse(after, before, factor):
                better.append(finding)
    return Comparison(tuple(worse), tuple(better), tuple(failed), tuple(vanished), tuple(not_available), compared)
