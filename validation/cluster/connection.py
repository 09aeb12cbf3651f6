"""A Dask cluster as a run sees it: its workers that measure, and tasks handed to them."""

from __future__ import annotations

import collections
import contextlib
import importlib
import inspect
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import distributed
import yaml

from validation.cluster.sources import Sources
from validation.cluster.worker import RESOURCE, Greeting, Station, greet
from validation.contract.errors import InstrumentError, UsageError
from validation.run.options import ClusterOptions
from validation.run.provenance import Sources as Judged

CONNECT_TIMEOUT_S = 30.0
# A look at the workers that cannot be right is followed by another, this many times in all.
_LOOKS = 20
_LOOK_AGAIN_S = 0.2
Result = TypeVar("Result")


class Workers:
    """The workers of a cluster that offer the resource ``measure``.

    Parameters
    ----------
    client : distributed.Client
    wait_s : float
        How long to wait while there is no worker.
    """

    def __init__(self, client: Any, wait_s: float) -> None:
        self.client = client
        self.wait_s = wait_s
        self._station: str | None = None
        self._missing_since: float | None = time.monotonic()
        self._ready: set[str] = set()
        self._left_out: set[str] = set()
        self._meant_for: dict[str, set[str]] = {}
        self._moves: collections.Counter[Any] = collections.Counter()

    def _known(self) -> dict[str, Any]:
        """Give what the scheduler knows of all workers, by their addresses.

        Some versions of Dask describe five workers unless asked for all, and refresh the client's answer from another
        thread with fewer, or none. The number that comes with an answer is of all workers: an answer that describes
        fewer is asked for anew.
        """
        ask = self.client.scheduler_info
        everyone = {"n_workers": -1} if "n_workers" in inspect.signature(ask).parameters else {}
        why = "its connection is closed"
        for _ in range(_LOOKS):
            try:
                told = ask(**everyone)
            except OSError as error:
                why = str(error)
                break
            found: dict[str, Any] | None = told.get("workers")  # empty once the client has given up
            if found is None:
                break
            if len(found) >= told.get("n_workers", len(found)):
                return found
            why = f"it describes {len(found)} of {told['n_workers']} workers"
            time.sleep(_LOOK_AGAIN_S)
        raise InstrumentError(
            f"the scheduler of the cluster was lost ({why}); what was measured is kept, continue with --resume"
        )

    def all(self) -> dict[str, float]:
        """Addresses of all workers, and how much of the resource each offers."""
        return {address: float(worker["resources"].get(RESOURCE, 0)) for address, worker in self._known().items()}

    def capacity(self) -> int:
        """Count the workers that measure and were not left out; wait for the first where there is none.

        Raises
        ------
        InstrumentError
            If there was none for too long.
        """
        self._ready = self._measuring()
        if self._ready:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = time.monotonic()
        elif time.monotonic() - self._missing_since > self.wait_s:
            time.sleep(_LOOK_AGAIN_S)  # nothing ends at one look
            self._ready = self._measuring()
            if self._ready:
                self._missing_since = None
                return len(self._ready)
            left_out = (
                f" and reads right ({len(self._left_out)} left out: their calibration failed)" if self._left_out else ""
            )
            raise InstrumentError(
                f"the cluster had no worker that offers the resource {RESOURCE}{left_out} for {self.wait_s:g} s "
                "(--worker-wait); what was measured is kept, continue with --resume"
            )
        return len(self._ready)

    def _measuring(self) -> set[str]:
        """Addresses of the workers that offer the resource and were not left out."""
        return {address for address, offered in self.all().items() if offered > 0} - self._left_out

    def leave_out(self, name: str | int) -> None:
        """Hand no more tasks to the worker that has this name now; one that takes its place is another worker."""
        self._left_out |= {address for address, worker in self._known().items() if worker["name"] == name}

    def notes(self) -> Iterator[str]:
        """Say which workers take no cases."""
        offers = self.all()
        idle = sum(offered == 0 for offered in offers.values())
        if idle:
            yield f"{idle} of {len(offers)} workers do not offer the resource {RESOURCE}=1 and take no cases"

    def greet(
        self, sources: Sources | None, judged: Judged, threads: int | None, wanted: str | None = None
    ) -> list[Greeting]:
        """Wait for workers that measure, and ask each who it is.

        Parameters
        ----------
        sources : dict of str to bytes, optional
            Files of the checkout to measure.
        judged : validation.run.provenance.Sources
            What is judged.
        threads : int, optional
            Threads of the kernels.
        wanted : str, optional
            Fingerprint of the machine class to wait for; where none of it comes in time, the others are given.

        Raises
        ------
        UsageError
            If none comes, none offers the resource, one offers more than one of it, or one lacks the harness.
        InstrumentError
            If none of those that offer the resource answers.
        """
        deadline = time.monotonic() + self.wait_s
        known: dict[str, Greeting] = {}
        late = False
        while True:
            offers = self.all()
            for address, offered in offers.items():
                if offered not in (0, 1):
                    raise UsageError(
                        f"a worker must measure one case at a time and offer {RESOURCE}=1, but {address} offers "
                        f"{RESOURCE}={offered:g}"
                    )
            ready = [address for address, offered in offers.items() if offered]
            known = {address: known[address] for address in ready if address in known}
            strangers = [address for address in ready if address not in known]
            answers: dict[str, Any] = {}
            if strangers:
                answers = self.client.run(greet, sources, judged, threads, workers=strangers, on_error="return")
            for address, answer in answers.items():
                if isinstance(answer, ImportError):
                    raise UsageError(f"worker {address} must have this harness and its package installed: {answer}")
                if isinstance(answer, UsageError):
                    raise UsageError(f"worker {address}: {answer}")
                if isinstance(answer, Greeting):  # others were lost meanwhile
                    known[address] = answer
            if ready and not known:
                raise InstrumentError(f"no worker answered: {'; '.join(map(repr, answers.values()))}")
            classes = {greeting.origin.machine.fingerprint for greeting in known.values()}
            if wanted in classes or (wanted is None and classes) or late:
                break
            late = time.monotonic() > deadline  # then one more look
            time.sleep(_LOOK_AGAIN_S)
        if not offers:
            raise UsageError(f"the cluster must have a worker, but none came within {self.wait_s:g} s")
        if not ready:
            raise UsageError(
                f"a worker must offer the resource {RESOURCE}=1 to take cases, but none of {len(offers)} does; start "
                f"workers with: dask worker ADDRESS --nthreads 1 --resources {RESOURCE}=1"
            )
        self._missing_since = None
        return list(known.values())

    def station(self, station: Station) -> None:
        """Give every worker, now and later, its station."""
        self._station = station.name
        self.client.register_plugin(station, name=station.name)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Hand a task to a worker that measures nothing else meanwhile. Returns its future."""
        # Dask can be told who may take a task, not who may not.
        meant = sorted(self._ready) if self._left_out else None
        future = self.client.submit(function, *arguments, resources={RESOURCE: 1}, pure=False, workers=meant)
        if meant:
            self._meant_for[future.key] = set(meant)
        return future

    def stranded(self, future: Any) -> bool:
        """Whether all the workers that may take a task were gone when `capacity` last looked."""
        meant = self._meant_for.get(future.key)
        return meant is not None and not meant & self._ready

    def count_moves(self, event: tuple[float, Any]) -> None:
        """Count for each task how often it loses its worker; called with all events of the scheduler."""
        _, message = event
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            self._moves.update(list(message.get("processing-tasks", ())))

    def moves(self, future: Any) -> int:
        """How often a task's worker was lost, or left in good order, before the task was done."""
        return self._moves[future.key]

    def result_of(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run one task and wait for its result.

        Raises
        ------
        InstrumentError
            If there is none.
        """
        future = self.submit(function, *arguments)
        while future.status == "pending":
            self.capacity()
            self.wait([future], 1.0)
        if future.status != "finished":
            raise InstrumentError(f"no worker lived through the first task ({future.status}); see their logs")
        found: Result = future.result()
        return found

    def wait(self, futures: list[Any], timeout_s: float) -> list[Any]:
        """Give the futures that are done, waiting a while for the first."""
        if not futures:
            time.sleep(timeout_s)
            return []
        with contextlib.suppress(distributed.TimeoutError, distributed.CancelledError), self.client.as_current():
            distributed.wait(futures, timeout=timeout_s, return_when="FIRST_COMPLETED")
        return [future for future in futures if future.done()]

    def cancel(self, futures: list[Any]) -> None:
        """Give up tasks; what still runs on a worker ends with its station."""
        with contextlib.suppress(Exception):  # the cluster may be gone, which is no second error
            self.client.cancel(futures)

    def close(self) -> None:
        """Take the stations away, which ends whatever still runs there."""
        if self._station is not None:
            with contextlib.suppress(Exception):  # the cluster may be gone, which is no second error
                self.client.unregister_worker_plugin(self._station)


def _security(options: ClusterOptions) -> Any:
    """TLS as given; without it what Dask's own configuration says."""
    if options.tls_ca_file is None:
        return distributed.Security()
    for path in (options.tls_ca_file, options.tls_cert, options.tls_key):
        if path is not None and not Path(path).is_file():
            raise UsageError(f"a TLS option must be a file that can be read, got {path}")
    roles = {
        f"tls_{role}_{part}": path
        for role in ("client", "scheduler", "worker")
        for part, path in (("cert", options.tls_cert), ("key", options.tls_key))
    }
    return distributed.Security(tls_ca_file=options.tls_ca_file, require_encryption=True, **roles)


def _arguments(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--cluster-options {path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"--cluster-options {path} must hold the names and values of arguments, got {found!r:.80}")
    return found


def _make(options: ClusterOptions, security: Any) -> Any:
    """Make the cluster of a class, or of local workers."""
    if options.local_workers is not None:
        return distributed.LocalCluster(
            n_workers=options.local_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,  # the children have limits of their own
            resources={RESOURCE: 1},
            security=security,
            silence_logs=logging.CRITICAL,
        )
    path = options.cluster_class or ""
    module_name, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"--cluster must be package.module:Class, and {path} cannot be imported: {error}") from None
    arguments = _arguments(options.class_options)
    if options.tls_ca_file is not None:
        arguments = {"security": security, **arguments}
    try:
        return found(**arguments)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be made with the arguments of {options.class_options or 'none'}: "
            f"{type(error).__name__}: {error}"
        ) from None


@contextlib.contextmanager
def connect(options: ClusterOptions) -> Iterator[Workers]:
    """Connect to the cluster, making it first where that is asked for; both end with the block.

    Raises
    ------
    UsageError
        If it cannot be made or reached.
    """
    security = _security(options)
    if options.scheduler is not None and options.scheduler.startswith("tls://") and options.tls_ca_file is None:
        raise UsageError(  # Dask would say so too, and then wait a minute for the client that it did not make
            f"the scheduler {options.scheduler} cannot be reached without TLS; give --tls-ca-file, --tls-cert and "
            "--tls-key"
        )
    with contextlib.ExitStack() as stack:
        address: Any = options.scheduler
        if address is None:
            address = stack.enter_context(_make(options, security))
        try:
            client = distributed.Client(address, security=security, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"the scheduler {options.scheduler} cannot be reached: {error}") from None
        stack.enter_context(client)
        workers = Workers(client, options.worker_wait_s)
        client.subscribe_topic("all", workers.count_moves)
        stack.callback(workers.close)
        yield workers
