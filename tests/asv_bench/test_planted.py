"""Commits with planted faults in a scratch clone: what ``compare`` and ``reports history`` make of them.

One environment of asv serves all of it; the first test that needs it waits for its making.
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]
MACHINE = "test"
ITERATIVE = "patch_extraction.time_iterative_small"
BATCHED_PEAK = "patch_extraction.track_batched_peak"
BENCHES = (ITERATIVE, BATCHED_PEAK)
TRIES = 10  # with a clean pair; one of them may be disturbed by what else the machine does


class Clone:
    """A clone of this repository with the working tree's suite and reports, and planted commits."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **os.environ,
            # asv keeps the machine's description in the home folder; the user's own stays as it is.
            "HOME": str(folder.parent),
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        }
        subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(folder)], check=True)
        for name in ("asv_bench", "reports"):
            shutil.copytree(
                ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "asv.conf.json", folder)
        narrow(folder / "asv_bench" / "benchmarks" / "grid.py")
        self.commit("suite")

    def run(self, *command):
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def commit(self, subject):
        self.run("git", "add", "-A")
        done = self.run(
            "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "--allow-empty",
            "--no-verify", "-m", subject,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def plant(self, subject, path, pattern, replacement):
        """Commit a change on top of a clean tree, and give its hash."""
        file = self.folder / path
        before = file.read_text()
        after = re.sub(pattern, replacement, before, count=1)
        assert after != before, f"nothing to plant at in {path}"
        file.write_text(after)
        return self.commit(subject)

    def restore(self, good, path, subject="restored"):
        self.run("git", "checkout", "--quiet", good, "--", path)
        return self.commit(subject)

    def compare(self, base, head, *benches):
        patterns = [part for bench in benches for part in ("-b", f"^{re.escape(bench)}\\(")]
        return self.run(sys.executable, "asv_bench/compare.py", base, head, "--same", "--machine", MACHINE, *patterns)

    def measure(self, commits, *benches, options=()):
        hashes = self.folder.parent / "hashes"
        hashes.write_text("\n".join(commits) + "\n")
        asv = [sys.executable, "-m", "asv"]
        self.run(*asv, "machine", "--yes", "--machine", MACHINE)
        patterns = [part for bench in benches for part in ("-b", f"^{re.escape(bench)}\\(")]
        run = [*asv, "run", f"HASHFILE:{hashes}", "--machine", MACHINE, "--record-samples"]
        return self.run(*run, *patterns, *options)

    def history(self):
        program = "import sys; from reports.history.page import history; history(sys.argv[1:])"
        return self.run(sys.executable, "-c", program, "--machine", MACHINE, "-o", "history.html")


def narrow(grid):
    """Leave one case per benchmark, so that the planted faults are measured in seconds."""
    text = grid.read_text()
    text = re.sub(r"^SMALL = .*$", 'SMALL = [[64], [1], [10], ["complex64"]]', text, flags=re.MULTILINE)
    text = re.sub(r"^MEMORY = .*$", 'MEMORY = [[256], [2], [25], ["complex64"]]', text, flags=re.MULTILINE)
    grid.write_text(text)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("planted") / "clone")


@pytest.fixture(scope="module")
def commits(clone):
    """Hashes by name: good commits around a commit three times slower and one with twice the peak memory."""
    source = "ptycho/raw_data.py"
    made = {"good": clone.commit("good"), "good_too": clone.commit("good too")}
    loop = r"( +)for index in range\(B \* c\):\n( +translated = )(.*)\n"
    made["slow"] = clone.plant(
        "planted: three translations where one would do", source, loop,
        r"\1for index in range(B * c):\n\1    for _ in range(2):\n\1        \3\n\2\3\n",
    )  # fmt: skip
    made["fast_again"] = clone.restore(made["good"], source)
    made["hungry"] = clone.plant(
        "planted: the output twice", source, r"( +)return (patches\.extract\(.*\))\n",
        r"\1first = \2\n\1second = tf.identity(first + 0)\n\1del first\n\1return second\n",
    )  # fmt: skip
    made["modest_again"] = clone.restore(made["good"], source)
    return made


