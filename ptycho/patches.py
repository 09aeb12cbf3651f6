"""Windowed extraction: only the (N+1) x (N+1) pixels under a patch are touched.

Within a patch the shift is constant, so the bilinear weights separate into one per row and one per
column. They are formed from float32 coordinates exactly as `ptycho.projective_warp_xla` forms them, and
the four products are summed in its order, so every bit is that of the whole-image translation.

Two engines give the same bits: ``native`` (compiled, CPU, eager) writes straight into the output;
``xla`` runs inside ``tf.function``, on a GPU, and where llvmlite is missing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from ptycho import native

ENGINES = ("native", "xla")

_RANGE_PIXELS = 2**18  # what a thread takes at a time: large beside the hand-over, small beside a scan


def _extract_groups(
    image,
    height,
    width,
    border,
    offsets,
    one,
    N,
    c,
    first,
    last,
    index,
    x0,
    y0,
    wx,
    wy,
    regular,
    corners,
    rows,
    rows64,
    out,
    out64,
):
    """Kernel: write the patches of the groups ``first..last``.

    ``image`` is the object as a flat array of (real, imaginary) pairs, ``border`` the zeros around it that are
    counted by the offsets but not stored, ``offsets`` (P, 2) [x, y] flat in its precision, ``out`` and ``out64`` the
    (B, N, N, c) complex64 output as flat float32 and as flat uint64; ``index`` is 0..N-1, the rest is scratch of
    one thread.
    """
    for b in range(first, last):
        for k in range(c):
            ox = offsets[2 * (b * c + k)]
            oy = offsets[2 * (b * c + k) + 1]
            contiguous = True
            for j in range(N):
                s = index[j] + ox
                lower = np.floor(s)
                wx[2 * (k * N + j)] = s - lower
                wx[2 * (k * N + j) + 1] = s - lower
                x0[k * N + j] = int(min(max(lower, -2.0), width + 2 * border)) - border
                contiguous = contiguous and x0[k * N + j] == x0[k * N] + j
                s = index[j] + oy
                lower = np.floor(s)
                wy[k * N + j] = s - lower
                y0[k * N + j] = int(min(max(lower, -2.0), height + 2 * border)) - border
            regular[k] = contiguous and x0[k * N] >= 0 and x0[k * N] + N < width
        for i in range(N):
            for k in range(c):
                y = y0[k * N + i]
                if regular[k] and y >= 0 and y + 1 < height:
                    source = image
                    a0 = 2 * (y * width + x0[k * N])
                    step = 2
                    a1 = a0 + 2 * width
                else:
                    source = corners
                    a0 = 0
                    step = 2 * N
                    a1 = 4 * N
                    for q in range(4):
                        yy = y + q // 2
                        for j in range(N):
                            xx = x0[k * N + j] + q % 2
                            inside = yy >= 0 and yy < height and xx >= 0 and xx < width
                            for part in range(2):
                                corners[2 * (q * N + j) + part] = image[2 * (yy * width + xx) + part] if inside else 0.0
                target = (
                    out[2 * N * (b * N + i) : 2 * N * (b * N + i + 1)] if c == 1 else rows[2 * N * k : 2 * N * (k + 1)]
                )
                # Slices of known length: the compiler needs no sign or bounds checks, and vectorises.
                upper_left = source[a0 : a0 + 2 * N]
                upper_right = source[a0 + step : a0 + step + 2 * N]
                lower_left = source[a1 : a1 + 2 * N]
                lower_right = source[a1 + step : a1 + step + 2 * N]
                weight = wx[2 * N * k : 2 * N * (k + 1)]
                v = wy[k * N + i]
                u = one - v
                for t in range(2 * N):
                    w = weight[t]
                    target[t] = (
                        ((one - w) * u) * upper_left[t]
                        + (w * u) * upper_right[t]
                        + ((one - w) * v) * lower_left[t]
                        + (w * v) * lower_right[t]
                    )
            if c > 1:
                start = (b * N + i) * N * c
                for k in range(c):
                    strided = out64[start + k : start + N * c : c]
                    row = rows64[k * N : (k + 1) * N]
                    for j in range(N):
                        strided[j] = row[j]


def _offsets(positions, real):
    """Positions, float32, flat in the precision of the object; subnormal ones are zero, as TensorFlow takes them."""
    offsets = positions.astype(real)
    offsets[np.abs(positions) < np.finfo(np.float32).tiny] = 0
    return offsets.reshape(-1)


def _extract_native(padded, border, positions, N, B, c, chunk_size):
    """Patches (B, N, N, c) of the object (H, W), both NumPy arrays; positions (B*c, 2) float32."""
    real = np.float32 if padded.dtype == np.complex64 else np.float64
    height, width = padded.shape
    image = native.flat_view(padded, real)
    offsets = _offsets(positions, real)
    out = native.empty_aligned((B, N, N, c), np.complex64)

    def work(first, last):
        rows = np.empty(2 * N * c, np.float32)
        native.compiled(_extract_groups)(
            image, height, width, border, offsets, real(1), N, c, first, last, np.arange(N, dtype=real),
            np.empty(N * c, np.int64), np.empty(N * c, np.int64), np.empty(2 * N * c, real), np.empty(N * c, real),
            np.empty(c, np.bool_), np.empty(8 * N, real), rows, rows.view(np.uint64),
            out.reshape(-1).view(np.float32), out.reshape(-1).view(np.uint64),
        )  # fmt: skip

    if native.nothing_compiled_yet():  # fetch the memory of the output while the code is loaded
        threads = native.thread_count()
        with ThreadPoolExecutor(threads) as pool:
            for part in np.array_split(out.reshape(-1), threads):
                pool.submit(native.touch, part)
            work(0, 0)
    # The loop rounds a float64 sample outside of TensorFlow, where subnormal numbers are kept.
    smallest = min(chunk_size, max(1, _RANGE_PIXELS // (N * N * c)))
    native.run_in_ranges(work, B, smallest, flush=real is np.float32)
    return out


def _scatter_groups(upstream, N, first, last, c, offsets, one, index, canvas, height, width):
    """Kernel: add each pixel of the groups ``first..last`` to the four pixels it was sampled from.

    The transpose of `_extract_groups`, with the same weights; ``upstream`` (B, N, N, c) and ``canvas`` are flat
    arrays of (real, imaginary) pairs.
    """
    for b in range(first, last):
        for k in range(c):
            ox = offsets[2 * (b * c + k)]
            oy = offsets[2 * (b * c + k) + 1]
            for i in range(N):
                lower = np.floor(index[i] + oy)
                v = index[i] + oy - lower
                y0 = int(min(max(lower, -2.0), height))
                for j in range(N):
                    lower = np.floor(index[j] + ox)
                    w = index[j] + ox - lower
                    x0 = int(min(max(lower, -2.0), width))
                    pixel = 2 * (((b * N + i) * N + j) * c + k)
                    for q in range(4):
                        y = y0 + q // 2
                        x = x0 + q % 2
                        if y >= 0 and y < height and x >= 0 and x < width:
                            weight = (w if q % 2 else one - w) * (v if q // 2 else one - v)
                            for part in range(2):
                                canvas[2 * (y * width + x) + part] += weight * upstream[pixel + part]


def _gradient_native(upstream, shape, dtype, positions):
    """Gradient for the padded object (H, W) of ``upstream`` (B, N, N, c); positions (B*c, 2) float32."""
    B, N, _, c = upstream.shape
    real = np.float32 if dtype == np.complex64 else np.float64
    height, width = shape
    canvas = native.empty_aligned(shape, dtype)
    canvas.fill(0)
    offsets = _offsets(positions, real)

    def work(first, last):
        native.compiled(_scatter_groups)(
            native.flat_view(upstream, np.float32), N, first, last, c, offsets, real(1),
            np.arange(N, dtype=real), canvas.reshape(-1).view(real), height, width,
        )  # fmt: skip

    native.run_in_ranges(work, B, max(B, 1))  # one range: groups overlap on the canvas
    return canvas


def _source(count, offset, limit):
    """Clamped lower index (int32) and weight of the coordinates ``0..count-1 + offset`` along axis 1."""
    index = tf.reshape(tf.cast(tf.range(count), offset.dtype), [1, count, 1])
    coordinate = index + offset[:, tf.newaxis, :]
    lower = tf.floor(coordinate)
    clamped = tf.clip_by_value(lower, tf.cast(-2, offset.dtype), tf.cast(limit, offset.dtype))
    return tf.cast(clamped, tf.int32), coordinate - lower


def _extract_graph(padded, positions, N, rounded=True):
    """Patches (B, N, N, c) of the padded object (H, W) for positions (B, c, 2), as TensorFlow operations.

    They are complex64 or, unless ``rounded``, of the precision of the object.
    """
    real = padded.dtype.real_dtype
    positions = tf.stop_gradient(tf.cast(positions, real))
    height, width = tf.shape(padded)[0], tf.shape(padded)[1]
    x0, wx = _source(N, positions[:, :, 0], width)  # (B, N, c)
    y0, wy = _source(N, positions[:, :, 1], height)
    x0, wx = x0[:, tf.newaxis], wx[:, tf.newaxis]  # (B, 1, N, c)
    y0, wy = y0[:, :, tf.newaxis], wy[:, :, tf.newaxis]  # (B, N, 1, c)
    corners = []
    for y, x in ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1)):
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        flat = tf.clip_by_value(y, 0, height - 1) * width + tf.clip_by_value(x, 0, width - 1)
        corners.append((flat, inside))

    def blend(plane):
        pixels = tf.reshape(plane, [-1])
        a, b, c, d = (tf.where(inside, tf.gather(pixels, flat), 0) for flat, inside in corners)
        sample = ((1 - wx) * (1 - wy)) * a + (wx * (1 - wy)) * b + ((1 - wx) * wy) * c + (wx * wy) * d
        return tf.cast(sample, tf.float32) if rounded else sample

    return tf.complex(blend(tf.math.real(padded)), blend(tf.math.imag(padded)))


_extract_jit = tf.function(_extract_graph, jit_compile=True, reduce_retracing=True)


def _extract_in_chunks(padded, positions, N, B, c, chunk_size):
    """Call the XLA engine eagerly, in chunks of one size, so that it is compiled once."""
    out = native.empty_aligned((B, N, N, c), np.complex64)
    # Every chunk is filled up to this size: no larger than there is work, but one size for all small scans.
    chunk_size = min(chunk_size, max(B, default_chunk_size(N, c)))
    for first in range(0, B, chunk_size):
        count = min(chunk_size, B - first)
        chunk = positions[first * c : (first + count) * c].reshape(count, c, 2)
        chunk = np.pad(chunk, [(0, chunk_size - count), (0, 0), (0, 0)])
        patches = native.as_array(_extract_jit(padded, chunk, N, rounded=False))
        with native.subnormals(flushed=False):  # the loop has NumPy round complex128; TensorFlow would flush
            out[first : first + count] = patches[:count]
    return out


def default_chunk_size(N, c):
    """Return the groups per chunk with which a chunk of patches takes about 16 MiB."""
    return max(1, 2**21 // (N * N * c))


def _check_size(shape):
    """Refuse what the XLA engine's int32 indices do not reach."""
    pixels = tf.TensorShape(shape).num_elements()
    if pixels is not None and pixels >= 2**31:
        raise ValueError(f"engine 'xla' takes padded objects of less than 2**31 pixels, got shape {tuple(shape)}")


