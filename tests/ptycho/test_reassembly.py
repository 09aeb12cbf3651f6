"""Placement and reassembly against the oracle."""

import numpy as np
import pytest
import tensorflow as tf

from ptycho import native, placement, tf_helper
from ptycho.tf_helper import reassemble_position, reassemble_position_old, shift_and_sum, shift_and_sum_old
from tests.ptycho import oracle
from tests.ptycho.conftest import make_object


def workload(P=6, N=16, spread=9.0, seed=0):
    rng = np.random.default_rng(seed)
    patches = np.stack([make_object(N, N, seed=seed + i) for i in range(P)])[..., None]
    offsets = rng.uniform([20, 30], [20 + spread, 30 + 1.7 * spread], (P, 2))
    return patches, offsets.reshape(P, 1, 1, 2)


IMPLEMENTATIONS = [(shift_and_sum_old, reassemble_position_old), (shift_and_sum, reassemble_position)]


@pytest.mark.parametrize(("place", "reassemble"), IMPLEMENTATIONS)
class TestReassembly:
    @pytest.mark.parametrize("M", [4, 10, 16])
    def test_the_canvas_agrees_with_the_oracle(self, place, reassemble, M):
        patches, offsets = workload()
        start = 8 - M // 2
        parts = patches[:, start : start + M, start : start + M, 0]
        expected = oracle.placed(parts, offsets.reshape(-1, 2))
        result = place(patches, offsets, M=M).numpy()
        assert result.dtype == np.complex64
        assert result.shape == (*expected.shape, 1)
        np.testing.assert_allclose(result[..., 0], expected, atol=2e-6, rtol=0)

    def test_both_layouts_of_the_offsets_are_accepted(self, place, reassemble):
        patches, offsets = workload()
        one = place(patches, offsets).numpy()
        np.testing.assert_array_equal(one, place(patches, offsets.reshape(-1, 1, 2, 1)).numpy())

    def test_placed_ones_count_and_sum_to_P_M_M(self, place, reassemble):
        patches, offsets = workload(P=5)
        canvas = place(np.ones_like(patches), offsets, M=6).numpy()
        np.testing.assert_allclose(canvas.sum(), 5 * 36, rtol=1e-6)
        assert canvas.real.max() <= 5 + 1e-5

    def test_reassembly_averages_where_patches_overlap(self, place, reassemble):
        patches, offsets = workload()
        total = place(patches, offsets, M=10).numpy()
        count = place(np.ones_like(patches), offsets, M=10).numpy()
        np.testing.assert_allclose(
            reassemble(patches, offsets, M=10).numpy(), total / (1e-9 + count), atol=1e-5, rtol=1e-5
        )

    @pytest.mark.parametrize(
        ("patches", "offsets", "M", "message"),
        [
            (np.zeros((2, 8, 8), np.complex64), np.zeros((2, 1, 1, 2)), 4, "obj_tensor must have shape"),
            (np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 1, 1, 2)), 4, "obj_tensor must be complex64"),
            (np.zeros((0, 8, 8, 1), np.complex64), np.zeros((0, 1, 1, 2)), 4, "at least one patch"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((3, 1, 1, 2)), 4, "one offset per patch \\(2\\), got 3"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 2)), 4, "global_offsets must have shape"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 1, 1, 2)), 10, "M must be at most N = 8, got 10"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.zeros((2, 1, 1, 2)), 3, "M must be an even positive"),
            (np.zeros((2, 8, 8, 1), np.complex64), np.full((2, 1, 1, 2), np.inf), 4, "must be finite"),
        ],
    )
    def test_bad_arguments_are_named(self, place, reassemble, patches, offsets, M, message):
        with pytest.raises(ValueError, match=message):
            place(patches, offsets, M=M)


@pytest.fixture(params=["native", "graph"])
def engine(request, monkeypatch):
    """Run with the compiled kernel, and with the TensorFlow operations that serve where it is missing."""
    if request.param == "graph":
        monkeypatch.setattr(native, "available", lambda: False)
    return request.param


def bits(tensor):
    return np.ascontiguousarray(tensor).view(np.int32)


