"""A run records every case once, whatever happens to its processes."""

import functools
import io
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tests.validation.builders import make_calibration
from tests.validation.misbehaving import TARGET, WAYS
from validation.contract.cases import PROTOCOL
from validation.contract.errors import InstrumentError, UsageError
from validation.contract.lines import CaseResult
from validation.kernels.patches.case import make_case
from validation.measure import peaks
from validation.measure.bench import Bench
from validation.measure.runner import LocalExecutor
from validation.run import results
from validation.run.options import Options
from validation.run.progress import JsonProgress, Progress
from validation.run.session import run
from validation.run.summary import case_passed, line_passed
from validation.subject.demo_scan import write_demo_scan
from validation.subject.package import find as find_ptycho

pytestmark = pytest.mark.tensorflow


def run_in(tmp_path, sweep, **options):
    path = tmp_path / "sweep.toml"
    path.write_text(sweep)
    stream = io.StringIO()
    chosen = {"sweep": str(path), "out": str(tmp_path / "run"), "command": "python -m validation run", **options}
    summary = run(Options(**chosen), Progress(stream))
    return summary, results.RunFolder.open(tmp_path / "run"), stream.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a sweep file and its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    run_in(folder, SMALL, threads=2)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def start_run(sweep, out, *arguments):
    command = [sys.executable, "-m", "validation", "run", "--sweep", str(sweep), "--out", str(out), *arguments]
    # A shell that starts the tests in the background has them ignore SIGINT, and so would their children.
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)


SIX = tuple(WAYS.index(way) for way in ("hang", "crash", "allocate", "raise", "wrong_dtype", "leave"))
MISBEHAVING = f"[[cases]]\nN = [8]\ngridsize = [1]\nbatch = {[0, *SIX]}\npattern = ['interior']\nshape = [[20, 30]]\n"


def test_six_ways_to_go_wrong_are_six_failures_with_six_reasons_and_the_sweep_goes_on(tmp_path):
    summary, folder, told = run_in(tmp_path, MISBEHAVING, candidate=TARGET, timeout_s=10.0)
    lines = {WAYS[line.case.params["batch"]]: line for line in folder.lines() if isinstance(line, CaseResult)}
    assert {way: line.failure.reason for way, line in lines.items() if line.failure} == {
        "hang": "timeout",
        "crash": "signal",
        "allocate": "out_of_memory",
        "raise": "exception",
        "wrong_dtype": "wrong_output",
        "leave": "no_result",
    }
    assert case_passed(lines["well"])
    assert (summary.planned, summary.passed, summary.failed, summary.missing) == (8, 2, 6, 0)
    assert told.count("FAILED") == 6


def test_a_wrong_dtype_is_told_by_name(tmp_path):
    sweep = MISBEHAVING.replace(str([0, *SIX]), str([WAYS.index("wrong_dtype")]))
    _, folder, _ = run_in(tmp_path, sweep, candidate=TARGET)
    (line,) = (line for line in folder.lines() if isinstance(line, CaseResult))
    assert "must give complex64 of shape (5, 8, 8, 1) like reference, got complex128" in line.failure.message


SMALL = "[[cases]]\nN = [8]\ngridsize = [1]\nbatch = [1, 2]\npattern = ['border']\nshape = [[20, 30]]\n"


def test_a_case_that_needs_too_much_memory_is_skipped_with_need_and_limit(tmp_path):
    summary, folder, _ = run_in(tmp_path, SMALL, memory_limit_bytes=300 << 20)
    failures = [line.failure for line in folder.lines() if isinstance(line, CaseResult)]
    assert {failure.reason for failure in failures} == {"skipped_memory"}
    assert all("would need about 0.3 GiB, and a child may take 0.3 GiB" in failure.message for failure in failures)
    assert (summary.skipped, summary.ran, summary.missing) == (2, 1, 0)


def test_three_outputs_are_compared_pairwise_and_agree(finished):
    folder = results.RunFolder.open(finished / "run")
    assert all(line_passed(line) for line in folder.lines())
    cases = [line for line in folder.lines() if isinstance(line, CaseResult)]
    assert len(cases) == 2
    for line in cases:
        found = line.measurement.equivalence
        pairs = [
            (comparison.expected, comparison.actual)
            for comparison in (found.candidate_vs_oracle, found.candidate_vs_reference, found.reference_vs_oracle)
        ]
        assert pairs == [("oracle", "batched"), ("reference", "batched"), ("oracle", "reference")]
        assert found.candidate_vs_reference.identical_share == 1.0
        assert 0 < line.measured_s <= line.wall_s
        assert set(line.outputs_sha256) == {"batched", "reference", "oracle"}
        assert line.outputs_sha256["batched"] == line.outputs_sha256["reference"]


def test_a_finished_run_can_be_resumed_and_does_nothing(copied):
    before = (copied / "run" / results.RESULTS).read_bytes()
    run_in(copied, SMALL, threads=2, resume=True)
    assert (copied / "run" / results.RESULTS).read_bytes() == before


def test_resume_repeats_a_torn_line_and_nothing_else(copied):
    path = copied / "run" / results.RESULTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    _, folder, told = run_in(copied, SMALL, threads=2, resume=True)
    assert "the last line was torn; it was set aside in" in told
    assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert len(folder.lines()) == 3


