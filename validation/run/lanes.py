"""Work that nobody times, two items at once: outputs to compare, peaks of memory, properties, the package's own tests.

The peak of a process is its own, whatever runs beside it. What is timed is timed before, alone on the machine; what
needs more memory than half of what there is stays alone altogether.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from validation.kernels.registry import Kernels
from validation.measure.bench import Bench, Made
from validation.measure.runner import LocalExecutor
from validation.plan.items import CaseItem, Item, PropertyItem, SuiteItem, memory_shortage

LANES = 2
# Fewer groups than this do not pay for the start of a second server.
WORTH_A_SERVER = 8

Group = tuple[Item, ...]
Work = Callable[[Bench], None]


def groups(items: Sequence[Item]) -> Iterator[Group]:
    """Put together what belongs together: the candidates of a case, one after the other, share its outputs."""
    for _, group in itertools.groupby(
        items, key=lambda item: item.planned.case.case_id if isinstance(item, CaseItem) else item.key
    ):
        yield tuple(group)


def may_share(group: Group, limit_bytes: int | None, kernels: Kernels) -> bool:
    """Say whether other work may run beside a group, its times apart: it fits into a lane's share of memory."""
    return all(
        isinstance(item, (PropertyItem, SuiteItem))
        or (
            isinstance(item, CaseItem) and memory_shortage(kernels[item.planned.case.kernel], item, limit_bytes) is None
        )
        for item in group
    )


def apart(items: Sequence[Item], limit_bytes: int | None, kernels: Kernels) -> tuple[list[Group], list[Group]]:
    """Part a plan into the groups that stay alone on the machine and those that go side by side, both in its order.

    What is timed of the second has to be timed before they start. There are none where too few could.
    """
    alone: list[Group] = []
    shared: list[Group] = []
    for group in groups(items):
        (shared if may_share(group, limit_bytes, kernels) else alone).append(group)
    return (alone, shared) if len(shared) >= WORTH_A_SERVER else (list(groups(items)), [])


class Stopped(Exception):
    """The run ends; what a lane has at hand is no result."""


class Lanes:
    """The places where groups run side by side: each has a bench, and children of its own.

    Parameters
    ----------
    bench : Bench
        The run's own; it is the first lane.
    executor : LocalExecutor
        That of the bench.
    limit_bytes : int or None
        How much memory a child in a lane may take.
    """

    def __init__(self, bench: Bench, executor: LocalExecutor, limit_bytes: int | None) -> None:
        self.bench = bench
        self.executor = executor
        self.limit_bytes = limit_bytes
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._jobs: deque[Work] = deque()
        self._busy = 0
        self._stopping = False

    def go(self, todo: Sequence[Group], do: Callable[[Bench, Group], None]) -> None:
        """Do all groups, in their order of start; ``do`` gets the bench of its lane.

        A lane that is free takes jobs that another shares before it takes the next group, and stays until all groups
        are done. The first exception ends all lanes, and is raised; so does an interrupt of the caller.
        """
        waiting = deque(todo)

        def next_work() -> Work | None:
            """Wait for a job or a group; ``None`` if none can come any more."""
            with self._changed:
                while not self._stopping:
                    if self._jobs:
                        return self._jobs.popleft()
                    if waiting:
                        group = waiting.popleft()
                        self._busy += 1
                        return lambda bench: whole(bench, group)
                    if not self._busy:
                        break
                    self._changed.wait()
                return None

        def whole(bench: Bench, group: Group) -> None:
            try:
                do(bench, group)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

        def lane(bench: Bench) -> None:
            while (work := next_work()) is not None:
                work(bench)

        with self._benches() as (benches, executors), ThreadPoolExecutor(len(benches)) as pool:
            futures = [pool.submit(lane, bench) for bench in benches]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                self._stop(executors)
                raise

    def share(self, owner: Bench, jobs: Sequence[Callable[[Bench], Made]]) -> list[Made]:
        """Run jobs of a bench in its lane, and in the other while that is free; see `validation.Bench.each`.

        What another bench took and measured for them counts as the owner's.
        """
        futures: list[Future[tuple[Made, float, float]]] = [Future() for _ in jobs]

        def work_of(job: Callable[[Bench], Made], future: Future[tuple[Made, float, float]]) -> Work:
            def work(bench: Bench) -> None:
                started, measured_before = time.monotonic(), bench.measured_s
                try:
                    made = job(bench)
                except BaseException as error:
                    future.set_exception(error)
                    return
                took_s, measured_s = time.monotonic() - started, bench.measured_s - measured_before
                future.set_result((made, 0.0, 0.0) if bench is owner else (made, took_s, measured_s))

            return work

        own = {work_of(job, future): future for job, future in zip(jobs, futures, strict=True)}
        with self._changed:
            self._jobs.extend(own)
            self._changed.notify_all()

        def next_own() -> Work | None:
            """Take what nobody has begun; once a job has failed, forget all of that."""
            with self.lock:
                left = [work for work in own if work in self._jobs]
                failed = any(future.done() and future.exception() for future in futures)
                for work in left if failed else left[:1]:
                    self._jobs.remove(work)
                    if failed:
                        del own[work]
                return None if failed or not left else left[0]

        while (work := next_own()) is not None:
            work(owner)
        wait(own.values())
        made = [future.result() for future in own.values()]
        owner.elsewhere_s += sum(took_s for _, took_s, _ in made)
        owner.measured_s += sum(measured_s for _, _, measured_s in made)
        return [each for each, _, _ in made]

    def require_going(self) -> None:
        """Raise Stopped once the lanes are told to end: an answer that comes then may be that of a killed child."""
        if self._stopping:
            raise Stopped

    def _stop(self, executors: Sequence[LocalExecutor]) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for executor in executors:
            executor.stop()

    @contextlib.contextmanager
    def _benches(self) -> Iterator[tuple[list[Bench], list[LocalExecutor]]]:
        """Give the lanes."""
        scratch = self.bench.scratch / "lane"
        scratch.mkdir(exist_ok=True)
        whole = self.executor.memory_limit_bytes
        with LocalExecutor(
            scratch,
            mode=self.executor.mode,
            threads=self.executor.threads,
            memory_limit_bytes=self.limit_bytes,
            keep_env=self.executor.keep_env,
            preload=self.executor.preload,
        ) as second:
            self.bench.require_going = self.require_going
            self.bench.share = self.share
            self.executor.memory_limit_bytes = self.limit_bytes
            try:
                yield [self.bench, self.bench.beside(second, scratch)], [self.executor, second]
            finally:
                self.bench.share = None
                self.executor.memory_limit_bytes = whole
