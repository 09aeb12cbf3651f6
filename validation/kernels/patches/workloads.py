"""Seeded inputs of a case: the object or the patches, and the offsets.

The same case gives the same bits. Objects are random and asymmetric, x and y ranges differ. What is made lies within
-1..1, what is read from a scan stays as it is: `scale` says in which units a tolerance counts. x is the column and
comes first.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.kernels.patches import oracle
from validation.kernels.patches.case import PATTERNS, PatchCase
from validation.subject.scan.neighbours import nearest
from validation.subject.scans import NEAREST

Positions = NDArray[np.float64]
Arguments = dict[str, Any]

# Decades over which values fade from one side to the other: float32 ends at 1e-38, its subnormal numbers at 1e-45.
_FADING_DECADES = 46.0
# A factor of one of these changes no magnitude and rounds nothing.
_QUARTER_TURNS = np.array([1, 1j, -1, -1j], np.complex64)
# What is kept of a timed result: groups of patches, or one of so many bands of rows of a canvas.
_PART_GROUPS = 32
_CANVAS_BANDS = 10
_GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))


def generator(case: PatchCase, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose, from the case's id and seed alone."""
    return np.random.default_rng([case.seed, zlib.crc32(case.case_id.encode()), zlib.crc32(purpose.encode())])


def _read(scan_path: str, *names: str) -> list[NDArray[Any]]:
    with np.load(scan_path, allow_pickle=False) as arrays:
        return [arrays[name] for name in names]


def _fading(width: int) -> NDArray[np.float64]:
    """Factors (width,) from 1e-46 to 1, evenly in their logarithm."""
    return np.asarray(10.0 ** np.linspace(-_FADING_DECADES, 0.0, width))


def random_object(case: PatchCase) -> NDArray[Any]:
    """Uniform noise, real and imaginary part within -1..1, shape (height, width), dtype of the case.

    With the pattern ``fading`` it fades from right to left, through subnormal numbers.
    """
    rng = generator(case, "object")
    parts = rng.uniform(-1.0, 1.0, (2, case.height, case.width))
    if case.pattern == "fading":
        parts *= _fading(case.width)
    return np.asarray(parts[0] + 1j * parts[1]).astype(case.dtype)


def _cut(case: PatchCase, scan_path: str) -> NDArray[Any]:
    """Cut the scan's object to at most (height, width), as it was read."""
    (found,) = _read(scan_path, "objectGuess")
    return found[: case.height, : case.width]


def _largest(values: NDArray[Any]) -> float:
    """Largest magnitude, at most what the dtype holds; 1 where all are zero."""
    return min(float(np.abs(values).max(initial=0.0)), float(np.finfo(values.dtype).max)) or 1.0


def scan_object(case: PatchCase, scan_path: str) -> NDArray[Any]:
    """Cut the scan's object to (height, width); where it is too small, random content no larger than it goes on."""
    found = _cut(case, scan_path)
    canvas = random_object(case) * (_largest(found) / math.sqrt(2.0))
    canvas[: found.shape[0], : found.shape[1]] = found
    return canvas.astype(case.dtype, copy=False)


def scale(case: PatchCase, scan_path: str) -> float:
    """Give the magnitude in whose units a tolerance counts at a case.

    It is the largest one that the case takes from the object of a scan. What is made lies within -1..1, the sums of
    overlapping patches too: there it is 1.
    """
    taken = case.pattern == "scan" and case.kernel == "patch_extraction"
    return _largest(_cut(case, scan_path)) if taken else 1.0


def _uniform(rng: np.random.Generator, count: int, low: tuple[float, float], high: tuple[float, float]) -> Positions:
    return rng.uniform(low, high, (count, 2))


def _interior(rng: np.random.Generator, case: PatchCase, count: int) -> Positions:
    """Windows wholly inside; where the object is smaller than that, around its middle."""
    reach = case.N / 2.0 if case.kernel == "patch_extraction" else (case.M or case.N) / 2.0
    low, high = [], []
    for size, lower, upper in ((case.width, 0.0, 0.85), (case.height, 0.1, 1.0)):
        first, last = reach, size - 2.0 - reach
        if last < first:
            first = last = (size - 1) / 2.0
            first, last = first - 0.45, last + 0.45
        low.append(first + lower * (last - first))
        high.append(first + upper * (last - first))
    return _uniform(rng, count, (low[0], low[1]), (high[0], high[1]))


def _border(rng: np.random.Generator, case: PatchCase, count: int) -> Positions:
    """Corners and edges in turn, up to 1.5 pixels to either side."""
    x, y = case.width - 1.0, case.height - 1.0
    turns = np.array(
        [[0.0, 0.0], [x, 0.0], [0.0, y], [x, y], [0.4 * x, 0.0], [x, 0.3 * y], [0.7 * x, y], [0.0, 0.6 * y]]
    )
    return turns[np.arange(count) % len(turns)] + rng.uniform(-1.5, 1.5, (count, 2))


