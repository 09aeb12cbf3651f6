"""A case can be rerun from its id alone, and shows where its outputs differ."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.validation.builders import SCAN
from validation.contract.records import Case
from validation.gallery import bench as gallery_bench
from validation.kernels.patches import catalogue
from validation.plan.sweeps import parse_case_id

pytestmark = pytest.mark.tensorflow

WRONG = "tests.validation.misbehaving:one_element_off"


@pytest.mark.parametrize("name", ["smoke", "quick", "full"])
def test_every_id_of_a_sweep_gives_its_case_back(name):
    for planned in catalogue.expand(name, SCAN, 2).cases:
        assert parse_case_id(planned.case.case_id) == planned.case


def test_every_id_of_the_gallery_gives_its_case_back():
    cases = [value for value in vars(gallery_bench).values() if isinstance(value, Case)]
    assert len(cases) > 6
    for case in cases:
        assert parse_case_id(case.case_id) == case


def reproduce(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "validation", "reproduce", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worst_patch_is_found_and_saved(tmp_path):
    case_id = "patch_extraction-N8-g2-B5-c64-20x31-interior-s0"
    done = reproduce(case_id, "--candidate", WRONG, "--out", tmp_path)
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


def test_a_probe_can_be_asked_again(tmp_path):
    case_id = "patch_extraction-N8-g2-B5-c64-20x31-interior-s0"
    held = reproduce(case_id, "--probe", "order")
    assert held.returncode == 0, held.stderr
    assert "ok       probe order:" in held.stdout
    broken = reproduce(case_id, "--probe", "integer_slicing", "--candidate", WRONG)
    assert "DIFFERS  probe integer_slicing:" in broken.stdout, broken.stderr
    refused = reproduce(case_id, "--probe", "delta")
    assert refused.returncode == 2
    assert "--probe of patch_extraction must be one of gradient" in refused.stderr
