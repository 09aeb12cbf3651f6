"""The pages of the documentation, taken apart: code blocks, links, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


@dataclass(frozen=True)
class Block:
    """A code block; ``info`` is what stands behind the fence, empty for an indented one."""

    page: str
    line: int
    info: str
    text: str

    @property
    def language(self):
        return self.info.split()[0] if self.info else ""

    @property
    def is_run(self):
        """Whether the block is executed: Python that is no file and not ``notest``, and shell that says so."""
        marks = self.info.split()[1:]
        return (self.language == "python" and not self.file and "notest" not in marks) or "run" in marks

    @property
    def file(self):
        """Name under which a block is saved, from ``file=NAME`` behind the fence."""
        found = re.search(r"\bfile=(\S+)", self.info)
        return found[1] if found else ""

    @property
    def exit_code(self):
        """What a shell block ends with, from ``exit=N`` behind the fence."""
        found = re.search(r"\bexit=(\d+)", self.info)
        return int(found[1]) if found else 0


def tokens(page):
    return MarkdownIt().enable("table").parse((ROOT / page).read_text(encoding="utf-8"))


def blocks(page):
    return [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for token in tokens(page)
        if token.type in ("fence", "code_block")
    ]


def _inline(page):
    for token in tokens(page):
        yield from token.children or ()


def links(page):
    """Targets of links and pictures that are not on the network."""
    found = [token.attrGet("href") or token.attrGet("src") for token in _inline(page)]
    return [target for target in found if target and not re.match(r"[a-z]+:", target)]


def code_spans(page):
    return [token.content for token in _inline(page) if token.type == "code_inline"]


def anchors(page):
    """Names that GitHub gives the headings of a page."""
    found = tokens(page)
    texts = [found[index + 1].content for index, token in enumerate(found) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}