def _default_engine(gt_padded):
    """Name the engine for an eager call: an object on a GPU stays there."""
    on_gpu = "GPU" in getattr(gt_padded, "device", "")
    return "native" if native.available() and not on_gpu else "xla"


def extract(gt_padded, positions, N, B, c, chunk_size=None, engine=None, border=0):
    """Extract all patches; see `ptycho.raw_data._get_image_patches_batched`.

    Parameters
    ----------
    gt_padded : tensor or array, shape (1, H, W, 1), complex64 or complex128
    positions : tensor, shape (B*c, 2), float32
        [x, y] in pixels.
    N, B, c : int
        ``B`` may be unknown (None) inside ``tf.function``.
    chunk_size : int, optional
        Groups that are worked on at a time; bounds the extra memory and does not change a bit.
    engine : {'native', 'xla'}, optional
        Default: 'native' where it can be used (eager, no object on a GPU, llvmlite installed), else 'xla'.
    border : int
        Zeros around the object that the positions count but that are not stored; for an array and engine 'native'.

    Returns
    -------
    tensor, shape (B, N, N, c), complex64
    """
    if engine not in (None, *ENGINES):
        raise ValueError(f"engine must be one of {ENGINES} or None, got {engine!r}")
    if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1):
        raise ValueError(f"chunk_size must be a positive integer or None, got {chunk_size!r}")
    if isinstance(gt_padded, tf.Tensor) and not tf.executing_eagerly():
        if engine == "native":
            raise ValueError("engine 'native' needs eager execution; inside tf.function use 'xla'")
        _check_size(gt_padded.shape)
        return _extract_jit(tf.squeeze(gt_padded, [0, 3]), tf.reshape(positions, [-1, c, 2]), N)
    chunk_size = chunk_size or default_chunk_size(N, c)
    engine = engine or _default_engine(gt_padded)
    if border and not (engine == "native" and isinstance(gt_padded, np.ndarray) and tf.executing_eagerly()):
        raise ValueError("a border that is not stored needs an array, engine 'native' and eager execution")
    if engine == "xla":
        _check_size(gt_padded.shape)
    host_positions = native.as_array(positions)

    def forward(padded):
        if not tf.executing_eagerly():  # a second derivative inside tf.function, or a Jacobian
            return _extract_jit(padded, host_positions.reshape(B, c, 2), N)
        if engine == "native":
            host = _extract_native(native.as_array(padded), border, host_positions, N, B, c, chunk_size)
        else:
            host = _extract_in_chunks(padded, host_positions, N, B, c, chunk_size)
        return native.as_tensor(host)

    def backward(upstream, padded):
        if engine == "native" and tf.executing_eagerly():
            return native.as_tensor(
                _gradient_native(native.as_array(upstream), padded.shape, padded.dtype.as_numpy_dtype, host_positions)
            )
        with tf.GradientTape() as tape:
            tape.watch(padded)
            result = _extract_jit(padded, host_positions.reshape(B, c, 2), N)
        return tape.gradient(result, padded, output_gradients=upstream)

    # Extraction is linear: the gradient of its gradient is extraction again, as often as one likes.
    @tf.custom_gradient
    def run(padded):
        @tf.custom_gradient
        def gradient(upstream):
            return backward(upstream, padded), run

        return forward(padded), lambda upstream: gradient(tf.convert_to_tensor(upstream))

    if isinstance(gt_padded, np.ndarray):  # no tape watches an array
        return forward(gt_padded[0, :, :, 0])
    return run(tf.squeeze(gt_padded, [0, 3]))
