"""The files that start jobs call make targets, and nothing else."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reports.reading.verdict import EXIT_CODES
from tests.reports.history.test_history import VALUES, Made

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs" / "deploy"
WORKFLOWS = ROOT / ".github" / "workflows"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
RECIPES = dict(re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
# Make started by these tests shall not take up the variables of a make that started the tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
# Stands for the environment's python: the command $FAILING ends with $CODE, every other with 0.
STAND_IN = """#!/bin/sh
test "$2 $3" = "$FAILING" && exit "$CODE"
exit 0
"""


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
    *WORKFLOWS.glob("*.yml"),
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


def test_the_workflows_call_every_target_that_runs_tests():
    testing = {target for target, recipe in RECIPES.items() if "-m pytest" in recipe}
    called = {command.split()[1] for path in WORKFLOWS.glob("*.yml") for command in commands(path)}
    assert {"test", "test-slow", "test-both", "faults"} <= testing
    # `check` is a part of `test`, and `test-slow` begins with `explore`.
    assert testing - called == {"check", "explore"}


def gate(folder, failing, code, *variables):
    """Call ``make gate`` where one of its commands ends with a code; make's own exit code, and the one it names."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.installed"):
        (folder / name).touch()
    done = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "gate", *variables],
        cwd=folder, env={**ENVIRONMENT, "LC_ALL": "C", "FAILING": failing, "CODE": str(code)},
        capture_output=True, text=True,
    )  # fmt: skip
    named = re.search(r"Error (\d+)$", done.stderr, re.MULTILINE)
    return done.returncode, int(named[1]) if named else None


@pytest.mark.parametrize(("variables", "passing"), [((), {0}), (("TOLERATE=3",), {0, 3})])
@pytest.mark.parametrize("code", [*EXIT_CODES.values(), 2, 130])
def test_the_gate_passes_on_accept_and_what_is_tolerated_and_else_fails_with_its_own_code(
    tmp_path, variables, passing, code
):
    assert gate(tmp_path, "reports gate", code, *variables) == ((0, None) if code in passing else (2, code))


@pytest.mark.parametrize("failing", ["validation run", "reports build"])
def test_of_what_make_gate_calls_only_the_verdict_is_tolerated(tmp_path, failing):
    assert gate(tmp_path, failing, 3, "TOLERATE=3") == (2, 3)


def test_the_site_takes_what_the_nights_keep():
    kept = {}
    for name in ("nightly.yml", "site.yml"):
        jobs = yaml.safe_load((WORKFLOWS / name).read_text())["jobs"].values()
        caches = [step["with"] for job in jobs for step in job["steps"] if "actions/cache" in step.get("uses", "")]
        kept[name] = {tuple(cache["path"].split()) for cache in caches}
    assert len(kept["nightly.yml"]) == 1  # another list of paths is another cache
    assert kept["site.yml"] == kept["nightly.yml"]
    assert {"runs", ".asv/history.html"} <= set(*kept["site.yml"])


def test_a_pull_request_passes_where_the_gate_cannot_tell():
    assert f"make gate TOLERATE={EXIT_CODES['INCONCLUSIVE']}" in commands(WORKFLOWS / "ci.yml")


@pytest.mark.parametrize(
    ("variables", "option"), [((), "--skip-existing-successful"), (("RETRY=no",), "--skip-existing")]
)
def test_asv_tries_again_what_failed_unless_told_not_to(variables, option):
    done = subprocess.run(
        ["make", "-n", "bench", *variables], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"--skip-\S+", done.stdout) == [option]


