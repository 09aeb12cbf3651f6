"""Child processes that end with their parent: asv kills a benchmark that takes too long, and knows no child of it."""

import ctypes
import os
import signal
import sys

# Of Linux's sys/prctl.h.
_PR_SET_PDEATHSIG = 1


def die_with(parent):
    """Let the kernel kill this process when its parent ends, however that ends; called first in the child.

    Where there is no such call (macOS), the child of a killed parent goes on to its end.

    Parameters
    ----------
    parent : int
        Process id of the parent, taken before the child was started: it may be gone already.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def end(process):
    """Kill a child that still runs, and wait for it."""
    if process.is_alive():
        process.kill()
    process.join()
