"""`reports history` on results that asv's own classes wrote, over the commits of a made repository."""

import datetime
import itertools
import json
import math
import random
import re
import subprocess
import sys
from types import SimpleNamespace

import click
import msgspec
import pytest
from asv.benchmarks import Benchmarks
from asv.machine import Machine
from asv.results import Results
from asv.runner import BenchmarkResult

from reports.errors import InputError
from reports.history.page import history, history_page, history_section, section_or_reason
from reports.history.plots import draw
from reports.history.results import Commit, History, Point, Series, amount, read_history
from reports.history.steps import changes, losses, steps
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.telling.page import page
from tests.reports import builders as b

FAILED, NOT_THERE = None, math.nan
ITERATIVE = "patch_extraction.time_iterative"
BATCHED = "patch_extraction.time_batched"
RATIO = "patch_extraction.track_time_ratio"
COLD = "patch_extraction.track_batched_first_call"
PEAK = "patch_extraction.track_batched_peak"
UNITS = {ITERATIVE: "seconds", BATCHED: "seconds", RATIO: "ratio", COLD: "seconds", PEAK: "bytes"}
# The steps of a real history: loop only, tiled attempt, windowed engine, then a slow and a hungry commit.
VALUES = {
    ITERATIVE: [0.60, 0.61, 0.59, 0.60, 0.62, 0.60],
    BATCHED: [NOT_THERE, 0.31, 0.004, 0.0041, 0.0121, 0.004],
    RATIO: [NOT_THERE, 0.5, 0.0066, 0.0068, 0.02, 0.0066],
    COLD: [NOT_THERE, 2.0, 0.9, FAILED, 0.92, 0.9],
    PEAK: [NOT_THERE, 410e6, 54e6, 54e6, 54e6, 108e6],
}
SUBJECTS = ["loop", "tiled <b>&amp;</b>", "windowed", "tidier", "slow", "hungry"]


class Made:
    """A repository with `VALUES` as asv's results; ``hashes`` are oldest first."""

    def __init__(self, folder):
        self.folder, self.hashes = folder, []
        self.config = folder / "asv.conf.json"
        self.config.write_text(json.dumps({"version": 1, "project": "made", "repo": ".", "results_dir": "results"}))
        self.git("init", "--quiet", "--initial-branch=main")
        for index, subject in enumerate(SUBJECTS):
            # Author dates run backwards: the order has to come from the graph.
            date = f"2026-01-{20 - index:02d}T12:00:00+00:00"
            self.git("commit", "--quiet", "--allow-empty", "-m", subject, "--date", date)
            self.hashes.append(self.git("rev-parse", "HEAD").strip())
        self.write_machine("here")
        asv = SimpleNamespace(results_dir=str(folder / "results"), benchmark_dir=str(folder))
        Benchmarks(asv, [self.benchmark(name) for name in UNITS]).save()

    def git(self, *arguments):
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    @staticmethod
    def benchmark(name, version="1"):
        return {
            "name": name,
            "params": [["64"]],
            "param_names": ["N"],
            "version": version,
            "unit": UNITS[name],
            "type": "track",
        }

    def write_machine(self, name):
        machine = Machine()
        machine.machine = name
        machine.save(str(self.folder / "results"))

    def write(self, index, values, machine="here", environment="env", version="1", day=1):
        result = Results({"machine": machine}, {}, self.hashes[index], 0, "3.11", environment, {})
        for name, value in values.items():
            samples = [[value] * 8] if name.rpartition(".")[2].startswith("time_") and value else [None]
            outcome = BenchmarkResult([value], samples, [1 if samples[0] else None], 0, "", None)
            started = datetime.datetime(2026, 2, day, tzinfo=datetime.timezone.utc)
            result.add_result(self.benchmark(name, version), outcome, record_samples=True, started_at=started)
        result.save(str(self.folder / "results"))


@pytest.fixture
def made(tmp_path):
    made = Made(tmp_path)
    for index in (3, 0, 5, 1, 4, 2):
        made.write(index, {name: values[index] for name, values in VALUES.items()})
    return made


