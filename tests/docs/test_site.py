"""The site builds without a warning, and holds every page, the docstrings, the commands, the newest results."""

import importlib.util
import inspect
import json
import os
import sys

import pytest

from reports.cli import cli as reports
from tests.docs.pages import NAMES, ROOT
from validation.cli import cli as validation
from validation.contract.kernel import Kernel

needs_sphinx = pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="needs the extra docs")


@pytest.fixture(scope="module")
def added():
    """The module that makes what the site has more than the pages."""
    spec = importlib.util.spec_from_file_location("added", ROOT / "docs" / "site" / "added.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder, name, created_at, report=True):
    (folder / name).mkdir(parents=True)
    (folder / name / "manifest.json").write_text(json.dumps({"created_at": created_at}))
    if report:
        (folder / name / "report.html").write_text(name)


def test_the_newest_report_and_the_history_are_found_where_runs_made_them(added, tmp_path, monkeypatch):
    monkeypatch.setattr(added, "ROOT", tmp_path)
    monkeypatch.delenv("RUNS", raising=False)
    assert added.newest() == []
    run(tmp_path / "runs", "z-old", "2026-11-20T00:00:00+00:00")
    run(tmp_path / "runs", "a-new", "2026-11-21T00:00:00+00:00")
    run(tmp_path / "runs", "unfinished", "2026-11-22T00:00:00+00:00", report=False)
    (tmp_path / ".asv").mkdir()
    (tmp_path / ".asv" / "history.html").write_text("")
    assert added.newest() == [tmp_path / "runs" / "a-new" / "report.html", tmp_path / ".asv" / "history.html"]
    run(tmp_path / "elsewhere", "one", "2026-11-19T00:00:00+00:00")
    monkeypatch.setenv("RUNS", "elsewhere")
    assert added.newest()[0] == tmp_path / "elsewhere" / "one" / "report.html"


def test_the_front_page_links_results_only_where_there_are_any(added, tmp_path, monkeypatch):
    report = tmp_path / "report.html"
    monkeypatch.setattr(added, "newest", lambda: [report])
    assert '<a href="report.html">' in added.front()
    monkeypatch.setattr(added, "newest", list)
    assert "Newest" not in added.front()


def test_every_recorded_verdict_is_a_row(added):
    table = added.verdicts()
    for path in added.RECORDED.glob("*.json"):
        assert f"](../reports/verdicts/{path.name})" in table
    assert table.count("\n| [2026-") == len(list(added.RECORDED.glob("*.json"))) > 0


@needs_sphinx
@pytest.mark.slow
def test_every_page_is_in_the_site_and_in_its_navigation(site):
    front = (site / "README.html").read_text()
    for name in NAMES:
        page = name.replace(".md", ".html")
        assert (site / page).is_file()
        assert f'href="{page}"' in front or name == "README.md", f"{name} is not in the navigation"
    assert (site / "index.html").read_text() == front


@needs_sphinx
@pytest.mark.slow
def test_the_site_has_every_command_and_its_options(site):
    page = (site / "docs" / "cli.html").read_text()
    for group in (validation, reports):
        for name, command in group.commands.items():
            assert f"<h3>{name}<" in page
            for parameter in command.params:
                for option in parameter.opts:
                    assert not option.startswith("--") or f'">{option}</span>' in page, f"{name} {option}"


@needs_sphinx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "things"),
    [
        ("judge", ["validation.judge", "validation.assert_replaces", "validation.judging.Verdict.accepted"]),
        ("kernel", [f"validation.contract.kernel.Kernel.{name}" for name, thing in vars(Kernel).items()
                    if inspect.isfunction(thing)]),
        ("ptycho", ["ptycho.raw_data.get_image_patches", "ptycho.raw_data.RawData.from_npz",
                    "ptycho.stream.iter_patches", "ptycho.tf_helper.reassemble_position"]),
    ],
)  # fmt: skip
def test_the_site_has_what_users_import(site, page, things):
    text = (site / "docs" / "api" / f"{page}.html").read_text()
    assert things
    for thing in things:
        assert f'id="{thing}"' in text, f"{thing} is not on the page"


@needs_sphinx
@pytest.mark.slow
def test_the_site_holds_the_newest_report(build, tmp_path, monkeypatch):
    run(tmp_path / "runs", "one", "2026-11-21T00:00:00+00:00")
    monkeypatch.setenv("RUNS", os.fspath(tmp_path / "runs"))
    assert build(tmp_path).returncode == 0
    assert (tmp_path / "build" / "site" / "report.html").read_text() == "one"
    assert '<a href="report.html">' in (tmp_path / "build" / "site" / "index.html").read_text()


@needs_sphinx
@pytest.mark.slow
def test_no_library_of_the_kernels_is_imported(build, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT / "tests" / "no_tensorflow"))
    done = build(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), sys.version
