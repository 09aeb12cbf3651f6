"""Real children for the tests of the instruments: a fresh interpreter per task, the reply on a file of its own."""

import subprocess
import sys

import msgspec

from validation.contract.tasks import Reply, Task
from validation.kernels.patches.case import make_case as patch_case

_PROGRAM = """
import sys
import msgspec
{before}
from validation.child.actions import execute
from validation.contract.tasks import Task
reply = execute(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))
with open(sys.argv[1], "wb") as file:
    file.write(msgspec.json.encode(reply))
"""


def ask(task, folder, before=""):
    """Execute a task in a fresh process; ``before`` is code that runs there first."""
    reply_path = folder / "reply.json"
    reply_path.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(before=before), str(reply_path)],
        input=msgspec.json.encode(task),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
        timeout=250,
    )
    return msgspec.json.decode(reply_path.read_bytes(), type=Reply)


def make_case(kernel="patch_extraction", *, height=61, width=83, **changed):
    """A small case."""
    facts = {"N": 16, "gridsize": 2, "batch": 5, "pattern": "interior", **changed}
    if kernel == "reassembly":
        facts.setdefault("M", 10)
    return patch_case(kernel, shape=(height, width), **facts)


def make_task(action, scan_path, **fields):
    """A task on a small case."""
    return Task(action=action, scan_path=str(scan_path), **{"case": make_case(), **fields})
