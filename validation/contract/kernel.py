"""What a kernel is: a slow reference, fast candidates, the inputs of both, and as much more as is known of them.

A stranger's kernel is a class like this in a folder of its own. Two things are required, a name with its parameters
and `Kernel.build`; each of the others has a default that its docstring states.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from validation.contract.cards import Coverage, Implementation, KernelCard, KernelSource, Words
from validation.contract.cases import (
    ALL_CHECKS,
    CRITERIA,
    EQUIVALENCE,
    PROTOCOL,
    QUICK_PROTOCOL,
    Case,
    Figure,
    Judged,
    Law,
    NoLaw,
    Parameter,
    PlannedCase,
    Scalar,
    Sweep,
    case_id,
)
from validation.contract.errors import UsageError
from validation.contract.mutant import Exhibition, Mutant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from validation.contract.manifest import Scan

Function = Callable[..., Any]
#: Keyword arguments by name, or positional ones in order.
Arguments = dict[str, Any] | tuple[Any, ...]


class NotAvailableError(Exception):
    """The implementation is not here: not installed, or the checkout lacks it."""


def generator(case: Case, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose, from the case's id and seed alone."""
    import numpy as np

    return np.random.default_rng([case.seed, zlib.crc32(case.case_id.encode()), zlib.crc32(purpose.encode())])


