"""What the plots of a run show and leave out."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.drawing import context_plots, worst_part
from reports.drawing.case_plots import heat_map
from reports.drawing.context_plots import peers
from reports.drawing.cost_plots import break_even, cost_series, costs, slope
from reports.drawing.figure import to_svg
from reports.drawing.plots import memory_forest, ratio_ticks, speedup_forest, timed
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.reader import read_run
from reports.reading.run import Run
from reports.telling.page import page
from tests.reports import builders as b
from validation.contract.measurements import Measurement

POLICY = read_policy()


def test_words_in_a_plot_keep_their_digits() -> None:
    plot = memory_forest(b.full_run(memory=b.memory(0.9)), POLICY)
    assert plot is not None
    assert ">0.904x<" in plot.svg


def test_no_stand_in_colour_is_left_in_a_plot() -> None:
    plot = speedup_forest(b.full_run(), POLICY, timed(b.full_run()))
    assert plot is not None
    assert not re.search(r"#(0[1-9])\1\1", plot.svg)
    assert "var(--candidate)" in plot.svg


def test_the_worst_part_is_drawn_where_it_was_kept(tmp_path: Path) -> None:
    folder = b.write(b.full_run(equivalence=b.equivalence(0.5)), tmp_path / "run")
    run = read_run(folder)
    assert worst_part.read_part(run, folder) is None
    (folder / "patches").mkdir()
    reference = np.arange(12.0).reshape(3, 4) * (1 + 1j)
    actual = reference.copy()
    actual[2, 1] += 0.5
    np.savez(folder / "patches" / f"{b.case().case_id}-{b.CANDIDATE}.npz", reference=reference, candidate=actual)
    part = worst_part.read_part(run, folder)
    assert part is not None
    assert "0.5, is at row 2, column 1" in worst_part.worst_part(part).description


def test_the_page_names_the_command_that_keeps_the_worst_part() -> None:
    worst = b.case_result(b.case(batch=3), measurement=Measurement(equivalence=b.equivalence(0.5)))
    run = b.make([*b.lines_of_full_run(), worst], first=b.case().case_id)
    command = f"python -m validation reproduce {worst.case.case_id} --from 'my runs/a' --out 'my runs/a/patches'"
    assert command in unescape(page(run, judge(run, POLICY), folder="my runs/a"))
    part = worst_part.Part(case_id="x", candidate="y", reference=np.eye(2), actual=np.eye(2))
    assert "--out" not in page(b.full_run(), judge(b.full_run(), POLICY), part=part).split("<h2>Methods")[0]


def test_a_part_beyond_single_precision_keeps_its_difference() -> None:
    actual = np.full((3, 4), 3.4e38 + 3.4e38j, np.complex64)
    plot = worst_part.worst_part(
        worst_part.Part(case_id="x", candidate="y", reference=np.ones((3, 4), np.complex64), actual=actual)
    )
    assert "largest difference, 4.81e+38" in plot.description
    assert "NaN" not in plot.caption


def test_a_run_in_which_nothing_differs_says_so_and_names_no_command() -> None:
    html = page(b.full_run(), judge(b.full_run(), POLICY))
    assert "No compared output differs from the reference" in html
    assert "--out DIR/patches" not in html
    run = b.full_run(equivalence=b.equivalence(candidate_vs_reference=b.comparison(0.0, actual_dtype="complex128")))
    assert b.case().case_id in str(worst_part.keep_command(run, "DIR"))


def test_a_run_without_comparisons_has_no_part_to_keep() -> None:
    run = b.make([b.calibration()])
    assert worst_part.keep_command(run, "runs/a") is None
    assert "reproduce" not in page(run, judge(run, POLICY))


def test_the_worst_part_of_another_candidate_is_kept_under_its_name() -> None:
    wrong = Measurement(equivalence=b.equivalence(0.5))
    worst = b.case_result(b.case(batch=3), candidate="fallback", measurement=wrong)
    run = b.make([*b.lines_of_full_run(), worst], first=b.case().case_id)
    assert " --candidate fallback --out runs/a/patches" in str(worst_part.keep_command(run, "runs/a"))


def test_a_part_of_no_numbers_is_drawn() -> None:
    actual = np.full((3, 4), np.nan + 0j)
    plot = worst_part.worst_part(worst_part.Part(case_id="x", candidate="y", reference=np.ones((3, 4)), actual=actual))
    assert "12 of 12 elements are NaN or Inf" in plot.caption
    actual = np.ones((3, 4))
    actual[1, 2], actual[0, 0] = np.inf, 9.0
    plot = worst_part.worst_part(worst_part.Part(case_id="x", candidate="y", reference=np.ones((3, 4)), actual=actual))
    assert "inf, is at row 1, column 2" in plot.description


@pytest.mark.parametrize("cut", [False, True])
def test_a_part_that_cannot_be_read_is_passed_over(tmp_path: Path, cut: bool) -> None:
    folder = b.write(b.full_run(), tmp_path / "run")
    (folder / "patches").mkdir()
    kept = folder / "patches" / f"{b.case().case_id}-{b.CANDIDATE}.npz"
    np.savez(kept, reference=np.eye(8), candidate=np.eye(8))
    kept.write_bytes(kept.read_bytes()[:200] if cut else b"no zip")
    assert worst_part.read_part(read_run(folder), folder) is None


def with_timed(*cases: tuple[Any, Any], **manifest: Any) -> Run:
    """Give a full run with more timed cases; each is a case and its timing."""
    lines = [
        b.case_result(
            of, checks=("equivalence", "time"), measurement=Measurement(equivalence=b.equivalence(), timing=t)
        )
        for of, t in cases
    ]
    return b.make([*b.lines_of_full_run(), *lines], **({"first": b.case().case_id} | manifest))


def test_timed_cases_besides_the_judged_are_shown_as_context_slowest_first() -> None:
    reassembly = b.case(kernel="reassembly", gridsize=1, batch=500)
    others = [(b.case(N=32, gridsize=1, batch=10 + index), b.timing(3.0 + index)) for index in range(14)]
    run = with_timed(*others, (reassembly, b.timing(25.0)), placement=reassembly.case_id)
    timings = timed(run)
    assert [line.case.params["batch"] for line, _, _ in timings[:4]] == [5000, 500, 10, 11]
    plot = speedup_forest(run, POLICY, timings)
    assert plot is not None
    assert "the 10 slowest of 14 other timed cases: context" in plot.caption
    assert re.findall(r"promised (\d+)x", plot.svg) == ["10", "20"]


def test_a_series_of_costs_goes_on_where_the_reference_was_left_out() -> None:
    timings = {25: b.timing(5.0, candidate_s=0.01), 250: b.timing(50.0, candidate_s=0.1)}
    timings[2500] = b.timing(replicates=0, noise_pairs=3, candidate_s=1.0)
    run = with_timed(*((b.case(N=32, batch=batch), of) for batch, of in timings.items()))
    (case, points), *rest = cost_series(run)
    assert (dict(case.params)["N"], rest) == (32, [])
    assert [(point.work, point.reference_warm_s is None) for point in points] == [
        (100, False), (1000, False), (10_000, True),
    ]  # fmt: skip
    (plot,) = costs(run)
    assert "candidate, warm (slope 1.00)" in plot.description
    assert "above 1000 patches the reference was not timed" in plot.caption


def test_series_of_other_sizes_of_the_object_are_not_joined() -> None:
    run = with_timed(*((b.case(N=32, batch=batch, width=batch), b.timing()) for batch in (25, 250, 2500)))
    assert costs(run) == []


def test_the_judged_series_is_drawn_from_two_points_on_and_first() -> None:
    small = [(b.case(N=32, batch=batch), b.timing()) for batch in (25, 250, 2500, 25000)]
    found = cost_series(with_timed(*small, (b.case(batch=25), b.timing())))
    assert [(dict(case.params)["N"], len(points)) for case, points in found] == [(64, 2), (32, 4)]


def test_the_heat_map_marks_losses_only() -> None:
    run = with_timed((b.case(N=32, batch=25), b.timing(3.0)), (b.case(N=256, batch=25), b.timing(0.5)))
    plot = heat_map(run, POLICY, timed(run))
    assert plot is not None
    assert re.findall(r">([\d.]+x ?✗?)<", plot.svg) == ["40x", "0.50x ✗", "3.0x"]


@pytest.mark.parametrize(("low", "high"), [(0.6, 1.8), (0.25, 2.0), (0.01, 2.0), (0.9, 400.0)])
def test_an_axis_of_ratios_has_a_few_round_labels(low: float, high: float) -> None:
    ticks = ratio_ticks(low, high)
    assert 1.0 in ticks
    assert 3 <= len(ticks) <= 5
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_the_slope_of_a_power_law_is_its_exponent() -> None:
    assert slope([(x, 3 * x**1.5) for x in (1.0, 10.0, 100.0)]) == pytest.approx(1.5)
    assert slope([(1.0, 1.0), (2.0, 2.0)]) is None


def test_break_even_lies_where_the_lines_cross() -> None:
    points = [(n, 0.01 * n, 0.5 + 0.001 * n) for n in (10, 50, 60, 1000)]
    assert break_even(points) == pytest.approx(0.5 / 0.009, rel=0.02)
    assert break_even([(1, 1.0, 0.5), (2, 1.0, 0.5)]) is None
    assert break_even([(1, 1.0, 2.0), (2, 1.0, 2.0)]) is None


def test_svg_has_no_date_and_no_size_of_its_own() -> None:
    from reports.drawing.figure import drawing

    with drawing(2.0) as (figure, (axes,)):
        axes.plot([0, 1], [0, 1])
        first = to_svg(figure, "x")
    assert "<metadata>" not in first
    assert not re.match(r"<svg[^>]* width=", first)


def test_peers_are_drawn_at_the_case_they_were_timed_at() -> None:
    case = b.case(batch=100)
    both = [
        b.case_result(case, candidate=name, role=role, measurement=Measurement(timing=b.timing()))
        for name, role in ((b.CANDIDATE, "candidate"), ("theirs", "peer"))
    ]
    plot = peers(b.make([*b.lines_of_full_run(), *both], first=b.case().case_id))
    assert plot is not None
    assert "theirs (peer)" in plot.description
    assert "batched (judged)" in plot.description
    assert case.case_id.removeprefix("patch_extraction-")[:20] in plot.caption
    alone = peers(b.full_run())
    assert alone is not None
    assert "the judged case" in alone.caption


@pytest.mark.parametrize(
    ("runs", "named"), [(2, [0, 1]), (5, [0, 1, 2, 3, 4]), (8, [1, 3, 5, 7]), (60, [11, 23, 35, 47, 59])]
)
def test_commits_below_a_history_are_named_as_far_as_there_is_room_and_the_newest_always(
    runs: int, named: list[int]
) -> None:
    points = [
        context_plots.Point(
            created_at=f"2026-11-{1 + index // 24:02}T{index % 24:02}:00:00+00:00",
            outcome="ACCEPT",
            commit=f"c{index:07}",
            speedup=100.0,
        )
        for index in range(runs)
    ]
    plot = context_plots.trend(points, 10.0)
    assert plot is not None
    assert sorted(set(re.findall(r"c\d{7}", str(plot.svg)))) == [f"c{index:07}" for index in named]
