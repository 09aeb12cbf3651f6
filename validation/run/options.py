"""What a user asks a run for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from validation.contract.base import Record
from validation.contract.cards import KernelSource, Pair
from validation.contract.cases import CANDIDATE, Figure
from validation.contract.errors import UsageError
from validation.contract.kernel import NotAvailableError
from validation.kernels import registry
from validation.kernels.pair import PairKernel, check_target
from validation.kernels.registry import Kernels
from validation.measure.runner import Mode
from validation.run.provenance import Sources

PAIR = "pair"


class ClusterOptions(Record, frozen=True, kw_only=True):
    """The Dask cluster to run on: exactly one of the address of a scheduler, a number of workers, and a class.

    ``cluster_class`` is ``package.module:Class``, ``class_options`` the YAML file of its arguments;
    ``worker_wait_s`` is how long the run waits while the cluster has no worker.
    """

    scheduler: str | None = None
    local_workers: int | None = None
    cluster_class: str | None = None
    class_options: str | None = None
    tls_ca_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    worker_wait_s: float = 600.0

    def __post_init__(self) -> None:
        given = [self.scheduler, self.local_workers, self.cluster_class]
        if sum(value is not None for value in given) != 1:
            raise UsageError("give exactly one of --scheduler ADDRESS, --local-cluster N and --cluster CLASS")
        if self.class_options is not None and self.cluster_class is None:
            raise UsageError("--cluster-options holds the arguments of a class; name the class with --cluster")
        tls = [self.tls_ca_file, self.tls_cert, self.tls_key]
        if any(tls) and not all(tls):
            raise UsageError("--tls-ca-file, --tls-cert and --tls-key belong together; give all three or none")


class PairOptions(Record, frozen=True, kw_only=True):
    """A pair, the sizes it is measured at, how far results may be off, and what is promised of the fast one."""

    pair: Pair
    sizes: tuple[int, ...]
    atol: float
    rtol: float
    promises: dict[Figure, float | None]

    def __post_init__(self) -> None:
        for option, target in (("--slow", self.pair.slow), ("--fast", self.pair.fast), ("--inputs", self.pair.inputs)):
            check_target(option, target)
        if not self.sizes or min(self.sizes) < 1:
            raise UsageError(f"--sizes must be positive integers, got {', '.join(map(str, self.sizes)) or 'none'}")
        for name, value in (("--atol", self.atol), ("--rtol", self.rtol)):
            if not 0.0 <= value < float("inf"):
                raise UsageError(f"{name} must be a number that is not negative, got {value}")
        for figure, promise in self.promises.items():
            if promise is not None and not 0.0 < promise < float("inf"):
                raise UsageError(f"what is promised of {figure} must be a positive number, got {promise}")


def pair_options(values: dict[str, Any]) -> PairOptions:
    """Take the options of a pair out of those of its command.

    Raises
    ------
    UsageError
        If one is at fault.
    """
    taken = {name: values.pop(name) for name in ("slow", "fast", "inputs", "sizes", "atol", "rtol")}
    try:
        sizes = tuple(int(size) for size in str(taken["sizes"]).split(","))
    except ValueError:
        raise UsageError(f"--sizes must be integers with commas between them, got {taken['sizes']!r}") from None
    return PairOptions(
        pair=Pair(slow=taken["slow"], fast=taken["fast"], inputs=taken["inputs"]),
        sizes=sizes,
        atol=taken["atol"],
        rtol=taken["rtol"],
        promises={
            "warm": values.pop("min_speedup"),
            "cold": values.pop("cold"),
            "memory": values.pop("max_memory"),
        },
    )


class Options(Record, frozen=True, kw_only=True):
    """What the user asked for. ``data`` and paths are as given, ``reading`` holds options on how to read data.

    ``kernel`` are names of kernels, ``kernel_folder`` folders that hold some; ``path`` are folders that come first
    where modules are looked for. ``reference`` is ``module:function`` in place of the kernel's own, looked up in
    ``reference_path`` first; ``candidate_path`` is the same for the candidate. ``where`` are filters, ``NAME=VALUE``.
    """

    sweep: str
    out: str
    command: str
    data: str | None = None
    reading: tuple[str, ...] = ()
    package: str | None = None
    candidate: str = CANDIDATE
    reference: str | None = None
    reference_path: str | None = None
    candidate_path: str | None = None
    path: tuple[str, ...] = ()
    seed: int = 0
    resume: bool = False
    start: Mode = "fork"
    threads: int | None = None
    timeout_s: float = 600.0
    memory_limit_bytes: int | None = None
    text: str | None = None
    where: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    kernel_folder: tuple[str, ...] = ()
    keep_env: tuple[str, ...] = ()
    cluster: ClusterOptions | None = None
    pair: PairOptions | None = None

    def resume_command(self) -> str:
        """Give the command that continues this run."""
        return self.command if self.resume else f"{self.command} --resume"


def absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Give folders as any process finds them."""
    return tuple(str(Path(path).resolve()) for path in paths)


