"""The built-in scan: a made object and a Fermat-spiral scan over it, in the format of a real one.

The object is complex, not square and has no symmetry; its amplitude and phase hold structure at all
scales (noise with a power-law spectrum, a wedge, bars of falling width), so that a shift by a fraction
of a pixel, a swapped axis or a lost minus sign changes every pixel.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 200, 256
PROBE_SIZE = 64
POSITIONS = 1000
SEED = 1084
_GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
# Positions keep this far from the edges of the object: half a probe and some.
_MARGIN = PROBE_SIZE // 2 + 4


def _power_law_noise(rng: np.random.Generator, exponent: float) -> NDArray[np.float64]:
    """Real noise (HEIGHT, WIDTH) with amplitude spectrum ``|f|**-exponent``, scaled to -1..1."""
    fy = np.fft.fftfreq(HEIGHT)[:, None]
    fx = np.fft.rfftfreq(WIDTH)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(HEIGHT, WIDTH))) * frequency**-exponent
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(HEIGHT, WIDTH))
    return np.asarray(noise / np.abs(noise).max(), dtype=np.float64)


def make_object(seed: int = SEED) -> NDArray[np.complex128]:
    """Make the object (HEIGHT, WIDTH): amplitude in 0.2..1.3, phase in -2.2..2.2 rad."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0.0 : 1.0 : HEIGHT * 1j, 0.0 : 1.0 : WIDTH * 1j]
    amplitude = 0.75 + 0.25 * _power_law_noise(rng, 1.2) + 0.1 * x - 0.05 * y
    amplitude += 0.15 * (x + 2.0 * y > 1.7)  # a wedge, sharp at the scale of one pixel
    bars = (np.floor(12.0 / (0.25 + x)) % 2.0 == 0.0) & (y > 0.15) & (y < 0.3)
    amplitude -= 0.2 * bars
    phase = 1.4 * _power_law_noise(rng, 1.5) + 0.6 * (x - 0.4 * y * y)
    return np.asarray(np.clip(amplitude, 0.2, 1.3) * np.exp(1j * np.clip(phase, -2.2, 2.2)))


def make_probe() -> NDArray[np.complex128]:
    """Make the probe (PROBE_SIZE, PROBE_SIZE): an astigmatic Gaussian with a curved phase."""
    axis = np.arange(PROBE_SIZE) - (PROBE_SIZE - 1) / 2.0
    y, x = axis[:, None], axis[None, :]
    return np.asarray(np.exp(-(x**2) / 180.0 - y**2 / 260.0) * np.exp(1j * (x**2 / 150.0 + y**2 / 210.0 + x / 40.0)))


def make_positions(seed: int = SEED) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make POSITIONS scan positions (x, y) in object pixels: a Fermat spiral, stretched, with jitter."""
    rng = np.random.default_rng([seed, 1])
    step = np.arange(POSITIONS)
    radius = np.sqrt((step + 0.5) / POSITIONS)
    jitter = rng.uniform(-0.75, 0.75, (2, POSITIONS))
    reach_x, reach_y = WIDTH / 2.0 - _MARGIN, HEIGHT / 2.0 - _MARGIN
    x = WIDTH / 2.0 + reach_x * radius * np.cos(step * _GOLDEN_ANGLE) + jitter[0]
    y = HEIGHT / 2.0 + reach_y * radius * np.sin(step * _GOLDEN_ANGLE) + jitter[1]
    return x, y


def write_demo_scan(path: str | os.PathLike[str]) -> None:
    """Write the built-in scan as an .npz; the same bytes every time.

    Parameters
    ----------
    path : str or Path
        Holds afterwards ``objectGuess`` (200, 256) complex128, ``probeGuess`` (64, 64) complex128 and
        ``xcoords``, ``ycoords`` (1000,) float64, x = column, y = row, in object pixels.
    """
    x, y = make_positions()
    arrays: dict[str, NDArray[Any]] = {
        "objectGuess": make_object(),
        "probeGuess": make_probe(),
        "xcoords": x,
        "ycoords": y,
    }
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
