"""A worker of a Dask cluster is killed in the middle of a case; another one measures it, once."""

import contextlib

import psutil
import pytest

from tests.faults import runs
from tests.faults.dask_workers import dask_workers
from validation.contract.upgrade import decode_line
from validation.run.summary import line_passed

pytestmark = pytest.mark.tensorflow

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
    lines = [decode_line(line) for line in runs.whole_lines(out)]
    row.count([line.key for line in lines], runs.planned(out))
    assert (row.lost, row.twice) == (0, 0)
    assert all(line_passed(line) for line in lines)
    row.said = f"{len(lines)} of {len(lines)} lines passed; the cases were measured by other workers"


def kill_a_measuring_worker(parent):
    """Kill a worker whose server has a child at this moment; False where there is none."""
    for worker, server in dask_workers(parent):
        with contextlib.suppress(psutil.NoSuchProcess):
            if server.children():
                worker.kill()
                return True
    return False


class Process:
    """A process with a command line, a parent, and the processes below it."""

    def __init__(self, *command, parent=None, below=()):
        self.command = list(command)
        self.above = parent
        self.below = below

    def cmdline(self):
        return self.command

    def parent(self):
        if self.above is None:
            raise psutil.NoSuchProcess(1)
        return self.above

    def children(self, recursive):
        assert recursive
        return self.below


def test_a_process_that_ends_while_workers_are_looked_for_is_passed_over():
    worker = Process("python", "-m", "distributed")
    server = Process("python", "-m", "validation.child.server", parent=worker)
    child = Process("python", "-m", "validation.child.server", parent=server)
    ended = Process("python", "-m", "validation.child.server")
    assert dask_workers(Process("pytest", below=[ended, worker, server, child])) == [(worker, server)]
