"""Windowed placement: each patch is added into the few canvas pixels it reaches, in patch order.

A patch moved by (dx, dy) reaches its own pixels and a skirt of one more. The weights come from the
float32 coordinates of the canvas exactly as `ptycho.projective_warp_xla` forms them, and the patches are
added in their order, so every bit is that of the loop over whole canvases.

Where a patch does not reach, that loop adds its zeros, which make -0 (a sum below the normal numbers that was
flushed) into 0. So a pixel takes a zero too if the patch before did not reach it, and if the last one did not.

`place_native` (compiled, CPU, eager) and `place_graph` (TensorFlow operations) give the same bits.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ptycho import native

_MARGIN = 4  # zeros around a patch, wider than the skirt and the rounding of a coordinate


def _place_patches(
    patches, P, N, start, M, offsets, pad, one, index, canvas, count, counted, height, width, first, last,
    block, ones, x0, wx, corners, moved,
):  # fmt: skip
    """Kernel: add the patches to the canvas rows ``first..last``.

    ``patches`` (P, N, N) and ``canvas`` (height, width) are flat arrays of (real, imaginary) pairs; ``count``
    (height, width) is real, flat, and not looked at unless ``counted``. ``index`` counts the canvas pixels in the
    precision of ``offsets`` (P, 2) [dx, dy], flat. ``block`` and ``ones`` hold a patch and ones within a margin of
    zeros; the rest is scratch.
    """
    side = M + 8
    zero = one - one  # a literal would be double, and adding it be left out
    for i in range(M):
        for j in range(M):
            ones[(i + 4) * side + j + 4] = one
    top = left = -2 * side  # no patch yet
    for p in range(P):
        dx = offsets[2 * p]
        dy = offsets[2 * p + 1]
        top_before = top
        left_before = left
        left = int(min(max(np.floor(dx) + pad, -M - 8.0), width + 8.0)) - 1
        top = int(min(max(np.floor(dy) + pad, -M - 8.0), height + 8.0)) - 1
        j0 = max(left, 0)
        columns = min(left + M + 3, width) - j0
        i0 = max(top, first)
        i1 = min(top + M + 3, last)
        if columns <= 0 or i0 >= i1:
            continue
        for i in range(M):
            row = patches[2 * ((p * N + start + i) * N + start) : 2 * ((p * N + start + i) * N + start + M)]
            target = block[2 * ((i + 4) * side + 4) : 2 * ((i + 4) * side + 4 + M)]
            for t in range(2 * M):
                target[t] = row[t]
        regular = True
        for j in range(columns):
            s = index[j0 + j] - dx
            lower = np.floor(s)
            wx[2 * j] = s - lower
            wx[2 * j + 1] = s - lower
            x0[j] = int(lower) - pad + 4
            regular = regular and x0[j] == x0[0] + j
        for i in range(i0, i1):
            s = index[i] - dy
            lower = np.floor(s)
            v = s - lower
            u = one - v
            y = int(lower) - pad + 4
            if regular:
                source = block
                unit = ones
                a0 = y * side + x0[0]
                a1 = a0 + side
                step = 1
            else:
                source = corners[: 8 * (M + 3)]
                unit = corners[8 * (M + 3) :]
                step = M + 3
                a0 = 0
                a1 = 2 * step
                for q in range(4):
                    for j in range(columns):
                        pixel = (y + q // 2) * side + x0[j] + q % 2
                        source[2 * (q * step + j)] = block[2 * pixel]
                        source[2 * (q * step + j) + 1] = block[2 * pixel + 1]
                        unit[q * step + j] = ones[pixel]
            target = canvas[2 * (i * width + j0) : 2 * (i * width + j0 + columns)]
            upper_left = source[2 * a0 : 2 * (a0 + columns)]
            upper_right = source[2 * (a0 + step) : 2 * (a0 + step + columns)]
            lower_left = source[2 * a1 : 2 * (a1 + columns)]
            lower_right = source[2 * (a1 + step) : 2 * (a1 + step + columns)]
            # Sample first, then add: in one expression the compiler would contract across the two.
            for t in range(2 * columns):
                w = wx[t]
                moved[t] = (
                    ((one - w) * u) * upper_left[t]
                    + (w * u) * upper_right[t]
                    + ((one - w) * v) * lower_left[t]
                    + (w * v) * lower_right[t]
                )
            both0 = both1 = columns  # the patch before reached these columns, too
            if top_before <= i < top_before + M + 3:
                both0 = min(max(left_before - j0, 0), columns)
                both1 = min(max(left_before + M + 3 - j0, 0), columns)
            for t in range(2 * both0):
                target[t] += moved[t] + zero
            for t in range(2 * both0, 2 * both1):
                target[t] += moved[t]
            for t in range(2 * both1, 2 * columns):
                target[t] += moved[t] + zero
            if counted:
                for t in range(columns):
                    w = wx[2 * t]
                    moved[t] = (
                        ((one - w) * u) * unit[a0 + t]
                        + (w * u) * unit[a0 + step + t]
                        + ((one - w) * v) * unit[a1 + t]
                        + (w * v) * unit[a1 + step + t]
                    )
                for t in range(columns):
                    count[i * width + j0 + t] += moved[t]
    for i in range(first, last):
        target = canvas[2 * i * width : 2 * (i + 1) * width]
        j0 = j1 = width
        if top <= i < top + M + 3:
            j0 = min(max(left, 0), width)
            j1 = min(max(left + M + 3, 0), width)
        for t in range(2 * j0):
            target[t] += zero
        for t in range(2 * j1, 2 * width):
            target[t] += zero


def place_native(patches, offsets, M, pad, canvas, count):
    """Add the central M x M of patches (P, N, N), moved by offsets (P, 2) [dx, dy], to the canvas, in place.

    ``pad`` is the canvas pixel of a patch's first pixel at offset 0. ``count`` (real, shape of the canvas) or
    None takes the same sum for patches of ones. All arrays are NumPy, complex and real of one precision.
    """
    if not np.isfinite(offsets).all():  # the kernel would write beyond the canvas
        raise ValueError("offsets must be finite, got values that are NaN or infinite")
    real = offsets.dtype.type
    P, N, _ = patches.shape
    height, width = canvas.shape
    kernel = native.compiled(_place_patches)
    counts = np.empty(0, real) if count is None else count.reshape(-1)

    def work(first, last):
        side = M + 2 * _MARGIN
        kernel(
            native.flat_view(patches, real), P, N, N // 2 - M // 2, M, offsets.reshape(-1), pad, real(1),
            np.arange(max(height, width), dtype=real), canvas.reshape(-1).view(real), counts, len(counts),
            height, width, first, last,
            np.zeros(2 * side * side, real), np.zeros(side * side, real), np.empty(M + 3, np.int64),
            np.empty(2 * (M + 3), real), np.empty(12 * (M + 3), real), np.empty(2 * (M + 3), real),
        )  # fmt: skip

    # Threads share rows, not patches: each pixel is still summed in patch order.
    native.run_in_ranges(work, height, max(height, 1) if P * M * M < 2**20 else -(-height // native.thread_count()))


def _first_pixel(shift, pad):
    """Canvas pixel, row or column, where the window of a part moved by ``shift`` begins."""
    return tf.cast(tf.floor(shift), tf.int32) + pad - 1


def _reached(index, shift, pad, M):
    """Whether canvas rows or columns (K, L) lie in the windows of M x M parts moved by ``shift`` (K,)."""
    beyond = index - _first_pixel(shift, pad)[:, tf.newaxis]
    return (beyond >= 0) & (beyond < M + 3)


def _plus_zero(values, reached):
    """Add to real values the zero of a patch that does not reach them, and where ``reached`` nothing.

    The zero depends on the values, or a compiler might leave the sum out.
    """
    zero = tf.zeros((), values.dtype)
    nothing = -zero  # no tf.constant, which eagerly gives the same tensor for both zeros
    return values + tf.stop_gradient(tf.where(reached | (values != 0), nothing, zero))


def _windows(parts, offsets, before, present, pad, M, counted):
    """Sample moved parts (K, M, M) where they reach; canvas rows and columns (K, M+3) last.

    ``before`` (K, 2) holds the offsets of the part placed before each. The samples (K, M+3, M+3) come in a tuple;
    the second, there if ``counted``, is of parts that hold ``present`` (K,) everywhere: one, or zero for a part that
    only fills up the chunk.
    """
    real = offsets.dtype

    def bordered(plane):
        return tf.pad(plane, [[0, 0], [_MARGIN, _MARGIN], [_MARGIN, _MARGIN]])

    def source(shift):
        index = _first_pixel(shift, pad)[:, tf.newaxis] + tf.range(M + 3)[tf.newaxis, :]
        coordinate = tf.cast(index, real) - shift[:, tf.newaxis]
        lower = tf.floor(coordinate)
        return index, tf.cast(lower, tf.int32) - pad + _MARGIN, coordinate - lower

    columns, x0, wx = source(offsets[:, 0])
    rows, y0, wy = source(offsets[:, 1])
    wx, wy = wx[:, tf.newaxis, :], wy[:, :, tf.newaxis]

    def blend(plane):
        def corner(y, x):
            return tf.gather(tf.gather(plane, y, axis=1, batch_dims=1), x, axis=2, batch_dims=1)

        return (
            ((1 - wx) * (1 - wy)) * corner(y0, x0)
            + (wx * (1 - wy)) * corner(y0, x0 + 1)
            + ((1 - wx) * wy) * corner(y0 + 1, x0)
            + (wx * wy) * corner(y0 + 1, x0 + 1)
        )

    both = (
        _reached(rows, before[:, 1], pad, M)[:, :, tf.newaxis]
        & _reached(columns, before[:, 0], pad, M)[:, tf.newaxis, :]
    )
    total = tf.complex(*(_plus_zero(blend(bordered(part(parts))), both) for part in (tf.math.real, tf.math.imag)))
    if not counted:
        return (total,), rows, columns
    count = blend(bordered(tf.broadcast_to(present[:, tf.newaxis, tf.newaxis], tf.shape(parts))))
    return (total, tf.complex(count, tf.zeros_like(count))), rows, columns


def default_chunk_size(M):
    """Return the patches per chunk with which a chunk of M x M parts takes about 8 MiB."""
    return max(1, 2**20 // (M * M))


_windows_jit = tf.function(_windows, jit_compile=True)


def place_graph(parts, offsets, pad, size, chunk_size, counted=False):
    """Canvas (size, size) of parts (P, M, M) complex64 moved by offsets (P, 2), as TensorFlow operations.

    Works with unknown P and a ``size`` known only when it runs; at most ``chunk_size`` parts are in work at a time.
    Where both are known it compiles as a part of a caller's XLA program. Returns that canvas and, if ``counted``, the
    same of parts of ones (else None).
    """
    M = parts.shape[1]
    # Every chunk is filled up to this size: no larger than there is work, but one size for all small numbers of parts,
    # so that it is compiled once. For a batch of one XLA contracts in another order.
    chunk_size = max(2, min(chunk_size, max(parts.shape[0] or 0, default_chunk_size(M))))
    count = tf.shape(parts)[0]
    chunks = (count + chunk_size - 1) // chunk_size
    wide = tf.cast(size + 2 * _MARGIN, tf.int64)  # the skirt of a patch at the rim falls on the margin

    def add_chunk(index, canvases):
        numbers = index * chunk_size + tf.range(chunk_size)  # one size for all chunks: compiled once
        present = tf.cast(numbers < count, offsets.dtype)  # the last part fills up the chunk
        numbers = tf.minimum(numbers, count - 1)
        chunk, shifts = tf.gather(parts, numbers), tf.gather(offsets, numbers)
        before = tf.gather(offsets, tf.maximum(numbers - 1, 0))
        samples, rows, columns = _windows_jit(chunk, shifts, before, present, pad, M, counted)
        rows, columns = (tf.cast(pixel, tf.int64) + _MARGIN for pixel in (rows, columns))
        pixels = rows[:, :, tf.newaxis] * wide + columns[:, tf.newaxis, :]
        pixels *= tf.cast(present, tf.int64)[:, tf.newaxis, tf.newaxis]  # no zero of a filling part reaches the canvas
        pixels = tf.reshape(pixels, [-1, 1])
        canvases = tuple(
            tf.tensor_scatter_nd_add(canvas, pixels, tf.reshape(values, [-1]))
            for canvas, values in zip(canvases, samples, strict=True)
        )
        return index + 1, canvases

    empty = tuple(tf.zeros([wide * wide], parts.dtype) for _ in range(1 + counted))
    _, canvases = tf.while_loop(
        lambda index, _: index < chunks, add_chunk, [tf.constant(0), empty], parallel_iterations=1
    )
    inside = slice(_MARGIN, _MARGIN + size)
    canvases = [tf.reshape(canvas, [wide, wide])[inside, inside] for canvas in canvases]

    columns, rows = (  # of the last part; there may be none
        tf.reduce_any(_reached(tf.range(size)[tf.newaxis, :], offsets[-1:, axis], pad, M), axis=0) for axis in (0, 1)
    )
    last = rows[:, tf.newaxis] & columns[tf.newaxis, :]
    total = tf.complex(*(_plus_zero(part(canvases[0]), last) for part in (tf.math.real, tf.math.imag)))
    return total, canvases[1] if counted else None
