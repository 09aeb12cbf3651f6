from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.errors import InputError
from reports.judging.gate import judge
from reports.judging.policy import read_policy
from reports.reading.reader import read_run
from reports.reading.run import repeat_command, resume_command
from tests.reports import builders
from validation.contract.cards import KernelSource, Pair
from validation.contract.manifest import SCHEMA_VERSION
from validation.contract.upgrade import OLD_VERSIONS


def test_a_run_folder_reads_back(tmp_path: Path) -> None:
    run = builders.full_run()
    assert read_run(builders.write(run, tmp_path / "run")) == run


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_a_run_folder_of_an_older_schema_reads_back_lifted(version: str, tmp_path: Path) -> None:
    run = builders.full_run(version)
    folder = builders.write(run, tmp_path / "run")
    written = json.loads((folder / "manifest.json").read_text())
    assert "reference_case_id" in written
    assert "judged" not in written
    assert read_run(folder) == run
    assert judge(read_run(folder), read_policy()).outcome == "ACCEPT"


def test_a_folder_without_results_is_a_run_without_lines(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    (folder / "results.jsonl").unlink()
    assert read_run(folder).lines == ()


def edit(folder: Path, old: str, new: str, count: int = 1, name: str = "results.jsonl") -> None:
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def with_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def with_first_line(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "results.jsonl"
    first, *others = path.read_text().splitlines()
    line = json.loads(first)
    change(line)
    path.write_text("\n".join([json.dumps(line), *others]) + "\n")


def cut_last_line(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-30])


def repeat_a_line(folder: Path) -> None:
    path = folder / "results.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[2] + "\n")


VERSIONS = "1.0, 1.1, 1.2, 1.3, 1.4, 2.0"
FAULTS = {
    "no folder": (lambda folder: folder.rename(folder.with_name("gone")), "there is no such folder"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "holds no manifest.json"),
    "broken manifest": (lambda folder: (folder / "manifest.json").write_text("{"), "is not the manifest of a run"),
    "binary manifest": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "is not the manifest"),
    "unknown schema": (
        lambda folder: edit(folder, '"schema_version":"', '"schema_version":"9', name="manifest.json"),
        f"schema_version must be one of {VERSIONS}, got '9",
    ),
    "unknown schema in a line": (
        lambda folder: edit(folder, '"schema_version":"', '"schema_version":"9'),
        f"schema_version must be one of {VERSIONS}, got '9",
    ),
    "torn last line": (cut_last_line, "--resume"),
    "not a line": (lambda folder: edit(folder, "{", "[{"), "is not a result line"),
    "neither measurement nor failure": (
        lambda folder: edit(folder, '"failure":null', '"failure":{"reason":"signal","message":""}', 10),
        "never both, never neither",
    ),
    "a field that nobody knows, in a line": (
        lambda folder: edit(folder, '"run_id":', '"nothing":1,"run_id":'),
        "is not a result line: Object contains unknown field `nothing`",
    ),
    "a field that nobody knows, in the manifest": (
        lambda folder: edit(folder, '"run_id":', '"nothing":1,"run_id":', name="manifest.json"),
        "is not the manifest of a run: Object contains unknown field `nothing`",
    ),
    "a line without its machine": (
        lambda folder: with_first_line(folder, lambda line: line["provenance"].pop("machine")),
        "is not a result line: Object missing required field `machine`",
    ),
    "a manifest without its plan": (
        lambda folder: edit(folder, '"planned":', '"wanted":', name="manifest.json"),
        "is not the manifest of a run: Object ",
    ),
    "foreign run": (lambda folder: edit(folder, '"run_id":"2026', '"run_id":"1999'), "the same run_id"),
    "other machine": (lambda folder: edit(folder, "3f0c9a", "eeeeee"), "the same machine fingerprint"),
    "other kernel": (lambda folder: edit(folder, "sha256:00ff", "sha256:11ee"), "the same kernel digest"),
    "the same line twice": (repeat_a_line, "comes twice"),
}


@pytest.mark.parametrize("version", [OLD_VERSIONS[0], SCHEMA_VERSION])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_judged_together_is_refused_in_one_line(fault: str, version: str, tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(version), tmp_path / "run")
    harm, message = FAULTS[fault]
    harm(folder)
    with pytest.raises(InputError) as caught:
        read_run(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ("reference_case_id", "missing required field `reference_case_id`"),
        ("reassembly_case_id", "missing required field `reassembly_case_id`"),
        ("scan", "missing required field `scan`"),
    ],
)
def test_an_old_manifest_cannot_leave_out_what_it_is_judged_by(field: str, fault: str, tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(builders.FIRST), tmp_path / "run")
    with_manifest(folder, lambda manifest: manifest.pop(field))
    with pytest.raises(InputError, match=fault):
        read_run(folder)


def test_an_old_case_without_the_parameters_of_its_work_is_refused(tmp_path: Path) -> None:
    for new in ("no number", '"gridsize":"2"'):
        folder = builders.write(builders.full_run(builders.FIRST), tmp_path / new)
        edit(folder, '"gridsize":2', new if new.startswith('"g') else '"missing":2')
        with pytest.raises(InputError, match=r"is not a result line: .*gridsize"):
            read_run(folder)


def test_a_case_of_a_kernel_without_a_card_is_refused(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    with_manifest(folder, lambda manifest: manifest["kernels"].pop(0))
    with pytest.raises(InputError, match=r"must be one of reassembly of manifest\.json, got 'patch_extraction'"):
        read_run(folder)


def test_two_cards_of_one_name_and_a_judged_figure_with_a_name_of_the_gates_own_are_refused(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "twice")
    with_manifest(folder, lambda manifest: manifest["kernels"].append(manifest["kernels"][0]))
    with pytest.raises(InputError, match=r"'patch_extraction' comes twice in manifest\.json"):
        read_run(folder)
    folder = builders.write(builders.full_run(), tmp_path / "own")
    with_manifest(folder, lambda manifest: manifest["judged"][0].update(criterion="correctness"))
    with pytest.raises(InputError, match=r"'correctness' in manifest\.json is the gate's"):
        read_run(folder)


def test_a_key_that_comes_twice_is_named(tmp_path: Path) -> None:
    folder = builders.write(builders.full_run(), tmp_path / "run")
    path = folder / "results.jsonl"
    line = next(text for text in path.read_text().splitlines() if '"flag":"on"' in text)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"suite\|on"):
        read_run(folder)


def test_the_command_of_a_pair_is_repeated_with_another_folder() -> None:
    card = msgspec.structs.replace(
        builders.kernels()[0],
        source=KernelSource(name="pair", pair=Pair(slow="a:f", fast="b:g", inputs="c:make")),
    )
    command = "python -m validation pair --slow a:f --fast b:g --inputs c:make --sizes 1,2 --out 'my run'"
    manifest = builders.make([], kernels=(card,), command=command).manifest
    again = "python -m validation pair --slow a:f --fast b:g --inputs c:make --sizes 1,2 --out NEW-DIR"
    assert repeat_command(manifest) == resume_command(manifest) == again
    torn = msgspec.structs.replace(manifest, command="python -m validation pair 'open")
    assert repeat_command(torn) == torn.command