def test_a_run_whose_calibration_failed_is_not_continued(copied):
    folder = results.RunFolder.open(copied / "run")
    (copied / "run" / results.RESULTS).unlink()
    folder.append(make_calibration(run_id=folder.manifest.run_id, passed=False))
    with pytest.raises(InstrumentError, match=r"clock must read 0\.05 s within 2 %, got 0\.0501; nothing was measured"):
        run_in(copied, SMALL, threads=2, resume=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "the planned cases did"),
        ({"threads": 1}, "the thread settings did"),
        ({"data": "other"}, r"the scan \(sha256\) did"),
        ({"package": "other"}, r"the kernel's sources \(digest\) did"),
    ],
)
def test_a_run_is_only_continued_where_nothing_changed(copied, changed, message):
    if "data" in changed:
        changed = {"data": str(copied / "other.npz")}
        write_demo_scan(copied / "other.npz")
        arrays = dict(np.load(copied / "other.npz"))
        arrays["objectGuess"] = arrays["objectGuess"] * 2
        np.savez(copied / "other.npz", **arrays)
    if "package" in changed:
        changed = {"package": str(_checkout_with_a_changed_character(copied))}
    with pytest.raises(UsageError, match=f"can only be continued where nothing changed, but {message}"):
        run_in(copied, SMALL, **{"threads": 2, "resume": True, **changed})


def _checkout_with_a_changed_character(folder):
    checkout = folder / "checkout"
    shutil.copytree(find_ptycho(None), checkout / "ptycho", ignore=shutil.ignore_patterns("__pycache__"))
    with (checkout / "ptycho" / "params.py").open("a") as file:
        file.write("\n")
    return checkout


def test_another_checkout_of_ptycho_is_what_is_measured(tmp_path):
    checkout = _checkout_with_a_changed_character(tmp_path)
    source = checkout / "ptycho" / "raw_data.py"
    source.write_text(source.read_text() + "\n\ndel get_image_patches\n")
    _, folder, _ = run_in(tmp_path, SMALL, package=str(checkout))
    failures = [line.failure for line in folder.lines() if isinstance(line, CaseResult)]
    assert {failure.reason for failure in failures} == {"not_available"}
    assert folder.manifest.provenance.package_path == str(checkout)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(scan_path, kernels, tmp_path):
    outputs = []
    with LocalExecutor(tmp_path, mode="fork", threads=2, memory_limit_bytes=None, preload=kernels.preload) as executor:
        for seed in (3, 3, 4):
            bench = Bench(
                executor,
                scan_path=scan_path,
                kernels=kernels,
                protocol=PROTOCOL,
                scratch=tmp_path,
                timeout_s=60.0,
            )
            case = make_case("patch_extraction", N=8, gridsize=2, batch=3, shape=(30, 41), pattern="fermat", seed=seed)
            outputs.append(bench.output(case, "batched").tree.array.tobytes())
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


def test_orders_are_balanced_and_shuffled():
    orders = [tuple(peaks.balanced_orders(7, f"case {number}")) for number in range(20)]
    assert all(order.count("reference_first") == 4 for order in orders)
    assert len(set(orders)) > 10
    assert orders == [tuple(peaks.balanced_orders(7, f"case {number}")) for number in range(20)]


def test_progress_for_machines_is_strict_json(copied):
    path = copied / "run" / results.RESULTS
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    stream = io.StringIO()
    options = Options(sweep=str(copied / "sweep.toml"), out=str(copied / "run"), command="run", threads=2, resume=True)
    run(options, JsonProgress(stream))
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    begin, line = (each for each in told if each["event"] != "note")  # notes are about the machine
    assert (begin["event"], begin["lines"], begin["done"]) == ("begin", 2, 1)
    assert (line["event"], line["passed"], line["failure"]) == ("line", True, None)


MANY = """
[[cases]]
N = [8]
gridsize = [1, 2]
batch = [1, 2, 3, 4, 5]
pattern = ["border", "integer", "zero", "fermat", "raster", "outside"]
shape = [[20, 31]]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_cleanly_and_says_how_to_resume(tmp_path, number):
    (tmp_path / "many.toml").write_text(MANY)
    process = start_run(tmp_path / "many.toml", tmp_path / "run")
    for line in process.stdout:
        if line.startswith("[1/60]"):
            break
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    (line,) = stderr.splitlines()
    assert "stopped; what was measured is kept, continue with:" in line
    assert line.endswith("--resume")
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    lines = results.RunFolder.open(tmp_path / "run").lines()
    assert len(lines) >= 2
    assert [line.failure for line in lines if isinstance(line, CaseResult) and line.failure] == []


def test_the_patch_of_a_wrong_output_is_kept_for_the_report(tmp_path):
    sweep = "[[cases]]\nN = [8]\ngridsize = [2]\nbatch = [5]\npattern = ['interior']\nshape = [[20, 31]]\n"
    _, folder, _ = run_in(tmp_path, sweep, candidate="tests.validation.misbehaving:one_element_off")
    (kept,) = (folder.path / "patches").iterdir()
    with np.load(kept) as arrays:
        difference = np.abs(arrays["difference"])
        assert np.unravel_index(difference.argmax(), difference.shape) == (4, 5)
    reports = [sys.executable, "-m", "reports", "build", str(folder.path)]
    subprocess.run(reports, check=True, capture_output=True)
    page = (folder.path / "report.html").read_text()
    assert "To see the worst patch here" not in page
