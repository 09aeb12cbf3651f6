"""The run folder keeps what was measured, whole and once."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.validation.builders import make_calibration, make_manifest, make_result
from validation.contract.errors import UsageError
from validation.contract.lines import PropertyResult
from validation.contract.manifest import SCHEMA_VERSION
from validation.contract.measurements import Timing
from validation.contract.upgrade import decode_line
from validation.run import results
from validation.run.summary import summarise


@pytest.fixture
def folder(tmp_path):
    return results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1")))


def test_lines_come_back_as_they_were_appended(folder):
    written = [make_calibration(), make_result("case-0"), make_result("case-1", failure="timeout")]
    for line in written:
        folder.append(line)
    assert results.RunFolder.open(folder.path).lines() == written


def test_an_opened_manifest_is_the_one_created(folder):
    assert results.RunFolder.open(folder.path).manifest == folder.manifest


def test_a_folder_that_holds_a_run_is_refused(folder):
    folder.append(make_result())
    with pytest.raises(UsageError, match="already holds a run; continue it with --resume"):
        results.RunFolder.create(folder.path, make_manifest())
    assert len(folder.lines()) == 1


@given(st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_a_number_that_is_not_finite_is_refused_with_its_place(value):
    with pytest.raises(ValueError, match=r"CaseResult\.measurement.*max_abs_error must be a finite number"):
        results.encode(make_result(error=value))


def test_the_json_is_strict(folder):
    folder.append(make_result())

    def refuse(token):
        raise AssertionError(token)

    json.loads((folder.path / results.RESULTS).read_text(), parse_constant=refuse)


@given(cut=st.integers(min_value=1))
def test_a_last_line_cut_anywhere_is_set_aside_and_the_others_stay(tmp_path_factory, cut):
    folder = results.RunFolder.create(tmp_path_factory.mktemp("cut") / "run", make_manifest(("case-0", "case-1")))
    folder.append(make_result("case-0"))
    whole = results.encode(make_result("case-1")) + b"\n"
    torn = whole[: cut % len(whole)]
    with (folder.path / results.RESULTS).open("ab") as file:
        file.write(torn)
    if torn:
        with pytest.raises(UsageError, match=r"line 2 of .* is torn; continue the run with --resume"):
            folder.lines()
    aside = folder.set_torn_line_aside()
    assert (aside.read_bytes() if aside else b"") == torn
    assert folder.lines() == [make_result("case-0")]


def test_a_second_torn_line_does_not_overwrite_the_first(folder):
    for text in (b"first", b"second"):
        with (folder.path / results.RESULTS).open("ab") as file:
            file.write(text)
        folder.set_torn_line_aside()
    assert [(folder.path / f"torn-{n}.txt").read_bytes() for n in (1, 2)] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (make_result(run_id="run-2"), "belongs to run run-2"),
        (make_result("case-0"), r"repeats case-0\|batched"),
    ],
)
def test_a_foreign_or_repeated_line_is_refused(folder, line, message):
    folder.append(make_result("case-0"))
    folder.append(line)
    with pytest.raises(UsageError, match=f"line 2 of .*{message}"):
        folder.lines()


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"kind": "case"}', '{"kind": "unknown"}', "\x00"])
def test_a_line_of_another_schema_is_refused_with_its_number(folder, text):
    (folder.path / results.RESULTS).write_text(text + "\n")
    with pytest.raises(UsageError, match=r"line 1 of .* is not a result of schema"):
        folder.lines()


PRESENT = f'"schema_version": "{SCHEMA_VERSION}"'


def test_a_run_of_another_schema_version_is_refused(folder):
    path = folder.path / results.MANIFEST
    path.write_text(path.read_text().replace(PRESENT, '"schema_version": "9.9"', 1))
    versions = r"1\.0 or 1\.1 or 1\.2 or 1\.3 or 1\.4 or 2\.0"
    with pytest.raises(UsageError, match=f"must have schema version {versions}, got '9.9'"):
        results.RunFolder.open(folder.path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"must be the folder of a run, but it has no readable manifest\.json"):
        results.RunFolder.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="must be a folder that can be written, but: not a directory"):
        results.check_writable(tmp_path / "file" / "run")


def _hold(path, ready, release):
    with results.RunFolder.open(path).locked():
        ready.set()
        release.wait(30)


def test_a_second_writer_is_refused_and_told_who_the_first_is(folder):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder.path, ready, release))
    process.start()
    try:
        assert ready.wait(30)
        with pytest.raises(UsageError, match=f"is being written by process {process.pid}"), folder.locked():
            pass
    finally:
        release.set()
        process.join()
    with folder.locked():
        pass


def test_a_full_disk_leaves_no_torn_line(folder):
    """A limit on the file's size stands for a full disk: the write stops in the middle of the line."""
    folder.append(make_result("case-0"))
    size = (folder.path / results.RESULTS).stat().st_size
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.validation.builders import make_result\n"
        "from validation.contract.errors import UsageError\n"
        "from validation.run.results import RunFolder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100}, resource.RLIM_INFINITY))\n"
        "try:\n    RunFolder.open(Path(sys.argv[1])).append(make_result('case-1'))\n"
        "except UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder.path)], capture_output=True, text=True)
    assert "results.jsonl cannot be written: only 100 of" in done.stdout, done.stderr
    assert "continue the run with --resume" in done.stdout
    assert folder.lines() == [make_result("case-0")]


