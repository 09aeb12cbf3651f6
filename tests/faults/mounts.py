"""Places where writing fails for real: a small file system, a read-only one, a limit on the size of files."""

import contextlib
import os
import resource
import signal
import subprocess
import time


def _mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True).returncode == 0


@contextlib.contextmanager
def small_disk(folder, size):
    """A tmpfs of a few KiB; ``None`` where it cannot be mounted. Gives a function that makes it larger."""
    folder.mkdir()
    if os.geteuid() != 0 or not _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder):
        yield None
        return
    try:
        yield lambda larger: _mount("-o", f"remount,size={larger}", folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder, seconds=30):
    """Take all room that is left, also what others who write there give back meanwhile."""
    deadline = time.monotonic() + seconds
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            with contextlib.suppress(OSError):
                while ballast.write(bytes(512)):
                    pass
            free = os.statvfs(folder).f_bavail
            if free == 0:
                return
            assert time.monotonic() < deadline, f"{folder} must be full, {free} blocks are still free"


@contextlib.contextmanager
def read_only(folder):
    """A folder that cannot be written, also not by root: a read-only mount, or its mode where one cannot mount."""
    if os.geteuid() == 0 and _mount("--bind", folder, folder):
        try:
            assert _mount("-o", "remount,bind,ro", folder)
            yield "read-only file system"
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
        return
    folder.chmod(0o555)
    try:
        yield "permission denied"
    finally:
        folder.chmod(0o755)


def limit_file_size(size):
    """For ``preexec_fn``: no file of the process grows beyond ``size`` bytes; a write stops short."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return limit
