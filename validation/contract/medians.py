"""How far the median of an arm is known, whatever its noise looks like, and the ratio of two medians.

The r-th smallest of n values lies above the median of what is measured with the chance that at most r - 1 of n fair
coins show heads (H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed. 2003, section 7.1). An arm is looked at
when it holds 7 values (7 a size that its use fixes), 14, 28, ...: the first look may be wrong with its error, each
later one with an eighth of the error before, so that all looks together are wrong in at most 8/7 of the first (the
union bound; S. R. Howard and A. Ramdas, Sequential estimation of quantiles, Bernoulli 28, 2022). What counts is what
all looks leave: a value more never loosens a bound, and an extension costs nothing beyond what is paid for here.

The gate judges by it, and the sweep asks by it whether more has to be measured.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# Processes of the reference at the first look, and of the candidate.
REFERENCES, CANDIDATES = 7, 28
# Chance that a bound of the reference's median is wrong at the first look: that of the smallest of seven. With what its
# later looks may add, and with the candidate's, it is 1 % for either end of the ratio.
REFERENCE_ERROR = 1 / 128
CANDIDATE_ERROR = (1 / 100 - 8 / 7 * REFERENCE_ERROR) * 7 / 8
# A/A pairs at the first look: two neighbours of the candidate each. Chance that either end of their interval is wrong.
NOISE_PAIRS, NOISE_ERROR = CANDIDATES // 2, 1 / 128
# What a later look may be wrong by, as a share of the look before.
SPENT_LATER = 1 / 8


class Interval(NamedTuple):
    """Bounds; numbers, or arrays where many samples are judged at once."""

    lower: Any
    upper: Any


def rank(count: int, error: float) -> int:
    """Give the largest r of which the r-th smallest of ``count`` values bounds their median; 0 where none does.

    Parameters
    ----------
    count : int
    error : float
        Chance that it may lie above the median. By symmetry the r-th largest lies below with the same.
    """
    import numpy as np
    from scipy.special import bdtr

    return int(np.count_nonzero(bdtr(np.arange((count + 1) // 2), count, 0.5) <= error * (1 + 1e-9)))


def used(count: int, first: int) -> int:
    """Count the values that the last look sees; those after it wait for the next."""
    if count < first:
        return count
    return first << (count // first).bit_length() - 1


def median_bounds(values: Any, first: int, error: float) -> Interval:
    """Bound the median of an arm from all looks at its values.

    Parameters
    ----------
    values : array_like, shape (..., n)
        In the order measured, n >= 1.
    first : int
        How many the first look sees. Of fewer, smallest and largest are given: a range, no bound of that error.
    error : float
        Chance that either end of the first look is wrong.

    Returns
    -------
    Interval
        Of shape (...). A look that contradicts what was left before it changes nothing.
    """
    import numpy as np

    values = np.asarray(values, float)
    count = values.shape[-1]
    if count < first:
        return Interval(values.min(axis=-1), values.max(axis=-1))
    lower, upper = np.full(values.shape[:-1], -np.inf), np.full(values.shape[:-1], np.inf)
    size = first
    while size <= count:
        if place := rank(size, error):
            ordered = np.partition(values[..., :size], (place - 1, size - place), axis=-1)
            narrower = np.maximum(lower, ordered[..., place - 1]), np.minimum(upper, ordered[..., size - place])
            agrees = narrower[0] <= narrower[1]
            lower, upper = np.where(agrees, narrower[0], lower), np.where(agrees, narrower[1], upper)
        size, error = 2 * size, SPENT_LATER * error
    return Interval(lower, upper)


def bias(candidates: Any) -> Any:
    """Give how far ln(A/A') of neighbours surely is from 0 in the median; 0 where its interval holds 0.

    0, too, of fewer pairs than a look needs: their range says nothing for sure.

    Parameters
    ----------
    candidates : array_like, shape (..., m)
        Times of one implementation; the first two are neighbours in the schedule, the next two, and so on.
    """
    import numpy as np

    values = np.log(np.asarray(candidates, float))
    paired = values.shape[-1] // 2 * 2
    if paired < 2 * NOISE_PAIRS:
        return np.zeros(values.shape[:-1])
    found = median_bounds(values[..., 0:paired:2] - values[..., 1:paired:2], NOISE_PAIRS, NOISE_ERROR)
    return np.maximum(0.0, np.maximum(found.lower, -found.upper))


class Judged(NamedTuple):
    """Ratio of two medians, widened on both sides by the bias that A/A pairs show (a logarithm)."""

    lower: Any
    upper: Any
    bias: Any


def judged(references: Any, candidates: Any) -> Judged:
    """Bound median(times of the reference) / median(times of the candidate), each end wrong in at most 1 % of runs.

    Parameters
    ----------
    references, candidates : array_like, shape (..., n) and (..., m)
        Positive times in the order measured; of the candidate, the first two are neighbours in the schedule, the next
        two, and so on.
    """
    import numpy as np

    slow = median_bounds(references, REFERENCES, REFERENCE_ERROR)
    quick = median_bounds(candidates, CANDIDATES, CANDIDATE_ERROR)
    shift = bias(candidates)
    return Judged(slow.lower / quick.upper * np.exp(-shift), slow.upper / quick.lower * np.exp(shift), shift)


def confidence(references: int, candidates: int) -> float:
    """Give the chance that either end of the ratio is right, for so many processes of both arms.

    99 % from the first look on; of fewer, what the range of an arm is worth.
    """
    allowed = ((references, REFERENCES, REFERENCE_ERROR), (candidates, CANDIDATES, CANDIDATE_ERROR))
    return 1 - sum(error / (1 - SPENT_LATER) if count >= first else 0.5**count for count, first, error in allowed)