@pytest.mark.parametrize(("P", "N", "M"), [(1, 16, 10), (7, 16, 16), (60, 24, 20), (300, 12, 10)])
def test_batched_and_loop_give_the_same_bits(engine, P, N, M):
    patches, offsets = workload(P, N, spread=21.3)
    np.testing.assert_array_equal(
        bits(shift_and_sum(patches, offsets, M)), bits(shift_and_sum_old(patches, offsets, M))
    )
    np.testing.assert_array_equal(
        bits(reassemble_position(patches, offsets, M)), bits(reassemble_position_old(patches, offsets, M))
    )


def test_offsets_whose_coordinates_round_to_integers_give_the_same_bits(engine):
    patches, _ = workload(6, 32)
    offsets = np.array([[0, 0], [63.999996, 40], [-90, 1e-7], [31.9999, -17], [-1e-6, 2], [126.99999, -128]])
    offsets = offsets.reshape(-1, 1, 1, 2)
    for M in (20, 32):
        one, other = shift_and_sum(patches, offsets, M), shift_and_sum_old(patches, offsets, M)
        np.testing.assert_array_equal(bits(one), bits(other))


@pytest.mark.parametrize("new", [shift_and_sum, reassemble_position])
@pytest.mark.parametrize("P", [1, 70])
def test_a_canvas_of_given_size_compiles_as_part_of_a_callers_own_program(new, P):
    patches, offsets = workload(P, 16)
    expected = new(patches, offsets, 10)
    pad = (expected.shape[0] - 10) // 2

    @tf.function(jit_compile=True)
    def compiled(patches, offsets):
        return new(patches, offsets, 10, chunk_size=32, canvas_pad=pad)

    np.testing.assert_allclose(compiled(patches, offsets), expected, atol=1e-6)  # XLA fuses the sum with the sample
    np.testing.assert_array_equal(bits(new(patches, offsets, 10, canvas_pad=pad)), bits(expected))
    inside = tf.function(new)(patches, offsets, 10, canvas_pad=pad)
    np.testing.assert_array_equal(bits(inside), bits(expected))


def test_a_canvas_of_given_size_may_be_larger_and_not_smaller(engine):
    patches, offsets = workload(9, 16)
    smaller = shift_and_sum(patches, offsets, 10)
    pad = (smaller.shape[0] - 10) // 2
    larger = shift_and_sum(patches, offsets, 10, canvas_pad=pad + 3)
    np.testing.assert_allclose(larger[3:-3, 3:-3], smaller, atol=1e-4)
    assert not np.any(larger[:2])
    with pytest.raises(ValueError, match=f"canvas_pad must be at least .*, {pad} for these offsets, got {pad - 1}"):
        shift_and_sum(patches, offsets, 10, canvas_pad=pad - 1)
    with pytest.raises(ValueError, match="canvas_pad must be an integer of at least 0"):
        shift_and_sum(patches, offsets, 10, canvas_pad=-2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="canvas_pad must be at least"):
        tf.function(shift_and_sum)(patches, tf.constant(offsets), 10, canvas_pad=pad - 1)


@pytest.mark.parametrize("place", [shift_and_sum, reassemble_position, shift_and_sum_old, reassemble_position_old])
def test_offsets_too_large_for_float32_are_told_by_name(place):
    patches, _ = workload(3, 8)
    message = r"global_offsets reach 1000100 pixels, where float32 numbers are 0.0625 pixels apart.*subtract a common"
    far = np.array([[0, 0], [3, 4], [100, 1]]).reshape(3, 1, 1, 2)
    with pytest.warns(UserWarning, match=message) as caught:
        place(patches, far + 1e6, 4)
    assert caught[0].filename == __file__ or place is shift_and_sum_old
    place(patches, far + 16000.0, 4)  # no warning: warnings are errors here


