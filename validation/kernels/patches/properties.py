"""Properties that random data blurs: where a pixel was sampled, whether the map is linear, whether bits stay.

A probe runs in a child, on one implementation at one case, and says whether its property holds, with the
figure that shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.kernel import Function
from validation.kernels.patches import oracle, workloads
from validation.kernels.patches.case import of
from validation.kernels.patches.promise import promise
from validation.kernels.patches.workloads import Arguments
from validation.properties.tested import Found, Tested, refuse_shape, same_bits, within

EPSILON = float(np.finfo(np.float32).eps)
# |<Ax, y> - <x, A*y>| / (|Ax| |y|); results are complex64, whatever the precision inside.
DOT_PRODUCT_LIMIT = 1e-7
SPECIAL_VALUES = (np.nan, np.inf, -np.inf, -0.0)
# A power of two, so that it changes the exponents and nothing else.
SMALL = np.float32(2.0**-30)
# One element in so many is special.
_SPECIAL_EVERY = 150
# At and just above the first sizes that engines cut a batch into.
BLOCKS = (16, 17, 64, 65)

Property = Callable[[Tested], Found]
COMPUTE: dict[str, tuple[str, Function]] = {
    "patch_extraction": ("gt_image", oracle.extract_patches),
    "reassembly": ("obj_tensor", oracle.shift_and_sum),
}


def _arguments(tested: Tested, **params: Any) -> Arguments:
    """Make the arguments of the case with other parameters."""
    return workloads.build(of(tested.kernel.changed(tested.case, **params)), str(tested.data))


def _sampled_at(arguments: Arguments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows (B, N, N, c) of the object (not padded) where pixels are sampled."""
    N = arguments["N"]
    total = (arguments["global_offsets"] + arguments["local_offsets"]).astype(np.float32).astype(np.float64)
    axis = np.arange(N) - N // 2
    x = axis[None, None, :, None] + total[:, :, 0][:, :, None, :]
    y = axis[None, :, None, None] + total[:, :, 1][:, :, None, :]
    return np.broadcast_arrays(x, y)  # type: ignore[return-value]


def _inside(arguments: Arguments) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    x, y = _sampled_at(arguments)
    height, width = arguments["gt_image"].shape
    return x, y, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def gradient(tested: Tested) -> Found:
    """Take the object x + 1j*y: every pixel of the result says where it was sampled."""
    arguments = tested.arguments()
    height, width = arguments["gt_image"].shape
    y, x = np.mgrid[0.0:height, 0.0:width]
    arguments["gt_image"] = (x + 1j * y).astype(of(tested.case).dtype)
    found = tested.call(arguments)
    columns, rows, inside = _inside(arguments)
    refused = refuse_shape(found, columns.shape)
    if refused is not None:
        return refused
    error = np.abs(found - (columns + 1j * rows))[inside].max(initial=0.0)
    return within(error, 4 * EPSILON * max(height, width), "largest distance from where it should be sampled, pixels")


def constant_object(tested: Tested) -> Found:
    """See that a constant object gives constant patches wherever they lie inside."""
    arguments = tested.arguments()
    value = np.complex64(0.71 - 0.37j)
    arguments["gt_image"] = np.full_like(arguments["gt_image"], value)
    found = tested.call(arguments)
    inside = _inside(arguments)[2]
    refused = refuse_shape(found, inside.shape)
    if refused is not None:
        return refused
    return within(np.abs(found - value)[inside].max(initial=0.0), 2 * EPSILON, "largest distance from the constant")


def integer_slicing(tested: Tested) -> Found:
    """Hold whole-pixel offsets against slices of the padded object, bit for bit."""
    case = of(tested.kernel.changed(tested.case, pattern="integer"))
    arguments = workloads.build(case, str(tested.data))
    margin = 2 * case.N
    padded = np.pad(arguments["gt_image"].astype(np.complex64), margin)
    found = tested.call(arguments)
    total = (arguments["global_offsets"] + arguments["local_offsets"])[:, 0].astype(int) + margin - case.N // 2
    expected = np.empty((case.batch, case.N, case.N, case.gridsize**2), np.complex64)
    for group, channel in np.ndindex(case.batch, case.gridsize**2):
        x, y = total[group, :, channel]
        expected[group, :, :, channel] = padded[y : y + case.N, x : x + case.N]
    return same_bits(expected, found + np.complex64(0), "against slices")


def _random_like(shape: tuple[int, ...], seed: int, dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng([seed, 77])
    parts = rng.uniform(-1.0, 1.0, (2, *shape))
    return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)


