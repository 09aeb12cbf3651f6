from __future__ import annotations

import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from reports.drawing import context_plots
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading import evidence
from reports.reading.reader import read_run
from reports.reading.run import Run
from reports.telling import comparison, index, machine_formats, texts
from reports.telling.page import ASSETS, age, content_security_policy, flag, page
from tests.reports import builders as b
from validation.contract.measurements import Measurement

POLICY = read_policy()
HOSTILE = "<script>alert(1)</script>`\"'&--></style><img src=x onerror=alert(2)>{{7*7}}$x^2$\x07|a|"


def hostile_run() -> Run:
    of = b.case(case_id=HOSTILE, pattern=HOSTILE)
    timed = Measurement(equivalence=b.equivalence(0.5), timing=b.timing(2.0), memory=b.memory(3.0))
    lines = [
        b.calibration(instrument=HOSTILE, passed=True, detail=HOSTILE),
        b.case_result(of, checks=("equivalence", "time", "memory"), measurement=timed),
        b.case_result(of, candidate=HOSTILE, failure=b.failure("signal", message=HOSTILE, arm=HOSTILE)),
        b.property_(HOSTILE, passed=False, detail=HOSTILE),
        b.mutant("D1", mutant=HOSTILE, description=HOSTILE, expected_criterion=HOSTILE, verdict=HOSTILE),
        b.suite("on", command=HOSTILE, failed=3),
    ]
    scan = msgspec.structs.replace(b.full_run().manifest.scan, name=HOSTILE, path=HOSTILE)
    origin = msgspec.structs.replace(
        b.PROVENANCE, commit_subject=HOSTILE, commit=HOSTILE, versions={HOSTILE: HOSTILE}, threads={HOSTILE: HOSTILE}
    )
    return b.make(
        lines,
        sweep=HOSTILE,
        command=HOSTILE,
        scan=scan,
        provenance=origin,
        first=HOSTILE,
        created_at=HOSTILE,
    )


