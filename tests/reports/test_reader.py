from __future__ import annotations

import types
import typing
from pathlib import Path

import msgspec
import pytest

import reports.reading.records as read
import validation.contract.records as written
from reports.errors import InputError
from reports.reading.reader import read_run
from tests.reports import builders

RECORDS = [
    name
    for name, value in vars(read).items()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and name not in ("Read", "Run", "Line")
]


def shape(hint: object) -> str:
    """Annotation as text, without the module a record comes from and without the name of the alias."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return f"Literal{sorted(map(str, arguments))}"
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return " | ".join(sorted(map(shape, arguments)))
    if arguments:
        return f"{typing.get_origin(hint)}[{', '.join(map(shape, arguments))}]"
    return str(hint)


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_that_is_read_is_written_with_the_same_type(name: str) -> None:
    mine, theirs = getattr(read, name), getattr(written, name)
    hints, their_hints = typing.get_type_hints(mine), typing.get_type_hints(theirs)
    for field in mine.__struct_fields__:
        assert field in their_hints, f"{name}.{field} is read but never written"
        assert shape(hints[field]) == shape(their_hints[field]), f"{name}.{field}"
    assert mine.__struct_config__.tag == theirs.__struct_config__.tag


def test_the_reader_knows_the_schema_version_that_is_written() -> None:
    assert written.SCHEMA_VERSION in read.SCHEMA_VERSIONS


def test_a_run_folder_reads_back(tmp_path: Path) -> None:
    run = builders.full_run()
    assert read_run(builders.write(run, tmp_path / "run")) == run


def test_a_folder_without_results_is_a_run_without_lines(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    (folder / "results.jsonl").unlink()
    assert read_run(folder).lines == ()


def edit(folder: Path, old: str, new: str, count: int = 1, name: str = "results.jsonl") -> None:
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def cut_last_line(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-30])


def repeat_a_line(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[2] + "\n")


FAULTS = {
    "no folder": (lambda folder: folder.rename(folder.with_name("gone")), "there is no such folder"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "holds no manifest.json"),
    "broken manifest": (lambda folder: (folder / "manifest.json").write_text("{"), "is not the manifest of a run"),
    "binary manifest": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "is not the manifest"),
    "unknown schema": (
        lambda folder: edit(folder, '"schema_version":"1.0"', '"schema_version":"9.1"', name="manifest.json"),
        "schema_version must be one of 1.0, 1.1, 1.2, 1.3, 1.4, got '9.1'",
    ),
    "unknown schema in a line": (
        lambda folder: edit(folder, '"schema_version":"1.0"', '"schema_version":"9.1"'),
        "schema_version must be one of 1.0, 1.1, 1.2, 1.3, 1.4, got '9.1'",
    ),
    "torn last line": (cut_last_line, "--resume"),
    "not a line": (lambda folder: edit(folder, "{", "[{"), "is not a result line"),
    "neither measurement nor failure": (
        lambda folder: edit(folder, '"measurement":', '"nothing":', 10),
        "never neither",
    ),
    "foreign run": (lambda folder: edit(folder, '"run_id":"2026', '"run_id":"1999'), "the same run_id"),
    "other machine": (lambda folder: edit(folder, "3f0c9a", "eeeeee"), "the same machine fingerprint"),
    "other kernel": (lambda folder: edit(folder, "sha256:00ff", "sha256:11ee"), "the same kernel digest"),
    "the same line twice": (repeat_a_line, "comes twice"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_judged_together_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    harm, message = FAULTS[fault]
    harm(folder)
    with pytest.raises(InputError) as caught:
        read_run(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_comes_twice_is_named(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    path = folder / "results.jsonl"
    line = next(text for text in path.read_text().splitlines() if '"flag":"on"' in text)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"suite\|on"):
        read_run(folder)