def dot_product(tested: Tested) -> Found:
    """Hold <A x, y> against <x, A* y> with independent random complex x and y; A* is the oracle's."""
    arguments = tested.arguments()
    forward = tested.call(arguments)
    other = _random_like(forward.shape, tested.case.seed, np.complex64)
    if tested.case.kernel == "reassembly":
        given = arguments["obj_tensor"]
        offsets = arguments["global_offsets"]
        size = oracle.canvas_size(offsets, arguments["M"])
        refused = refuse_shape(forward, (size, size, 1))
        if refused is not None:
            return refused
        back = oracle.shift_and_sum_adjoint(other, given.shape, offsets, arguments["M"])
    else:
        given = arguments["gt_image"]
        refused = refuse_shape(forward, _inside(arguments)[2].shape)
        if refused is not None:
            return refused
        precision = np.float64 if given.dtype == np.complex128 else np.float32
        back = oracle.extract_patches_adjoint(
            other, given.shape, arguments["global_offsets"], arguments["local_offsets"], precision
        )
    wide = forward.astype(np.complex128)
    left = np.vdot(other.astype(np.complex128), wide)
    right = np.vdot(back, given.astype(np.complex128))
    scale = float(np.linalg.norm(wide) * np.linalg.norm(other)) or 1.0
    return within(float(abs(left - right)) / scale, DOT_PRODUCT_LIMIT, "|<Ax, y> - <x, A*y>| / (|Ax| |y|)")


def _impulses(tested: Tested, name: str, arguments: Arguments, compute: Function) -> Found:
    """Compare the columns of the kernel's matrix with those of the oracle, over real and imaginary impulses."""
    worst = 0.0
    shape = arguments[name].shape
    for number, index in enumerate(np.ndindex(shape)):
        impulse = np.zeros(shape, arguments[name].dtype)
        impulse[index] = 1j if number % 2 else 1.0
        changed = {**arguments, name: impulse}
        found, expected = tested.call(changed), compute(**changed)
        refused = refuse_shape(found, expected.shape)
        if refused is not None:
            return refused
        worst = float(np.maximum(worst, np.abs(found - expected).max()))  # unlike max(), keeps a NaN
    return within(worst, promise().atol, "largest difference over all columns of the matrix")


def impulse_matrix(tested: Tested) -> Found:
    """Build the kernel's matrix on a tiny case, column by column from impulses."""
    if tested.case.kernel == "reassembly":
        arguments = _arguments(tested, N=4, M=4, gridsize=1, batch=2, height=7, width=9)
        return _impulses(tested, "obj_tensor", arguments, oracle.shift_and_sum)
    arguments = _arguments(tested, N=4, batch=2, height=5, width=7, pattern="border")
    return _impulses(tested, "gt_image", arguments, oracle.extract_patches)