class Elements(HTMLParser):
    """Counts elements and collects attributes that would run a script or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.dangerous: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            loads = name in ("src", "href", "xlink:href", "action") and not (value or "").startswith(("#", "data:"))
            if name.startswith("on") or loads:
                self.dangerous.append((name, value))


def elements(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    return found


def test_hostile_strings_stay_text_in_the_page() -> None:
    run = hostile_run()
    text = page(run, judge(run, POLICY), evidence=())
    found = elements(text)
    assert found.tags.count("script") == 1
    assert found.tags.count("style") == 1 + found.tags.count("svg") - text.count('<svg class="interval"')
    assert found.dangerous == []
    assert "img" not in found.tags


def test_the_page_holds_hostile_strings_and_does_not_drop_them() -> None:
    run = hostile_run()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page(run, judge(run, POLICY))
    assert "49" not in re.findall(r"onerror=alert\(2\)&gt;(..)", page(run, judge(run, POLICY)))


def test_hostile_strings_stay_text_in_markdown() -> None:
    for text in (texts.review(judge(hostile_run(), POLICY)), texts.step_summary(judge(hostile_run(), POLICY))):
        outside = re.sub(r"\\[^\w\s]", "", text)
        outside = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", outside)
        assert "<script>" not in outside
        assert "<img" not in outside
        assert "\x07" not in text


def test_hostile_strings_leave_xml_well_formed() -> None:
    verdict = judge(hostile_run(), POLICY)
    tree = ElementTree.fromstring(machine_formats.junit(verdict))
    assert tree.attrib["tests"] == str(len(verdict.criteria))
    ElementTree.fromstring(machine_formats.badge(verdict))


def test_junit_tells_failures_from_missing_evidence() -> None:
    tree = ElementTree.fromstring(machine_formats.junit(judge(b.full_run(timing=b.timing(replicates=6)), POLICY)))
    found = {case.attrib["name"]: [child.tag for child in case] for case in tree.iter("testcase")}
    assert found["correctness"] == []
    assert found["speed"] == ["error"]
    assert found["completeness"] == ["failure"]
    assert found["reassembly"] == ["skipped"]


def test_the_badge_says_verdict_and_mark() -> None:
    assert "gate: accept, 38.6x" in machine_formats.badge(judge(b.full_run(), POLICY))
    assert "provisional" in machine_formats.badge(judge(b.quick_run(), POLICY))


def header(html: str) -> str:
    found = re.search(r'<header class="top">(.*?)</header>', html, re.DOTALL)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())


def test_the_top_of_the_page_says_why_with_figure_and_promise() -> None:
    run = b.full_run(timing=b.timing(2.0, cold_ratio=10.1), equivalence=b.equivalence(0.73))
    told = header(page(run, judge(run, POLICY)))
    assert f"May {b.CANDIDATE} take the place of the reference that it is measured against? No." in told
    reasons = re.findall(r"(✗|[?]) ([A-Z][a-z ]+): (fail|inconclusive)", told)
    assert [(title, state) for _, title, state in reasons] == [
        ("Correctness", "fail"), ("Speed", "fail"), ("Cold speed", "inconclusive"),
    ]  # fmt: skip
    assert "differs by 0.73 where 1e-06 is allowed" in told
    assert "Promised: at least 10x the speed of the reference once warmed up." in told
    assert "Holds: oracle agreement, memory, completeness" in told


def test_the_top_of_an_accepted_page_has_no_reasons() -> None:
    told = header(page(b.full_run(), judge(b.full_run(), POLICY)))
    assert "Yes, every judged criterion holds." in told
    assert "Promised" not in told
    assert "Not judged: reassembly." in told


def test_the_largest_error_is_told_first() -> None:
    small, large = b.case(batch=3), b.case(batch=4)
    lines = [
        b.case_result(of, measurement=Measurement(equivalence=b.equivalence(error)))
        for of, error in ((small, 1e-3), (large, 0.5))
    ]
    run = b.make([*b.lines_of_full_run(), *lines], first=b.case().case_id)
    correctness = judge(run, POLICY).criteria[0]
    assert correctness.worst_case == large.case_id
    assert "differs by 0.5 where" in correctness.finding


def test_a_run_that_was_no_sweep_is_made_again_by_its_own_command() -> None:
    command = "python -m validation mutants --only swapped_axes --out NEW-DIR"
    run = b.quick_run(timing=b.timing(2.0))
    run = msgspec.structs.replace(run, manifest=msgspec.structs.replace(run.manifest, sweep="gallery", command=command))
    gone = msgspec.structs.replace(run, lines=run.lines[:-1])
    assert {fix.command for _, fix in judge(gone, POLICY).fixes} == {command}


def test_a_page_without_history_says_how_to_get_one() -> None:
    html = page(b.full_run(), judge(b.full_run(), POLICY), no_history="asv has measured nothing here yet")
    assert "<p>None: asv has measured nothing here yet. In the repository, <code>make bench</code>" in html


@pytest.mark.parametrize("run", [b.full_run(), b.quick_run(), hostile_run(), b.make([]), b.make([b.calibration()])])
def test_every_run_has_a_page_that_starts_with_its_verdict(run: Run) -> None:
    verdict = judge(run, POLICY)
    html = page(run, verdict)
    first = re.search(r"<h1[^>]*>(.*?)</h1>", html)
    assert first is not None
    assert (verdict.outcome in first[1]) or first[1].startswith("No verdict")
    if verdict.provisional:
        assert f"provisional, {verdict.sweep} sweep" in html


def test_the_policy_forbids_every_connection() -> None:
    run = b.full_run()
    html = page(run, judge(run, POLICY))
    assert "default-src 'none'" in unescape(html)
    assert "http://" not in re.sub(r"http://(www\.w3\.org|tristen\.ca)[^\"' ]*", "", html)


def test_ids_of_different_plots_do_not_meet() -> None:
    run = b.full_run()
    ids = re.findall(r'\bid="([^"]+)"', page(run, judge(run, POLICY)))
    assert len(ids) == len(set(ids))


def test_comparison_tells_only_what_lies_beyond_noise() -> None:
    slow, fast = b.full_run(timing=b.timing(20.0)), b.full_run(timing=b.timing(40.0))
    changes = {item.figure: item.change for item in comparison.compare(slow, fast, POLICY)}
    assert changes["speedup, warm calls"] == "better"
    assert changes["speedup, first call"] == "same"
    assert {item.change for item in comparison.compare(fast, slow, POLICY)} == {"worse", "same"}
    nearly = b.full_run(timing=b.timing(41.0))
    assert {item.change for item in comparison.compare(fast, nearly, POLICY)} == {"same"}


def test_comparison_tells_a_case_that_broke() -> None:
    found = comparison.compare(b.full_run(), b.full_run(equivalence=b.equivalence(1.0)), POLICY)
    assert ("passed", "failed", "worse") in [(item.before, item.after, item.change) for item in found]


def test_the_index_has_every_run_newest_first(tmp_path: Path) -> None:
    b.write(b.full_run(), tmp_path / "old")
    new = b.quick_run()
    new = msgspec.structs.replace(
        new, manifest=msgspec.structs.replace(new.manifest, created_at="2026-11-22T00:00:00+00:00")
    )
    b.write(new, tmp_path / "new")
    b.write(b.full_run(), tmp_path / "torn & broken")
    (tmp_path / "torn & broken" / "results.jsonl").write_text("{")
    (tmp_path / "old" / "report.html").write_text("")
    found = index.entries(tmp_path)
    assert [entry.folder for entry in found] == ["new", "old", "torn & broken"]
    html = index.index_page(found)
    assert "torn &amp; broken" in html
    assert "cannot be read" in html
    assert 'href="old/report.html"' in html
    assert elements(html).tags.count("script") == 1
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script == (ASSETS / "index.js").read_text()
    assert content_security_policy(script).replace("'", "&#39;") in html


def nights(tmp_path: Path, *dates: str, sweep: str = "nightly") -> str:
    """Make the index of a full run for each date."""
    for number, date in enumerate(dates):
        run = b.full_run()
        manifest = msgspec.structs.replace(run.manifest, created_at=date, sweep=sweep)
        b.write(msgspec.structs.replace(run, manifest=manifest), tmp_path / f"run-{number}")
    return index.index_page(index.entries(tmp_path))


def test_the_index_says_without_scripts_by_when_a_night_is_due_and_fixes_no_age(tmp_path: Path) -> None:
    html = nights(tmp_path, "2026-11-21T02:17:00+00:00", "2026-11-20T03:17:00+01:00")
    assert "2026-11-21 02:17 UTC</time>. The next is due by" in html
    assert "2026-11-23 02:17 UTC</time>: where that has passed, nights have stopped" in html
    assert "2026-11-20 02:17 UTC" in html
    assert "ago" not in html[: html.index("<script>")]


def test_the_nights_of_an_index_are_runs_of_their_sweep(tmp_path: Path) -> None:
    """A quick run of somebody does not hide that nights stopped."""
    html = nights(tmp_path, "2026-11-21T02:17:00+00:00", sweep="quick")
    assert "No night is here: no run of the sweep nightly" in html
    assert 'id="stale"' not in html
    assert 'id="stale"' in index.index_page(index.entries(tmp_path), nights="quick")


def test_history_needs_two_runs(tmp_path: Path) -> None:
    verdict = judge(b.full_run(), POLICY)
    assert context_plots.history((), verdict) is None
    other = msgspec.structs.replace(evidence.evidence_of(verdict), run_id="b", created_at="2026-10-01T00:00:00Z")
    plot = context_plots.history((other,), verdict)
    assert plot is not None
    assert plot.description.startswith("2026-10-01")


def test_the_age_counts_whole_days() -> None:
    import datetime

    now = datetime.datetime(2026, 11, 23, 11, tzinfo=datetime.timezone.utc)
    assert age("2026-11-21T12:00:00+00:00", now) == "1 day ago"
    assert age("2026-11-21T10:00:00Z", now) == "2 days ago"
    assert age("no date", now) == ""


def many_lines(count: int, **reference: Any) -> Run:
    """Give a run of ``count`` lines, with every kind of figure somewhere."""
    lines = b.lines_of_full_run(**reference)
    patterns = ("interior", "border", "outside", "integer", "zero", "fermat", "raster", "scan", "fading")
    equal = Measurement(equivalence=b.equivalence(0.0, oracle_error=3e-7))
    for number in range(count - len(lines)):
        of = b.case(
            N=(32, 64, 128, 256)[number % 4],
            gridsize=1 + number % 3,
            batch=number,
            pattern=patterns[number % 9],
            seed=number,
            dtype=("complex64", "complex128")[number % 2],
        )
        timed = Measurement(equivalence=b.equivalence(), timing=b.timing(5 + number % 40))
        lines.append(b.case_result(of, measurement=timed if number % 10 == 0 else equal))
    return b.make(lines, first=b.case().case_id)


@pytest.mark.slow
def test_ten_thousand_lines_make_a_page_in_time_and_size(tmp_path: Path) -> None:
    folder = b.write(many_lines(10_000), tmp_path / "run")
    # Processor time of this one thread, so that whatever else runs on the machine does not count.
    started = time.process_time()
    run = read_run(folder)
    html = page(run, judge(run, POLICY))
    assert time.process_time() - started < 10.0
    assert len(html.encode()) < 4_000_000


def test_failed_lines_that_decide_nothing_are_told_apart() -> None:
    peers = [
        b.case_result(b.case(), candidate=name, role="peer", measurement=Measurement(equivalence=b.equivalence(1.0)))
        for name in ("theirs", "others")
    ]
    verdict = judge(b.make([*b.lines_of_full_run(), *peers], first=b.case().case_id), read_policy())
    assert verdict.outcome == "ACCEPT"
    assert (verdict.counts.failed, verdict.counts.failed_peers) == (2, 2)
    assert "failed 2 (all peers, which decide nothing)" in texts.counts_line(verdict)
    html = page(b.full_run(), verdict, read_policy())
    assert "Of the failed lines all are about peers" in html
    mixed = msgspec.structs.replace(verdict, counts=msgspec.structs.replace(verdict.counts, failed=3))
    assert "failed 3 (2 of them peers, which decide nothing)" in texts.counts_line(mixed)


@pytest.mark.parametrize(
    ("run", "means"),
    [
        (b.full_run(), "may be on by default, as soon as this run is recorded"),
        (b.full_run(timing=b.timing(2.0)), "must not be on: switch it off"),
        (b.full_run(timing=b.timing(10.0)), "Leave use_batched_patch_extraction as it is: what is not decided"),
        (b.quick_run(), "only a nightly sweep with the promised thresholds moves it"),
        (b.quick_run(timing=b.timing(2.0)), "Do not switch use_batched_patch_extraction on"),
        (b.make(list(b.full_run().lines), candidate="mine"), "this verdict is about mine and says nothing of the flag"),
    ],
    ids=["accept", "reject", "inconclusive", "accept-provisional", "reject-provisional", "another-candidate"],
)
def test_the_page_says_what_the_verdict_means_for_the_flag(run, means):
    verdict = judge(run, read_policy(), "runs/a")
    assert means in flag(verdict)
    assert means in page(run, verdict)


def test_a_run_of_an_older_schema_is_judged_by_its_rule_and_every_text_says_so() -> None:
    old, present = b.full_run(b.FIRST), b.full_run()
    sentence = "times are judged by the rule of their schema 1.0"
    assert sentence in str(judge(old, POLICY).rule)
    assert judge(present, POLICY).rule is None
    for text in (texts.terminal, texts.review, lambda verdict: page(old, verdict, POLICY)):
        assert sentence in text(judge(old, POLICY))
    for text in (texts.terminal, texts.review, lambda verdict: page(present, verdict, POLICY)):
        assert "are judged by the rule of" not in text(judge(present, POLICY))
        assert "after noise" not in text(judge(present, POLICY))
