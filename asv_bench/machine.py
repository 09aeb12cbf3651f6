"""Print the name under which this machine's results are kept: processor and core count, not the host name.

Cloud machines come with colliding or changing host names; results of different processors must not share a
series.
"""

import os
import platform
import re
import sys
from pathlib import Path


def processor():
    """Model name of the processor as the kernel gives it, else the platform's word for it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def machine_name():
    """Name in lower case, of letters, digits and hyphens."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = re.sub(r"\((r|tm)\)|\bcpu\b|@", " ", processor(), flags=re.IGNORECASE)
    return "-".join(re.findall(r"[a-z0-9]+", f"{words} {cores} cores".lower()))


if __name__ == "__main__":
    sys.stdout.write(machine_name() + "\n")
