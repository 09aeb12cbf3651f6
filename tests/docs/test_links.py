"""Whatever the documentation and the sources point to is there."""

import re
import subprocess

import pytest

from tests.docs import pages
from tests.docs.pages import NAMES, ROOT

# What runs leave behind, and examples of a reader's own.
NOT_IN_THE_REPOSITORY = ("runs/", ".asv/", ".venv", "DIR/", "RUNS/", "A/", "../", "/")
SOURCE = re.compile(r"(?:[\w.-]+/)+[\w.-]*\.(?:py|md|toml|yml|yaml|json|txt|service|timer|sh|sbatch)")


@pytest.mark.parametrize("page", NAMES)
def test_every_relative_link_points_to_something(page):
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            name = found.resolve().relative_to(ROOT).as_posix()
            assert anchor in pages.anchors(name), f"{page} links to {target}, but {name} has no such heading"


@pytest.mark.parametrize("page", NAMES)
def test_every_file_named_in_a_page_is_there(page):
    for span in pages.code_spans(page):
        if SOURCE.fullmatch(span) and not span.startswith(NOT_IN_THE_REPOSITORY):
            assert (ROOT / span).exists(), f"{page} names {span}, which is not there"


def test_every_page_that_a_source_names_is_there():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    sources = [name for name in listed if not name.endswith(".md") and (ROOT / name).is_file()]
    named = 0
    for name in sources:
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for page in re.findall(r"\bdocs/[\w/-]+\.md", text):
            named += 1
            assert (ROOT / page).is_file(), f"{name} names {page}, which is not there"
    assert named


def test_every_page_is_in_the_index():
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in pages.links("docs/README.md")}
    for path in (ROOT / "docs").rglob("*.md"):
        assert path.resolve() in listed | {ROOT / "docs" / "README.md"}, f"docs/README.md does not list {path.name}"
