"""What a comparison of two commits makes of their results, on made results."""

import math
import subprocess
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from asv_bench import compare as command
from asv_bench.compare import NOT_COMPARED, SAME, WORSE, report
from asv_bench.judge import Outcome, judge


def timed(level, spread=0.01, count=8):
    samples = [level * (1 + spread * (index % 5 - 2)) for index in range(count)]
    middle = sorted(samples)[count // 2]
    stats = {"ci_99_a": min(samples), "ci_99_b": max(samples), "q_25": min(samples), "q_75": max(samples)}
    return Outcome(middle, "seconds", {**stats, "number": 1, "repeat": count}, samples)


def tracked(value, unit):
    return Outcome(value, unit)


FAILED = Outcome(None, "seconds")
NOT_THERE = Outcome(math.nan, "seconds")


@pytest.mark.parametrize(
    ("base", "head", "worse"),
    [
        (timed(1.0), timed(3.0), True),
        (timed(1.0), timed(1.3), False),
        (timed(3.0), timed(1.0), False),
        (timed(1.0, spread=0.6), timed(1.7, spread=0.6), False),
        (tracked(1.0, "seconds"), tracked(1.6, "seconds"), True),
        (tracked(1.0, "ratio"), tracked(1.4, "ratio"), False),
        (tracked(50e6, "bytes"), tracked(100e6, "bytes"), True),
        (tracked(50e6, "bytes"), tracked(63e6, "bytes"), True),
        (tracked(50e6, "bytes"), tracked(58e6, "bytes"), False),
    ],
)
def test_a_change_is_worse_from_the_factor_of_its_unit_on_and_only_where_samples_agree(base, head, worse):
    result = judge({"it": base}, {"it": head})
    assert [finding.name for finding in result.worse] == (["it"] if worse else [])
    assert report(result)[1] == (WORSE if worse else SAME)


def test_what_became_better_is_named_and_no_failure():
    result = judge({"it": timed(3.0)}, {"it": timed(1.0)})
    lines, code = report(result)
    assert code == SAME
    assert any(line.startswith("better: it 3 -> 1 seconds (0.33x)") for line in lines)


@pytest.mark.parametrize(
    ("base", "head", "side"),
    [(FAILED, timed(1.0), "base"), (timed(1.0), FAILED, "head"), (FAILED, FAILED, "base and head")],
)
def test_a_side_that_failed_is_never_a_pass_and_is_named(base, head, side):
    lines, code = report(judge({"it": base, "other": timed(1.0)}, {"it": head, "other": timed(1.0)}))
    assert code == NOT_COMPARED
    assert f"failed: it [{side}]" in lines


def test_a_benchmark_without_any_result_on_one_side_counts_as_failed_there():
    _, code = report(judge({"it": timed(1.0)}, {}))
    assert code == NOT_COMPARED


def test_a_failure_beside_a_slowdown_is_reported_with_it():
    lines, code = report(judge({"a": timed(1.0), "b": FAILED}, {"a": timed(3.0), "b": FAILED}))
    assert code == NOT_COMPARED
    assert any(line.startswith("worse: a") for line in lines)


def test_nothing_compared_is_never_a_pass():
    lines, code = report(judge({"it": NOT_THERE}, {"it": NOT_THERE}))
    assert code == NOT_COMPARED
    assert "nothing was compared" in lines[-1]
    assert report(judge({}, {}))[1] == NOT_COMPARED


def test_a_function_that_is_new_at_the_head_is_not_a_failure():
    result = judge({"new": NOT_THERE, "it": timed(1.0)}, {"new": timed(1.0), "it": timed(1.0)})
    assert report(result)[1] == SAME
    assert result.not_available == ("new",)


def test_a_function_that_vanished_is_never_a_pass():
    lines, code = report(judge({"it": timed(1.0), "b": timed(1.0)}, {"it": NOT_THERE, "b": timed(1.0)}))
    assert code == NOT_COMPARED
    assert any(line.startswith("vanished: it") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["HEAD", "HEAD"], "error: two different commits are expected, but HEAD and HEAD are both "),
        (["no-such-commit"], "error: a commit of this repository is expected, got 'no-such-commit'"),
        (["--output=x"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_a_wrong_pair_of_commits_exits_2_in_one_line(arguments, message):
    done = CliRunner().invoke(command.main, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_crash_of_the_tool_exits_2_and_not_1(monkeypatch):
    def crash(*arguments):
        raise KeyError("no such thing")

    monkeypatch.setattr(command, "compare", crash)
    done = CliRunner().invoke(command.main, ["HEAD~1"])
    assert done.exit_code == 2
    assert "error: KeyError: 'no such thing'" in done.stderr


@pytest.fixture
def sides(monkeypatch):
    """Let measuring give the pairs of sides in the list, one after the other."""
    given = []
    monkeypatch.setattr(command, "_commit", lambda name: name * 8)
    monkeypatch.setattr(command, "_measure", lambda *arguments: given.pop(0))
    return given


class Repository:
    """Commits of a made repository, in the place of this one."""

    def __init__(self, folder):
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        (folder / "ptycho").mkdir()
        self.commit("README.md", "first", **{"ptycho/kernel.py": "fast = True\n", "pyproject.toml": "[project]\n"})

    def git(self, *arguments):
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, capture_output=True, check=True)

    def commit(self, name, text, **others):
        for path, content in {name: text, **others}.items():
            (self.folder / path).write_text(content)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", f"change {name}")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose commits are measured by raising: whoever gets there has not looked at the kernels."""

    def measured(*arguments):
        raise command.CannotCompareError("measured")

    made = Repository(tmp_path)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "_measure", measured)
    monkeypatch.setattr("asv.config.Config.load", lambda path: SimpleNamespace())
    monkeypatch.chdir(tmp_path)
    return made


def test_commits_with_the_same_kernels_are_not_measured_and_that_is_said(repository, monkeypatch):
    summary = repository.folder / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    repository.commit("README.md", "second")
    done = CliRunner().invoke(command.main, ["HEAD~1"])
    assert (done.exit_code, done.stderr) == (SAME, "")
    assert "have the same ptycho and pyproject.toml: nothing to measure" in done.stdout
    assert "nothing to measure" in summary.read_text()
    asked = CliRunner().invoke(command.main, ["HEAD~1", "--same"])
    assert (asked.exit_code, asked.stderr) == (NOT_COMPARED, "error: measured\n")


@pytest.mark.parametrize("name", ["ptycho/kernel.py", "ptycho/another.py", "pyproject.toml"])
def test_commits_whose_kernels_differ_are_measured(repository, name):
    repository.commit(name, "slow = True\n")
    done = CliRunner().invoke(command.main, ["HEAD~1"])
    assert (done.exit_code, done.stderr) == (NOT_COMPARED, "error: measured\n")


def test_a_pull_request_gets_a_table_with_a_row_for_each_finding(tmp_path, monkeypatch):
    result = judge(
        {"slow": timed(1.0), "fast": timed(3.0), "gone": timed(1.0), "broken": timed(1.0), "same": timed(1.0)},
        {"slow": timed(3.0), "fast": timed(1.0), "gone": NOT_THERE, "broken": FAILED, "same": timed(1.0)},
    )
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "compare", lambda *arguments: result)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    done = CliRunner().invoke(command.main, ["a", "b"])
    assert done.exit_code == NOT_COMPARED
    told = (tmp_path / "step.md").read_text()
    assert told == (tmp_path / ".asv" / "compare" / "summary.md").read_text()
    rows = [line.split(" | ")[:2] for line in told.splitlines() if line.startswith(("| ✗", "| ✓"))]
    assert rows == [
        ["| ✗ worse", "slow"],
        ["| ✓ better", "fast"],
        ["| ✗ failed", "broken [head]"],
        ["| ✗ vanished", "gone"],
    ]
    assert "not compared as a whole" in told


def test_what_looks_worse_once_has_to_show_again(sides):
    worse, same = ({"it": timed(1.0)}, {"it": timed(3.0)}), ({"it": timed(3.0)}, {"it": timed(3.0)})
    sides += [worse, same]
    assert report(command.compare("a", "b", "here"))[1] == SAME
    sides += [worse, worse]
    assert report(command.compare("a", "b", "here"))[1] == WORSE


def test_what_fails_when_it_is_measured_again_is_not_a_pass(sides):
    sides += [({"it": timed(1.0)}, {"it": timed(3.0)}), ({"it": timed(1.0)}, {"it": FAILED})]
    assert report(command.compare("a", "b", "here"))[1] == NOT_COMPARED
