"""How the tests of this room compare, save and refuse results."""

import dataclasses
import io
import tempfile
from collections import namedtuple

import numpy as np
import pytest

from validation.outputs import saved
from validation.outputs.compare import compare
from validation.outputs.tree import Tree, WrongOutputError, complete

Pair = namedtuple("Pair", ["mean", "spread"])


@dataclasses.dataclass
class Fit:
    mean: float
    residuals: np.ndarray


def judged(expected, actual, atol=1e-6, **options):
    """The comparison of two results, or of what was made of them."""
    trees = [result if isinstance(result, Tree) else complete(result) for result in (expected, actual)]
    return compare(*trees, expected_name="oracle", actual_name="batched", atol=atol, **options)


def through_a_file(tree):
    """A result that was saved and loaded."""
    with tempfile.TemporaryFile() as file:
        saved.save(file, tree)
        file.seek(0, io.SEEK_SET)
        return saved.load(file)


def refusal(result):
    """What is said of a result that cannot be used."""
    with pytest.raises(WrongOutputError) as refused:
        complete(result)
    return str(refused.value)