def batch_size(tested: Tested) -> Found:
    """See that every group gives the same bits alone, in halves and with all others."""
    arguments = tested.arguments()
    whole = tested.call(arguments)
    names = ("global_offsets", "local_offsets")
    for step in (1, max(1, of(tested.case).batch // 2)):
        pieces = [
            tested.call({**arguments, **{name: arguments[name][at : at + step] for name in names}})
            for at in range(0, of(tested.case).batch, step)
        ]
        found = same_bits(whole, np.concatenate(pieces), f"in batches of {step}")
        if not found.passed:
            return found
    return found


def order(tested: Tested) -> Found:
    """See that bits do not depend on the order of the groups in the batch."""
    arguments = tested.arguments()
    whole = tested.call(arguments)
    shuffled = np.random.default_rng(tested.case.seed).permutation(of(tested.case).batch)
    names = ("global_offsets", "local_offsets")
    other = tested.call({**arguments, **{name: arguments[name][shuffled] for name in names}})
    return same_bits(whole[shuffled] if len(whole) == len(shuffled) else whole, other, "in another order")


def delta(tested: Tested) -> Found:
    """Light one pixel and see it land where its patch's offset says: the centroid of the canvas is that place."""
    arguments = tested.arguments()
    patches = np.zeros_like(arguments["obj_tensor"])
    count, N, M = len(patches), patches.shape[1], arguments["M"]
    which = count // 3
    row, column = N // 2 - M // 2 + M // 3, N // 2 - M // 2 + M // 2
    patches[which, row, column, 0] = 1.0
    canvas = tested.call({**arguments, "obj_tensor": patches})
    size = oracle.canvas_size(arguments["global_offsets"], M)
    refused = refuse_shape(canvas, (size, size, 1))
    if refused is not None:
        return refused
    flat = np.asarray(arguments["global_offsets"], np.float64).reshape(-1, 2)
    dx, dy = flat[which].astype(np.float32) - flat.mean(axis=0).astype(np.float32)
    pad = (size - M) // 2
    light = canvas[..., 0].real.astype(np.float64)
    mass = light.sum() or np.nan
    y, x = np.indices(light.shape)
    error = np.hypot((light * x).sum() / mass - (pad + M // 2 + dx), (light * y).sum() / mass - (pad + M // 3 + dy))
    figure = float(max(error, abs(mass - 1.0))) if np.isfinite(error) else np.inf
    return within(figure, 1e-3, "distance of the pixel from its place, pixels, or change of its sum")


def count_canvas(tested: Tested) -> Found:
    """See patches of ones add up to the count canvas, whose sum is P*M*M."""
    arguments = tested.arguments()
    arguments["obj_tensor"] = np.ones_like(arguments["obj_tensor"])
    canvas = tested.call(arguments)
    expected = oracle.shift_and_sum(**arguments)
    refused = refuse_shape(canvas, expected.shape)
    if refused is not None:
        return refused
    total = len(arguments["obj_tensor"]) * arguments["M"] ** 2
    of_sum = abs(float(canvas.real.astype(np.float64).sum()) / total - 1.0)
    of_pixels = float(np.abs(canvas - expected).max()) / float(np.abs(expected).max())
    return within(
        float(np.maximum(of_sum, of_pixels)),
        promise().atol,
        "relative difference of the sum from P*M*M, and of the counts",
    )


def _misplaced(found: NDArray[Any], expected: NDArray[Any]) -> int:
    """Count the elements that are finite in one array alone, of another sign of infinity, or too far off.

    Which part of an element becomes NaN beside an infinity depends on how complex numbers are multiplied, and is left
    open.
    """
    finite = np.isfinite(expected)
    wrong = np.isfinite(found) != finite
    for one, other in ((found.real, expected.real), (found.imag, expected.imag)):
        wrong |= ~np.isfinite(other) & np.isfinite(one)
        wrong |= (np.isnan(other) | np.isinf(other)) & np.isinf(one) & (one != other)
    with np.errstate(invalid="ignore"):
        wrong |= finite & ~(np.abs(found - expected) <= promise().atol)
    return int(np.count_nonzero(wrong))


def special_values(tested: Tested) -> Found:
    """See that NaN and infinities of the object, in either part, come out where they are sampled, and nowhere else."""
    name, compute = COMPUTE[tested.case.kernel]
    arguments = _arguments(tested, pattern="interior")
    rng = np.random.default_rng([tested.case.seed, 78])
    given = arguments[name]
    places = rng.choice(given.size, max(8, given.size // _SPECIAL_EVERY), replace=False)
    misplaced = special = 0
    for part in ("real", "imag"):
        spoilt = given.copy()
        getattr(spoilt, part).flat[places] = np.resize(SPECIAL_VALUES, len(places))
        found = tested.call({**arguments, name: spoilt})
        with np.errstate(invalid="ignore"):
            expected = compute(**{**arguments, name: spoilt})
        refused = refuse_shape(found, expected.shape)
        if refused is not None:
            return refused
        misplaced += _misplaced(found, expected)
        special += int(np.count_nonzero(~np.isfinite(expected)))
    return within(misplaced, 0.0, f"elements wrong, of which {special} shall not be finite")


def small_amplitude(tested: Tested) -> Found:
    """See that an object of 1e-9 gives the result of the object of 1, that much smaller, bit for bit."""
    name, _ = COMPUTE[tested.case.kernel]
    arguments = _arguments(tested, pattern="interior")
    whole, small = tested.call(arguments), tested.call({**arguments, name: arguments[name] * SMALL})
    return same_bits(whole, small / SMALL, "of a result a billion times smaller")


def half_pixels(tested: Tested) -> Found:
    """Hold offsets at k + 0.5 against the oracle, in batches at and just above the first sizes of blocks."""
    _, compute = COMPUTE[tested.case.kernel]
    placing = tested.case.kernel == "reassembly"
    small: dict[str, Any] = {"N": 8, "gridsize": 1, "pattern": "interior", **({"M": 6} if placing else {})}
    worst = 0.0
    for batch in BLOCKS:
        arguments = _arguments(tested, batch=batch, **small)
        offsets = np.floor(arguments["global_offsets"])
        if placing:
            # In pairs about a whole pixel, so that the offsets from the mean are at k + 0.5, too.
            centre, half = np.floor(offsets.mean(axis=0)), batch // 2
            offsets[:half] += 0.5
            offsets[half : 2 * half] = 2.0 * centre - offsets[:half]
            offsets[2 * half :] = centre
        else:
            arguments["local_offsets"] = np.full_like(arguments["local_offsets"], 0.5)
        arguments["global_offsets"] = offsets
        found, expected = tested.call(arguments), compute(**arguments)
        refused = refuse_shape(found, expected.shape)
        if refused is not None:
            return refused
        worst = float(np.maximum(worst, np.abs(found - expected).max()))
    return within(worst, promise().atol, f"largest difference in batches of {', '.join(map(str, BLOCKS))}")


_BOTH: dict[str, Property] = {
    "special_values": special_values,
    "small_amplitude": small_amplitude,
    "half_pixels": half_pixels,
}
EXTRACTION: dict[str, Property] = {
    "gradient": gradient,
    "constant_object": constant_object,
    "integer_slicing": integer_slicing,
    "dot_product": dot_product,
    "impulse_matrix": impulse_matrix,
    "batch_size": batch_size,
    "order": order,
    **_BOTH,
}
PLACEMENT: dict[str, Property] = {
    "delta": delta,
    "count_canvas": count_canvas,
    "dot_product": dot_product,
    "impulse_matrix": impulse_matrix,
    **_BOTH,
}
