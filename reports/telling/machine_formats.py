"""The verdict for other programs: JUnit XML and a badge. Pure."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from reports.reading.verdict import Criterion, Verdict
from reports.telling.texts import plain

# Characters that XML 1.0 cannot hold at all.
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_BADGE_COLORS = {"ACCEPT": "#0b6b46", "REJECT": "#b00020"}


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _body(criterion: Criterion) -> str:
    lines = [criterion.finding, f"promised: {criterion.promise}"]
    for fix in criterion.fixes:
        lines += [f"fix{f' at {fix.case_id}' if fix.case_id else ''}: {fix.action}", f"  {fix.command}"]
    return _clean("\n".join(plain(line) for line in lines))


def junit(verdict: Verdict) -> str:
    """JUnit XML: one test case per criterion; what is missing or inconclusive is an error, not a failure."""
    states = [criterion.state for criterion in verdict.criteria]
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(f"gate: {verdict.line}"),
        tests=str(len(states)),
        failures=str(states.count("fail")),
        errors=str(states.count("inconclusive") + states.count("missing")),
        skipped=str(states.count("not_judged")),
        timestamp=_clean(verdict.created_at),
    )
    properties = ElementTree.SubElement(suite, "properties")
    scan = () if verdict.scan is None else ("scan",)
    for name in ("run_id", "sweep", "candidate", "commit", "kernel_digest", "machine", *scan):
        ElementTree.SubElement(properties, "property", name=name, value=_clean(str(getattr(verdict, name))))
    for criterion in verdict.criteria:
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=criterion.id)
        tag = {"fail": "failure", "inconclusive": "error", "missing": "error", "not_judged": "skipped"}.get(
            criterion.state
        )
        if tag is not None:
            element = ElementTree.SubElement(case, tag, message=_clean(plain(criterion.finding)))
            element.text = _body(criterion)
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n'


def badge(verdict: Verdict) -> str:
    """Make a badge as SVG: verdict, and the warm speedup that is sure."""
    right = verdict.outcome.replace("_", " ").lower()
    speed = next((item for item in verdict.criteria if item.id == "speed"), None)
    if verdict.outcome == "ACCEPT" and speed is not None and speed.value is not None:
        right += f", {speed.value:.3g}x"
    if verdict.marks:
        right += f" ({' and '.join(verdict.marks)})"
    left = "gate"
    widths = [10 + 7 * len(text) for text in (left, right)]
    color = "#6a5000" if verdict.marks else _BADGE_COLORS.get(verdict.outcome, "#6a5000")
    title = escape(_clean(f"{left}: {right}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img" '
        f"aria-label={quoteattr(title)}><title>{title}</title>"
        f'<rect width="{sum(widths)}" height="20" rx="3" fill="#3a3f49"/>'
        f'<path d="M{widths[0]} 0h{widths[1] - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{widths[0]}z" fill="{color}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="5" y="14" textLength="{widths[0] - 10}">{left}</text>'
        f'<text x="{widths[0] + 5}" y="14" textLength="{widths[1] - 10}">{escape(right)}</text></g></svg>\n'
    )
