"""The command line answers at once, and bad input gets one clear line and exit code 2."""

import csv
import json
import os
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.validation.builders import make_calibration, make_manifest, make_result
from validation.kernels.patches.case import make_case as patch_case
from validation.run import results
from validation.subject.demo_scan import write_demo_scan


def validation(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "validation", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def assert_refused(done, *words, code=2):
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def run_folder(tmp_path):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1", "case-2")))
    folder.append(make_calibration())
    folder.append(make_result("case-0"))
    folder.append(make_result("case-1", failure="timeout"))
    return folder


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    return dict(np.load(path))


def test_help_answers_in_half_a_second():
    times = []
    for _ in range(3):
        before = os.times()
        assert validation("--help").returncode == 0
        after = os.times()
        # Processor time: on a busy machine everybody waits, and that is not what is asked.
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < 0.25


@pytest.mark.parametrize("arguments", [("list", "--sweep", "quick"), ("schema",), ("status", "{run}")])
def test_the_parent_never_imports_tensorflow(arguments, run_folder):
    arguments = [argument.format(run=run_folder.path) for argument in arguments]
    program = (
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from validation.cli import main\n"
        "main()\n"
        "assert 'tensorflow' not in sys.modules and 'ptycho' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def change_missing_key(arrays):
    del arrays["ycoords"]


def change_pickled(arrays):
    arrays["objectGuess"] = arrays["objectGuess"].astype(object)


def change_not_finite(arrays):
    arrays["xcoords"][3] = np.nan


def change_outside(arrays):
    arrays["xcoords"][3] = 1e6


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_missing_key, ("missing: ycoords",)),
        (change_pickled, ("objectGuess",)),
        (change_not_finite, ("xcoords", "NaN")),
        (change_outside, ("xcoords", "outside")),
    ],
)
def test_a_bad_scan_is_refused_before_anything_is_written(tmp_path, scan, change, words):
    arrays = {name: array.copy() for name, array in scan.items()}
    change(arrays)
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    out = tmp_path / "run"
    assert_refused(validation("run", "--sweep", "smoke", "--data", path, "--out", out), "bad.npz", *words)
    assert not out.exists()
    assert not (out / results.MANIFEST).exists()


def test_a_truncated_or_absent_scan_is_refused(tmp_path):
    path = tmp_path / "cut.npz"
    write_demo_scan(path)
    path.write_bytes(path.read_bytes()[:1000])
    assert_refused(validation("run", "--data", path, "--out", tmp_path / "run"), "cut.npz")
    assert_refused(validation("run", "--data", tmp_path / "none.npz", "--out", tmp_path / "run"), "none.npz")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--sweep", "huge", "--out", "run"), ("smoke, quick, full", "'huge'")),
        (("run", "--sweep", "absent.toml", "--out", "run"), ("absent.toml", "no such file")),
        (("run", "--sweep", "odd.toml", "--out", "run"), ("N must be an even positive integer, got 63",)),
        (("run", "--sweep", "none.toml", "--out", "run"), ("gridsize must be a positive integer, got 0",)),
        (("run", "--sweep", "quick"), ("--out",)),
        (("run", "--sweep", "quick", "--out", "file/run"), ("must be a folder that can be written",)),
        (("run", "--sweep", "quick", "--out", "run", "--resume"), ("must be the folder of a run",)),
        (("run", "--package", "nowhere", "--out", "run"), ("--package must be a folder", "but nowhere does not")),
        (("run", "--ptycho", "nowhere", "--out", "run"), ("--package must be a folder",)),
        (("run", "--where", "size=3", "--out", "run"), ("--where must be NAME=VALUE", "N, gridsize", "'size=3'")),
        (("run", "--where", "N", "--out", "run"), ("--where must be NAME=VALUE", "'N'")),
        (("run", "--kernel", "huge", "--out", "run"), ("patch_extraction, reassembly", "'huge'")),
        (("run", "--seed", "-1", "--out", "run"), ("--seed",)),
        (("walk",), ("No such command 'walk'",)),
        (("reproduce", "case-0"), ("CASE-ID must be that of a case", "'case-0'")),
        (("status", "nowhere"), ("must be the folder of a run",)),
        (("mutants", "--only", "D99", "--out", "gallery"), ("--only must be one of", "got D99")),
        (("mutants", "--out", "."), ("--out must be an empty folder",)),
        (("demo-data", "scan.txt"), ("must end in .npz",)),
    ],
)
def test_a_bad_argument_is_refused(tmp_path, arguments, words):
    (tmp_path / "file").touch()
    (tmp_path / "odd.toml").write_text("[[cases]]\nN = [63]\n")
    (tmp_path / "none.toml").write_text("[[cases]]\ngridsize = [0]\n")
    assert_refused(validation(*arguments, cwd=tmp_path), *words)


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(run_folder):
    before = (run_folder.path / results.RESULTS).read_bytes()
    assert_refused(validation("run", "--sweep", "smoke", "--out", run_folder.path), "already holds a run", "--resume")
    assert (run_folder.path / results.RESULTS).read_bytes() == before


