"""Implementations of patch extraction that reach beyond their process, or only look as if; the batch says how."""

import concurrent.futures
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from validation.kernels.patches.oracle import extract_patches

MEBIBYTES = 128
WAYS = (
    "well",
    "daemon",
    "pool",
    "kept_pool",
    "priority",
    "processors",
    "limit",
    "leave_files",
    "look_round",
    "hungry_subprocess",
    "hungry_daemon",
    "idle_fork",
    "reset",
)
_HOLD = "import sys, time; block = b'x' * (int(sys.argv[1]) << 20); print(flush=True); time.sleep(float(sys.argv[2]))"
_kept = []


def daemon(work):
    """Do something in a process that has left parent, session and group."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            work()
        os._exit(0)
    os.waitpid(middle, 0)


def hold(seconds):
    """Start a process that holds a known amount of memory, and wait until it has it."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(MEBIBYTES), str(seconds)], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def hold_as_a_daemon():
    """Be a daemon that holds it."""
    block = np.ones(MEBIBYTES * 2**17)
    time.sleep(600)
    return block


def description():
    """What a process can see of itself without looking into the frames of its caller."""
    return {
        "environment": {name: len(value) for name, value in sorted(os.environ.items())},
        "values": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("TF_", "OMP"))},
        "arguments": sys.argv,
        "command": Path("/proc/self/cmdline").read_text(),
        "frozen": gc.get_freeze_count() > 0,
        "temporary": os.listdir(tempfile.gettempdir()),
        "caches": os.listdir(os.environ["XDG_CACHE_HOME"]),
        "shared": os.listdir("/dev/shm") if os.geteuid() == 0 else [],
        "input": os.read(0, 1).decode(),
    }


def behave(**arguments):
    """Reach out in the way that the number of groups says; the result is right."""
    way = WAYS[len(arguments["global_offsets"])]
    server = os.getppid()
    if way == "daemon":
        daemon(lambda: time.sleep(600))
    if way == "pool":
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            assert list(pool.map(abs, (-1, 2))) == [1, 2]
    if way == "kept_pool":
        _kept.append(concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
        assert _kept[0].submit(abs, -1).result() == 1
    if way == "priority":
        os.setpriority(os.PRIO_PROCESS, server, 7)
    if way == "processors":
        os.sched_setaffinity(server, {min(os.sched_getaffinity(server))})
    if way == "limit":
        import resource

        soft, hard = resource.prlimit(server, resource.RLIMIT_NOFILE)
        resource.prlimit(server, resource.RLIMIT_NOFILE, (soft - 1, hard))
    if way == "leave_files":
        for folder in (tempfile.gettempdir(), os.environ["XDG_CACHE_HOME"], "/dev/shm"):
            (Path(folder) / "left-by-a-test").write_text("here")
    if way == "look_round":
        (Path(sys.path[0]) / f"{uuid.uuid4().hex}.json").write_text(json.dumps(description()))
    if way == "hungry_subprocess":
        hold(0.3).wait()
    if way == "hungry_daemon":
        daemon(hold_as_a_daemon)
        time.sleep(0.5)
    if way == "idle_fork":
        child = os.fork()
        if child == 0:
            time.sleep(0.3)
            os._exit(0)
        os.waitpid(child, 0)
    if way == "reset":
        block = np.ones(MEBIBYTES * 2**17)
        time.sleep(0.05)
        del block
        Path("/proc/self/clear_refs").write_text("5")
    return extract_patches(**arguments)


TARGET = f"{__name__}:{behave.__name__}"