def by_name(read):
    return {series.benchmark: series for series in read.series}


def test_commits_come_in_the_order_of_the_graph_with_author_date_and_subject(made):
    read = read_history(made.config)
    assert [commit.hash for commit in read.commits] == made.hashes
    assert [commit.subject for commit in read.commits] == SUBJECTS
    assert read.commits[1].author_date == "2026-01-19T12:00:00+00:00"


def test_values_and_raw_samples_are_those_that_asv_kept(made):
    series = by_name(read_history(made.config))
    assert [point.value for point in series[ITERATIVE].points] == VALUES[ITERATIVE]
    assert series[ITERATIVE].points[1].samples == (0.61,) * 8
    assert series[PEAK].points[1].samples == ()
    assert series[PEAK].label == f"{PEAK}(64)"


def test_failed_na_and_not_run_are_told_apart(made):
    made.write(4, {ITERATIVE: 0.6})
    states = {
        name: [point.state for point in series.points] for name, series in by_name(read_history(made.config)).items()
    }
    assert states[COLD] == ["n/a", "measured", "measured", "failed", "not run", "measured"]


def test_results_of_another_version_of_a_benchmark_are_not_part_of_its_series(made):
    made.write(2, {BATCHED: 7.0}, version="0")
    assert by_name(read_history(made.config))[BATCHED].points[2] == Point(state="not run")


def test_a_commit_of_another_branch_is_left_out_and_counted(made):
    made.git("checkout", "--quiet", "-b", "side", made.hashes[2])
    read = read_history(made.config)
    assert [commit.hash for commit in read.commits] == made.hashes[:3]
    assert read.left_out == 3
    assert len(read_history(made.config, branch="main").commits) == 6


def test_the_environment_that_was_measured_last_is_shown_unless_another_is_named(made):
    made.write(0, {ITERATIVE: 9.0}, environment="newer", day=9)
    assert read_history(made.config).environment == "newer"
    assert len(read_history(made.config, environment="env").commits) == 6


def test_results_of_several_machines_are_not_mixed(made):
    made.write_machine("there")
    made.write(0, {ITERATIVE: 9.0}, machine="there")
    with pytest.raises(InputError, match="choose one by --machine: here, there"):
        read_history(made.config)
    assert by_name(read_history(made.config, machine="there"))[ITERATIVE].points[0].value == 9.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"branch": "no-such"}, "--branch must name a commit or branch"),
        ({"branch": "--output=x"}, "--branch must name a commit or branch"),
        ({"machine": "elsewhere"}, "--machine must be one of here, got 'elsewhere'"),
        ({"environment": "other"}, "--environment must be one of env, got 'other'"),
    ],
)
def test_a_wrong_choice_is_named_with_what_there_is(made, arguments, message):
    with pytest.raises(InputError, match=message):
        read_history(made.config, **arguments)


def test_no_configuration_and_no_results_say_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_history(tmp_path / "asv.conf.json")
    (tmp_path / "asv.conf.json").write_text('{"version": 1, "repo": ".", "results_dir": "results"}')
    with pytest.raises(InputError, match="holds no results: run make bench first"):
        read_history(tmp_path / "asv.conf.json")


class Merged(Made):
    """`Made` with a side branch that its last commit merges: two commits made before those of the main line."""

    def __init__(self, folder):
        super().__init__(folder)
        self.git("checkout", "--quiet", "-b", "side", self.hashes[1])
        self.side = []
        for subject in ("side: slower", "side: tidier"):
            self.git("commit", "--quiet", "--allow-empty", "-m", subject)
            self.side.append(self.git("rev-parse", "HEAD").strip())
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "-m", "Merge branch side", "side")
        self.git("commit", "--quiet", "--allow-empty", "-m", "after")
        self.merge, self.after = self.git("rev-parse", "HEAD~1", "HEAD").split()
        for level, name in [(1.0, name) for name in self.hashes] + [
            (3.0, name) for name in (*self.side, self.merge, self.after)
        ]:
            self.hashes = [name]
            self.write(0, {BATCHED: level})


