"""What a case takes: memory, and how long the slow reference is, where its loop is left out.

The loop translates the whole padded object once per patch, so that its time is
``start + passes * (a + b * pixels)``.
It is never used for the reference case of a sweep, which is always measured.
"""

from __future__ import annotations

import numpy as np

from validation.contract.cases import Case, PlannedCase
from validation.kernels.patches.case import PatchCase, of

# Seconds to start, per pass, and per pixel, until enough has been measured. On two cores a pass over 84,000 pixels
# took 1.3 ms in a loop of 100 and 2.3 ms in one of 20,000, whose output no cache holds; this lies between.
PRIOR_S = (0.9, 1e-3, 1e-8)
# What a pass costs besides its pixels, in pixels.
PIXELS_PER_PASS = round(PRIOR_S[1] / PRIOR_S[2])
# Passes times (padded pixels and what a pass costs besides) above which the loop is left out where nothing is judged by
# its time: some fifteen seconds by the prior, twice that on a slow day. A count and not a time, so that every machine
# leaves out the same cases.
PIXELS_MOVED_LIMIT = 1.5e9
# Passes times padded pixels above which it is not timed where its time is context: each of three replicates calls it
# eight times.
CONTEXT_PIXELS_LIMIT = 2e8


def passes_and_pixels(case: PatchCase) -> tuple[int, int]:
    """Count passes of the loop, and pixels that each of them moves."""
    if case.kernel == "reassembly":
        # The canvas is about as large as the object that the positions spread over.
        return case.batch * case.gridsize**2, (case.height + 2 * (case.M or 0)) * (case.width + 2 * (case.M or 0))
    pad = 2 * (case.N // 2)
    return case.batch * case.gridsize**2, (case.height + pad) * (case.width + pad)


class ReferenceLaw:
    """The law, fitted to the calls of the reference that a run has timed so far."""

    def __init__(self) -> None:
        self._points: list[tuple[int, int, float]] = []

    def add(self, case: Case, call_s: float) -> None:
        """Take in one timed call of the reference."""
        passes, pixels = passes_and_pixels(of(case))
        if case.kernel == "patch_extraction":
            self._points.append((passes, pixels, call_s))

    def fit(self) -> tuple[float, float, float, float | None]:
        """Fit seconds to start, per pass and per pixel, and give the largest relative residual.

        Relative residuals are minimised, so that the long calls do not drown the short ones. The
        residual is ``None`` while the law is the prior.
        """
        if len(self._points) < 6:
            return (*PRIOR_S, None)
        passes, pixels, call_s = (np.array(column, float) for column in zip(*self._points, strict=True))
        design = np.stack([np.ones_like(passes), passes, passes * pixels], axis=1) / call_s[:, None]
        coefficients, *_ = np.linalg.lstsq(design, np.ones(len(call_s)), rcond=None)
        residual = float(np.max(np.abs(design @ coefficients - 1.0)))
        start, per_pass, per_pixel = (float(value) for value in coefficients)
        return start, per_pass, per_pixel, residual

    def start_s(self) -> float:
        """Predict what a call takes before its first pass."""
        return self.fit()[0]

    def predict_s(self, case: Case) -> float:
        """Predict the time of one call of the reference."""
        passes, pixels = passes_and_pixels(of(case))
        start, per_pass, per_pixel, _ = self.fit()
        return max(0.0, start + passes * (per_pass + per_pixel * pixels))

    def times_reference(self, planned: PlannedCase) -> bool:
        """Say whether the loop is timed at a case that is timed."""
        passes, pixels = passes_and_pixels(of(planned.case))
        return not planned.context or passes * pixels <= CONTEXT_PIXELS_LIMIT

    def reason_to_leave_out(self, planned: PlannedCase) -> str | None:
        """Say why the loop's output is not compared at a case, or ``None`` where it is."""
        case, checks = planned.case, planned.checks
        passes, pixels = passes_and_pixels(of(case))
        needed = planned.with_reference or "memory" in checks or ("time" in checks and not planned.context)
        if needed or passes * (pixels + PIXELS_PER_PASS) <= PIXELS_MOVED_LIMIT:
            return None
        start, per_pass, per_pixel, residual = self.fit()
        basis = (
            "before any was timed"
            if residual is None
            else f"fitted to {len(self._points)} calls, largest residual {100 * residual:.0f} %"
        )
        return (
            f"{passes} passes over {pixels} pixels would take about {self.predict_s(case):.0f} s "
            f"({start:.2g} s to start, {1e3 * per_pass:.3g} ms per pass, {1e9 * per_pixel:.3g} ns per pixel; {basis})"
        )


def output_bytes(case: PatchCase, spread: float | None = None) -> int:
    """Bytes of the result; for reassembly about, from the extent that the positions span."""
    if case.kernel == "patch_extraction":
        return case.batch * case.gridsize**2 * case.N**2 * 8
    extent = max(case.height, case.width) if spread is None else spread
    return int((case.M or case.N) + extent + 4 * case.N) ** 2 * 8


def predicted_bytes(case: PatchCase, implementation: str) -> int:
    """Memory that a call takes above the imported package, predicted generously.

    Parameters
    ----------
    case : Case
    implementation : str
        ``reference``, ``oracle``, or the name of another implementation.
    """
    item = 16 if case.dtype == "complex128" else 8
    patches = case.batch * case.gridsize**2
    padded = (case.height + case.N) * (case.width + case.N) * item
    inputs = case.height * case.width * item
    if case.kernel == "reassembly":
        inputs += patches * case.N**2 * 8
        padded = output_bytes(case)
    fixed = 300 << 20  # the runtime, its thread pools and one compilation
    if implementation in ("reference", "oracle"):
        return fixed + inputs + 8 * padded + 3 * output_bytes(case)
    return fixed + inputs + 4 * padded + 2 * output_bytes(case)
