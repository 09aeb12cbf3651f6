"""A worker of a Dask cluster is killed in the middle of a case; another one measures it, once."""

import psutil
import pytest

from tests.faults import runs
from validation import results
from validation.summary import line_passed

pytest.importorskip("distributed", reason="needs the extra distributed")

TWELVE = """
[[cases]]
N = [8]
gridsize = [1]
batch = [1, 2, 3, 4, 5, 6]
pattern = ["border", "fermat"]
shape = [[20, 31]]
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_worker_killed_mid_case_costs_no_case(tmp_path, fault):
    row = fault("Dask worker killed (SIGKILL) mid-case, twice")
    sweep, out = tmp_path / "sweep.toml", tmp_path / "run"
    sweep.write_text(TWELVE)
    with (tmp_path / "stdout").open("w") as stdout, (tmp_path / "stderr").open("w+") as stderr:
        process = runs.start(sweep, out, "--local-cluster", 2, stdout=stdout, stderr=stderr)
        for lines in (2, 6):
            runs.until(lambda lines=lines: len(runs.whole_lines(out)) >= lines, process, 900)
            runs.until(lambda: kill_a_measuring_worker(psutil.Process(process.pid)), process, 900)
            row.tries += 1
        code = process.wait(timeout=1200)
        stderr.seek(0)
        row.ended(code)
        assert code == 0, stderr.read()
    lines = [results.decode_line(line) for line in runs.whole_lines(out)]
    row.count(map(results.key_of, lines), runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    assert all(line_passed(line) for line in lines)
    row.said = f"{len(lines)} of {len(lines)} lines passed; the cases were measured by other workers"


def kill_a_measuring_worker(parent):
    """Kill a worker whose server has a child at this moment; False where there is none."""
    for process in parent.children(recursive=True):
        try:
            if "validation.server" in process.cmdline() and process.children():
                worker = process.parent()
                if worker is not None and "validation.server" not in worker.cmdline() and worker != parent:
                    worker.kill()
                    return True
        except psutil.NoSuchProcess:
            continue
    return False
