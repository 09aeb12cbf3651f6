"""Calls of one implementation in this process: inputs of their own, complete results inside the clock, parts kept.

A result counts when all its bytes are plain host memory, and the clock stops after that, for every arm alike. What is
kept of a result is drawn after the call; the parent, which never imported the implementation, checks it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from validation.child.channel import Channel, generator
from validation.child.instruments import Instruments, TamperedError
from validation.contract.cases import Case
from validation.contract.kernel import Arguments, Function, Kernel
from validation.contract.tasks import Which
from validation.outputs.tree import Tree, WrongOutputError, arrays_in, complete

Made = TypeVar("Made")
# Elements of a result, and of each input, that are looked at again later.
_SPOTS = 1024


def clocked(work: Callable[[], Made], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Made]:
    """Seconds that some work took, and what it gave."""
    started = clock()
    made = work()
    return clock() - started, made


def _spots(array: NDArray[Any], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """Places in an array, one index per axis."""
    count = min(_SPOTS, array.size)
    return tuple(rng.integers(0, max(1, length), count if array.size else 0) for length in array.shape)


def _same(one: NDArray[Any], two: NDArray[Any]) -> bool:
    """Whether two arrays have the same bits."""
    return one.tobytes() == two.tobytes()


class _Result:
    """An array that was given, and what stood in some places of it at once."""

    def __init__(self, array: NDArray[Any], rng: np.random.Generator) -> None:
        self.array = array
        self.places = _spots(array, rng)
        self.values = np.array(array[self.places])

    def require_unchanged(self) -> None:
        if not _same(self.array[self.places], self.values):
            raise WrongOutputError(
                "a result changed after its call had returned: it was not complete, or a later call wrote into it"
            )


def drawn_part(kernel: Kernel, case: Case, arguments: Arguments, output: Tree, rng: np.random.Generator) -> Tree:
    """Copy the part of a result that ``rng`` draws: of each array, in their order."""
    return output._replace(
        arrays=tuple(np.array(array[kernel.chosen(case, arguments, array.shape, rng)]) for array in output.arrays)
    )


class Watch:
    """Times calls of one implementation, each on inputs that did not exist before.

    Parameters
    ----------
    load : callable
        Imports the implementation; called inside the clock of the first call.
    kernel : Kernel
    case : Case
    data : str or None
        Path of the scan, where the kernel takes one.
    channel : Channel
    may_share : bool
        Whether a result may share memory with an input, as that of the reference does.
    """

    __slots__ = (
        "_base", "_case", "_channel", "_clock", "_data", "_earlier", "_function", "_instruments", "_kernel", "_later",
        "_load", "_may_share", "_private", "_processor", "calls_s", "completion_s", "import_s", "kept", "output_bytes",
        "processor_s", "small",
    )  # fmt: skip

    def __init__(
        self,
        load: Callable[[], Function],
        kernel: Kernel,
        case: Case,
        data: str | None,
        channel: Channel,
        may_share: bool = False,
    ) -> None:
        self._clock, self._processor = time.perf_counter, time.process_time
        self._load = load
        self._function: Function | None = None
        self._kernel, self._case, self._data, self._channel = kernel, case, data, channel
        self._base = kernel.inputs(case, data)
        self._may_share = may_share
        self._instruments = Instruments()
        self._earlier: list[_Result] = []
        self._private = np.random.default_rng()
        self.calls_s: list[float] = []
        self.import_s = 0.0
        # Numbers of the calls on the smallest part of the work.
        self.small: list[int] = []
        self.output_bytes = 0
        # What it took to make the last result complete, which is part of its call.
        self.completion_s = 0.0
        self.processor_s = 0.0
        # The parts kept: of the first call, and of one of the later ones; call number and what stood there.
        self.kept: dict[Which, tuple[int, Tree]] = {}
        self._later = 0

    @property
    def has_small_work(self) -> bool:
        """Whether the kernel knows a smaller part of the work."""
        return type(self._kernel).smallest is not Kernel.smallest

    def _run(self, arguments: Arguments) -> Any:
        if self._function is None:
            self.import_s, loaded = clocked(self._load, self._clock)
            self._function = loaded
        function = self._function
        return function(**arguments) if isinstance(arguments, dict) else function(*arguments)

    def call(self, *, small: bool = False, within: Callable[[Callable[[], Any]], Any] | None = None) -> float:
        """Make one call and time it, from before it starts until its result is complete.

        Parameters
        ----------
        small : bool
            On the smallest part of the work, as for a discarded call of a long loop.
        within : callable, optional
            Makes the call: it is given a function without arguments, and gives what that returns.

        Raises
        ------
        WrongOutputError
            If the result is no array of numbers, shares memory with an input or an earlier result, or changes one.
        TamperedError
            If the implementation replaced what it is measured with.
        """
        # Before there are inputs: a hook of the collector must not meet them outside the clock.
        gc.collect()
        arguments = self._kernel.fresh(self._case, self._base, generator(self._channel.draw()), self._data)
        if small:
            self.small.append(len(self.calls_s))
            arguments = self._kernel.smallest(arguments)
        inputs = [_Result(value, self._private) for value in arrays_in(arguments).values()]

        def work() -> Tree:
            returned = self._run(arguments)
            completed_s, made = clocked(lambda: complete(returned), self._clock)
            self.completion_s = completed_s
            return made

        self._channel.start()
        busy = self._processor()
        taken, output = clocked(work if within is None else lambda: within(work), self._clock)
        self.processor_s += self._processor() - busy
        self._channel.end()
        results = [_Result(array, self._private) for array in output.arrays]
        self.calls_s.append(taken)
        self.output_bytes = output.nbytes
        self._check(results, inputs)
        self._keep(arguments, output, self._channel.draw(), small)
        return taken

    def _check(self, results: list[_Result], inputs: list[_Result]) -> None:
        """Hold the result against the inputs and the result before it."""
        self._instruments.require_unchanged()
        for given in inputs:
            if not self._may_share and any(np.may_share_memory(result.array, given.array) for result in results):
                raise WrongOutputError("a result must not share memory with an input")
            if not _same(given.array[given.places], given.values):
                raise WrongOutputError("a call must not change its inputs")
        for earlier in self._earlier:
            if any(np.may_share_memory(result.array, earlier.array) for result in results):
                raise WrongOutputError("a result must not share memory with that of an earlier call")
            earlier.require_unchanged()
        self._earlier = results

    def _keep(self, arguments: Arguments, output: Tree, choice: str, small: bool) -> None:
        """Keep a part of the first result, and of one of the later ones, each as likely as the other."""
        if small or self._case.work <= 0:
            return
        rng = generator(choice)
        number = len(self.calls_s) - 1
        if number == 0:
            self.kept["first"] = number, drawn_part(self._kernel, self._case, arguments, output, rng)
            return
        self._later += 1
        if rng.random() < 1.0 / self._later:
            self.kept["later"] = number, drawn_part(self._kernel, self._case, arguments, output, rng)

    def finish(self) -> None:
        """Look at the last result once more, and let it go.

        Raises
        ------
        WrongOutputError
            If it changed after its call.
        """
        if type(self) is not Watch:
            raise TamperedError("the implementation replaced what it is measured with: the object that makes its calls")
        for earlier in self._earlier:
            earlier.require_unchanged()
        self._earlier = []
