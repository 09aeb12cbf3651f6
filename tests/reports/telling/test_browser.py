"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.drawing.worst_part import read_part
from reports.history.page import history_page, history_section
from reports.history.results import History, read_history
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.reader import read_run
from reports.telling.index import entries, index_page
from reports.telling.page import page as make_page
from tests.browser import NEEDS_CHROMIUM, WIDTHS, Opened, started, violations
from tests.reports import builders as b
from tests.reports.history.test_history import VALUES, Made, long_history
from tests.reports.telling.test_outputs import HOSTILE, hostile_run, many_lines

POLICY = read_policy()

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the pages of runs that end in every way, and their index."""
    import numpy as np

    root = tmp_path_factory.mktemp("runs")
    runs = {
        "accept": b.full_run(),
        "reject": many_lines(60, timing=b.timing(2.0)),
        "hostile": hostile_run(),
        "nothing": b.make([]),
        "instrument": b.make([b.calibration(passed=False)]),
        "quick": b.quick_run(timing=b.timing(10.2)),
    }
    for name, run in runs.items():
        folder = b.write(run, root / name)
        (folder / "patches").mkdir()
        kept = folder / "patches" / f"{run.first_judged[:100].replace('/', '_')}-{b.CANDIDATE}.npz"
        np.savez(kept, reference=np.eye(8) * (1 + 1j), candidate=np.eye(8) * 1j)
        found = read_run(folder)
        html = make_page(found, judge(found, POLICY), part=read_part(found, folder))
        (folder / "report.html").write_text(html)
    (root / "index.html").write_text(index_page(entries(root)))
    recorded = made_history(tmp_path_factory.mktemp("repository"))
    (root / "history.html").write_text(history_page(recorded))
    run = runs["reject"]
    whole = make_page(run, judge(run, POLICY), history=history_section(recorded))
    (root / "with-history.html").write_text(whole)
    return root


def made_history(folder: Path) -> History:
    """Give asv's results over the commits of a made repository."""
    made = Made(folder)
    for index in range(len(made.hashes)):
        made.write(index, {name: values[index] for name, values in VALUES.items()})
    return read_history(made.config)


