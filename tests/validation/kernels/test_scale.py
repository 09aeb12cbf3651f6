"""A tolerance counts in units of the object's largest magnitude, whatever the units of a scan are."""

import msgspec
import numpy as np
import pytest

from reports.judging.gate import judge
from reports.judging.policy import read_policy
from tests.reports import builders as b
from tests.validation.children import make_case
from validation.kernels.patches import oracle, workloads
from validation.kernels.patches.case import PATTERNS, of
from validation.outputs.compare import compare
from validation.outputs.tree import Tree
from validation.subject.demo_scan import write_demo_scan


@pytest.fixture(scope="module", params=[1e-9, 1.0, 1e6])
def scan(request, tmp_path_factory):
    """The built-in scan with its object in other units, and the factor."""
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    with np.load(path) as arrays:
        changed = {**arrays, "objectGuess": arrays["objectGuess"] * request.param}
    np.savez(path, **changed)
    return str(path), request.param


def state_of_correctness(found):
    """What the gate says of a run whose reference case was compared like this."""
    run = b.full_run(equivalence=b.equivalence(candidate_vs_reference=found))
    criteria = judge(run, read_policy(), "runs/a").criteria
    return next(criterion.state for criterion in criteria if criterion.id == "correctness")


# The second object is larger than the scan's, whose content goes on at random.
@pytest.mark.parametrize(("height", "width"), [(61, 83), (230, 270)])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_honest_and_wrong_are_told_apart_in_any_units(scan, dtype, height, width):
    path, factor = scan
    case = of(make_case(pattern="scan", dtype=dtype, height=height, width=width))
    arguments = workloads.build(case, path)
    scale = workloads.scale(case, path)
    assert 0.5 * factor < scale < 2 * factor
    expected = oracle.extract_patches(**arguments)
    honest = np.nextafter(expected.real, np.float32(0)) + 1j * expected.imag
    wrong = expected.copy()
    wrong[2, 3, 5, 1] += np.complex64(2e-6 * scale)
    one = {"expected_name": "oracle", "actual_name": "batched", "atol": 1e-6, "scale": scale}
    told = {
        name: compare(Tree.of(expected), Tree.of(made), **one) for name, made in (("honest", honest), ("wrong", wrong))
    }
    assert {name: (found.passed, state_of_correctness(found)) for name, found in told.items()} == {
        "honest": (True, "pass"),
        "wrong": (False, "fail"),
    }
    assert told["wrong"].max_abs_error == pytest.approx(2e-6, rel=0.1)
    assert told["wrong"].scale == scale
    # The gate takes the figure, and not the writer's word.
    assert state_of_correctness(msgspec.structs.replace(told["wrong"], passed=True)) == "fail"


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_what_is_no_scale_is_refused_by_the_comparison_and_by_the_gate(scale):
    one = Tree.of(np.ones(4, np.complex64))
    with pytest.raises(ValueError, match="scale must be a positive finite number"):
        compare(one, one, expected_name="oracle", actual_name="batched", atol=1e-6, scale=scale)
    found = compare(one, one, expected_name="oracle", actual_name="batched", atol=1e-6)
    comparison = b.comparison(0.0, scale=scale)
    run = b.full_run(equivalence=b.equivalence(candidate_vs_reference=comparison))
    criterion = next(each for each in judge(run, read_policy(), "runs/a").criteria if each.id == "correctness")
    assert criterion.state == "fail"
    assert "which is no scale" in criterion.finding
    assert state_of_correctness(found) == "pass"


def test_what_is_made_has_the_scale_one(scan):
    path, _ = scan
    for pattern in PATTERNS:
        assert workloads.scale(of(make_case(kernel="reassembly", pattern=pattern)), path) == 1.0
        if pattern != "scan":
            assert workloads.scale(of(make_case(pattern=pattern)), path) == 1.0


def test_a_scan_is_taken_as_it_was_read_and_its_scale_is_that_of_the_part_that_is_taken(tmp_path):
    rng = np.random.default_rng(0)
    found = rng.uniform(-3, 3, (40, 50)) + 1j * rng.uniform(-3, 3, (40, 50))
    found[35, 45] = 1e4
    np.savez(tmp_path / "scan.npz", objectGuess=found, xcoords=np.arange(9.0), ycoords=np.arange(9.0))
    path = str(tmp_path / "scan.npz")
    part = of(make_case(pattern="scan", height=20, width=30, dtype="complex128"))
    np.testing.assert_array_equal(workloads.build(part, path)["gt_image"], found[:20, :30])
    assert workloads.scale(part, path) == np.abs(found[:20, :30]).max() < 5
    whole = of(make_case(pattern="scan", height=40, width=50))
    assert workloads.scale(whole, path) == 1e4


def test_an_object_of_zeros_is_judged_in_units_of_one(tmp_path):
    np.savez(
        tmp_path / "scan.npz",
        objectGuess=np.zeros((40, 50), np.complex64),
        xcoords=np.arange(9.0),
        ycoords=np.arange(9.0),
    )
    assert workloads.scale(of(make_case(pattern="scan")), str(tmp_path / "scan.npz")) == 1.0