def dry(*arguments, folder=ROOT):
    """What ``make`` would execute."""
    return subprocess.run(
        ["make", "-n", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_asv_measures_the_main_line_all_of_it_and_every_benchmark_unless_told_otherwise():
    listing, measuring = dry("bench").stdout.splitlines()[-1].split(" | ")
    assert listing == "git rev-list --first-parent HEAD -- ptycho"
    assert not re.search(r"--(bench|steps)", measuring)


def test_asv_takes_a_range_a_number_of_steps_and_a_regular_expression():
    told = dry("bench", "BENCH=time_(a|b).*\\(64, 1$", "RANGE=main~9..main", "STEPS=4").stdout.splitlines()[-1]
    listing, measuring = told.split(" | nice ")
    assert listing == "git rev-list --first-parent main~9..main -- ptycho"
    words = shlex.split(measuring)
    assert words[words.index("--steps") + 1] == "4"
    assert words[words.index("--bench") + 1] == "time_(a|b).*\\(64, 1$"


def test_no_benchmark_is_nothing_to_measure():
    done = dry("bench", "BENCH=no")
    assert done.returncode == 2
    assert "BENCH=no leaves no benchmark to measure" in done.stderr


@pytest.fixture
def detached(tmp_path):
    """A checkout without a branch, with a result of asv for its commit, and what `make bench-html` needs."""
    made = Made(tmp_path)
    made.write(5, {name: values[5] for name, values in VALUES.items()}, machine="here")
    (tmp_path / "asv.conf.json").write_text(
        json.dumps(
            {"version": 1, "project": "made", "repo": ".", "branches": ["main"], "results_dir": "results",
             "html_dir": "html", "benchmark_dir": "."}
        )
    )  # fmt: skip
    made.git("checkout", "--quiet", "--detach")
    made.git("branch", "--quiet", "-D", "main")
    for name in ("asv_bench", "reports"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "asv_bench" / "machine.py").write_text("print('here')\n")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.installed"):
        (tmp_path / name).touch()
    return made


def bench_html(folder):
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", "bench-html"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )


def test_a_checkout_without_the_branch_main_gets_its_site_and_its_history(detached):
    done = bench_html(detached.folder)
    assert done.returncode == 0, done.stderr
    assert "note: this checkout has no branch main; the site shows HEAD." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    site = json.loads((detached.folder / "html" / "index.json").read_text())
    assert set(site["benchmarks"]) == set(VALUES)
    assert detached.hashes[5] in site["revision_to_hash"].values()
    assert "1 commits, 5 series" in done.stdout
    assert (detached.folder / ".asv" / "history.html").is_file()


def test_the_history_is_drawn_also_where_asv_cannot_publish_and_the_failure_stays(detached):
    (detached.folder / "html").write_text("in the way of the folder")
    done = bench_html(detached.folder)
    assert done.returncode == 2
    assert "1 commits, 5 series" in done.stdout
    assert "Error 1" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("bench", ["yes", "no", "time_(a|b)$"])
def test_a_night_gets_the_same_variable(bench):
    words = shlex.split(dry("nightly", f"BENCH={bench}").stdout)
    assert words[words.index("--bench") + 1] == bench


@pytest.mark.parametrize("left", [True, False], ids=["a night that ended", "a night that was killed"])
def test_a_failed_night_is_told_to_the_log_the_summary_and_the_command_of_ones_own(tmp_path, left):
    last = "nightly: VERDICT: REJECT; gate 1; exit 1" if left else "nightly: the night left no last line"
    if left:
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / ".nightly-last").write_text(f"{last}\n")
    done = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "nightly-failed", "NOTIFY=cat > $PLACE"], cwd=tmp_path,
        env={**ENVIRONMENT, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "PLACE": str(tmp_path / "told")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(last)
    assert (tmp_path / "told").read_text().startswith(last)
    assert last in (tmp_path / "summary").read_text()


def test_every_kind_of_job_tells_of_a_failed_night():
    steps = yaml.safe_load((WORKFLOWS / "nightly.yml").read_text())["jobs"]["nightly"]["steps"]
    (hook,) = (step for step in steps if step.get("run") == "make nightly-failed")
    assert hook["if"] == "failure() || cancelled()"
    unit = "ptycho-nightly-failed.service"
    assert f"OnFailure={unit}" in (DEPLOY / "ptycho-nightly.service").read_text().splitlines()
    assert commands(DEPLOY / unit) == ["make nightly-failed"]
    (mail,) = re.findall(r"^#SBATCH --mail-type=(.*)$", (DEPLOY / "nightly.slurm").read_text(), re.MULTILINE)
    assert {"FAIL", "TIME_LIMIT"} <= set(mail.split(","))


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