def test_a_step_that_a_merge_brings_is_blamed_on_the_merge_with_what_it_merged(tmp_path):
    made = Merged(tmp_path)
    read = read_history(made.config)
    assert [commit.subject for commit in read.commits] == [*SUBJECTS, "Merge branch side", "after"]
    assert read.left_out == 2
    (change,) = changes(read)
    assert change.commit.hash == made.merge
    merged = [f"{made.side[1][:8]} side: tidier", f"{made.side[0][:8]} side: slower"]
    assert change.commit.told == f"Merge branch side (merge of 2 commits: {'; '.join(merged)})"
    assert change.commit.told in history_page(read)


def test_commits_of_the_main_line_that_are_no_merge_name_nothing_merged(tmp_path):
    read = read_history(Merged(tmp_path).config)
    assert [bool(commit.merged) for commit in read.commits] == [False] * 6 + [True, False]


def test_a_merge_of_many_commits_names_three_and_counts_the_others():
    commit = Commit(hash="a" * 40, author_date="2026-01-01", subject="Merge", merged=tuple("vwxyz"))
    assert commit.told == "Merge (merge of 5 commits: v; w; x; and 2 more)"


def test_every_change_of_level_is_found_and_names_its_commit(made):
    found = [
        (change.commit.subject, change.series.benchmark, round(change.ratio, 3))
        for change in changes(read_history(made.config))
        if change.series.benchmark in (BATCHED, PEAK)
    ]
    assert found == [
        ("windowed", BATCHED, 0.013), ("windowed", PEAK, 0.132), ("slow", BATCHED, 3.025), ("hungry", BATCHED, 0.331),
        ("hungry", PEAK, 2.0),
    ]  # fmt: skip


def test_a_failure_between_two_equal_values_is_no_change_of_level(made):
    found = changes(read_history(made.config))
    assert [change.commit.subject for change in found if change.series.benchmark == COLD] == ["windowed"]


def test_a_change_says_for_how_many_measured_commits_its_level_held(made):
    history = read_history(made.config)
    count = len(history.commits)
    spike = _series([1.0, 1.0, 9.0] + [1.0] * (count - 3))
    gap = msgspec.structs.replace(spike.points[-2], state="failed", value=None)
    spike = msgspec.structs.replace(spike, points=(*spike.points[:-2], gap, spike.points[-1]))
    found = changes(msgspec.structs.replace(history, series=(spike,)))
    assert [(change.index, change.held) for change in found] == [(2, 1), (3, count - 4)]
    page = history_page(msgspec.structs.replace(history, series=(spike,)))
    assert "1 commit</td>" in page
    assert f"{count - 4} commits</td>" in page


def _series(values, unit="seconds"):
    points = tuple(Point(state="measured", value=value) for value in values)
    return Series(benchmark="module.time_it", params="", unit=unit, points=points)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([1, 1, 1, 1, 1, 1, 2], [6]),
        ([1, 1, 1, 1, 3, 1, 1, 1], [4, 5]),
        ([150, 400, 400, 50, 50, 50, 100], [1, 3, 6]),
        ([1, 3], [1]),
        ([1, 1, 1, 1, 1, 1, 1, 1], []),
    ],
)
def test_steps_are_found_in_nine_of_ten_noisy_histories_and_noise_is_none(levels, expected):
    """Five per cent of noise, histories of a few commits. Without the double weight spikes are found in 3 of 100."""
    rng = random.Random(1)
    found = [
        [index for index, _, _ in steps(_series([level * math.exp(rng.gauss(0, 0.05)) for level in levels]))]
        for _ in range(30)
    ]
    assert found.count(expected) >= 27


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([1] * 300 + [1.8] * 100, [300]),
        ([1] * 300 + [1.8] * 3, [300]),
        ([7] * 60 + [2.5] * 60 + [5] * 60 + [2] * 60 + [6] * 60 + [3] * 60, [60, 120, 180, 240, 300]),
        ([1] * 30 + [3] + [1] * 30, [30, 31]),
        ([1] * 400, []),
    ],
)
def test_steps_are_found_in_a_long_history_too(levels, expected):
    """asv's own choice of the number of levels finds none of the first two, and half of the third."""
    rng = random.Random(1)
    found = [
        [index for index, _, _ in steps(_series([level * math.exp(rng.gauss(0, 0.05)) for level in levels]))]
        for _ in range(10)
    ]
    assert found.count(expected) >= 9