def test_every_result_line_has_a_planned_key():
    assert make_result("case-7").key == "case-7|batched"
    assert make_calibration().key == "calibration"


def test_a_line_holds_a_measurement_or_a_failure():
    line = make_result()
    with pytest.raises(ValueError, match="never both, never neither"):
        msgspec.structs.replace(line, measurement=None)
    encoded = results.encode(line).replace(b'"failure":null', b'"failure":{"reason":"timeout","message":""}')
    with pytest.raises(msgspec.ValidationError, match="never both"):
        decode_line(encoded)


def test_a_calibration_of_another_machine_has_a_key_of_its_own():
    line = msgspec.structs.replace(make_calibration(), other_machine="abc")
    assert line.key == "calibration|abc"
    assert decode_line(results.encode(line)) == line


def of_1_0(manifest):
    """A manifest as version 1.0 wrote it."""
    old = msgspec.to_builtins(manifest)
    for name in ("written_as", "kernels", "cases", "judged"):
        del old[name]
    for name in ("reference_path", "candidate_path", "reference_digest"):
        del old["provenance"][name]
    old["provenance"]["ptycho_path"] = old["provenance"].pop("package_path")
    old["provenance"]["machine"]["kernel"] = old["provenance"]["machine"].pop("os_release")
    return {**old, "schema_version": "1.0", "reference_case_id": "case-0", "reassembly_case_id": None}


OLD_PROBE = {"kind": "probe", "probe": "ramp", "case_id": "case-0", "candidate": "batched", "passed": True}
OLD_PROBE |= {"figure": None, "limit": None, "detail": "", "schema_version": "1.0"}


def test_a_run_of_schema_1_0_is_read_and_its_probes_stay_out_of_the_overhead(folder):
    manifest = of_1_0(folder.manifest)
    (folder.path / results.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    folder.append(make_result("case-0"))
    head = {"run_id": "run-1", "started_at": make_result().started_at, "provenance": manifest["provenance"]}
    with (folder.path / results.RESULTS).open("ab") as file:
        file.write(msgspec.json.encode({**OLD_PROBE, **head}) + b"\n")
    old = results.RunFolder.open(folder.path)
    assert (old.manifest.written_as, old.manifest.judged[0].case_id) == ("1.0", "case-0")
    assert old.lines()[-1].wall_s is None
    assert summarise(old).overhead_share == 0.5


def test_the_overhead_counts_cases_and_probes(folder):
    folder.append(make_result("case-0"))  # 1 of 2 s inside measured calls
    head = {name: getattr(make_result(), name) for name in ("run_id", "started_at", "provenance")}
    fields = {name: value for name, value in OLD_PROBE.items() if name not in ("kind", "probe")}
    fields |= {"name": "ramp", "schema_version": SCHEMA_VERSION}
    folder.append(PropertyResult(**fields, **head, wall_s=6.0, measured_s=1.0))
    assert summarise(folder).overhead_share == 0.75


def refuse_locks(monkeypatch, code):
    """Let the file system say this to whoever wants a lock: nothing here has one without locks."""

    def flock(file, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(results.fcntl, "flock", flock)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks_is_not_told_as_another_process(folder, monkeypatch, code):
    refuse_locks(monkeypatch, code)
    with pytest.raises(UsageError, match="must be on a file system with locks") as raised, folder.locked():
        pass
    assert str(folder.path) in str(raised.value)
    assert os.strerror(code).lower() in str(raised.value)
    assert "is being written" not in str(raised.value)


@pytest.mark.parametrize("code", [errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES])
def test_a_lock_that_another_process_holds_is_told_as_that(folder, monkeypatch, code):
    refuse_locks(monkeypatch, code)
    with pytest.raises(UsageError, match="is being written by process"), folder.locked():
        pass


def test_pairs_of_older_runs_are_read_as_the_arms_that_they_hold():
    def arm(name, first_call_s):
        samples = {"samples_s": [1.0], "calls_per_sample": 1, "involuntary_switches": 0}
        return {"implementation": name, "first_call_s": first_call_s, **samples}

    def pair(name, other, first_call_s):
        arms = {"reference": arm(name, first_call_s), "candidate": arm(other, 2 * first_call_s)}
        return {"order": "reference_first", **arms}

    old = {"copy_fresh_s": [], "copy_warm_s": [], "contended_rejected": 0, "extended": False}
    old["noise_pairs"] = [pair("batched", "batched", 3.0)]
    both = msgspec.convert({"pairs": [pair("reference", "batched", 1.0)], **old}, Timing)
    assert [arm.first_call_s for arm in both.reference_arms] == [1.0]
    assert [arm.first_call_s for arm in both.candidate_arms] == [2.0]
    alone = msgspec.convert({"pairs": [], **old}, Timing)
    assert (alone.reference_arms, [arm.first_call_s for arm in alone.candidate_arms]) == ((), [6.0])