def _outside(rng: np.random.Generator, case: PatchCase, count: int) -> Positions:
    """Half outside, just outside and far outside in turn.

    For reassembly far means a few patch sizes: the canvas grows with the offsets.
    """
    far = 1.0e9 if case.kernel == "patch_extraction" else 2.0 * case.N
    x, y, n = float(case.width), float(case.height), float(case.N)
    turns = np.array(
        [
            [-0.5 * n - 0.25, 0.3 * y],
            [0.6 * x, -n - 0.75],
            [x + 0.5 * n - 0.5, 0.7 * y],
            [0.2 * x, y + 1.5 * n],
            [-far, 0.5 * y],
            [0.5 * x, far],
            [-n, -n],
            [0.4 * x, 0.4 * y],
        ]
    )
    return turns[np.arange(count) % len(turns)] + rng.uniform(-0.5, 0.5, (count, 2))


def _fermat(rng: np.random.Generator, case: PatchCase, count: int) -> Positions:
    step = np.arange(count)
    radius = np.sqrt((step + 0.5) / max(count, 1))
    angle = step * _GOLDEN_ANGLE
    x = case.width * (0.48 + 0.42 * radius * np.cos(angle))
    y = case.height * (0.53 + 0.36 * radius * np.sin(angle))
    return np.stack([x, y], axis=1) + rng.uniform(-0.5, 0.5, (count, 2))


