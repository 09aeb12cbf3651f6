"""The command ``pair``: what it records, refuses, and gives again."""

import subprocess
import sys
from pathlib import Path

import pytest

from validation.run.results import RunFolder

ROOT = Path(__file__).resolve().parents[2]
GIVEN = ("--slow", "tests.pairs.small:slow", "--fast", "tests.pairs.small:fast", "--inputs", "tests.pairs.small:make")


def ask(package, *arguments):
    words = [sys.executable, "-m", package, *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pair") / "run"
    done = ask("validation", "pair", *GIVEN, "--sizes", "3,300", "--rtol", "1e-12", "--min-speedup", "2", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_the_manifest_holds_the_pair_its_tolerances_and_what_is_promised(folder):
    manifest = RunFolder.open(folder).manifest
    (card,) = manifest.kernels
    assert (card.source.pair.slow, card.source.pair.fast) == ("tests.pairs.small:slow", "tests.pairs.small:fast")
    assert (card.atol, card.rtol, card.oracle) == (0.0, 1e-12, None)
    assert {item.criterion: item.promise for item in manifest.judged} == {
        "speed": 2.0,
        "cold_speed": None,
        "memory": None,
    }
    assert manifest.scan is None
    assert manifest.provenance.kernel_digest == manifest.provenance.candidate_digest  # one module holds both


def test_gate_page_and_table_take_the_run_of_a_pair(folder):
    gate = ask("reports", "gate", folder)
    assert "correctness       ✓ pass" in gate.stdout, gate.stdout
    built = ask("reports", "build", folder)
    assert built.returncode == 0, built.stderr
    assert "tests.pairs.small:fast" in (folder / "report.html").read_text()
    assert ask("validation", "export", folder).returncode == 0


def test_a_case_and_a_property_are_given_again(folder):
    again = ask("validation", "reproduce", "pair-n3-s0", "--from", folder, "--out", folder / "patches")
    assert again.returncode == 0, again.stderr
    assert "max error 0.000e+00" in again.stdout
    checked = ask("validation", "reproduce", "pair-n3-s0", "--from", folder, "--property", "own_memory")
    assert "ok       property own_memory" in checked.stdout, checked.stderr


def test_tensorflow_is_not_imported(folder):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "validation", "pair", *GIVEN, "--sizes", "3", "--out", folder / "x"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert not [line for line in done.stderr.splitlines() if line.split("|")[-1].strip() == "tensorflow"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--slow", "tests.pairs.small"), "--slow must be module:function"),
        (("--fast", "__main__:fast"), "is defined in a notebook or in the script that runs"),
        (("--sizes", "3,many"), "--sizes must be integers with commas between them, got '3,many'"),
        (("--sizes", "0"), "--sizes must be positive integers, got 0"),
        (("--rtol", "-1"), "--rtol must be a number that is not negative, got -1.0"),
        (("--min-speedup", "0"), "what is promised of warm must be a positive number, got 0.0"),
        (("--inputs", "tests.pairs.small:slow"), "missing 1 required|takes 1 positional"),
        (("--inputs", "tests.pairs.small:nothing"), "tests.pairs.small:nothing cannot be imported"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(changed, message, tmp_path):
    done = ask("validation", "pair", *GIVEN, *changed, "--out", tmp_path / "run")
    assert done.returncode in (2, 4), done.stdout
    (line,) = done.stderr.splitlines()
    assert any(part in line for part in message.split("|")), line
