"""Tensors of TensorFlow are the same numbers in the same memory."""

import numpy as np
import pytest

from tests.validation.outputs.judging import judged, refusal
from validation.outputs.tree import complete

pytestmark = pytest.mark.tensorflow
ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "complex64"])
def test_tensors_and_variables_are_arrays(tf, dtype):
    array = ARRAY.astype(dtype)
    tensor = tf.constant(array)
    assert judged([array, array], [tensor, tf.Variable(tensor)], 0.0).passed
    assert np.shares_memory(complete(tensor).array, complete(tensor).array)


def test_tensors_of_short_floats_and_of_texts_are_compared(tf):
    short = tf.constant([1.0, 2.0], tf.bfloat16)
    assert judged(short, short, 0.0).passed
    assert not judged(short, tf.constant([1.0, 2.0]), 0.0).passed
    assert judged(tf.constant(["a", "b"]), tf.constant(["a", "b"]), 0.0).passed
    assert judged(tf.constant(["a", "b"]), tf.constant(["a", "c"]), 0.0).difference == "[1]: expected b'b', got b'c'"


def test_a_data_set_is_refused(tf):
    assert "the result must be an array of numbers" in refusal(tf.data.Dataset.range(3))
