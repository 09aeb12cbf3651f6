"""How busy others keep the machine while something is measured."""

from __future__ import annotations

import os
import time

# Processor time of others, in cores, above which a process counts as contended.
CONTENDED_CORES = 0.25
# Processor time that the start and the end of a child take, beside its own.
_STARTING_S = 0.15


def busy_s() -> float | None:
    """Processor seconds that all cores have been busy since the start of the machine; ``None`` without /proc."""
    try:
        with open("/proc/stat") as file:
            values = [int(value) for value in file.readline().split()[1:9]]
    except OSError:
        return None
    return (sum(values) - values[3] - values[4]) / os.sysconf("SC_CLK_TCK")


class Others:
    """Counts the processor time of others from when it is made."""

    def __init__(self) -> None:
        self._before, self._started, self._own = busy_s(), time.monotonic(), time.process_time()

    def cores(self, own_s: float) -> float:
        """Give how many cores others kept busy, beside so many seconds of one's own; 0 where nobody can tell."""
        wall_s, after = time.monotonic() - self._started, busy_s()
        if self._before is None or after is None:
            return 0.0
        return (after - self._before - own_s) / max(wall_s, 1e-9)

    def disturbed(self, own_s: float) -> bool:
        """Whether others surely kept processors busy, beside so many seconds of a child and the time of this process.

        What starts the child and waits for it takes some time, too.
        """
        mine_s = own_s + time.process_time() - self._own + _STARTING_S
        return self.cores(mine_s) > CONTENDED_CORES
