"""Which processes of a local Dask cluster measure."""

import contextlib

import psutil


def dask_workers(parent):
    """The Dask workers below a process that measure, each with its server: those that started one."""
    found = []
    for process in parent.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end between two reads
            if "validation.child.server" in process.cmdline():
                worker = process.parent()
                # A child of a server has its command line; its parent is no worker.
                if worker not in (None, parent) and "validation.child.server" not in worker.cmdline():
                    found.append((worker, process))
    return found
