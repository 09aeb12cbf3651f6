"""A disk that is full or cannot be written: a clear line, exit code 2, and every line that was there stays."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.faults import mounts, runs
from validation.run import results

pytestmark = pytest.mark.tensorflow


def check_continued(row, sweep, out, before):
    """Continue the run; what was there stays, and nothing is missing or there twice."""
    done = runs.finish(sweep, out, "--resume", timeout=250)
    row.ended(done.returncode)
    assert done.returncode == 0, done.stderr
    after = runs.whole_lines(out)
    row.lost += after[: len(before)] != before
    row.count(runs.keys(after), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)


def test_a_full_disk_ends_the_run_and_room_continues_it(finished, tmp_path, fault):
    row = fault("full disk (tmpfs; without root a limit on the size of files)")
    sweep = finished / "sweep.toml"
    content = (finished / "run" / results.RESULTS).read_bytes()
    first = content[: content.index(b"\n") + 1]
    with mounts.small_disk(tmp_path / "disk", "32k") as enlarge:
        out = tmp_path / "disk" / "run"
        out.mkdir()
        shutil.copy(finished / "run" / results.MANIFEST, out)
        (out / results.RESULTS).write_bytes(first)
        if enlarge is None:
            done = runs.finish(sweep, out, "--resume", preexec_fn=mounts.limit_file_size(len(first) + 100))
        else:
            mounts.fill(tmp_path / "disk")
            done = runs.finish(sweep, out, "--resume", timeout=250)
        row.tries += 1
        row.ended(done.returncode, runs.error_line(done).replace(str(tmp_path), ""))
        assert done.returncode == 2
        assert "cannot be written" in row.said
        assert "continue the run with --resume" in row.said
        assert (out / results.RESULTS).read_bytes() == first
        if enlarge is not None:
            assert enlarge("4m")
        check_continued(row, sweep, out, [first])


def test_a_full_disk_is_met_at_any_line(finished, tmp_path, fault):
    """Appending goes on until the disk is full, at every size of it: whole lines, or a refusal."""
    row = fault("full disk, met at every size of a line")
    lines = runs.whole_lines(finished / "run")
    program = (
        "import sys; from pathlib import Path\n"
        "from validation.contract.errors import UsageError\n"
        "from validation.contract.upgrade import decode_line\n"
        "from validation.run.results import RunFolder\n"
        "folder = RunFolder.open(Path(sys.argv[1]))\n"
        "for line in Path(sys.argv[2]).read_bytes().splitlines():\n"
        "    try: folder.append(decode_line(line))\n"
        "    except UsageError as error:\n"
        "        print(f'error: {error}', file=sys.stderr)\n"
        "        sys.exit(error.exit_code)\n"
    )
    for extra in (0, 1, 999, len(lines[0]) - 1, len(lines[0]), len(lines[0]) + 1, len(lines[0]) + len(lines[1]) - 1):
        out = tmp_path / str(extra)
        out.mkdir()
        shutil.copy(finished / "run" / results.MANIFEST, out)
        done = subprocess.run(
            [sys.executable, "-c", program, out, finished / "run" / results.RESULTS],
            cwd=runs.ROOT, capture_output=True, text=True, preexec_fn=mounts.limit_file_size(extra),
        )  # fmt: skip
        row.tries += 1
        said = runs.error_line(done).replace(str(out), "")
        row.ended(done.returncode, re.sub(r"only \d+ of \d+ bytes", "only N of M bytes", said))
        assert done.returncode == 2
        assert "error: /results.jsonl cannot be written" in row.said
        content = (out / results.RESULTS).read_bytes()
        assert content == b"".join(lines)[: len(content)]
        assert content == b"" or content.endswith(b"\n")
        fits = sum(sum(map(len, lines[: n + 1])) <= extra for n in range(len(lines)))
        row.lost += fits - content.count(b"\n")
    assert row.lost == 0


# Of more than 16 MiB NumPy asks for the space first: the disk is not full afterwards, the output is not there either.
LARGE = "[[cases]]\nN = [64]\ngridsize = [1]\nbatch = [700]\npattern = ['border']\nshape = [[20, 30]]\n"


@pytest.mark.parametrize(
    ("what", "content", "size"), [("full", runs.FEW, "3m"), ("too small for an output", LARGE, "12m")]
)
def test_a_full_scratch_folder_is_no_fault_of_a_candidate(tmp_path, fault, what, content, size):
    row = fault(f"scratch folder of the children {what} (tmpfs)")
    sweep, out = tmp_path / "sweep.toml", tmp_path / "run"
    sweep.write_text(content)
    with mounts.small_disk(tmp_path / "scratch", size) as enlarge:
        if enlarge is None:
            pytest.skip("mounting a small file system needs root")
        process = runs.start(sweep, out, env={**os.environ, "TMPDIR": str(tmp_path / "scratch")})
        if what == "full":
            runs.until(lambda: runs.whole_lines(out), process)
            mounts.fill(tmp_path / "scratch")
        done = subprocess.CompletedProcess(process.args, 0, *process.communicate(timeout=250))
    row.tries += 1
    row.ended(process.returncode, runs.error_line(done).replace(str(tmp_path), ""))
    assert process.returncode == 4, done.stderr
    assert "has no space left" in row.said
    before = runs.whole_lines(out)
    assert not any(b'"failure":{' in line for line in before)
    check_continued(row, sweep, out, before)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(finished, tmp_path, fault):
    row = fault("read-only folder (bind mount; without root its mode)")
    sweep = finished / "sweep.toml"
    shutil.copytree(finished / "run", tmp_path / "disk" / "run")
    before = (tmp_path / "disk" / "run" / results.RESULTS).read_bytes()
    with mounts.read_only(tmp_path / "disk") as reason:
        run = tmp_path / "disk" / "run"
        for done in (
            runs.finish(sweep, tmp_path / "disk" / "new"),
            runs.ask("reports", "build", run),
            runs.ask("reports", "gate", run),
            runs.ask("reports", "index", tmp_path / "disk"),
            runs.finish(sweep, run, "--resume"),
            subprocess.run(
                [sys.executable, runs.ROOT / ".ci" / "nightly.py", "--runs", tmp_path / "disk", "--python", "true"],
                capture_output=True,
                text=True,
            ),
        ):
            row.tries += 1
            row.ended(done.returncode, runs.error_line(done).replace(str(tmp_path), ""))
            assert done.returncode == 2
            assert reason in row.said.lower()
            assert "/disk" in row.said
        status = runs.ask("validation", "status", run)
        assert status.returncode == 0, status.stderr
    row.lost += (tmp_path / "disk" / "run" / results.RESULTS).read_bytes() != before
    assert row.lost == 0
