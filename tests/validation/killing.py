"""A candidate that takes its Dask worker with it."""

import os
import signal

import psutil


def kill_the_worker_at_three_groups(**arguments):
    """Cut patches, but at three groups kill the process that asked for it: parent of the child's server."""
    from ptycho.raw_data import get_image_patches

    if arguments["global_offsets"].shape[0] == 3:
        os.kill(psutil.Process().parents()[1].pid, signal.SIGKILL)
    return get_image_patches(**arguments)
