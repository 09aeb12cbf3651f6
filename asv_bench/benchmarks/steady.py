"""The steady state: a call that has been traced and compiled, and was discarded before."""

import functools
import gc
import statistics
import time

from . import grid, implementations

_PAIRS = 5
# A call this long settles nothing by a second discarded one, and three pairs of it have to do.
_LONG_CALL_S = 0.5


def _seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@functools.lru_cache(maxsize=4)
def warm(name, *case):
    """Return the implementation, bound and called; asv runs `setup` before every call, so it is kept."""
    function = implementations.bind(name, *case)
    try:
        if _seconds(function) < _LONG_CALL_S:
            function()
    except NotImplementedError as error:  # TensorFlow raises it, too; n/a is for functions that are not there
        raise RuntimeError(f"{name} is there but cannot run: {error}") from error
    return function


def timed(name, params, param_names=grid.NAMES, version="1"):
    """Make a function a timed benchmark of the implementation ``name`` over the cases ``params``."""

    def setup(*case):
        implementations.require(name)
        warm(name, *case)

    def mark(function):
        function.setup = setup
        function.params, function.param_names = params, param_names
        # By hand: asv's default is a digest of the source, and a reworded setup would void the history.
        function.version = version
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
        for name in (candidate, reference) if pair % 2 else (reference, candidate):
            gc.collect()
            seconds[name] = _seconds(functions[name])
        ratios.append(seconds[candidate] / seconds[reference])
        if pair >= 2 and max(seconds.values()) > _LONG_CALL_S:
            break
    return statistics.median(ratios)
