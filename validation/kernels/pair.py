"""A slow function and a fast one of any package, as a kernel: what is asked of it is what every kernel owes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from validation.contract.cards import Implementation, KernelSource, Words
from validation.contract.cases import (
    ALL_CHECKS,
    CRITERIA,
    QUICK_PROTOCOL,
    Case,
    Figure,
    Judged,
    Parameter,
    PlannedCase,
    Sweep,
)
from validation.contract.errors import UsageError
from validation.contract.kernel import Arguments, Kernel, NotAvailableError

if TYPE_CHECKING:
    import numpy as np

SIZE = "size"
FAST = "fast"
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def check_target(option: str, target: str) -> None:
    """Refuse what is no ``module:function``, or cannot be imported by another process.

    Raises
    ------
    UsageError
        If so.
    """
    if not _TARGET.fullmatch(target):
        raise UsageError(f"{option} must be module:function, such as mypkg.fast:convolve, got {target!r}")
    if target.startswith("__main__:"):
        raise UsageError(
            f"{option} must be a function that a fresh process can import, but {target.partition(':')[2]} is defined "
            "in a notebook or in the script that runs; put it into a module, a .py file beside it, and import it there"
        )


class PairKernel(Kernel):
    """A pair as a kernel: the reference is the only truth, the size is the only parameter.

    Parameters
    ----------
    source : KernelSource
        With the pair.
    atol, rtol : float
        How far a result may be off.
    """

    parameters = (Parameter(name=SIZE, short="n", label="size"),)
    work_unit = "units of size"
    words = Words(columns=(SIZE,), along=SIZE)

    def __init__(self, source: KernelSource, *, atol: float = 0.0, rtol: float = 0.0) -> None:
        if source.pair is None:
            raise UsageError(f"the kernel {source.name} must be made of a pair, got none")
        self.source = source
        self.name = source.name
        self.pair = source.pair
        self.atol, self.rtol = atol, rtol
        self.title = f"{self.pair.fast} in place of {self.pair.slow}"
        self.reference = Implementation(
            name="reference", role="reference", target=self.pair.slow, summary=self.pair.slow
        )
        self.candidates = (Implementation(name=FAST, role="candidate", target=self.pair.fast, summary=self.pair.fast),)

    def work(self, params: Any) -> float:
        """Take the size for the work."""
        return float(params[SIZE])

    def check(self, params: Any) -> None:
        """Refuse a size that is not positive."""
        size = params[SIZE]
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UsageError(f"a size must be a positive integer, got {size!r}")

    def build(self, case: Case, rng: np.random.Generator, data: str | None) -> Arguments:
        """Call the function that makes the arguments: ``make(rng, size)``, a dict or a tuple."""
        from validation.kernels.loading import load

        target = self.pair.inputs
        try:
            make = load(Implementation(name="inputs", role="reference", target=target, summary=target))
        except NotAvailableError as error:
            raise UsageError(f"--inputs {error}") from None
        try:
            made = make(rng, case.params[SIZE])
        except Exception as error:
            raise UsageError(
                f"{target} must make the arguments from (rng, size), but with size {case.params[SIZE]} it gave "
                f"{type(error).__name__}: {error}"
            ) from error
        if isinstance(made, list):
            made = tuple(made)
        if not isinstance(made, (dict, tuple)) or (isinstance(made, dict) and not all(map(_is_name, made))):
            raise UsageError(
                f"{target} must give the arguments as a dict of names or as a tuple, got {type(made).__name__}; "
                "a single argument is a tuple of one: (x,)"
            )
        return made

    def plan(self, sizes: tuple[int, ...], promises: dict[Figure, float | None], seed: int) -> Sweep:
        """Declare what is measured: every size compared, the largest timed and metered, properties at the smallest.

        Parameters
        ----------
        sizes : tuple of int
        promises : dict
            What is promised of the warm and cold speedup and of the ratio of peaks; ``None``: nothing.
        seed : int
        """
        cases = [self.case(seed=seed, size=size) for size in sorted(set(sizes))]
        largest = cases[-1]
        return Sweep(
            name="pair",
            provisional=False,
            seed=seed,
            protocol=QUICK_PROTOCOL,
            cases=tuple(
                PlannedCase(case=case, checks=ALL_CHECKS if case == largest else ("equivalence",)) for case in cases
            ),
            judged=tuple(
                Judged(criterion=CRITERIA[figure], case_id=largest.case_id, figure=figure, promise=promise)
                for figure, promise in promises.items()
            ),
            probed=(PlannedCase(case=cases[0]),),
        )


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()
