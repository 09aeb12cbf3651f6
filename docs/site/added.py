"""What the site has more than the Markdown: navigation, commands, recorded evidence, the newest results."""

import json
import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTENTS = ROOT / "docs" / "README.md"
RECORDED = ROOT / "reports" / "verdicts"
SIMULATED = ROOT / "docs" / "evidence" / "operating-characteristics.txt"
FIGURES = ("speed", "cold_speed", "memory", "reassembly")


def newest():
    """Give the report of the newest run and asv's history, where a run made them."""
    reports = {}
    for manifest in (ROOT / os.environ.get("RUNS", "runs")).glob("*/manifest.json"):
        reports[json.loads(manifest.read_text(encoding="utf-8"))["created_at"]] = manifest.with_name("report.html")
    made = [report for _, report in sorted(reports.items(), reverse=True) if report.is_file()][:1]
    made.append(ROOT / ".asv" / "history.html")
    return [path for path in made if path.is_file()]


def front():
    """Link the newest results, and make the navigation of the sections of docs/README.md."""
    parts = ["\n## Newest results\n"] if newest() else []
    for path in newest():
        title = {"report.html": "The newest report", "history.html": "Speed and memory over the history"}[path.name]
        parts.append(f'- <a href="{path.name}">{title}</a>')
    parts.append("\n```{toctree}\n:hidden:\n\n/docs/README\n```")
    for section in CONTENTS.read_text(encoding="utf-8").split("\n## ")[1:]:
        caption, _, text = section.partition("\n")
        pages = [(CONTENTS.parent / name).resolve() for name in re.findall(r"\]\(([^)#]+\.md)\)", text)]
        names = "\n".join(f"/{page.relative_to(ROOT).with_suffix('')}" for page in pages)
        parts.append(f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```")
    return "\n".join(parts)


def commands():
    """Describe both command lines."""
    each = "\n```{{eval-rst}}\n.. click:: {0}.cli:cli\n   :prog: python -m {0}\n   :nested: full\n```\n"
    return each.format("validation") + each.format("reports")


def api():
    """List the pages made from docstrings."""
    return "\n```{toctree}\n:glob:\n\napi/*\n```\n"


def simulated():
    """Show the tables of ``python -m reports simulate``."""
    return "\n" + SIMULATED.read_text(encoding="utf-8")


def verdicts():
    """Show the recorded verdicts as a table, newest first."""
    rows = [f"\n| date | scan | verdict | {' | '.join(FIGURES)} |", "|---" * (3 + len(FIGURES)) + "|"]
    for path in sorted(RECORDED.glob("*.json"), reverse=True):
        found = json.loads(path.read_text(encoding="utf-8"))
        values = {item["id"]: item["value"] for item in found["criteria"]}
        figures = ["" if values.get(name) is None else f"{values[name]:.3g}x" for name in FIGURES]
        date = f"[{found['created_at'][:10]}](../reports/verdicts/{path.name})"
        rows.append(f"| {date} | {found['scan'] or ''} | {found['outcome']} | {' | '.join(figures)} |")
    return "\n".join(rows) + "\n"


ADDED = {
    "README": front,
    "docs/api": api,
    "docs/cli": commands,
    "docs/operating-characteristics": simulated,
    "docs/recorded-verdicts": verdicts,
}


def add(app, name, source):
    """Add to a page what the site shows of it besides."""
    if name in ADDED:
        source[0] += ADDED[name]()


def finish(app, error):
    """Copy the front page, README.html, to where a browser looks for it."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app):
    """Connect the above."""
    app.connect("source-read", add)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True}
