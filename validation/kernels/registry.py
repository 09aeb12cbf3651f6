"""Finds kernels, and implementations by name. A kernel is built in, installed, in a folder, or made of a pair."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from validation.contract.cards import Implementation, KernelSource
from validation.contract.errors import UsageError
from validation.contract.kernel import Kernel, NotAvailableError

KERNEL_POINTS = "ptycho_validation.kernels"
CANDIDATE_POINTS = "ptycho_validation.candidates"
# The module whose kernels are measured where nothing else is said.
BUILT_IN = "validation.kernels.patches.kernel"


def _kernels_in(found: Any, where: str) -> tuple[Kernel, ...]:
    """Take a kernel, a class of one, a module with ``KERNELS``, or several of these.

    Raises
    ------
    UsageError
        If it is none, or of an API that is not known.
    """
    if isinstance(found, ModuleType):
        found = getattr(found, "KERNELS", None)
    if isinstance(found, type) and issubclass(found, Kernel):
        found = found()
    kernels = found if isinstance(found, (tuple, list)) else (found,)
    for kernel in kernels:
        if not isinstance(kernel, Kernel):
            raise UsageError(
                f"{where} must hold KERNELS, a tuple of validation.contract.kernel.Kernel, "
                f"got {type(kernel).__name__}; see docs/adding-a-kernel.md"
            )
        if kernel.api != Kernel.api:
            raise UsageError(f"the kernel {kernel.name} of {where} has API {kernel.api}, expected {Kernel.api}")
    return tuple(kernels)


def in_folder(folder: str) -> tuple[Kernel, ...]:
    """Import the kernels that stand in a folder: a package of that name, with ``KERNELS``.

    Raises
    ------
    UsageError
        If it cannot be imported, another module has its name, or it holds no kernel.
    """
    path = Path(folder).resolve()
    if not (path / "__init__.py").is_file():
        raise UsageError(f"--kernel-folder must be a folder with an __init__.py that has KERNELS, got {folder}")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        module = importlib.import_module(path.name)
    except Exception as error:
        raise UsageError(f"{folder} cannot be imported: {type(error).__name__}: {error}") from None
    found = Path(str(module.__file__)).resolve().parent
    if found != path:
        raise UsageError(f"{folder} cannot be imported, since the module in {found} has its name; rename it")
    kernels = _kernels_in(module, folder)
    for kernel in kernels:
        kernel.source = KernelSource(name=kernel.name, folder=str(path))
    return kernels


def built_in() -> tuple[Kernel, ...]:
    """Import the kernels of the package under test."""
    return _kernels_in(importlib.import_module(BUILT_IN), BUILT_IN)


def installed() -> dict[str, importlib.metadata.EntryPoint]:
    """Kernels that other distributions offer, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=KERNEL_POINTS)}


def registered() -> dict[str, str]:
    """Names and targets of candidates that other distributions offer by entry point."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=CANDIDATE_POINTS)}


def source_of(kernel: Kernel) -> KernelSource:
    """Say where a kernel is found again."""
    return kernel.source or KernelSource(name=kernel.name)


class Kernels:
    """The kernels of a run, by name.

    Parameters
    ----------
    kernels : iterable of Kernel

    Attributes
    ----------
    sources : tuple of KernelSource
        What a child needs to find the same.
    """

    def __init__(self, kernels: Iterable[Kernel]) -> None:
        self._by_name = {kernel.name: kernel for kernel in kernels}

    @classmethod
    def of(cls, sources: Iterable[KernelSource]) -> Kernels:
        """Find the kernels that some sources name.

        Raises
        ------
        UsageError
            If one is not there.
        """
        found: dict[str, Kernel] = {}
        for source in sources:
            if source.name not in found:
                found |= {kernel.name: with_reference(kernel, source.reference) for kernel in _of(source)}
            if source.name not in found:
                raise UsageError(f"{source.folder or 'the installed kernels'} must hold {source.name}, but does not")
        return cls(found.values())

    @property
    def sources(self) -> tuple[KernelSource, ...]:
        """Say where the kernels are found again."""
        return tuple(source_of(kernel) for kernel in self)

    def __getitem__(self, name: str) -> Kernel:
        if name not in self._by_name:
            raise UsageError(f"kernel must be one of {', '.join(self._by_name)}, got {name!r}")
        return self._by_name[name]

    def __iter__(self) -> Iterator[Kernel]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that the processes that measure have imported before."""
        return tuple(dict.fromkeys(name for kernel in self for name in kernel.preload))

    def only(self, names: Iterable[str]) -> Kernels:
        """Keep the kernels of some names."""
        return Kernels(self[name] for name in names)

    def offering(self, candidate: str) -> Kernels:
        """Keep the kernels that an implementation named on the command line stands in for.

        A function of the user's, by entry point or as ``module:function``, has the signature of the first kernel.

        Raises
        ------
        NotAvailableError
            If nothing has that name.
        """
        named = [kernel for kernel in self if candidate in {made.name for made in _known(kernel)}]
        if named:
            return Kernels(named)
        first = next(iter(self))
        find(first, candidate)
        return Kernels([first])


