"""The steady state: a call that has been traced, compiled and discarded twice before."""

import functools
import gc
import statistics
import time

from . import grid, implementations

_PAIRS = 5


@functools.lru_cache(maxsize=4)
def warm(name, *case):
    """Return the implementation, bound and called twice; asv runs `setup` before every call, so it is kept."""
    function = implementations.bind(name, *case)
    try:
        function()
        function()
    except NotImplementedError as error:  # TensorFlow raises it, too; n/a is for functions that are not there
        raise RuntimeError(f"{name} is there but cannot run: {error}") from error
    return function


def timed(name, params, param_names=grid.NAMES):
    """Make a function a timed benchmark of the implementation ``name`` over the cases ``params``."""

    def setup(*case):
        implementations.require(name)
        warm(name, *case)

    def mark(function):
        function.setup = setup
        function.params, function.param_names = params, param_names
        # By hand: asv's default is a digest of the source, and a reworded setup would void the history.
        function.version = "1"
        function.rounds, function.number, function.warmup_time = 1, 1, 0
        # At least 7 samples (two sets of 6 can never be called different), at most 20, and about half a second.
        function.repeat = (7, 20, 0.5)
        return function

    return mark


def paired_ratio(candidate, reference, *case):
    """Median over pairs of time(candidate) / time(reference), the two taken in turn."""
    functions = {name: warm(name, *case) for name in (candidate, reference)}
    ratios = []
    for pair in range(_PAIRS):
        seconds = {}
        order = (candidate, reference) if pair % 2 else (reference, candidate)
        for name in order:
            gc.collect()
            function = functions[name]
            started = time.perf_counter()
            function()
            seconds[name] = time.perf_counter() - started
        ratios.append(seconds[candidate] / seconds[reference])
    return statistics.median(ratios)