class Kernel(ABC):
    """A function to be judged: a slow reference and what may replace it.

    Attributes
    ----------
    name : str
        Lower case, no hyphens: it begins every case id.
    title : str
        What the function does, in half a sentence.
    parameters : tuple of Parameter
        In the order in which a case id names them.
    work_unit : str
        What `work` counts, plural.
    reference : Implementation
    candidates : tuple of Implementation
        The first is the one that is judged by default. Each may be measured by name.
    oracle : Implementation or None
        An independent computation in double precision. ``None``: the reference is the only truth.
    peers : tuple of Implementation
        What a user might pick instead, from other libraries; none by default.
    mutants : tuple of Mutant
        Known-bad implementations that the gate must reject; none by default.
    preload : tuple of str
        Modules that are imported before the processes start that measure, so that no first call pays for them.
    atol, rtol : float
        How far a result may be off: absolute, in units of the scale of a case, and relative.
    promises : dict
        Least speedup ``warm`` and ``cold``, and largest ratio of peaks, ``memory``; what is not there is only measured.
    takes_scan : bool
        Whether inputs are made of a scan, whose path `build` gets as ``data``.
    subject : bool
        Whether the functions belong to the package under test, whose sources are digested.
    source : KernelSource or None
        Where the kernel was found; its name alone where ``None``.
    """

    api: ClassVar[int] = 1
    name: str
    title: str = ""
    parameters: tuple[Parameter, ...] = ()
    work_unit: str = "calls"
    reference: Implementation
    candidates: tuple[Implementation, ...] = ()
    oracle: Implementation | None = None
    peers: tuple[Implementation, ...] = ()
    mutants: tuple[Mutant, ...] = ()
    preload: tuple[str, ...] = ()
    atol: float = 0.0
    rtol: float = 0.0
    promises: Mapping[Figure, float] = {}
    takes_scan: bool = False
    subject: bool = False
    coverage: Coverage | None = None
    words: Words = Words()
    promise_digest: str | None = None
    source: KernelSource | None = None

    # --- required

    @abstractmethod
    def build(self, case: Case, rng: np.random.Generator, data: str | None) -> Arguments:
        """Make the arguments of the function for a case.

        Parameters
        ----------
        case : Case
        rng : Generator
            The only source of chance: the same state gives the same bits.
        data : str or None
            Path of the scan in the harness's own form, where the kernel takes one.
        """

    # --- cases

    def work(self, params: Mapping[str, Scalar]) -> float:
        """Amount of work of a case, in `work_unit`; 1 by default."""
        return 1.0

    def check(self, params: Mapping[str, Scalar]) -> None:
        """Refuse parameters that are not possible, by UsageError; nothing is refused by default."""
        return

    def case_id(self, params: Mapping[str, Scalar], seed: int) -> str:
        """Name a case; by default as `validation.contract.cases.case_id` does."""
        return case_id(self.name, self.parameters, params, seed)

    def case(self, *, seed: int = 0, **params: Scalar) -> Case:
        """Make a case and its id; both say the same.

        Raises
        ------
        UsageError
            If a parameter is missing, unknown, or not possible.
        """
        names = [card.name for card in self.parameters]
        if set(params) != set(names):
            wrong = ", ".join(sorted(set(params) ^ set(names)))
            raise UsageError(f"{self.name} has the parameters {', '.join(names)}; missing or unknown: {wrong}")
        self.check(params)
        ordered = {name: params[name] for name in names}
        return Case(
            case_id=self.case_id(ordered, seed), kernel=self.name, params=ordered, seed=seed, work=self.work(ordered)
        )

    def changed(self, case: Case, **params: Scalar) -> Case:
        """Give a case with other parameters, and the id that says so."""
        return self.case(seed=case.seed, **{**case.params, **params})

    def cases(self, sweep: str, seed: int) -> tuple[Case, ...]:
        """Give the cases of a built-in sweep (smoke, quick, full, nightly); the first is judged. None by default."""
        return ()

    def judged(self, case: Case) -> tuple[Judged, ...]:
        """Say what is promised of the case that is judged; by default `promises`, and nothing of other figures."""
        return tuple(
            Judged(criterion=criterion, case_id=case.case_id, figure=figure, promise=self.promises.get(figure))
            for figure, criterion in CRITERIA.items()
        )

    def sweep(self, name: str, scan: Scan | None, seed: int) -> Sweep | None:
        """Give this kernel's part of a built-in sweep; ``None``: it has none.

        By default the first of `cases` is judged and, but for a smoke sweep, measured; all are compared. Properties are
        checked at the last that has work, and a nightly sweep ends with the mutants.
        """
        cases = self.cases(name, seed)
        if not cases:
            return None
        provisional = name not in ("full", "nightly")
        return Sweep(
            name=name,
            provisional=provisional,
            seed=seed,
            protocol=QUICK_PROTOCOL if provisional else PROTOCOL,
            cases=tuple(
                PlannedCase(case=case, checks=ALL_CHECKS if case == cases[0] and name != "smoke" else EQUIVALENCE)
                for case in cases
            ),
            judged=self.judged(cases[0]),
            probed=tuple(PlannedCase(case=case) for case in [case for case in cases if case.work > 0][-1:]),
            mutants=name == "nightly" and bool(self.mutants),
        )

    def given(self, values: dict[str, Any], scan: Scan | None) -> dict[str, Any]:
        """Complete what a table of a sweep file says of parameters; by default nothing is added."""
        return values

    def joined(self, values: dict[str, Any]) -> dict[str, Scalar]:
        """Make the parameters of a case of one combination of what `given` returned; by default the same."""
        return values

    # --- inputs and results

    def inputs(self, case: Case, data: str | None) -> Arguments:
        """Make the arguments that belong to a case and its seed; by default `build` with numbers of its id."""
        return self.build(case, generator(case, "inputs"), data)

    def seeded(self, case: Case) -> bool:
        """Say whether another seed gives a case other inputs; by default yes."""
        return True

    def fresh(self, case: Case, base: Arguments, rng: np.random.Generator, data: str | None) -> Arguments:
        """Make as much work of data that nobody has seen; by default `build` with other numbers.

        ``base`` is what `inputs` made; it is not changed.
        """
        return self.build(case, rng, data)

    def smallest(self, arguments: Arguments) -> Arguments:
        """Keep the smallest part of the work, for calls that only warm up; by default all of it."""
        return arguments

    def smaller(self, case: Case) -> Case:
        """Give a case that imports and compiles the same with less work, for calls thrown away; by default the case."""
        return case

    def warms_up_on_the_smallest(self, implementation: str) -> bool:
        """Say whether an implementation is warm after its smallest work; by default no."""
        return False

    def chosen(self, case: Case, arguments: Arguments, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        """Draw the part of an array of a result that is checked, as an index of its first axis.

        By default all of it, or as many rows as make a million elements.
        """
        import numpy as np

        if not shape or shape[0] == 0:
            return ...
        row = int(np.prod(shape[1:], dtype=np.int64)) or 1
        rows = max(1, 1_000_000 // row)
        return ... if rows >= shape[0] else np.sort(rng.permutation(shape[0])[:rows])

    def expected_part(self, case: Case, arguments: Arguments, rng: np.random.Generator) -> NDArray[Any] | None:
        """Compute by the oracle what stands where `chosen` falls; ``None``: the reference is asked instead."""
        return None

    def scale(self, case: Case, data: str | None) -> float:
        """Magnitude in whose units `atol` counts at a case; 1 by default."""
        return 1.0

    def output_bytes(self, case: Case) -> int | None:
        """Bytes of the result; ``None``: not known before a call."""
        return None

    def needed_bytes(self, case: Case, implementation: str) -> int | None:
        """Predict generously what memory a call takes above the imported package; ``None``: not known."""
        return None

    def law(self) -> Law:
        """Give the law of the reference's time; by default there is none."""
        return NoLaw()

    def picture(self, case: Case, array: NDArray[Any], index: tuple[int, ...]) -> NDArray[Any] | None:
        """Cut the two-axes part of a result that holds an element; ``None``: there is nothing to draw.

        By default the last two axes, or a row of neighbours.
        """
        import numpy as np

        if array.ndim >= 2:
            return np.asarray(array[index[:-2]])
        return np.asarray(array)[np.newaxis] if array.ndim == 1 else None

    # --- properties and the gallery

    @property
    def properties(self) -> Mapping[str, Callable[..., Any]]:
        """Properties of this kernel alone, by name; none by default. Those of every kernel are checked besides."""
        return {}

    @property
    def exhibition(self) -> Exhibition | None:
        """The cases at which mutants are measured, or ``None`` where this kernel has none."""
        return None

    def cleaned(self) -> AbstractContextManager[None]:
        """Remove what mutants keep between processes, before and after; by default nothing."""
        return nullcontext()

    # --- what goes on record

    def card(self) -> KernelCard:
        """Make the card that a run folder holds."""
        return KernelCard(
            name=self.name,
            title=self.title,
            source=self.source or KernelSource(name=self.name),
            parameters=self.parameters,
            work_unit=self.work_unit,
            reference=self.reference.summary,
            oracle=None if self.oracle is None else self.oracle.summary,
            atol=self.atol,
            rtol=self.rtol,
            coverage=self.coverage,
            words=self.words,
            promise_digest=self.promise_digest,
        )

    def implementations(self) -> tuple[Implementation, ...]:
        """All that can be called by name, mutants aside."""
        oracle = () if self.oracle is None else (self.oracle,)
        return (self.reference, *oracle, *self.candidates, *self.peers)
