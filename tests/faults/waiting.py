"""A candidate that says which process it runs in and waits there, so that a test knows what it kills or stops."""

import os
import time
from pathlib import Path

from validation.kernels.patches.oracle import extract_patches

PID_FILE = "WAITING_PID_FILE"
SECONDS = "WAITING_SECONDS"


def extract_and_wait(**arguments):
    """Cut patches; where the environment names a file, write the process's number there and wait first."""
    path = os.environ.get(PID_FILE)
    if path is not None:
        Path(path).write_text(f"{os.getpid()}\n")
        time.sleep(float(os.environ[SECONDS]))
    return extract_patches(**arguments)


TARGET = f"{__name__}:{extract_and_wait.__name__}"