def _raster(rng: np.random.Generator, case: PatchCase, count: int) -> Positions:
    columns = max(1, math.ceil(math.sqrt(count * case.width / case.height)))
    rows = max(1, math.ceil(count / columns))
    step = np.arange(count)
    x = case.width * (0.1 + 0.75 * (step % columns) / columns)
    y = case.height * (0.2 + 0.7 * (step // columns) / rows)
    return np.stack([x, y], axis=1) + rng.uniform(-0.4, 0.4, (count, 2))


def _prepared_neighbours(scan_path: str, groups: int, count: int) -> NDArray[np.int64] | None:
    """Nearest neighbours as the parent found them once for all children, where it found so many."""
    with np.load(scan_path, allow_pickle=False) as arrays:
        found = arrays[NEAREST] if NEAREST in arrays else np.empty((0, 0), np.int64)
    return np.asarray(found[:groups, :count]) if found.shape[0] >= groups and found.shape[1] >= count else None


def _scan(rng: np.random.Generator, case: PatchCase, scan_path: str) -> Positions:
    """Take the scan's positions, scaled where the object's size differs, each with its nearest neighbours.

    They come in turn; from the second turn on with a jitter of half a pixel.
    """
    found, xcoords, ycoords = _read(scan_path, "objectGuess", "xcoords", "ycoords")
    positions = np.stack([xcoords, ycoords], axis=1).astype(np.float64)
    scale = case.width / found.shape[1], case.height / found.shape[0]
    positions *= scale
    channels, groups = case.gridsize**2, min(case.batch, len(positions))
    near = _prepared_neighbours(scan_path, groups, min(channels, len(positions))) if scale == (1.0, 1.0) else None
    if near is None:
        near = nearest(positions, groups, channels)
    around = positions[near[:, np.arange(channels) % near.shape[1]]]
    members = around[np.arange(case.batch) % max(1, len(positions))]
    jitter = rng.uniform(-0.5, 0.5, members.shape)
    jitter[: len(positions)] = 0.0
    return np.asarray((members + jitter).reshape(-1, 2))


def positions(case: PatchCase, scan_path: str) -> Positions:
    """Positions (P, 2) [x, y] in object pixels, in patch order (group by group)."""
    rng = generator(case, "positions")
    count = case.batch * case.gridsize**2
    if case.pattern == "scan":
        return _scan(rng, case, scan_path)
    if case.pattern == "zero":
        return np.zeros((count, 2))
    if case.pattern == "integer":
        mixed = _interior(rng, case, count)
        mixed[1::4] = _border(rng, case, count)[1::4]
        return np.round(mixed)
    makers = {
        "interior": _interior,
        "border": _border,
        "outside": _outside,
        "fermat": _fermat,
        "raster": _raster,
        "fading": _interior,
    }
    if case.pattern not in makers:
        raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {case.pattern!r}")
    return makers[case.pattern](rng, case, count)


def to_groups(flat: Positions, batch: int, channels: int) -> tuple[Positions, Positions]:
    """Split positions (B*c, 2) into global (B, 1, 2, 1) and local (B, 1, 2, c) offsets about whole pixels."""
    grouped = flat.reshape(batch, channels, 2)
    centre = np.floor(grouped[:, :1])
    local = np.ascontiguousarray(np.swapaxes(grouped - centre, 1, 2))[:, None]
    return np.ascontiguousarray(centre[..., None]), local


def _overlap(flat: Positions, size: int) -> int:
    """Count how many parts of ``size`` pixels may touch one pixel, at most."""
    if not len(flat):
        return 1
    first = np.floor(flat - flat.min(axis=0)).astype(np.int64)
    width, height = first.max(axis=0) + size + 2
    steps = np.zeros((height, width), np.int64)
    x, y = first[:, 0], first[:, 1]
    for rows, columns, sign in (
        (y, x, 1),
        (y + size + 1, x, -1),
        (y, x + size + 1, -1),
        (y + size + 1, x + size + 1, 1),
    ):
        np.add.at(steps, (rows, columns), sign)
    return int(steps.cumsum(axis=0).cumsum(axis=1).max())


def _patches(case: PatchCase, flat: Positions) -> NDArray[np.complex64]:
    """Random patches (P, N, N, 1), scaled by a power of two so that sums of overlaps stay within -1..1."""
    rng = generator(case, "patches")
    amplitude = 2.0 ** -math.ceil(math.log2(_overlap(flat, case.M or case.N)))
    parts = rng.uniform(-amplitude, amplitude, (len(flat), case.N, case.N, 1, 2))
    if case.pattern == "fading":
        parts *= _fading(case.M or case.N)[np.arange(case.N) % (case.M or case.N), np.newaxis, np.newaxis]
    return np.asarray(parts.astype(np.float32).view(np.complex64)[..., 0])


def build(case: PatchCase, scan_path: str) -> Arguments:
    """Make the keyword arguments of the kernel's function for a case.

    Returns
    -------
    dict
        ``patch_extraction``: ``gt_image`` (H, W), ``global_offsets`` (B, 1, 2, 1), ``local_offsets``
        (B, 1, 2, c), ``N``, ``gridsize``. ``reassembly``: ``obj_tensor`` (P, N, N, 1) complex64,
        ``global_offsets`` (P, 1, 1, 2), ``M``. Offsets are float64, [x, y], pixels.
    """
    flat = positions(case, scan_path)
    if case.kernel == "reassembly":
        return {"obj_tensor": _patches(case, flat), "global_offsets": flat[:, None, None, :], "M": case.M or 10}
    global_offsets, local_offsets = to_groups(flat, case.batch, case.gridsize**2)
    return {
        "gt_image": scan_object(case, scan_path) if case.pattern == "scan" else random_object(case),
        "global_offsets": global_offsets,
        "local_offsets": local_offsets,
        "N": case.N,
        "gridsize": case.gridsize,
    }


def fresh(case: PatchCase, base: Arguments, rng: np.random.Generator) -> Arguments:
    """Make the same amount of work of data that nobody has seen: nothing of one result is right for another.

    Groups (or patches) come in another order. The object is rolled by whole pixels and turned by a power of i, each
    patch likewise, which keeps every magnitude. Positions within a group move by up to half a pixel; those of the
    patterns ``integer`` and ``zero`` stay what they are.

    Parameters
    ----------
    case : Case
    base : dict
        What `build` made of the case; it is not changed.
    rng : Generator
        The same generator gives the same bits.
    """
    changed = dict(base)
    order = rng.permutation(len(base["global_offsets"]))
    changed["global_offsets"] = base["global_offsets"][order]
    if case.kernel == "reassembly":
        turns = _QUARTER_TURNS[rng.integers(0, 4, len(order))]
        changed["obj_tensor"] = base["obj_tensor"][order] * turns[:, None, None, None]
        return changed
    local = base["local_offsets"][order]
    if case.pattern not in ("integer", "zero"):
        local = local + rng.uniform(-0.5, 0.5, local.shape)
    changed["local_offsets"] = local
    image = base["gt_image"]
    steps = [int(rng.integers(0, max(1, length))) for length in image.shape]
    changed["gt_image"] = np.roll(image, steps, axis=(0, 1)) * _QUARTER_TURNS[rng.integers(0, 4)].astype(image.dtype)
    return changed


def chosen(case: PatchCase, arguments: Arguments, length: int, rng: np.random.Generator) -> Any:
    """Index of the part that ``rng`` draws of a result of that length, along its first axis.

    A band of rows of a canvas begins where some patch does: at the rim there may be zeros only.
    """
    if case.kernel == "reassembly":
        rows = max(1, length // _CANVAS_BANDS)
        places = oracle.first_rows(arguments["global_offsets"])
        first = int(np.clip(places[rng.integers(0, len(places))], 0, length - rows))
        return slice(first, first + rows)
    return np.sort(rng.permutation(length)[:_PART_GROUPS])


def expected_part(case: PatchCase, arguments: Arguments, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Compute, by the oracle, the part of a result that `chosen` draws."""
    if case.kernel == "reassembly":
        side = oracle.canvas_size(arguments["global_offsets"], arguments["M"])
        return oracle.shift_and_sum(**arguments, rows=chosen(case, arguments, side, rng))
    groups = chosen(case, arguments, case.batch, rng)
    some = {name: arguments[name][groups] for name in ("global_offsets", "local_offsets")}
    return oracle.extract_patches(**{**arguments, **some})


def smallest(arguments: Arguments) -> Arguments:
    """Keep the first group (or patch) alone: same object, same shapes otherwise."""
    return {
        name: value[:1] if name in ("global_offsets", "local_offsets", "obj_tensor") else value
        for name, value in arguments.items()
    }
