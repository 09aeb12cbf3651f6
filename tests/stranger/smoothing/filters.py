"""The running mean: as a loop, and at once."""

import numpy as np


def by_loop(signal, window):
    """Mean of the last ``window`` samples (fewer at the start), float32."""
    out = np.empty(len(signal), np.float32)
    for index in range(len(signal)):
        out[index] = signal[max(0, index + 1 - window) : index + 1].mean()
    return out


def by_views(signal, window):
    """Give the same, of all windows at once."""
    head = [signal[: index + 1].mean() for index in range(min(window - 1, len(signal)))]
    if len(signal) < window:
        return np.array(head, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(signal, window)
    return np.concatenate([head, windows.mean(axis=1)]).astype(np.float32)
