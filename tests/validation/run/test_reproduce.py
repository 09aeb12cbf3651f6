"""A case can be rerun from its id alone, and shows where its outputs differ."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.validation.builders import SCAN
from validation.contract.errors import UsageError
from validation.kernels import registry
from validation.kernels.patches.case import make_case
from validation.kernels.registry import Kernels
from validation.plan.sweeps import BUILT_IN, expand, find_case

pytestmark = pytest.mark.tensorflow

KERNELS = Kernels(registry.built_in())
WRONG = "tests.validation.misbehaving:one_element_off"
# A case of the built-in sweep smoke.
SMALL = "patch_extraction-N32-g2-B4-c64-200x256-scan-s0"


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_id_of_a_sweep_gives_its_case_back(name):
    sweep = expand(name, KERNELS, SCAN, 0)
    for planned in (*sweep.cases, *sweep.probed):
        assert find_case(planned.case.case_id, KERNELS, SCAN) == planned.case


def test_a_case_of_a_run_is_found_by_its_id_and_another_is_told():
    case = make_case("patch_extraction", N=6, gridsize=1, batch=2, shape=(9, 8), pattern="zero", seed=2)
    assert find_case(case.case_id, KERNELS, SCAN, (case,)) == case
    with pytest.raises(UsageError, match="of a case of the run or of a built-in sweep, got 'patch_extraction-N6-g1-B2"):
        find_case(case.case_id, KERNELS, SCAN)


def reproduce(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "validation", "reproduce", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worst_patch_is_found_and_saved(tmp_path):
    done = reproduce(SMALL, "--candidate", WRONG, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "DIFFERS" in done.stdout
    assert "worst at (3, 4, 5, 2)" in done.stdout
    (saved,) = tmp_path.glob("*.npz")
    assert saved.with_suffix(".png").stat().st_size > 1000
    with np.load(saved) as arrays:
        difference = np.abs(arrays["difference"])
        assert np.unravel_index(difference.argmax(), difference.shape) == (4, 5)
        assert difference.max() == pytest.approx(0.25, rel=1e-5)
        assert arrays["worst_index"].tolist() == [3, 4, 5, 2]


def test_a_case_of_a_run_is_shown_beside_what_was_recorded(tmp_path):
    sweep = tmp_path / "one.toml"
    sweep.write_text("[[cases]]\nN = [8]\nbatch = [3]\npattern = ['border']\nshape = [[20, 31]]\n")
    case_id = "patch_extraction-N8-g2-B3-c64-20x31-border-s0"
    run = [sys.executable, "-m", "validation", "run", "--sweep", str(sweep), "--out", str(tmp_path / "run")]
    subprocess.run(run, check=True, capture_output=True)
    done = reproduce(case_id, "--from", tmp_path / "run", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    now, recorded = done.stdout.split("recorded in run")
    figures = [line for line in now.splitlines() if " against " in line]
    assert len(figures) == 3
    assert all(line in recorded for line in figures)
    manifest = tmp_path / "run" / "manifest.json"
    changed = msgspec.json.decode(manifest.read_bytes())
    changed["scan"]["sha256"] = "0" * 64
    manifest.write_bytes(msgspec.json.encode(changed))
    refused = reproduce(case_id, "--from", tmp_path / "run", "--out", tmp_path / "out")
    assert refused.returncode == 2
    assert "must be the one of the run" in refused.stderr


def test_a_property_can_be_checked_again(tmp_path):
    held = reproduce(SMALL, "--property", "order")
    assert held.returncode == 0, held.stderr
    assert "ok       property order:" in held.stdout
    broken = reproduce(SMALL, "--property", "integer_slicing", "--candidate", WRONG)
    assert "DIFFERS  property integer_slicing:" in broken.stdout, broken.stderr
    refused = reproduce(SMALL, "--property", "delta")
    assert refused.returncode == 2
    assert "property of patch_extraction must be one of gradient" in refused.stderr
