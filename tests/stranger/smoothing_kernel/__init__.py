"""The running mean as a kernel of the harness: found by entry point, or by ``--kernel-folder``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from validation.contract.cards import Implementation, Words
from validation.contract.cases import Case, Parameter
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel
from validation.contract.mutant import Exhibition, Mutant
from validation.properties.tested import Found, Tested, within


def exact(signal: Any, window: int) -> Any:
    """Compute the running mean in double precision, by another way."""
    total = np.concatenate([[0.0], np.cumsum(signal.astype(np.float64))])
    index = np.arange(1, len(signal) + 1)
    first = np.maximum(0, index - window)
    return ((total[index] - total[first]) / (index - first)).astype(np.float32)


def of_a_constant(tested: Tested) -> Found:
    """See that a constant signal stays what it is."""
    arguments = tested.arguments()
    arguments["signal"] = np.full_like(arguments["signal"], 0.75)
    found = tested.call(arguments)
    return within(float(np.abs(found - np.float32(0.75)).max()), 1e-6, "largest distance from the constant")


class RunningMean(Kernel):
    """``f(signal, window)`` gives the mean of the last samples, (n,) float32."""

    name = "running_mean"
    title = "mean of the last samples of a signal"
    parameters = (
        Parameter(name="length", short="n", label="length", unit="samples"),
        Parameter(name="window", short="w", label="window", unit="samples"),
    )
    work_unit = "samples"
    reference = Implementation(
        name="reference", role="reference", target="smoothing.filters:by_loop", summary="a loop over samples"
    )
    candidates = (
        Implementation(
            name="views", role="candidate", target="smoothing.filters:by_views", summary="all windows at once"
        ),
    )
    oracle = Implementation(
        name="oracle", role="oracle", target="smoothing_kernel:exact", summary="cumulative sums in double precision"
    )
    mutants = (
        Mutant(
            name="one_sample_late",
            defect="D1",
            description="the window ends a sample too early",
            expected_criterion="correctness",
            measured="output",
            kernel="running_mean",
            module="smoothing.wrong",
            atol=1e-6,
        ),
        Mutant(
            name="keeps_its_buffer",
            defect="T21",
            description="one output for all calls of a length",
            expected_criterion="correctness",
            measured="property",
            kernel="running_mean",
            module="smoothing.wrong",
            property="own_memory",
        ),
    )
    atol = 1e-6
    promises: Mapping[Any, float] = MappingProxyType({"warm": 3.0})
    words = Words(columns=("length", "window"), along="length")

    def work(self, params: Mapping[str, Any]) -> float:
        """Count the samples."""
        return float(params["length"])

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse a window that holds nothing."""
        if params["window"] < 1 or params["length"] < 0:
            raise UsageError(f"window must be positive and length not negative, got {dict(params)}")

    def build(self, case: Case, rng: np.random.Generator, data: str | None) -> dict[str, Any]:
        """Draw a signal."""
        signal = rng.uniform(-1.0, 1.0, int(case.params["length"])).astype(np.float32)
        return {"signal": signal, "window": case.params["window"]}

    def expected_part(self, case: Case, arguments: Any, rng: np.random.Generator) -> Any:
        """Compute all of it: it is cheap."""
        whole = exact(**arguments)
        return whole[self.chosen(case, arguments, whole.shape, rng)]

    def cases(self, sweep: str, seed: int) -> tuple[Case, ...]:
        """Give the judged case first."""
        largest = 20_000 if sweep in ("quick", "full", "nightly") else 200
        sizes = ((largest, 16), (0, 3), (1, 1), (7, 20), (500, 5))
        return tuple(self.case(seed=seed, length=length, window=window) for length, window in sizes)

    @property
    def properties(self) -> Mapping[str, Callable[..., Any]]:
        """What a mean does to a constant."""
        return {"of_a_constant": of_a_constant}

    @property
    def exhibition(self) -> Exhibition:
        """Show mutants at a signal of some length."""
        main = self.case(length=20_000, window=16)
        return Exhibition(main=main, probed=self.case(length=500, window=5), clock=main)


KERNELS = (RunningMean(),)