def test_a_peak_counts_from_a_smaller_factor_than_a_time():
    values = [1.0, 1.0, 1.0, 1.3, 1.3, 1.3]
    assert steps(_series(values)) == []
    assert [index for index, _, _ in steps(_series(values, "bytes"))] == [3]


def test_medians_that_differ_while_their_samples_overlap_are_no_step():
    def timed(*samples):
        return Point(state="measured", value=sorted(samples)[len(samples) // 2], samples=samples)

    quiet, busy = timed(1.0, 1.1, 1.2, 1.3, 1.4), timed(1.1, 1.2, 2.5, 3.0, 4.0)
    slower = timed(2.5, 2.6, 2.8, 2.9, 3.1)

    def marked(*points):
        series = Series(benchmark="module.time_it", params="", unit="seconds", points=points)
        return [index for index, _, _ in steps(series)]

    assert marked(quiet, quiet, busy, busy) == []
    assert marked(quiet, quiet, slower, slower) == [2]


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0, 0.0]])
def test_a_series_too_short_or_without_a_level_has_no_steps(values):
    assert steps(_series(values)) == []


def test_the_plots_are_speedup_steady_cold_and_peak_and_draw_what_was_measured(made):
    plots = {plot.name: plot for plot in draw(read_history(made.config))}
    assert list(plots) == [f"history-patch_extraction-{kind}" for kind in ("speedup", "steady", "cold", "peak")]
    speedup = plots["history-patch_extraction-speedup"]
    assert "n/a, 2, 152, 147, 50, 152" in speedup.description
    assert "▼" in speedup.svg
    assert "✗ failed" in plots["history-patch_extraction-cold"].svg
    assert ">n/a<" in re.sub(r"\s", "", plots["history-patch_extraction-cold"].svg)


def test_factors_of_one_commit_do_not_lie_on_each_other(made):
    read = read_history(made.config)
    count = len(read.commits)
    rising = [
        msgspec.structs.replace(_series([level] * 4 + [3 * level] * (count - 4)), benchmark=f"module.time_{name}")
        for level, name in ((1.0, "one"), (1.02, "another"), (1.04, "third"))
    ]
    (plot,) = draw(msgspec.structs.replace(read, series=tuple(rising)))
    heights = sorted(float(y) for y in re.findall(r"<text[^>]* y=\"(\S+?)\"[^>]*>▲3x<", plot.svg))
    assert len(heights) == 3
    assert min(after - before for before, after in itertools.pairwise(heights)) >= 8.0


def test_raw_samples_are_drawn(made):
    def dots():
        return draw(read_history(made.config))[1].svg.count("<use")

    before = dots()
    for path in (made.folder / "results" / "here").glob("*-env.json"):
        data = json.loads(path.read_text())
        column = data["result_columns"].index("samples")
        for row in data["results"].values():
            if len(row) > column:
                row[column] = None
        path.write_text(json.dumps(data))
    assert before - dots() == 8 * 11


def test_the_page_stands_alone_and_escapes_what_commits_say(made):
    page = history_page(read_history(made.config))
    assert not re.search(r"""<(script|link(?! rel="icon" href="data:)|iframe|img)|(src|action)=|url\((?!#)""", page)
    assert "default-src &#39;none&#39;" in page
    assert "tiled &lt;b&gt;&amp;amp;&lt;/b&gt;" in page
    assert "<b>&amp;</b>" not in page
    assert "1 failed, 4 n/a" in page


