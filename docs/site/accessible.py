"""Mends in the written pages what axe finds in those of Sphinx and furo."""

import re
from pathlib import Path

MENDED = (
    # Headings of the navigation have a level.
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    # Both columns have a name.
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    ('<aside class="toc-drawer', '<aside aria-label="This page" class="toc-drawer'),
    # A block that scrolls can be reached by keyboard.
    ("<pre>", '<pre tabindex="0">'),
)
PARAMETERS = re.compile(r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>', re.DOTALL)


def in_lines(found):
    """Write parameters, each in a line of its own, as what they are: no list of definitions."""
    lines = found[2].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'{found[1]}<div class="parameters">{lines}</div>'


def mended(html):
    """Give the text of a page without these faults."""
    for wrong, right in MENDED:
        html = html.replace(wrong, right)
    return PARAMETERS.sub(in_lines, html)


def mend(app, error):
    """Mend all pages but those that were made elsewhere."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            if path.name not in {Path(extra).name for extra in app.config.html_extra_path}:
                path.write_text(mended(path.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app):
    """Connect the above, before the front page is copied."""
    app.connect("build-finished", mend, priority=400)
    return {"parallel_read_safe": True}
