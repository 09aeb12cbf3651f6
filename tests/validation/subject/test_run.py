"""A run reads a scan of any format once, has on record how, and reads it so again."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.validation.subject import files
from validation.contract.errors import UsageError
from validation.run import results
from validation.subject import scans
from validation.subject.scan import command
from validation.subject.scan.options import Reading

SWEEP = "[[cases]]\nN = [16]\ngridsize = [1]\nbatch = [3]\npattern = ['scan']\n"


def validation(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "validation", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a run on a file that needs options."""
    folder = tmp_path_factory.mktemp("mapped")
    files.unknown(folder / "a b.h5", *files.scan())
    (folder / "sweep.toml").write_text(SWEEP)
    done = validation(
        "run", "--sweep", "sweep.toml", "--data", "a b.h5", *files.UNKNOWN, "--out", "run", "--threads", 2, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "the scan is read as arrays by name (HDF5)",
        "divided by 8e-09 m, and half the object added",
        "pairs of reals",
    ):
        assert words in done.stdout
    return folder


def test_the_run_is_measured_and_its_reading_is_on_record(finished):
    folder = results.RunFolder.open(finished / "run")
    scan = folder.manifest.scan
    assert scan.reading == files.UNKNOWN
    assert scan.sha256 == scans.digest(finished / "a b.h5")
    assert scan.prepared_sha256 not in (None, scan.sha256)
    assert (scan.object_shape, scan.positions) == ((files.H, files.W), files.COUNT)
    assert [line.failure for line in folder.lines() if getattr(line, "failure", None)] == []


def test_it_is_continued_with_the_same_options_only(finished):
    again = ("run", "--sweep", "sweep.toml", "--data", "a b.h5", "--out", "run", "--threads", 2, "--resume")
    done = validation(*again, *files.UNKNOWN, cwd=finished)
    assert done.returncode == 0, done.stderr
    done = validation(*again, *files.UNKNOWN[:-3], "8.1e-9", "--origin", "center", cwd=finished)
    assert done.returncode == 2
    assert "but how the scan is read did" in done.stderr


def test_a_case_is_reproduced_as_it_was_read(finished):
    line = json.loads((finished / "run" / results.RESULTS).read_text().splitlines()[-1])
    done = validation("reproduce", line["case"]["case_id"], "--from", "run", cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "ok       batched against reference: max error 0.000e+00" in done.stdout
    done = validation("reproduce", line["case"]["case_id"], "--from", "run", "--origin", "zero", cwd=finished)
    assert done.returncode == 2
    assert "the scan must be read as in the run (--layer 0 --map" in done.stderr


def test_the_commands_of_a_report_read_it_as_it_was_read(finished):
    subprocess.run([sys.executable, "-m", "reports", "gate", "run"], cwd=finished, check=False, capture_output=True)
    review = (finished / "run" / "review.md").read_text()
    assert "--data 'a b.h5' --layer 0 --map" in review
    assert "--origin center" in review


def test_a_file_that_needs_no_options_is_measured_as_our_own(tmp_path):
    files.ptypy(tmp_path / "a.ptyr", *files.scan())
    files.ptychopinn(tmp_path / "b.npz", *files.scan())
    one, two = scans.peek(str(tmp_path / "a.ptyr")), scans.peek(str(tmp_path / "b.npz"))
    assert (one.object_shape, one.positions) == (two.object_shape, two.positions)
    for name in ("a.ptyr", "b.npz"):
        with np.load(scans.materialise(str(tmp_path / name), tmp_path)) as arrays:
            np.testing.assert_array_equal(arrays["objectGuess"], files.scan()[0])
            np.testing.assert_allclose(arrays["xcoords"], files.scan()[1], atol=1e-9)


def test_a_scan_that_changes_while_it_is_measured_ends_the_run(tmp_path):
    path = tmp_path / "a.npz"
    files.ptychopinn(path, *files.scan())
    stamp = scans.stamp(str(path))
    files.ptychopinn(path, *files.scan(seed=6), more=np.zeros(3))
    with pytest.raises(UsageError, match="was changed or removed while it was measured"):
        scans.check_unchanged(str(path), stamp)


@pytest.mark.parametrize("form", files.MAKERS)
def test_the_command_tells_what_it_found_draws_it_and_writes_it(tmp_path, form):
    make, words = files.MAKERS[form]
    make(tmp_path / "scan.npz", *files.scan())
    out, picture = tmp_path / "out.npz", tmp_path / "out.png"
    told = "\n".join(command.show(str(tmp_path / "scan.npz"), words, str(out), str(picture)))
    for line in (
        "object      47 x 62 complex64",
        "positions   30; in the file: ",
        "converted   ",
        "x, columns",
        f"wrote {picture}",
    ):
        assert line in told
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["xcoords"], files.scan()[1], atol=1e-9)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.npz",), "none.npz cannot be read: no such file"),
        ((".",), "cannot be read: is a directory"),
        (("a.npz", "--write", "out.h5"), "--write must end in .npz"),
        (("a.npz", "--write", "a.npz"), "--write must be another file than the scan"),
        (("a.npz", "--picture", "nowhere/a.png"), "nowhere/a.png cannot be written: no such file"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, arguments, words):
    files.ptychopinn(tmp_path / "a.npz", *files.scan())
    done = validation("scan", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert words in line


def test_the_parent_reads_without_tensorflow(tmp_path):
    files.ptychoshelves_v73(tmp_path / "a.mat", *files.scan())
    program = (
        "import sys; sys.argv[1:] = ['scan', 'a.mat']\nfrom validation.cli import main\nmain()\n"
        "assert 'tensorflow' not in sys.modules and 'ptycho' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_options_are_no_words():
    assert Reading().words() == ()