def test_the_section_is_part_of_the_page_and_brings_no_page_of_its_own(made):
    read = read_history(made.config)
    section = history_section(read)
    assert section in history_page(read)
    assert "<html" not in section


def test_the_report_of_a_run_finds_the_history_or_says_why_there_is_none(made, monkeypatch):
    monkeypatch.chdir(made.folder)
    section, reason = section_or_reason(None)
    assert section == history_section(read_history(made.config))
    assert reason == ""
    (made.folder / "results").rename(made.folder / "kept")
    assert section_or_reason(None) == ("", "asv has measured nothing here yet")
    assert section_or_reason(made.folder / "kept") == (section, "")
    with pytest.raises(InputError, match="holds no results"):
        section_or_reason(made.folder / "elsewhere")
    made.config.unlink()
    assert section_or_reason(None) == ("", "there is no asv.conf.json where this page was built")


def test_of_several_machines_the_report_draws_the_one_that_was_measured_last(made, monkeypatch):
    monkeypatch.chdir(made.folder)
    made.write_machine("there")
    section, reason = section_or_reason(None)
    assert reason == ""
    assert "Machine <code>here</code>" in section
    with pytest.raises(InputError, match="results of 2 machines are not mixed"):
        read_history(made.config)


def test_a_subject_with_a_line_separator_is_one_line(made, monkeypatch):
    for number, character in enumerate("\u2028\x85\x0b\x1c"):
        made.git("commit", "--allow-empty", "-m", f"Hostile{character}subject {number}")
    made.git("-c", "i18n.commitEncoding=latin1", "commit", "--allow-empty", "-m", "Umlaut")
    assert len(read_history(made.config).commits) == 6


def test_the_section_stands_in_the_report_of_a_run_once_and_whole(made):
    section = history_section(read_history(made.config))
    html = page(b.full_run(), judge(b.full_run(), read_policy()), history=section)
    assert html.count(section) == 1
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert "make bench" not in html


def test_the_command_names_commits_failures_and_the_page(made, capsys):
    target = made.folder / "out" / "history.html"
    history.main(["--config", str(made.config), "-o", str(target)], standalone_mode=False)
    printed = capsys.readouterr().out
    assert re.search(rf"^{made.hashes[4][:8]} 2026-01-16 worse 4 ms -> 12.1 ms \(3.0\dx\) ", printed, re.MULTILINE)
    assert f"{made.hashes[3][:8]} failed {COLD}(64)\n" in printed
    assert printed.endswith(f"6 commits, 5 series, 1 failed\nwrote {target}\n")
    assert target.read_text().startswith("<!doctype html>")


def test_a_benchmark_that_became_na_or_fails_is_told_with_its_commit_and_whether_it_came_back(made, capsys):
    made.write(5, {**{name: values[5] for name, values in VALUES.items()}, BATCHED: NOT_THERE, ITERATIVE: FAILED})
    read = read_history(made.config)
    found = [(loss.told, loss.series.benchmark, loss.last.subject, loss.back) for loss in losses(read)]
    newest = made.hashes[5][:8]
    assert found == [
        (f"failing at {made.hashes[3][:8]}", COLD, "windowed", read.commits[4]),
        (f"vanished at {newest}", BATCHED, "slow", None),
        (f"failing at {newest}", ITERATIVE, "slow", None),
    ]
    history.main(["--config", str(made.config), "-o", str(made.folder / "history.html")], standalone_mode=False)
    printed = capsys.readouterr().out
    assert (
        f"vanished at {newest} 2026-01-15 {BATCHED}(64), 12.1 ms at {made.hashes[4][:8]}, not since: hungry" in printed
    )
    assert f"2 ms at {made.hashes[2][:8]}, back at" not in printed
    assert f"{COLD}(64), 900 ms at {made.hashes[2][:8]}, back at {made.hashes[4][:8]}" in printed
    page = (made.folder / "history.html").read_text()
    assert f"vanished at {newest}" in page
    assert "2 series without a value" in page


