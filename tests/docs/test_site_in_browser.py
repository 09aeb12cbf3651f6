"""The site in a browser, opened from its folder: quiet, narrow enough, accessible, and its search finds."""

import importlib.util

import pytest

from tests.browser import NEEDS_CHROMIUM, WIDTHS, Opened, started, violations

pytestmark = [
    *NEEDS_CHROMIUM,
    pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="needs the extra docs"),
]
PAGES = ["index.html", "docs/gate.html", "docs/cli.html", "docs/api/kernel.html", "docs/recorded-verdicts.html"]


@pytest.fixture(scope="module")
def browser():
    with started() as browser:
        yield browser


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_quiet_closed_narrow_enough_and_accessible(browser, site, name, width, scheme):
    with Opened(browser, site / name, viewport={"width": width, "height": 900}, color_scheme=scheme) as opened:
        assert opened.errors == []
        assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data"}
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(opened.page) == []


def test_the_search_works_from_a_folder(browser, site):
    with Opened(browser, site / "index.html", viewport={"width": 1280, "height": 900}) as opened:
        opened.page.fill("input.sidebar-search", "cold_speed")
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_selector("#search-results li a")
        found = opened.page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.textContent)")
        assert "How a verdict comes about, and why" in found
        assert opened.errors == []
        opened.page.click("#search-results li a >> text=How a verdict comes about")
        assert opened.page.locator("h1").inner_text().startswith("How a verdict comes about, and why")