def _of(source: KernelSource) -> tuple[Kernel, ...]:
    """Find the kernels at a source."""
    for path in reversed(source.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    if source.pair is not None:
        from validation.kernels.pair import PairKernel

        return (PairKernel(source),)
    if source.folder is not None:
        return in_folder(source.folder)
    ours = built_in()
    if source.name in {kernel.name for kernel in ours}:
        return tuple(kernel for kernel in ours if kernel.name == source.name)
    points = installed()
    if source.name not in points:
        offered = ", ".join([*(kernel.name for kernel in ours), *points])
        raise UsageError(f"kernel must be one of {offered}, or given with --kernel-folder, got {source.name!r}")
    try:
        found = points[source.name].load()
    except Exception as error:
        raise UsageError(f"the kernel {source.name} cannot be imported: {type(error).__name__}: {error}") from None
    return _kernels_in(found, points[source.name].value)


def _mutants(kernel: Kernel) -> tuple[Implementation, ...]:
    """Give the mutants, and standards, that can run as an implementation."""
    found = [
        Implementation(
            name=mutant.name, role="mutant", target=f"{mutant.module}:{mutant.name}", summary=mutant.description
        )
        for mutant in kernel.mutants
        if mutant.module
    ]
    standards = kernel.exhibition.standards if kernel.exhibition else None
    for name in standards.names if standards else ():
        summary = "a standard, which lasts or holds what its name says"
        target = f"{standards.module if standards else ''}:{name}"
        found.append(Implementation(name=name, role="mutant", target=target, summary=summary))
    return tuple(found)


def _known(kernel: Kernel) -> tuple[Implementation, ...]:
    return (*kernel.implementations(), *_mutants(kernel))


def candidates(kernel: Kernel) -> tuple[Implementation, ...]:
    """Everything that can be measured against the reference of a kernel: its own, registered ones, peers.

    A registered candidate can be named for every kernel; a sweep measures it only where it is the one that is judged.
    """
    others = tuple(
        Implementation(name=name, role="candidate", target=target, summary=f"entry point {name} of {CANDIDATE_POINTS}")
        for name, target in sorted(registered().items())
    )
    return (*kernel.candidates, *others, *kernel.peers)


def find(kernel: Kernel, name: str) -> Implementation:
    """Look an implementation up by name, or take ``module:function`` as it is.

    Raises
    ------
    NotAvailableError
        If nothing has that name.
    """
    for implementation in _known(kernel):
        if implementation.name == name:
            return implementation
    # Reading the entry points of all distributions takes a while, so they come last.
    for implementation in candidates(kernel):
        if implementation.name == name:
            return implementation
    if ":" in name:
        return Implementation(name=name, role="candidate", target=name, summary="given by --candidate")
    names = ", ".join(implementation.name for implementation in candidates(kernel))
    raise NotAvailableError(f"candidate must be one of {names}, or package.module:function, got {name!r}")


def target_of_others(kernels: Iterable[Kernel], name: str) -> str | None:
    """``module:function`` of a candidate that came with neither the package nor the harness; ``None`` for ours."""
    if ":" in name:
        return name
    for kernel in kernels:
        for made in kernel.implementations():
            if made.name == name:
                return None if kernel.subject else made.target
    return registered().get(name)


def with_reference(kernel: Kernel, target: str | None) -> Kernel:
    """Give a kernel whose reference is a function of the user's; the same where ``target`` is ``None``."""
    if target is None:
        return kernel
    changed = copy.copy(kernel)
    summary = f"{target}, given by --reference"
    changed.reference = msgspec.structs.replace(kernel.reference, target=target, summary=summary)
    changed.source = msgspec.structs.replace(source_of(kernel), reference=target)
    return changed


def with_paths(kernel: Kernel, paths: tuple[str, ...]) -> Kernel:
    """Give a kernel whose functions are looked for in some folders first; the same where there are none."""
    if not paths:
        return kernel
    changed = copy.copy(kernel)
    changed.source = msgspec.structs.replace(source_of(kernel), paths=paths)
    return changed