def test_what_never_was_measured_did_not_vanish(made):
    assert {loss.series.benchmark for loss in losses(read_history(made.config))} == {COLD}


def long_history(count, seed=0):
    """Make a history as long and as wide as that of this suite: 96 series, steps, stretches of n/a and failures."""
    rng = random.Random(seed)
    names = [
        *(("patch_extraction", f"time_case_{number}", "seconds") for number in range(6)),
        *(("patch_extraction", f"track_peak_{number}", "bytes") for number in range(4)),
        ("patch_extraction", "track_time_ratio", "ratio"), ("patch_extraction", "track_first_call", "seconds"),
        *(("reassembly", f"time_case_{number}", "seconds") for number in range(2)),
        *(("reassembly", f"track_{name}", "bytes") for name in ("old_peak", "new_peak")),
        *(("preparation", f"time_case_{number}", "seconds") for number in range(2)),
        *(("preparation", f"track_first_{number}", "seconds") for number in range(4)),
        *(("preparation", f"track_peak_{number}", "bytes") for number in range(2)),
    ]  # fmt: skip
    series = []
    for (module, name, unit), axis in itertools.product(names, (64, 128, 256, 512)):
        level, points = math.exp(rng.uniform(-6, 1)), []
        born, broken = rng.choice([0, 0, count // 8]), rng.choice([0, 0, 0, count // 2])
        for index in range(count):
            level *= rng.choice([0.2, 0.5, 1.3, 2, 3]) if rng.random() < 0.01 else 1
            value = level * math.exp(rng.gauss(0, 0.05))
            samples = tuple(value * math.exp(rng.gauss(0, 0.03)) for _ in range(10)) if "time_case" in name else ()
            state = "n/a" if index < born else "failed" if broken and 0 <= index - broken < 30 else "measured"
            points.append(
                Point(state=state, value=value, samples=samples) if state == "measured" else Point(state=state)
            )
        series.append(
            Series(benchmark=f"{module}.{name}", params=f"{axis}, 2, 100, complex64", unit=unit, points=tuple(points))
        )
    commits = tuple(
        Commit(hash=f"{index:08x}" * 5, author_date=f"2026-01-{1 + index % 28:02}T12:00:00Z", subject=f"commit {index}")
        for index in range(count)
    )
    return History(machine="here", environment="env", commits=commits, series=tuple(series), left_out=0)


@pytest.mark.timeout(300)
def test_a_page_over_four_hundred_commits_stays_small_and_its_medians_stay():
    long = long_history(400)
    page = history_page(long)
    assert len(page.encode()) < 1_500_000
    assert len(max(re.findall(r'aria-label="[^"]*"', page), key=len)) < 3000
    (plot,) = draw(msgspec.structs.replace(long, series=long.series[:1]))
    # The line of the medians: one place for each value, less those that lie on the line between their neighbours.
    line = max(re.findall(r' d="(M[^"]*)"', plot.svg), key=len)
    assert 360 <= line.count("L") <= 400
    assert plot.svg.count("<use") < 150
    assert "raw samples" not in plot.caption
    assert "400 of 400 commits measured, first 0.869, last" in plot.description


def test_help_tells_the_exit_codes():
    assert "Exit codes: 0" in history.get_help(click.Context(history))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(2.5, "seconds", "2.5 s"), (0.0042, "seconds", "4.2 ms"), (8.1e-6, "seconds", "8.1 µs"),
     (52.4 * 2**20, "bytes", "52.4 MiB"), (1638 * 2**20, "bytes", "1.6 GiB"), (0.0099, "ratio", "0.0099")],
)  # fmt: skip
def test_amounts_carry_their_unit(value, unit, text):
    assert amount(value, unit) == text


def test_asv_and_matplotlib_load_only_when_the_command_runs():
    names = "('asv', 'matplotlib', 'jinja2')"
    program = f"import sys, reports.history.page; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
