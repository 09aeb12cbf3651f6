"""Real children for the tests of the instruments: a fresh interpreter per task, the reply on a file of its own."""

import subprocess
import sys

import msgspec

from validation.contract.records import Case
from validation.contract.tasks import Reply, Task

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


def make_case(**changed):
    """A small case; the id says all of it."""
    facts = {
        "kernel": "patch_extraction",
        "N": 16,
        "gridsize": 2,
        "batch": 5,
        "dtype": "complex64",
        "height": 61,
        "width": 83,
        "pattern": "interior",
        "seed": 0,
        "M": None,
        **changed,
    }
    if facts["kernel"] == "reassembly" and facts["M"] is None:
        facts["M"] = 10
    return Case(case_id="-".join(str(value) for value in facts.values()), **facts)


def make_task(action, scan_path, **fields):
    """A task on a small case."""
    return Task(action=action, scan_path=str(scan_path), **{"case": make_case(), **fields})