def test_filters_that_leave_nothing_say_that_nothing_ran(tmp_path):
    done = validation("run", "--sweep", "smoke", "--where", "N=512", "--out", tmp_path / "run")
    assert_refused(done, "nothing ran", code=5)


def test_a_torn_line_and_an_unknown_schema_are_refused(run_folder):
    path = run_folder.path / results.RESULTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert_refused(validation("status", run_folder.path), "line 3 of", "is torn", "--resume")
    path.write_bytes(whole.replace(b'"kind":"case"', b'"kind":"other"', 1))
    assert_refused(validation("export", run_folder.path), "line 2 of", "is not a result of schema")


def test_debug_shows_where_an_error_came_from(tmp_path):
    done = validation("--debug", "status", tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_a_run_without_peers_says_how_to_measure_them(run_folder):
    assert_refused(validation("peers", run_folder.path), "has none", "--sweep peers")


def test_status_shows_every_denominator(run_folder):
    done = validation("status", run_folder.path)
    assert "planned 4, ran 3, passed 2, failed 1, skipped 0, missing 1, 50 % outside measured calls" in done.stdout
    found = json.loads(validation("status", run_folder.path, "--json").stdout)
    assert (found["planned"], found["missing"], found["overhead_share"]) == (4, 1, 0.5)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_writes_one_row_per_case(run_folder, form):
    done = validation("export", run_folder.path, "--format", form)
    assert done.returncode == 0, done.stderr
    path = run_folder.path / f"results.{form}"
    if form == "csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        import pandas as pd

        rows = pd.read_parquet(path).to_dict("records")
    assert [row["case_id"] for row in rows] == ["case-0", "case-1"]
    assert float(rows[0]["candidate_vs_oracle_max_abs_error"]) == 1.2e-07
    assert rows[1]["failure"] == "timeout"


def test_export_has_a_column_for_every_parameter_of_every_kernel(run_folder):
    case = patch_case("reassembly", N=64, gridsize=1, batch=5, shape=(70, 91), pattern="fermat", M=12)
    run_folder.append(msgspec.structs.replace(make_result("case-2"), case=case))
    assert validation("export", run_folder.path).returncode == 0
    with (run_folder.path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kernel"], row["N"], row["M"]) for row in rows] == [
        ("patch_extraction", "64", ""),
        ("patch_extraction", "64", ""),
        ("reassembly", "64", "12"),
    ]


def test_an_export_that_cannot_be_written_leaves_the_old_one(run_folder):
    target = run_folder.path / "folder"
    target.mkdir()
    assert_refused(validation("export", run_folder.path, "--out", target), "cannot be written")
    assert not list(run_folder.path.glob("*.part"))


def test_demo_data_writes_the_same_scan_each_time(tmp_path):
    for name in ("a.npz", "b.npz"):
        assert validation("demo-data", tmp_path / name).returncode == 0
    first, second = (np.load(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert sorted(first) == sorted(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_list_shows_what_each_case_is_predicted_to_take():
    done = validation("list", "--sweep", "quick", "--kernel", "patch_extraction", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    cases = [line for line in lines if "case_id" in line]  # properties have a key only
    assert {case["kernel"] for case in cases} == {"patch_extraction"}
    assert all(case["predicted_bytes"] > 0 and case["predicted_time_s"] > 0 for case in cases)


def test_list_names_the_judged_case_and_counts_the_lines():
    told = validation("list", "--sweep", "quick").stdout.splitlines()
    (judged,) = (line for line in told if line.endswith(", judged"))
    assert "-N64-g2-B250-" in judged
    assert told[-1].startswith("23 lines, about ")


def test_the_schema_describes_the_lines_that_are_written(run_folder):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(validation("schema").stdout)
    lines = (run_folder.path / results.RESULTS).read_text().splitlines()
    for text in [(run_folder.path / results.MANIFEST).read_text(), *lines]:
        document = json.loads(text)
        jsonschema.validate(document, schema)
        document["unknown"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)
    assert msgspec.json.decode(results.encode(make_result()))["kind"] == "case"


def test_output_that_nobody_reads_is_no_error():
    assert shutil.which("true")
    done = subprocess.run(
        f"{sys.executable} -m validation schema | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