def test_identical_offsets_stack_the_patches(engine):
    patches, _ = workload(4, 8)
    offsets = np.full((4, 1, 2, 1), 55.5)
    np.testing.assert_array_equal(
        bits(shift_and_sum(patches, offsets, 8)), bits(shift_and_sum_old(patches, offsets, 8))
    )


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_bits_do_not_depend_on_the_chunk_size(chunk_size, monkeypatch):
    patches, offsets = workload(40)
    expected = bits(shift_and_sum(patches, offsets))
    monkeypatch.setattr(native, "available", lambda: False)
    np.testing.assert_array_equal(bits(shift_and_sum(patches, offsets, chunk_size=chunk_size)), expected)


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    patches, offsets = workload(3000, 24, spread=60)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(native, "thread_count", lambda n=threads: n)
        results.append(bits(reassemble_position(patches, offsets, 20)))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_inputs_are_not_changed_and_a_second_call_gives_the_same_bits(engine):
    patches, offsets = workload(20)
    before = patches.copy(), offsets.copy()
    first, second = bits(shift_and_sum(patches, offsets)), bits(shift_and_sum(patches, offsets))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(patches, before[0])
    np.testing.assert_array_equal(offsets, before[1])


def test_a_tensor_and_an_array_give_the_same_bits():
    patches, offsets = workload(20)
    np.testing.assert_array_equal(
        bits(shift_and_sum(tf.constant(patches), tf.constant(offsets))), bits(shift_and_sum(patches, offsets))
    )


# The five historical bugs of the batched reassembly: each made it fail inside tf.function.
class TestInsideAFunction:
    def traced(self, function=shift_and_sum):
        @tf.function(
            input_signature=[tf.TensorSpec([None, 16, 16, 1], tf.complex64), tf.TensorSpec([None, 1, 1, 2], tf.float64)]
        )
        def run(patches, offsets):
            return function(patches, offsets, M=10)

        return run

    @pytest.mark.parametrize(
        "pair", [(shift_and_sum, shift_and_sum_old), (reassemble_position, reassemble_position_old)]
    )
    def test_no_numpy_call_on_a_symbolic_tensor(self, pair):
        patches, offsets = workload()
        np.testing.assert_array_equal(bits(self.traced(pair[0])(patches, offsets)), bits(pair[1](patches, offsets)))

    def test_no_python_loop_over_patches_and_one_trace_for_every_number_of_them(self):
        run = self.traced()
        for P in (1, 3, 50):
            patches, offsets = workload(P)
            np.testing.assert_array_equal(bits(run(patches, offsets)), bits(shift_and_sum_old(patches, offsets)))
        assert run.experimental_get_tracing_count() == 1
        assert len(run.get_concrete_function().graph.as_graph_def().node) < 400

    def test_nothing_is_printed(self, capfd):
        patches, offsets = workload()
        run = self.traced()
        run(patches, offsets)
        capfd.readouterr()
        run(patches, offsets)
        shift_and_sum(patches, offsets)
        assert capfd.readouterr().out == ""

    def test_the_canvas_may_have_a_size_known_only_when_it_runs(self):
        run = self.traced()
        for spread in (3, 40):
            patches, offsets = workload(5, spread=spread)
            assert run(patches, offsets).shape == shift_and_sum_old(patches, offsets).shape

    def test_memory_is_bounded_by_the_chunk_whatever_the_number_of_patches(self, monkeypatch):
        seen = []
        original = placement._windows_jit
        monkeypatch.setattr(placement, "_windows_jit", lambda c, *a: (seen.append(tuple(c.shape)), original(c, *a))[1])
        patches, offsets = workload(50)
        monkeypatch.setattr(native, "available", lambda: False)
        tf_helper.shift_and_sum(patches, offsets, chunk_size=8)
        assert set(seen) == {(8, 10, 10)}


@pytest.mark.parametrize(
    ("old", "new"), [(shift_and_sum_old, shift_and_sum), (reassemble_position_old, reassemble_position)]
)
def test_gradients_flow_to_the_patches_as_through_the_loop(engine, old, new):
    patches, offsets = workload(P=9, N=12)
    patches = tf.constant(patches)
    upstream = tf.constant(make_object(*old(patches, offsets, M=10).shape[:2], seed=5)[..., None])

    def gradient(function):
        with tf.GradientTape() as tape:
            tape.watch(patches)
            canvas = function(patches, offsets, M=10)
        return tape.gradient(canvas, patches, output_gradients=upstream).numpy()

    expected = gradient(old)
    largest = np.abs(expected).max()
    assert largest > 0.1
    np.testing.assert_allclose(gradient(new), expected, atol=2e-6 * largest, rtol=0)
