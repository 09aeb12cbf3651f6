"""Real runs to do harm to: how they are started, and what must be true of them afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.faults import waiting
from validation.contract.upgrade import decode_line
from validation.run import results

ROOT = Path(__file__).resolve().parents[2]

FEW = "[[cases]]\nN = [8]\ngridsize = [1]\nbatch = [1, 2]\npattern = ['border']\nshape = [[20, 30]]\n"

# Sixty cases in one go, and three that are made in parts: comparison and memory apart.
SIXTY = """
[[cases]]
N = [8]
gridsize = [1, 2]
batch = [1, 2, 3, 4, 5]
pattern = ["border", "integer", "zero", "fermat", "raster", "outside"]
shape = [[20, 31]]

[[cases]]
N = [8]
gridsize = [1]
batch = [6]
pattern = ["border", "integer", "zero"]
shape = [[20, 31]]
checks = ["equivalence", "memory"]
"""


def command(sweep, out, *arguments):
    """The command line of a run with one thread, so that the same run can be continued on any machine."""
    run = ["run", "--sweep", str(sweep), "--out", str(out), "--threads", "1"]
    return [sys.executable, "-m", "validation", *run, *map(str, arguments)]


def start(sweep, out, *arguments, **options):
    """Start a run and go on."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(sweep, out, *arguments), cwd=ROOT, **{**pipes, **options})


def start_waiting(sweep, out, seconds, *arguments):
    """Start a run whose candidate waits in its child; also give what waits for such a child and takes its number."""
    path = out.with_name("pid")
    environment = {**os.environ, waiting.PID_FILE: str(path), waiting.SECONDS: str(seconds)}
    process = start(sweep, out, "--candidate", waiting.TARGET, *arguments, env=environment)

    def waiting_child():
        until(lambda: path.exists() and path.read_text().endswith("\n"), process)
        child = psutil.Process(int(path.read_text()))
        path.unlink()
        return child

    return process, waiting_child


def finish(sweep, out, *arguments, **options):
    """Run to the end."""
    return subprocess.run(command(sweep, out, *arguments), cwd=ROOT, capture_output=True, text=True, **options)


def ask(package, *arguments, **options):
    """Run another command of ``validation`` or ``reports``."""
    whole = [sys.executable, "-m", package, *map(str, arguments)]
    return subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, **options)


def whole_lines(out):
    """The lines of the results that end with a line break, as bytes."""
    path = Path(out) / results.RESULTS
    content = path.read_bytes() if path.exists() else b""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def keys(lines):
    return [decode_line(line).key for line in lines]


def planned(out):
    return [item.key for item in results.RunFolder.open(Path(out)).manifest.planned]


def error_line(done):
    """The one line that a refused command says."""
    (line,) = done.stderr.splitlines()
    assert "error: " in line, line
    return line


def until(holds, process, seconds=300):
    """Wait until something holds, while a process runs."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
