"""Small functions for the tests of pairs. They last what is known of them, so that a pair is measured in seconds."""

import time

import numpy as np

SLOW_S, FAST_S = 0.05, 0.01


def make(rng, size):
    return {"values": rng.uniform(-1.0, 1.0, size)}


def slow(values):
    time.sleep(SLOW_S)
    return np.array([value * value for value in values.tolist()])


def fast(values):
    time.sleep(FAST_S)
    return values * values


def off_at_the_end(values):
    out = fast(values)
    out[-1] += 1e-12
    return out


def fast_in_place(values):
    time.sleep(FAST_S)
    values *= values
    return values.copy()


def view(values):
    time.sleep(FAST_S)
    return values[::-1]


def other_view(values):
    time.sleep(FAST_S)
    return np.flip(values)
