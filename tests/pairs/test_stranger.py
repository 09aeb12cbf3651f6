"""A kernel package of somebody else goes through every command without an edit here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRANGER = ROOT / "tests" / "stranger"
FOLDER = STRANGER / "smoothing_kernel"


def ask(package, *arguments, cwd=ROOT):
    words = [sys.executable, "-m", package, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(STRANGER), str(ROOT)])}
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("stranger") / "run"
    done = ask("validation", "run", "--kernel-folder", FOLDER, "--sweep", "quick", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_its_smoke_sweep_is_right_and_its_page_knows_no_other_kernel(tmp_path):
    out = tmp_path / "run"
    done = ask("validation", "run", "--kernel-folder", FOLDER, "--sweep", "smoke", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "failed 0" in done.stdout
    gate = ask("reports", "gate", out)
    assert "correctness       ✓ pass" in gate.stdout, gate.stdout
    assert ask("reports", "build", out).returncode == 0
    page = (out / "report.html").read_text()
    assert "running_mean" in page
    assert "gridsize" not in page


def test_its_cases_are_listed_with_its_parameters():
    done = ask("validation", "list", "--kernel-folder", FOLDER, "--where", "window=5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("running_mean-n500-w5-s0  views")


@pytest.mark.slow
def test_the_gate_accepts_it_and_the_page_shows_it(folder):
    gate = ask("reports", "gate", folder)
    assert gate.returncode == 0, gate.stdout
    assert ask("reports", "build", folder).returncode == 0
    page = (folder / "report.html").read_text()
    assert "running_mean" in page
    assert "gridsize" not in page


@pytest.mark.slow
def test_its_runs_are_compared_and_its_cases_given_again(folder):
    compared = ask("reports", "compare", folder, folder)
    assert compared.returncode == 0, compared.stderr
    again = ask("validation", "reproduce", "running_mean-n500-w5-s0", "--from", folder, "--property", "of_a_constant")
    assert "ok       property of_a_constant" in again.stdout, again.stderr


@pytest.mark.slow
def test_its_mutants_are_rejected_each_for_its_own_reason(tmp_path):
    done = ask("validation", "mutants", "--kernel-folder", FOLDER, "--out", tmp_path / "mutants")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 rejected for their own reason; the true candidate: ACCEPT" in done.stdout


@pytest.mark.slow
def test_it_runs_on_a_cluster(tmp_path):
    out = tmp_path / "run"
    done = ask("validation", "run", "--kernel-folder", FOLDER, "--sweep", "smoke", "--out", out, "--local-cluster", "1")
    assert done.returncode == 0, done.stderr
    assert "failed 0" in done.stdout
