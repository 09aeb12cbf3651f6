"""Result files from anywhere: read as a whole run, or refused with the file and the line."""

import contextlib
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.cli import main as reports_main
from reports.errors import InputError
from reports.reading.reader import read_run
from tests.fuzz.conftest import FUZZ
from tests.reports import builders as reports_builders
from tests.validation import builders as validation_builders
from validation.contract.errors import UsageError
from validation.run import results
from validation.run.summary import one_line, summarise

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4),
    st.sampled_from(["complex64", "1.0", "2.0", "case", "\ud800", 1e308, -1, 0]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))


def places(value, at=()):
    """Every path into a JSON value."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def put(value, at, new):
    """A copy of a JSON value with another one at a place; None as `new` takes it away from a dict."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(copy[at[0]], at[1:], new)
    return copy


def hostile(draw, content):
    """The bytes of a JSON file of lines, changed in one of the ways files go wrong."""
    lines = content.splitlines(keepends=True)
    number = draw(st.integers(0, len(lines) - 1))
    way = draw(st.sampled_from(["value", "value", "value", "bytes", "cut", "twice", "text", "deep"]))
    if way == "value":
        value = json.loads(lines[number])
        at = draw(st.sampled_from(sorted(places(value), key=str)))
        lines[number] = json.dumps(put(value, at, draw(VALUES))).encode() + b"\n"
    elif way == "bytes":
        at = draw(st.integers(0, len(lines[number]) - 1))
        lines[number] = lines[number][:at] + draw(st.binary(max_size=3)) + lines[number][at + 1 :]
    elif way == "cut":
        return content[: draw(st.integers(0, len(content)))]
    elif way == "twice":
        lines.insert(draw(st.integers(0, len(lines))), lines[number])
    elif way == "text":
        lines[number] = draw(st.binary(max_size=20)) + b"\n"
    else:
        depth = draw(st.sampled_from([10, 500]))
        lines[number] = b"[" * depth + b"]" * depth + b"\n"
    return b"".join(lines)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return reports_builders.write(reports_builders.full_run(), tmp_path_factory.mktemp("judged") / "run")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = results.RunFolder.create(
        tmp_path_factory.mktemp("written") / "run", validation_builders.make_manifest(("case-0", "case-1"))
    )
    folder.append(validation_builders.make_calibration())
    folder.append(validation_builders.make_result("case-0"))
    folder.append(validation_builders.make_result("case-1", failure="timeout"))
    return folder.path


@contextlib.contextmanager
def changed(folder, name, draw):
    """The run folder with one file made hostile, for the time of the block."""
    path = folder / name
    good = path.read_bytes()
    flat = json.dumps(json.loads(good)).encode() + b"\n" if name == "manifest.json" else good
    path.write_bytes(hostile(draw, flat))
    try:
        yield
    finally:
        path.write_bytes(good)


def gate(folder):
    """Exit code and error output of ``reports gate``; an exception nobody thought of is one of the test."""
    told = io.StringIO()
    sys.argv = ["reports", "gate", str(folder)]  # the test puts the true one back
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as end:
        reports_main()
    assert "--debug" not in told.getvalue(), told.getvalue()
    return end.value.code, told.getvalue()


@FUZZ
@given(st.sampled_from(["manifest.json", "results.jsonl"]), st.data())
def test_reports_judges_a_file_or_refuses_it_with_exit_code_2(judged, monkeypatch, name, data):
    monkeypatch.setattr(sys, "argv", [])
    with changed(judged, name, data.draw):
        refusal = ""
        try:
            read_run(judged)
        except InputError as error:
            refusal = str(error)
        code, told = gate(judged)
    if refusal:
        assert code == 2
        assert name in refusal or "run" in refusal
        assert refusal.splitlines()[0][:40] in told
    else:
        assert code in (0, 1, 3, 4, 5)


@FUZZ
@given(st.sampled_from(["manifest.json", "results.jsonl"]), st.data())
def test_validation_counts_a_run_folder_or_refuses_it_with_a_reason(written, name, data):
    with changed(written, name, data.draw):
        try:
            summary = summarise(results.RunFolder.open(written))
        except UsageError as error:
            refusal = str(error)
            assert str(written) in refusal
        else:
            assert f"planned {summary.planned}" in one_line(summary)


@FUZZ
@given(st.binary(max_size=200))
def test_a_torn_line_of_any_bytes_is_set_aside_and_nothing_else(written, torn):
    path = written / results.RESULTS
    good = path.read_bytes()
    torn = torn.replace(b"\n", b"")
    try:
        path.write_bytes(good + torn)
        folder = results.RunFolder.open(written)
        aside = folder.set_torn_line_aside()
        assert (aside.read_bytes() if aside else b"") == torn
        assert path.read_bytes() == good
        assert len(folder.lines()) == 3
        if aside:
            aside.unlink()
    finally:
        path.write_bytes(good)
