"""Texts, tables and plots of kernels that nobody here knows, and of a run without a scan."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from reports.cli import cli
from reports.drawing.case_plots import heat_map, ulp
from reports.drawing.cost_plots import cost_series, costs
from reports.drawing.plots import memory_forest, speedup_forest, timed
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.run import Run
from reports.telling import machine_formats, texts
from reports.telling.index import entries, index_page
from reports.telling.page import page
from tests.reports import builders as b
from tests.reports import strangers
from validation.contract.cards import Words

POLICY = read_policy()
PAIR, KERNEL = strangers.pair_run(), strangers.kernel_run()
REFERENCE = "../old sort"


def html(run: Run) -> str:
    return page(run, judge(run, POLICY, "runs/a"), POLICY, folder="runs/a")


def heads(text: str) -> list[str]:
    (row,) = re.findall(r'<table id="cases">\n<thead><tr>\n(.*?)\n</tr>', text, re.DOTALL)
    return [unescape(cell) for cell in re.findall(r"<th[^>]*>(.*?)</th>", row)]


def test_the_table_has_the_columns_of_the_kernels_words() -> None:
    assert heads(html(PAIR))[:5] == ["Case", "State", "Candidate", "Size", "Largest error"]
    # The letter of a parameter, its name where the label only says more, else the label.
    assert heads(html(KERNEL))[3:5] == ["Length", "Window"]
    assert heads(html(b.full_run()))[3:8] == ["N", "Grid size", "Groups", "Dtype", "Pattern"]


def test_cases_are_filtered_by_the_axes_of_the_map_or_by_all_columns() -> None:
    for run, names in (
        (PAIR, ["state", "candidate", "size"]),
        (KERNEL, ["state", "candidate", "length", "window"]),
        (b.full_run(), ["state", "candidate", "N", "gridsize", "dtype"]),
    ):
        text = html(run)
        assert re.findall(r'<select name="(\w+)">', text) == names
        assert re.findall(r'<th scope="col" data-filter="(\w+)"', text) == names


def test_a_parameter_with_the_name_of_a_field_of_the_form_is_shown_and_no_filter() -> None:
    taken = tuple(msgspec.structs.replace(strangers.PAIR.parameters[0], name=name) for name in ("state", "size"))
    card = msgspec.structs.replace(strangers.PAIR, parameters=taken, words=Words(columns=("state", "size")))
    text = html(msgspec.structs.replace(PAIR, manifest=msgspec.structs.replace(PAIR.manifest, kernels=(card,))))
    assert len(heads(text)) == len(heads(html(PAIR))) + 1
    assert re.findall(r'<select name="(\w+)">', text) == ["state", "candidate", "size"]


def test_a_kernel_in_a_table_of_two_leaves_columns_of_the_other_empty() -> None:
    lines = [*KERNEL.lines, *PAIR.cases]
    run = b.make(lines, kernels=(strangers.KERNEL, strangers.PAIR), judged=KERNEL.manifest.judged)
    text = html(run)
    assert heads(text)[3:6] == ["Length", "Window", "Size"]
    (row,) = re.findall(r"<tr><th scope=row>sort-n100-s0(.*?)\n", text)
    assert row.startswith("<td>✓ passed<td>sort.fast:sort<td><td><td>100<td>")


def test_axes_carry_labels_and_units_of_the_kernel() -> None:
    plot = heat_map(KERNEL, POLICY, timed(KERNEL))
    assert plot is not None
    assert plot.title == "Speedup over length of a signal and window"
    assert "length of a signal (samples)" in plot.svg
    assert plot.caption == (
        "Warm calls, median; the smallest of the cases in a cell, 128 to 512 samples a call. "
        "8x is promised at the judged case alone; a cross marks a loss."
    )
    assert "length of a signal 64, window hann: 40" in plot.description
    (cost,) = costs(PAIR)
    assert cost.title == "Cost against the number of numbers"
    assert cost.caption.startswith("Sort. A slope of 1 is a cost in proportion to the numbers; ")
    assert [point.work for point in cost_series(PAIR)[0][1]] == [100.0, 1000.0, 10_000.0]


def test_the_errors_of_cases_are_told_apart_by_the_kernels_own_parameter() -> None:
    plot = ulp(KERNEL)
    assert plot is not None
    assert plot.description.startswith("Dot plot over 2 values of window")
    assert "against the oracle" in plot.svg


@pytest.mark.parametrize(
    ("left_out", "plots"),
    [
        ({"rows": ""}, (heat_map,)),
        ({"by": "nothing"}, (heat_map,)),
        ({"groups": ""}, (ulp,)),
        ({"along": ""}, (costs,)),
    ],
)
def test_a_plot_whose_axes_nobody_names_is_left_out(left_out: dict[str, str], plots: tuple[object, ...]) -> None:
    words = msgspec.structs.replace(strangers.KERNEL.words, **left_out)
    run = strangers.kernel_run(kernels=(msgspec.structs.replace(strangers.KERNEL, words=words),))
    for plot in plots:
        assert not (plot(run, POLICY, timed(run)) if plot is heat_map else plot(run))  # type: ignore[operator]


def test_a_page_without_any_words_has_a_table_and_the_plots_of_what_is_judged() -> None:
    bare = msgspec.structs.replace(strangers.PAIR, words=Words())
    text = html(msgspec.structs.replace(PAIR, manifest=msgspec.structs.replace(PAIR.manifest, kernels=(bare,))))
    assert heads(text)[:4] == ["Case", "State", "Candidate", "Largest error"]
    found = re.findall(r"<figure[^>]*>\n<h3>(.*?)</h3>", text)
    assert found == ["Speedup over the reference", "Peak memory over the reference", "Memory over time, one call",
                     "The candidate among its peers"]  # fmt: skip


def test_where_nothing_is_promised_plots_have_no_line() -> None:
    run = strangers.pair_run(speed=None)
    speedup, memory = speedup_forest(run, POLICY, timed(run)), memory_forest(run, POLICY)
    assert speedup is not None
    assert memory is not None
    for plot in (speedup, memory):
        assert "promised" not in plot.svg + plot.caption + plot.description
        assert "allowed" not in plot.svg + plot.description
        assert "dashed" not in plot.caption


def test_a_run_without_a_scan_is_told_by_its_kernel() -> None:
    verdict = judge(PAIR, POLICY, "runs/a")
    text = html(PAIR)
    assert f"<title>{verdict.line} · sort</title>" in text
    assert "<dt>Kernel and sweep</dt><dd>sort, pair sweep</dd>" in text
    assert "<dt>Scan</dt>" not in text
    assert "scan" not in texts.review(verdict).lower().split("## where it comes from")[1]
    assert 'name="scan"' not in machine_formats.junit(verdict)


def test_a_reference_of_another_place_is_shown_wherever_the_provenance_is() -> None:
    verdict = judge(PAIR, POLICY, "runs/a")
    for text in (texts.review(verdict), texts.step_summary(verdict)):
        assert f"- Reference from `{REFERENCE}`" in text
    assert f"reference from <code>{REFERENCE}</code>" in html(PAIR)
    ours = judge(b.full_run(), POLICY)
    assert "eference from" not in texts.review(ours) + texts.step_summary(ours) + html(b.full_run())


def test_a_verdict_about_another_kernel_says_nothing_of_the_flag() -> None:
    assert "The flag." not in html(PAIR)
    assert "The flag." in html(b.full_run())


def test_a_kernels_own_words_stand_in_every_text() -> None:
    verdict = judge(KERNEL, POLICY, "runs/a")
    told = "**Speed of batches**: Many signals at once. Promised: 20 times the speed from 500 samples on."
    assert told in texts.review(verdict)
    text = html(KERNEL)
    assert "Speed of batches" in text
    assert "Many signals at once." in text


def test_a_pair_goes_through_every_command(tmp_path: Path) -> None:
    folder = b.write(PAIR, tmp_path / "runs" / "pair")
    calls = CliRunner()
    assert calls.invoke(cli, ["gate", str(folder)]).exit_code == 0
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["verdict_version"], verdict["scan"], verdict["scan_sha256"]) == ("2.0", None, None)
    assert verdict["judged"][1] == {
        "criterion": "memory", "case_id": PAIR.first_judged, "figure": "memory", "promise": None, "min_work": None,
    }  # fmt: skip
    assert calls.invoke(cli, ["build", str(folder)]).exit_code == 0
    compared = calls.invoke(cli, ["compare", str(folder), str(folder)])
    assert compared.exit_code == 0
    assert "scan none" in compared.output
    (entry,) = entries(tmp_path / "runs")
    assert (entry.scan, entry.promised) == ("", 10.0)
    assert "pair" in index_page((entry,))


def test_an_index_of_runs_that_judge_no_speed_has_no_trend(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = msgspec.structs.replace(PAIR, manifest=msgspec.structs.replace(PAIR.manifest, judged=()))
        b.write(run, tmp_path / name)
    found = entries(tmp_path)
    assert [entry.speedup for entry in found] == [None, None]
    assert "<figure" not in index_page(found)
