"""The files that start jobs call make targets, and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs" / "deploy"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(path):
    """The commands that a file executes."""
    text = path.read_text()
    if path.suffix == ".yml":
        return re.findall(r"^\s*(?:- )?run: (.*)$", text, re.MULTILINE)
    if path.suffix == ".service":
        return re.findall(r"^Exec\w*=(.*)$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line.removeprefix("exec ") for line in lines if not line.startswith(("set ", "cd "))]


FILES = [
    *(ROOT / ".github" / "workflows").glob("*.yml"),
    *DEPLOY.glob("*.service"),
    *DEPLOY.glob("*.slurm"),
    ROOT / ".ci" / "run",
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_job_calls_make_targets_only(path):
    found = commands(path)
    assert found
    for command in found:
        program, target, *_ = command.split()
        assert program == "make", command
        assert target in TARGETS, command


def test_all_three_kinds_of_job_call_the_night():
    nights = [path.name for path in FILES if "make nightly" in commands(path)]
    assert nights == ["nightly.yml", "ptycho-nightly.service", "nightly.slurm"]


@pytest.mark.parametrize("path", [DEPLOY / "nightly.slurm", ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_a_script_is_bash(path):
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_are_units(tmp_path):
    (tmp_path / "ptycho-validation").mkdir()
    units = sorted(DEPLOY.glob("ptycho-nightly.*"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", *units],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert len(units) == 2
    assert (done.returncode, done.stderr) == (0, "")
