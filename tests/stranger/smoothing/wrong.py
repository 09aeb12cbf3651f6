"""Running means with a known defect."""

import numpy as np

from smoothing.filters import by_views


def one_sample_late(signal, window):
    """Give the mean of the window that ended a sample ago."""
    return np.concatenate([signal[:1].astype(np.float32), by_views(signal, window)[:-1]])


def keeps_its_buffer(signal, window, _kept={}):  # noqa: B006  # the defect
    """Give every call of a length the same array."""
    out = _kept.setdefault(len(signal), np.empty(len(signal), np.float32))
    out[:] = by_views(signal, window)
    return out
