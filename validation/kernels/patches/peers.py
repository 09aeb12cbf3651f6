"""What a user might pick instead: general samplers of other libraries, made to do patch extraction.

They run on the same cases and are listed beside the candidate with time, memory and error; they never
decide. A library that is not installed makes its peer unavailable (extra ``peers``).
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.contract.cards import Implementation
from validation.contract.kernel import NotAvailableError


def _peer(name: str, summary: str) -> Implementation:
    return Implementation(name=name, role="peer", target=f"validation.kernels.patches.peers:{name}", summary=summary)


PEERS: dict[str, tuple[Implementation, ...]] = {
    "patch_extraction": (
        _peer("scipy_map_coordinates", "scipy.ndimage.map_coordinates, order 1, one call for all patches"),
        _peer("opencv_remap", "cv2.remap, bilinear, one call per patch (weights rounded to 1/32 pixel)"),
        _peer("opencv_rect", "cv2.getRectSubPix, one call per patch"),
        _peer("torch_grid_sample", "torch.nn.functional.grid_sample, bilinear, all patches in one call"),
        _peer("jax_dynamic_slice", "jax.vmap of dynamic_slice and a blend of four slices, jit"),
        _peer("numba_loop", "a plain loop over pixels, numba.njit"),
    ),
}


def _require(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotAvailableError(
            f"{distribution} is not installed ({error}); pip install ptycho-validation[peers]"
        ) from None


def _offsets(arguments: dict[str, Any]) -> NDArray[np.float32]:
    """Offsets (P, 2) [x, y] in the padded object, in patch order."""
    total = (arguments["global_offsets"] + arguments["local_offsets"]).astype(np.float32)
    return np.ascontiguousarray(np.swapaxes(total[:, 0], 1, 2).reshape(-1, 2))


def _to_groups(flat: NDArray[Any], arguments: dict[str, Any]) -> NDArray[np.complex64]:
    """(P, N, N) to (B, N, N, c) complex64."""
    N, channels = arguments["N"], arguments["gridsize"] ** 2
    return np.ascontiguousarray(np.moveaxis(flat.reshape(-1, channels, N, N), 1, 3).astype(np.complex64, copy=False))


def _with_margin(arguments: dict[str, Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Object with N + 2 zeros beyond the padding, and offsets into it that never leave it."""
    N, image = arguments["N"], arguments["gt_image"]
    margin = N + 2
    padded = np.pad(image, N // 2 + margin)
    size = np.array([image.shape[1], image.shape[0]], np.float32) + 2 * (N // 2)
    return padded, np.clip(_offsets(arguments), np.float32(-N - 1), size) + np.float32(margin)


def scipy_map_coordinates(**arguments: Any) -> Any:
    """Sample all patches by one call per part."""
    ndimage = _require("scipy.ndimage", "scipy")
    N = arguments["N"]
    padded = np.pad(arguments["gt_image"], N // 2)
    offsets = _offsets(arguments).astype(np.float64)
    axis = np.arange(N)
    shape = (len(offsets), N, N)
    rows = np.broadcast_to((offsets[:, 1:] + axis)[:, :, None], shape)
    columns = np.broadcast_to((offsets[:, :1] + axis)[:, None, :], shape)
    out = ndimage.map_coordinates(padded, [rows, columns], order=1, mode="grid-constant", output=padded.dtype)
    return _to_groups(out, arguments)


def opencv_remap(**arguments: Any) -> Any:
    """Sample each patch by remap, real and imaginary part as two channels."""
    cv2 = _require("cv2", "opencv-python-headless")
    N = arguments["N"]
    padded, offsets = _with_margin(arguments)
    planes = np.ascontiguousarray(padded.astype(np.complex64)).view(np.float32).reshape(*padded.shape, 2)
    x, y = np.meshgrid(np.arange(N, dtype=np.float32), np.arange(N, dtype=np.float32))
    out = np.empty((len(offsets), N, N, 2), np.float32)
    for patch, (ox, oy) in zip(out, offsets, strict=True):
        cv2.remap(planes, x + ox, y + oy, cv2.INTER_LINEAR, dst=patch, borderMode=cv2.BORDER_CONSTANT)
    return _to_groups(out.view(np.complex64)[..., 0], arguments)


def opencv_rect(**arguments: Any) -> Any:
    """Sample each patch by getRectSubPix, real and imaginary part apart."""
    cv2 = _require("cv2", "opencv-python-headless")
    N = arguments["N"]
    padded, offsets = _with_margin(arguments)
    parts = [np.ascontiguousarray(part, np.float32) for part in (padded.real, padded.imag)]
    out = np.empty((len(offsets), N, N), np.complex64)
    centre = (N - 1) / 2.0
    for patch, (ox, oy) in zip(out, offsets.astype(np.float64), strict=True):
        at = (float(ox) + centre, float(oy) + centre)
        patch.real, patch.imag = (cv2.getRectSubPix(part, (N, N), at) for part in parts)
    return _to_groups(out, arguments)


def torch_grid_sample(**arguments: Any) -> Any:
    """Sample all patches by grid_sample, the object expanded (not copied) over the batch."""
    torch = _require("torch", "torch")
    N = arguments["N"]
    padded, offsets = _with_margin(arguments)
    height, width = padded.shape
    image = torch.from_numpy(np.stack([padded.real, padded.imag]))[None]
    at = torch.from_numpy(offsets).to(image.dtype)
    axis = torch.arange(N, dtype=image.dtype)
    x = (at[:, :1] + axis) * (2.0 / (width - 1)) - 1.0
    y = (at[:, 1:] + axis) * (2.0 / (height - 1)) - 1.0
    shape = (len(offsets), N, N)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)
    sampled = torch.nn.functional.grid_sample(
        image.expand(len(offsets), -1, -1, -1), grid, mode="bilinear", padding_mode="zeros", align_corners=True
    ).numpy()
    return _to_groups(sampled[:, 0] + 1j * sampled[:, 1], arguments)


@functools.cache
def _jax_blend() -> Any:
    jax = _require("jax", "jax")
    jnp = jax.numpy

    def one(image: Any, offset: Any, N: int) -> Any:
        lower = jnp.floor(offset)
        wx, wy = offset - lower
        window = jax.lax.dynamic_slice(image, (lower[1].astype(int), lower[0].astype(int)), (N + 1, N + 1))
        above = (1 - wx) * window[:-1, :-1] + wx * window[:-1, 1:]
        below = (1 - wx) * window[1:, :-1] + wx * window[1:, 1:]
        return (1 - wy) * above + wy * below

    return jax.jit(jax.vmap(one, in_axes=(None, 0, None)), static_argnums=2)


def jax_dynamic_slice(**arguments: Any) -> Any:
    """Slice N + 1 pixels under each patch and blend, the weights of a patch being constant."""
    padded, offsets = _with_margin(arguments)
    if not len(offsets):
        return _to_groups(np.empty((0, arguments["N"], arguments["N"]), np.complex64), arguments)
    return _to_groups(np.asarray(_jax_blend()(padded.astype(np.complex64), offsets, arguments["N"])), arguments)


@functools.cache
def _numba_loop() -> Any:
    numba = _require("numba", "numba")

    def loop(image: Any, offsets: Any, out: Any, channels: Any) -> None:
        N, (height, width) = out.shape[1], image.shape
        one = offsets.dtype.type(1.0)
        for patch in numba.prange(len(offsets)):
            ox, oy = offsets[patch]
            for i in range(N):
                sy = offsets.dtype.type(i) + oy
                lower_y = np.floor(sy)
                wy = sy - lower_y
                y = int(min(max(lower_y, -2.0), height))
                for j in range(N):
                    sx = offsets.dtype.type(j) + ox
                    lower_x = np.floor(sx)
                    wx = sx - lower_x
                    x = int(min(max(lower_x, -2.0), width))
                    value = image.dtype.type(0)
                    if 0 <= y < height and 0 <= x < width:
                        value += (one - wx) * (one - wy) * image[y, x]
                    if 0 <= y < height and -1 <= x < width - 1:
                        value += wx * (one - wy) * image[y, x + 1]
                    if -1 <= y < height - 1 and 0 <= x < width:
                        value += (one - wx) * wy * image[y + 1, x]
                    if -1 <= y < height - 1 and -1 <= x < width - 1:
                        value += wx * wy * image[y + 1, x + 1]
                    out[patch // channels, i, j, patch % channels] = value

    try:
        return numba.njit(parallel=True, cache=True)(loop)  # compiled once, not in each of twenty processes
    except RuntimeError:  # no writable folder for the cache
        return numba.njit(parallel=True)(loop)


def numba_loop(**arguments: Any) -> Any:
    """Sample pixel by pixel, patches in parallel."""
    N, channels = arguments["N"], arguments["gridsize"] ** 2
    padded = np.pad(arguments["gt_image"], N // 2)
    precision = np.float64 if padded.dtype == np.complex128 else np.float32
    offsets = _offsets(arguments).astype(precision)
    out = np.empty((len(offsets) // channels, N, N, channels), np.complex64)
    _numba_loop()(padded, offsets, out, channels)
    return out
