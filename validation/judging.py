"""A verdict from Python: of a slow function and a fast one, in a notebook, a script or a test suite."""

from __future__ import annotations

import html
import io
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.cards import Pair
from validation.contract.errors import InstrumentError, UsageError
from validation.run.options import Options, PairOptions, absolute
from validation.run.progress import Progress
from validation.run.session import run

Target = Callable[..., Any] | str
SIZES = (100, 1000)


class Judged(msgspec.Struct, frozen=True):
    """One criterion of a verdict: its state, what was found, what was promised, and the command that shows it."""

    id: str
    state: str
    finding: str
    promise: str
    value: float | None = None
    fixes: tuple[dict[str, Any], ...] = ()

    @property
    def command(self) -> str | None:
        """Command that reproduces the first thing that is wrong."""
        return str(self.fixes[0]["command"]) if self.fixes else None


class Verdict(msgspec.Struct, frozen=True):
    """What the gate said of a pair.

    ``outcome`` is ACCEPT, REJECT, INCONCLUSIVE, INSTRUMENT_FAILURE or NOTHING_RAN; ``folder`` holds the run.
    """

    outcome: str
    criteria: tuple[Judged, ...]
    folder: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the fast function may replace the slow one."""
        return self.outcome == "ACCEPT"

    def __str__(self) -> str:
        lines = [f"VERDICT: {self.outcome}"]
        lines += [f"{item.state:12} {item.id:16} {item.finding}" for item in self.criteria]
        return "\n".join([*lines, f"run: {self.folder}"])

    def _repr_html_(self) -> str:
        """Draw the panel for a notebook: no script, no network."""
        rows = "".join(
            f"<tr><td>{html.escape(item.id)}</td><td>{html.escape(item.state)}</td>"
            f"<td>{html.escape(item.finding)}</td></tr>"
            for item in self.criteria
            if item.state != "not_judged" or item.value is not None
        )
        return (
            f"<table><caption><b>{html.escape(self.outcome)}</b></caption>"
            f"<tr><th>criterion</th><th>state</th><th>found</th></tr>{rows}</table>"
        )


def target_of(what: str, function: Target) -> str:
    """Name a function as a fresh process finds it, ``module:function``.

    Raises
    ------
    UsageError
        If a fresh process cannot import it.
    """
    if isinstance(function, str):
        return function
    name = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", None)
    if not name or module is None or "<" in name or "." in name:
        raise UsageError(
            f"{what} must be a function at the top of a module, so that a fresh process can import it, "
            f"got {name or type(function).__name__}; give it a name there"
        )
    return f"{module}:{name}"


def _own_paths() -> tuple[str, ...]:
    """Folders that this process looks for modules in, beside those of Python and of installed packages."""
    installed = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    standard = Path(sysconfig.get_paths()["stdlib"]).resolve()
    found = [
        str(path)
        for path in (Path(place or os.getcwd()).resolve() for place in ("", *sys.path))
        if path.is_dir() and path not in installed and standard not in path.parents
    ]
    return tuple(dict.fromkeys(found))


def judge(
    slow: Target,
    fast: Target,
    inputs: Target,
    *,
    sizes: Sequence[int] = SIZES,
    atol: float = 0.0,
    rtol: float = 0.0,
    min_speedup: float | None = None,
    cold: float | None = None,
    max_memory: float | None = None,
    out: str | Path | None = None,
) -> Verdict:
    """Measure a slow function and a fast one, each call in a fresh process, and let the gate judge them.

    Parameters
    ----------
    slow, fast : callable or str
        The trusted function and the one that may replace it: importable by a fresh process, or ``module:function``.
    inputs : callable or str
        ``make(rng, size)`` gives the arguments of both, a dict or a tuple; ``rng`` is a `numpy.random.Generator`.
    sizes : sequence of int
        Sizes at which results are compared; the largest is timed and metered.
    atol, rtol : float
        How far real and complex numbers may be off; all else is compared exactly.
    min_speedup, cold, max_memory : float, optional
        What is promised of warm calls, of first calls (times the slow function's speed), and of the ratio of peaks of
        memory. What is not promised is measured and told.
    out : str or Path, optional
        Folder of the run; a new temporary one if left out.

    Returns
    -------
    Verdict

    Raises
    ------
    UsageError
        If a function cannot be imported by a fresh process, or an argument is at fault.
    InstrumentError
        If the calibration fails, or the gate gives no verdict.

    Examples
    --------
    >>> from validation import judge
    >>> verdict = judge("mypkg:slow", "mypkg:fast", "mypkg:make", min_speedup=10)  # doctest: +SKIP
    >>> verdict.outcome  # doctest: +SKIP
    'ACCEPT'
    """
    pair = Pair(slow=target_of("slow", slow), fast=target_of("fast", fast), inputs=target_of("inputs", inputs))
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="validation-pair-")) / "run"
    promises: dict[Any, float | None] = {"warm": min_speedup, "cold": cold, "memory": max_memory}
    options = Options(
        sweep="pair",
        out=str(folder),
        command=_command(pair, sizes, atol, rtol, promises),
        path=absolute(_own_paths()),
        pair=PairOptions(pair=pair, sizes=tuple(sizes), atol=atol, rtol=rtol, promises=promises),
    )
    run(options, Progress(io.StringIO()))
    return gate(folder)


def _command(pair: Pair, sizes: Sequence[int], atol: float, rtol: float, promises: dict[Any, float | None]) -> str:
    """Give the command that measures the same."""
    words = ["python -m validation pair", f"--slow {pair.slow}", f"--fast {pair.fast}", f"--inputs {pair.inputs}"]
    words.append(f"--sizes {','.join(map(str, sizes))}")
    words += [f"--atol {atol:g}"] if atol else []
    words += [f"--rtol {rtol:g}"] if rtol else []
    names = {"warm": "--min-speedup", "cold": "--cold", "memory": "--max-memory"}
    words += [f"{names[figure]} {promise:g}" for figure, promise in promises.items() if promise is not None]
    return " ".join([*words, "--out NEW-DIR"])


def gate(folder: Path) -> Verdict:
    """Let the gate judge a run folder.

    Raises
    ------
    InstrumentError
        If it gives no verdict.
    """
    done = subprocess.run(
        [sys.executable, "-m", "reports", "gate", str(folder)], capture_output=True, text=True, check=False
    )
    try:
        found = msgspec.json.decode((folder / "verdict.json").read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        said = ((done.stdout + done.stderr).strip().splitlines() or ["nothing"])[-1]
        raise InstrumentError(f"the gate gave no verdict on {folder}: {said}") from None
    return msgspec.structs.replace(found, folder=str(folder))


def assert_replaces(slow: Target, fast: Target, inputs: Target, **options: Any) -> Verdict:
    """Fail unless the gate accepts: with the criterion, its figure, and the command that reproduces it.

    Parameters
    ----------
    slow, fast, inputs, **options
        As of `judge`.

    Raises
    ------
    AssertionError
        If the verdict is another than ACCEPT.
    """
    __tracebackhide__ = True
    verdict = judge(slow, fast, inputs, **options)
    if not verdict.accepted:
        bad = [item for item in verdict.criteria if item.state not in ("pass", "not_judged")]
        told = [f"{item.id}: {item.finding} (promised: {item.promise})" for item in bad]
        commands = list(dict.fromkeys(item.command for item in bad if item.command))
        raise AssertionError("\n".join([f"the verdict is {verdict.outcome}", *told, *commands]))
    return verdict