def test_a_planted_slowdown_exits_1_and_is_named(clone, commits):
    done = clone.compare(commits["good"], commits["slow"], *BENCHES)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^worse: (\S+)\(", done.stdout, re.MULTILINE) == [ITERATIVE]


def test_a_planted_doubling_of_the_peak_exits_1_and_is_named(clone, commits):
    done = clone.compare(commits["good"], commits["hungry"], BATCHED_PEAK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^worse: (\S+)\(", done.stdout, re.MULTILINE) == [BATCHED_PEAK]


def test_a_pair_of_commits_with_the_same_kernels_exits_0_in_nine_of_ten_tries(clone, commits):
    tries = [clone.compare(commits["good"], commits["good_too"], *BENCHES) for _ in range(TRIES)]
    codes = [done.returncode for done in tries]
    logging.getLogger(__name__).info("exit codes of %d clean pairs: %s", TRIES, codes)  # --log-cli-level=INFO
    assert codes.count(0) >= TRIES - 1, "\n".join(done.stdout + done.stderr for done in tries if done.returncode)
    assert all("2 compared: 0 worse" in done.stdout for done in tries if not done.returncode)


def test_a_comparison_with_itself_or_with_no_commit_exits_2(clone, commits):
    for base in (commits["good"], "no-such-commit"):
        done = clone.compare(base, commits["good"])
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_a_filter_that_no_benchmark_matches_exits_2(clone, commits):
    assert clone.compare(commits["good"], commits["good_too"], "no_such_benchmark").returncode == 2


def test_the_history_marks_the_planted_commits_and_those_that_took_them_back(clone, commits):
    order = ["good", "good_too", "slow", "fast_again", "hungry", "modest_again"]
    done = clone.measure([commits[name] for name in order], *BENCHES)
    assert done.returncode == 0, done.stdout + done.stderr
    done = clone.history()
    assert done.returncode == 0, done.stderr
    marked = re.findall(r"^(\w{8}) \S+ (worse|better) .*x\) ([\w.]+)\(", done.stdout, re.MULTILINE)
    # On a busy machine the times may hold other steps, too; the peaks may not.
    assert {
        (commits["slow"][:8], "worse", ITERATIVE),
        (commits["fast_again"][:8], "better", ITERATIVE),
    } <= set(marked)
    assert [mark for mark in marked if mark[2] == BATCHED_PEAK] == [
        (commits["hungry"][:8], "worse", BATCHED_PEAK),
        (commits["modest_again"][:8], "better", BATCHED_PEAK),
    ]
    page = (clone.folder / "history.html").read_text()
    assert "planted: three translations where one would do" in page
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)


def test_a_commit_that_cannot_be_built_and_one_that_raises_are_failed_and_not_na(clone, commits):
    raising = clone.plant(
        "planted: an exception", "ptycho/raw_data.py", r"( +)(canvas = np\.zeros)", r"\1raise OSError('planted')\n\1\2"
    )
    clone.restore(commits["good"], "ptycho/raw_data.py")
    unbuildable = clone.plant("planted: no build", "pyproject.toml", r"name = ", "nome = ")
    clone.restore(commits["good"], "pyproject.toml")
    for broken in (raising, unbuildable):
        done = clone.compare(commits["good"], broken, ITERATIVE)
        assert done.returncode == 2, done.stdout + done.stderr
        assert re.search(rf"^failed: {re.escape(ITERATIVE)}\(.*\[head\]$", done.stdout, re.MULTILINE)
    # A night tells of them once, `make bench` each time; the history shows them as failed after either.
    nightly, by_hand = ["--skip-existing"], ["--skip-existing-successful"]
    for options, code in ((nightly, 2), (nightly, 0), (by_hand, 2)):
        done = clone.measure([raising, unbuildable], ITERATIVE, options=options)
        assert done.returncode == code, done.stdout + done.stderr
        failed = re.findall(r"^(\w{8}) failed ([\w.]+)\(", clone.history().stdout, re.MULTILINE)
        assert failed == [(raising[:8], ITERATIVE), (unbuildable[:8], ITERATIVE)]


def test_a_commit_without_a_function_is_na_and_one_that_cannot_import_ptycho_is_failed(clone, commits):
    renamed = clone.plant(
        "planted: renamed", "ptycho/raw_data.py", r"def _get_image_patches_iterative", "def _another_name"
    )
    clone.restore(commits["good"], "ptycho/raw_data.py")
    unimportable = []
    for line in ("import numpie", "import numpy as np; np.no_such_name"):
        unimportable.append(
            clone.plant("planted: import", "ptycho/raw_data.py", r"\nimport numpy as np\n", f"\n{line}\n")
        )
        clone.restore(commits["good"], "ptycho/raw_data.py")
    clone.measure([renamed, *unimportable], ITERATIVE)
    folder = clone.folder / ".asv" / "results" / MACHINE
    values = {}
    for path in folder.glob("*-*.json"):
        result = json.loads(path.read_text())
        columns = dict(zip(result["result_columns"], result["results"].get(ITERATIVE, []), strict=False))
        values[result["commit_hash"]] = columns.get("result")
    assert str(values[renamed]) == "[nan]"
    assert [values[commit] for commit in unimportable] == [None, None]


def test_the_published_site_lists_every_benchmark_and_draws_what_was_measured(clone, commits):
    """Read as files: without a network asv's page leaves for its own error page."""
    names = {
        f"{path.stem}.{name}"
        for path in (ROOT / "asv_bench" / "benchmarks").glob("*.py")
        for name in re.findall(r"^def ((?:time|track)_\w+)", path.read_text(), re.MULTILINE)
    }
    clone.measure([commits["good"]], *BENCHES, options=["--skip-existing"])
    clone.run("git", "checkout", "--quiet", "-B", "main")  # the branch that asv.conf.json names
    done = clone.run(sys.executable, "-m", "asv", "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    site = clone.folder / ".asv" / "html"
    assert "<title>airspeed velocity</title>" in (site / "index.html").read_text()
    index = json.loads((site / "index.json").read_text())
    assert set(index["benchmarks"]) == names
    for bench in BENCHES:
        (lines,) = (path for path in site.glob(f"graphs/**/{bench}.json") if path.parent.name != "summary")
        drawn = {index["revision_to_hash"][str(revision)]: values for revision, values in json.loads(lines.read_text())}
        (value,) = drawn[commits["good"]]
        assert value > 0