PAGES = [
    *(f"{name}/report.html" for name in ("accept", "reject", "hostile", "nothing", "instrument", "quick")),
    "index.html", "history.html", "with-history.html",
]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_quiet_closed_narrow_enough_and_accessible(
    browser: Any, site: Path, name: str, width: int, scheme: str
) -> None:
    with Opened(browser, site / name, viewport={"width": width, "height": 900}, color_scheme=scheme) as opened:
        page = opened.page
        assert opened.errors == []
        assert [url for url in opened.requests if not url.startswith("data:")] == [(site / name).as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        assert violations(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_has_a_text_alternative(browser: Any, site: Path, name: str) -> None:
    with Opened(browser, site / name) as opened:
        assert opened.page.evaluate(
            """[...document.querySelectorAll('svg, img')].filter(picture =>
                !(picture.closest('[role=img]')?.getAttribute('aria-label')?.length > 20)).length"""
        ) == 0  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_complete_without_javascript(browser: Any, site: Path, width: int) -> None:
    size = {"width": width, "height": 900}
    with Opened(browser, site / "reject/report.html", viewport=size, java_script_enabled=False) as opened:
        page = opened.page
        assert page.locator("h1").inner_text() == "Verdict: REJECT"
        rows = len(read_run(site / "reject").cases)
        assert page.locator("#cases tbody tr:visible").count() == rows
        assert page.locator("figure").count() >= 5
        assert not page.locator("form.filters").is_visible()
        assert opened.errors == []


def visible_states(page: Any) -> list[str]:
    return page.eval_on_selector_all(
        "#cases tbody tr:not([hidden])", "rows => rows.map(row => row.cells[3].textContent.trim())"
    )


def test_the_table_sorts_by_mouse_and_by_keyboard(browser: Any, site: Path) -> None:
    with Opened(browser, site / "reject/report.html") as opened:
        page = opened.page
        head = page.locator("#cases thead th", has_text="Groups")

        def groups() -> list[int]:
            return [int(text) for text in page.eval_on_selector_all(
                "#cases tbody tr", "rows => rows.map(row => row.cells[5].textContent)")]  # fmt: skip

        head.click()
        assert groups() == sorted(groups())
        assert head.get_attribute("aria-sort") == "ascending"
        for key, reverse in (("Enter", True), ("Space", False)):
            head.focus()
            page.keyboard.press(key)
            assert groups() == sorted(groups(), reverse=reverse)


def test_the_table_filters_and_the_address_keeps_the_filter(browser: Any, site: Path) -> None:
    with Opened(browser, site / "reject/report.html") as opened:
        page = opened.page
        page.select_option("select[name=N]", "32")
        assert set(visible_states(page)) == {"32"}
        assert page.url.endswith("#N=32")
        kept = len(visible_states(page))
        page.fill("input[name=text]", "border nonsense")
        assert visible_states(page) == []
        page.fill("input[name=text]", "")
        assert f"{kept} of " in page.locator("#shown").inner_text()
        page.click("button[type=reset]")
        page.wait_for_function("!location.hash")
        assert len(set(visible_states(page))) > 1
    with Opened(browser, site / "reject/report.html", fragment="#N=64&state=%E2%9C%93+passed") as opened:
        assert set(visible_states(opened.page)) == {"64"}
        assert opened.page.locator("select[name=N]").input_value() == "64"


def test_a_filter_in_the_address_that_means_nothing_shows_all(browser: Any, site: Path) -> None:
    with Opened(browser, site / "reject/report.html", fragment="#N=%3Cscript%3E&zz=1") as opened:
        assert opened.errors == []
        assert len(visible_states(opened.page)) == len(read_run(site / "reject").cases)


def test_hostile_strings_stay_text(browser: Any, site: Path) -> None:
    with Opened(browser, site / "hostile/report.html") as opened:
        page = opened.page
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0
        shown = page.evaluate("document.body.textContent")
        assert HOSTILE.replace("\x07", "") in shown.replace("\x07", "")
        assert opened.errors == []


def test_every_control_can_be_reached_by_keyboard(browser: Any, site: Path) -> None:
    with Opened(browser, site / "reject/report.html") as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.tagName + (document.activeElement.name || '')"))
        assert {"INPUTtext", "SELECTN", "SELECTstate", "BUTTON", "TH", "DIV", "SUMMARY"} <= seen


def test_on_paper_nothing_is_cut_off(browser: Any, site: Path, tmp_path: Path) -> None:
    with Opened(browser, site / "reject/report.html", viewport={"width": 794, "height": 1123}) as opened:
        page = opened.page
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("form.filters").is_visible()
        assert page.evaluate("document.querySelector('#cases').getBoundingClientRect().right") <= 794
        pdf = page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3


def test_ten_thousand_lines_paint_within_a_second(browser: Any, tmp_path: Path) -> None:
    run = many_lines(10_000)
    path = tmp_path / "report.html"
    path.write_text(make_page(run, judge(run, POLICY)))
    with Opened(browser, path, viewport={"width": 1280, "height": 900}) as opened:
        opened.page.wait_for_load_state("load")
        assert opened.errors == []
        painted_ms = opened.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"
        )
        assert painted_ms < 1000


def test_a_history_of_four_hundred_commits_opens_in_a_second(browser: Any, tmp_path: Path) -> None:
    address = tmp_path / "history.html"
    address.write_text(history_page(long_history(400)))
    took = []
    for _ in range(3):
        with Opened(browser, address) as opened:
            took.append(opened.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            assert opened.errors == []
    assert 0 < min(took) < 1000


@pytest.mark.parametrize(
    ("days", "warned", "aged"),
    [(0.5, "", "less than a day ago"), (1.5, "", "1 day ago"), (12.5, "newest is of 12 days ago", "12 days ago"),
     (-3, "dated in the future", "in the future")],
)  # fmt: skip
def test_the_index_tells_the_age_of_the_newest_night_to_whoever_looks(
    browser: Any, tmp_path: Path, days: float, warned: str, aged: str
) -> None:
    """The page is made once, and looked at later."""
    made = datetime.datetime(2026, 11, 21, 2, 17, tzinfo=datetime.timezone.utc)
    run = b.full_run()
    manifest = msgspec.structs.replace(run.manifest, created_at=made.isoformat(), sweep="nightly")
    b.write(msgspec.structs.replace(run, manifest=manifest), tmp_path / "run")
    address = tmp_path / "index.html"
    address.write_text(index_page(entries(tmp_path), made))
    with Opened(browser, address) as opened:
        opened.page.clock.set_fixed_time(made + datetime.timedelta(days=days))
        opened.page.reload()
        assert opened.page.locator("td[data-age]").inner_text() == aged
        assert opened.page.locator("#stale").is_visible() == bool(warned)
        assert warned in opened.page.locator("#stale").inner_text()
        assert opened.errors == []
    with Opened(browser, address, java_script_enabled=False) as opened:
        assert not opened.page.locator("#stale").is_visible()
        assert "2026-11-23 02:17 UTC: where that has passed, nights have stopped" in opened.page.inner_text("header")