def find_kernels(kernel: tuple[str, ...], kernel_folder: tuple[str, ...], candidate: str) -> Kernels:
    """Find the kernels that are asked for by name or folder; those of the package where nothing is said.

    Raises
    ------
    UsageError
        If one is not there, or nothing has the candidate's name.
    """
    offered = [found for folder in kernel_folder for found in registry.in_folder(folder)]
    if not kernel_folder:
        offered = list(registry.built_in())
        named = [name for name in kernel if name not in {found.name for found in offered}]
        offered += Kernels.of(KernelSource(name=name) for name in named)
    kernels = Kernels(offered)
    if kernel:
        return kernels.only(kernel)
    if candidate == CANDIDATE and not any(found.subject for found in kernels):
        return kernels
    try:
        return kernels.offering(candidate)
    except NotAvailableError as error:
        raise UsageError(f"--{error}") from None


def kernels_of(options: Options) -> Kernels:
    """Find the kernels of a run.

    Raises
    ------
    UsageError
        If one is not there, or an option about them is at fault.
    """
    paths = absolute(options.path or ((".",) if options.pair else ()))
    if options.pair is not None:
        source = KernelSource(name=PAIR, pair=options.pair.pair, paths=paths)
        return Kernels([PairKernel(source, atol=options.pair.atol, rtol=options.pair.rtol)])
    if options.cluster is not None and (options.reference or options.reference_path or options.candidate_path):
        raise UsageError(
            "--reference, --reference-path and --candidate-path are for a run on one machine; leave the cluster out"
        )
    kernels = find_kernels(options.kernel, options.kernel_folder, options.candidate)
    if options.reference is not None:
        check_target("--reference", options.reference)
        kernels = Kernels([registry.with_reference(next(iter(kernels)), options.reference)])
    return Kernels(registry.with_paths(kernel, paths) for kernel in kernels)


def judged_candidate(candidate: str, kernels: Kernels) -> str:
    """Give the name of the candidate that is judged: as asked for, or the first that comes with the kernel."""
    first = next(iter(kernels))
    if candidate == CANDIDATE and candidate not in {made.name for made in first.implementations()}:
        if not first.candidates:
            raise UsageError(f"the kernel {first.name} offers no candidate; name one with --candidate module:function")
        return first.candidates[0].name
    return candidate


def sources_of(options: Options, kernels: Kernels) -> Sources:
    """Say what is judged: the package, or the functions of a pair or of a kernel of the user's."""
    of_package = any(kernel.subject for kernel in kernels)
    first = next(iter(kernels))
    return Sources(
        of_package=of_package,
        package=options.package,
        reference=options.reference if of_package else first.reference.target,
        reference_path=options.reference_path,
        candidate_path=options.candidate_path,
        candidate=registry.target_of_others(kernels, judged_candidate(options.candidate, kernels)),
        paths=registry.source_of(first).paths,
    )
