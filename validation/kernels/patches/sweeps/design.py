"""The covering design of the full sweep: every pair of values occurs, at little cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from validation.kernels.patches.case import DTYPES, PATTERNS, Dtype
from validation.kernels.patches.law import PIXELS_PER_PASS, PRIOR_S
from validation.kernels.patches.sweeps.covering import lighten

PATCH_SIZES = (32, 64, 128, 256)
GRIDSIZES = (1, 2, 3)
BATCHES = (0, 1, 10, 100, 1000, 5000)
# Not square, and smaller than every patch.
OBJECT_SHAPES = ((200, 256), (301, 150), (97, 131), (24, 17))
# Output above which a combination is left to the optional corners, bytes.
OUTPUT_LIMIT = 3 * 2**30
PIXEL_BYTES = 8
# What a row of the covering design costs, roughly: the loop over an object of this extent (see `law`), and
# for each pixel of the output the oracle, three files and their comparison, seconds.
COMMON_EXTENT = 220
PIXEL_S = 2e-7
# Rows that take less are not worth an exchange, seconds.
WORTH_S = 3.0


def output_bytes(N: int, gridsize: int, batch: int) -> int:
    """Size of the patches, complex64."""
    return PIXEL_BYTES * batch * gridsize**2 * N**2


def meets_every_candidate(N: int, batch: int) -> bool:
    """Whether a row of the covering design is for all engines, fallbacks and flag states."""
    return N == 64 and 1 <= batch <= 10


def covering_rows() -> list[tuple[Any, ...]]:
    """Choose rows (N, gridsize, batch, pattern, shape, dtype) such that every pair of values occurs.

    Rows whose output is too large are left out, a complex128 object counting twice; every pair still
    occurs in another row (a test counts them). Large values are then put together with small ones, as far as the pairs
    allow, and the loop runs in time at nearly all of them. Rows for every candidate stay as they are, and no row
    counts as cheaper for its object: the one that is smaller than every patch leaves little to compare.
    """
    from allpairspy import AllPairs  # type: ignore[import-untyped]  # it ships no type information

    def fits(row: Sequence[Any]) -> bool:
        weight = 2 if row[3:4] in (["complex128"], ("complex128",)) else 1
        return len(row) < 3 or weight * output_bytes(*row[:3]) <= OUTPUT_LIMIT

    def cost_s(row: Sequence[Any]) -> float:
        N, gridsize, batch, dtype = row[:4]
        weight = 2 if dtype == "complex128" else 1
        pixels = (COMMON_EXTENT + N) ** 2 + PIXELS_PER_PASS
        return float(batch * gridsize**2 * (PRIOR_S[2] * pixels + weight * N**2 * PIXEL_S))

    axes: list[list[Any]] = [
        list(PATCH_SIZES),
        list(GRIDSIZES),
        list(BATCHES),
        list(DTYPES),
        list(PATTERNS),
        list(OBJECT_SHAPES),
    ]
    rows = lighten(
        [tuple(row) for row in AllPairs(axes, filter_func=fits)],
        axes,
        cost_s,
        worth=WORTH_S,
        may_change=lambda row: not meets_every_candidate(row[0], row[2]),
        fits=fits,
    )
    return [(N, gridsize, batch, pattern, shape, dtype) for N, gridsize, batch, dtype, pattern, shape in rows]


def pattern_and_dtype_with_every_N(seen: set[tuple[int, str, Dtype]]) -> Iterator[tuple[Any, ...]]:
    """Give the rows that are missing for every (N, pattern, dtype), at a small batch."""
    for index, N in enumerate(PATCH_SIZES):
        for pattern in PATTERNS:
            for dtype in DTYPES:
                if (N, pattern, dtype) not in seen:
                    yield N, GRIDSIZES[index % 3], 4, pattern, OBJECT_SHAPES[index % 4], dtype


def corners() -> Iterator[tuple[int, int, int]]:
    """Give the corners of the ranges of N, gridsize and batch (0 and 1 are both low ends of the batch)."""
    for N in (min(PATCH_SIZES), max(PATCH_SIZES)):
        for gridsize in (min(GRIDSIZES), max(GRIDSIZES)):
            for batch in (0, 1, max(BATCHES)):
                yield N, gridsize, batch
