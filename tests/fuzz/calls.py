"""Hostile calls of the kernels, each with what must hold. Run in a child too: compiled code can crash a process."""

import sys

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.projective_warp_xla import translate_xla
from ptycho.raw_data import _get_image_patches_batched, get_image_patches
from ptycho.stream import iter_patches
from ptycho.tf_helper import reassemble_position, shift_and_sum, shift_and_sum_old
from tests import drawing
from tests.fuzz import hostile
from tests.fuzz.contract import outcome, same_bits
from tests.ptycho import oracle

EXTRACTION_NAMES = ("gt_image", "global_offsets", "local_offsets", "N ", "gridsize")
PLACEMENT_NAMES = ("obj_tensor", "global_offsets", "M ")
OBJECT = (np.arange(117).reshape(13, 9) * (1 - 2j) + 1j).astype(np.complex64)


@st.composite
def extraction(draw, values=tuple(hostile.FAR + hostile.NOT_FINITE)):
    """Good arguments of `get_image_patches`."""
    gridsize, groups = draw(st.sampled_from([1, 2])), draw(st.integers(0, 3))
    image = OBJECT.astype(draw(st.sampled_from(["c8", "c16"])))
    return {
        "gt_image": image if draw(st.booleans()) else np.asfortranarray(image),
        "global_offsets": hostile.filled(draw, (groups, 1, 2, 1), values),
        "local_offsets": hostile.filled(draw, (groups, 1, 2, gridsize**2), values),
        "N": 8,
        "gridsize": gridsize,
    }


def config(batched):
    return TrainingConfig(model=ModelConfig(use_batched_patch_extraction=batched))


def check_extraction(arguments):
    """Both implementations and the stream answer alike; an answer is the oracle's."""
    copies = {name: np.copy(value) for name, value in arguments.items() if isinstance(value, np.ndarray)}
    batched = outcome(get_image_patches, EXTRACTION_NAMES, **arguments, config=config(True))
    assert same_bits(batched, outcome(get_image_patches, EXTRACTION_NAMES, **arguments, config=config(False)))
    streamed = outcome(
        lambda **given: np.concatenate([*iter_patches(**given, batch_size=2)] or [batched]),
        EXTRACTION_NAMES, **arguments, config=config(True),
    )  # fmt: skip
    assert same_bits(batched, streamed)
    for name, copy in copies.items():
        assert arguments[name].tobytes() == copy.tobytes(), f"{name} was changed"
    if isinstance(batched, np.ndarray) and np.asarray(arguments["gt_image"]).dtype.kind == "c":
        N, c = arguments["N"], arguments["gridsize"] ** 2
        total = np.swapaxes(
            arguments["local_offsets"].astype(float) + arguments["global_offsets"].astype(float), 1, 3
        ).reshape(-1, 2)
        expected = oracle.patches(arguments["gt_image"], total, N, len(batched), c)
        np.testing.assert_allclose(batched, expected, rtol=0, atol=1e-4)  # pixels of up to 262, float32 weights


def check_engine(arguments, chunk_size, engine):
    """An engine called directly gives the bits of the other one, or refuses."""
    total = np.swapaxes(arguments["local_offsets"] + arguments["global_offsets"], 1, 3)
    c = arguments["gridsize"] ** 2
    padded = np.pad(arguments["gt_image"], 4)[np.newaxis, ..., np.newaxis]
    given_ = {"gt_padded": padded, "offsets_f": total.reshape(-1, 1, 2, 1), "N": 8, "B": len(total), "c": c}
    names = ("offsets_f", "chunk_size")
    results = [
        outcome(_get_image_patches_batched, names, **given_, chunk_size=size, engine=name)
        for size, name in ((chunk_size, engine), (None, "native"))
    ]
    assert same_bits(*results)


@st.composite
def placement(draw):
    """Arguments of `shift_and_sum`; the canvas of the offsets may be far beyond any memory."""
    count, M = draw(st.integers(0, 4)), draw(st.sampled_from([2, 4, 8]))
    spread = [0.0, -0.0, 0.25, -3.5, 7.0, 11.75, 1e-40]
    values = draw(st.sampled_from([spread, spread, spread + hostile.FAR, hostile.FAR + hostile.NOT_FINITE, [1e30]]))
    shape = (count, 1, *draw(st.sampled_from([(1, 2), (2, 1)])))
    patches = (np.arange(count * 64) * (1 + 1j)).astype(np.complex64).reshape(count, 8, 8, 1)
    return {
        "obj_tensor": patches[::-1] if draw(st.booleans()) else np.asfortranarray(patches),
        "global_offsets": hostile.filled(draw, shape, values),
        "M": M,
    }


def check_placement(arguments):
    """The windowed placement answers as the loop over whole canvases; the average is finite."""
    new = outcome(shift_and_sum, PLACEMENT_NAMES, **arguments)
    assert same_bits(new, outcome(shift_and_sum_old, PLACEMENT_NAMES, **arguments))
    average = outcome(reassemble_position, PLACEMENT_NAMES, **arguments)
    assert isinstance(average, Exception) == isinstance(new, Exception)
    if isinstance(new, np.ndarray):
        assert np.isfinite(average).all()


def check_translation(offsets, dtype):
    """Compiled or not, the content moves alike, and nothing comes in from outside."""
    images = np.ones((2, 5, 6, 1), dtype)
    compiled, plain = (translate_xla(images, offsets, use_jit=jit).numpy() for jit in (True, False))
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-6)
    assert np.abs(compiled).max() <= 1 + 1e-6


def run_in_child(examples):
    """Run the calls that reach compiled code ``examples`` times each, and print how many were made."""
    made = {"extraction": 0, "engine": 0, "placement": 0}
    drawing.load()
    limits = settings(max_examples=examples, suppress_health_check=list(HealthCheck))

    @limits
    @given(extraction())
    def extract_some(arguments):
        made["extraction"] += 1
        check_extraction(arguments)

    @limits
    @given(extraction(), st.sampled_from([None, 1, 2, 5]))
    def call_engine(arguments, chunk_size):
        made["engine"] += 1
        check_engine(arguments, chunk_size, "native")

    @limits
    @given(placement())
    def place_some(arguments):
        made["placement"] += 1
        check_placement(arguments)

    for test in (extract_some, call_engine, place_some):
        test()
    print(" ".join(f"{name}={count}" for name, count in made.items()))  # noqa: T201


if __name__ == "__main__":
    run_in_child(int(sys.argv[1]))
