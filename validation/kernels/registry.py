"""Kernels and the implementations that can stand in for them.

A kernel is a function with a reference, an independent oracle and a workload. Everything that is
measured has the signature of the kernel's function and is named by ``module:function``, so that this module
imports none of it:

- ``patch_extraction``: ``f(gt_image, global_offsets, local_offsets, N, gridsize)`` gives (B, N, N, c) complex64;
- ``reassembly``: ``f(obj_tensor, global_offsets, M)`` gives (S, S, 1) complex64.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, Literal

import validation.contract.records as records
from validation.contract.records import Case, Record

ENTRY_POINTS = "ptycho_validation.candidates"
Role = Literal["reference", "oracle", "candidate", "peer", "mutant"]
Function = Callable[..., Any]


class NotAvailableError(Exception):
    """The implementation is not here: not installed, or the checkout lacks it."""


class Implementation(Record, frozen=True, kw_only=True):
    """A named implementation of a kernel; ``target`` is ``module:function``."""

    name: str
    role: Role
    target: str
    summary: str


class Kernel(Record, frozen=True, kw_only=True):
    """A function to be judged: its reference, its oracle, and the candidates that come with the project."""

    name: records.Kernel
    summary: str
    reference: Implementation
    oracle: Implementation
    candidates: tuple[Implementation, ...]

    def moved_bytes(self, case: Case) -> int:
        """Bytes that any implementation must at least write and read for a case: the result, and what it needs."""
        patches = case.batch * case.gridsize**2
        if self.name == "patch_extraction":
            item = 16 if case.dtype == "complex128" else 8
            return patches * case.N**2 * 8 + case.height * case.width * item
        return patches * (case.M or case.N) ** 2 * 8


def _made(name: str, role: Role, target: str, summary: str) -> Implementation:
    return Implementation(name=name, role=role, target=target, summary=summary)


_PTYCHO = "validation.kernels.patches.implementations"

KERNELS: dict[str, Kernel] = {
    "patch_extraction": Kernel(
        name="patch_extraction",
        summary="cut the N x N window of the object at every scan position",
        reference=_made(
            "reference", "reference", f"{_PTYCHO}:extract_iterative", "get_image_patches, flag off in the config"
        ),
        oracle=_made("oracle", "oracle", "validation.kernels.patches.oracle:extract_patches", "float64 NumPy"),
        candidates=(
            _made("batched", "candidate", f"{_PTYCHO}:extract_batched", "get_image_patches, flag on in the config"),
            _made(
                "batched_environment",
                "candidate",
                f"{_PTYCHO}:extract_batched_by_environment",
                "get_image_patches, flag on by USE_BATCHED_PATCH_EXTRACTION",
            ),
            _made(
                "batched_params",
                "candidate",
                f"{_PTYCHO}:extract_batched_by_params",
                "get_image_patches, flag on in params.cfg",
            ),
            _made(
                "batched_graph",
                "candidate",
                f"{_PTYCHO}:extract_batched_in_graph",
                "_get_image_patches_batched inside tf.function",
            ),
            _made(
                "batched_xla",
                "candidate",
                f"{_PTYCHO}:extract_batched_by_xla",
                "_get_image_patches_batched, engine xla",
            ),
            _made(
                "batched_without_numba",
                "candidate",
                f"{_PTYCHO}:extract_batched_without_numba",
                "get_image_patches, flag on, as where numba is not installed",
            ),
            _made(
                "batched_single_groups",
                "candidate",
                f"{_PTYCHO}:extract_batched_by_single_groups",
                "_get_image_patches_batched, one group per chunk",
            ),
            _made(
                "batched_eager",
                "candidate",
                f"{_PTYCHO}:extract_batched_eagerly",
                "engine xla with every tf.function run eagerly, so without XLA",
            ),
            _made(
                "iterative_environment",
                "candidate",
                f"{_PTYCHO}:extract_iterative_by_environment",
                "get_image_patches, flag off by USE_BATCHED_PATCH_EXTRACTION",
            ),
            _made(
                "iterative_eager",
                "candidate",
                f"{_PTYCHO}:extract_iterative_eagerly",
                "the loop with every tf.function run eagerly, so without XLA",
            ),
        ),
    ),
    "reassembly": Kernel(
        name="reassembly",
        summary="add patches up where they belong",
        reference=_made("reference", "reference", f"{_PTYCHO}:place_by_loop", "shift_and_sum_old"),
        oracle=_made("oracle", "oracle", "validation.kernels.patches.oracle:shift_and_sum", "float64 NumPy"),
        candidates=(
            _made("batched", "candidate", f"{_PTYCHO}:place_batched", "shift_and_sum"),
            _made(
                "batched_graph", "candidate", f"{_PTYCHO}:place_batched_in_graph", "shift_and_sum inside tf.function"
            ),
            _made(
                "batched_eager",
                "candidate",
                f"{_PTYCHO}:place_batched_eagerly",
                "shift_and_sum without numba, every tf.function run eagerly, so without XLA",
            ),
            _made(
                "batched_without_numba",
                "candidate",
                f"{_PTYCHO}:place_batched_without_numba",
                "shift_and_sum as where numba is not installed",
            ),
        ),
    ),
}


def peers(kernel: str) -> tuple[Implementation, ...]:
    """Give the implementations of other libraries, which a user might pick instead."""
    from validation.kernels.patches.peers import PEERS

    return PEERS.get(kernel, ())


def _mutants(kernel: str) -> tuple[Implementation, ...]:
    from validation.kernels.patches.mutants import implementations

    return implementations(kernel)


def registered() -> dict[str, str]:
    """Names and targets of candidates that other distributions offer by entry point."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def candidates(kernel: str) -> tuple[Implementation, ...]:
    """Everything that can be measured against the reference of a kernel: ours, registered ones, peers.

    A registered candidate can be named for every kernel; a sweep measures it only where it is the one that is judged.
    """
    found = KERNELS[kernel]
    others = tuple(
        _made(name, "candidate", target, f"entry point {name} of {ENTRY_POINTS}")
        for name, target in sorted(registered().items())
    )
    return (*found.candidates, *others, *peers(kernel))


def find(kernel: str, name: str) -> Implementation:
    """Look an implementation up by name, or take ``module:function`` as it is.

    Raises
    ------
    NotAvailableError
        If nothing has that name.
    """
    known = KERNELS[kernel]
    for implementation in (known.reference, known.oracle, *known.candidates, *peers(kernel), *_mutants(kernel)):
        if implementation.name == name:
            return implementation
    # Reading the entry points of all distributions takes a while, so they come last.
    for implementation in candidates(kernel):
        if implementation.name == name:
            return implementation
    if ":" in name:
        return _made(name, "candidate", name, "given by --candidate")
    names = ", ".join(implementation.name for implementation in candidates(kernel))
    raise NotAvailableError(f"candidate must be one of {names}, or package.module:function, got {name!r}")


def target_of_others(name: str) -> str | None:
    """``module:function`` of a candidate that came with neither ``ptycho`` nor the harness; ``None`` for ours."""
    if ":" in name:
        return name
    ours = {made.name for known in KERNELS.values() for made in (known.reference, *known.candidates)}
    return None if name in ours else registered().get(name)


def kernels_of(name: str) -> tuple[str, ...]:
    """Kernels that an implementation named on the command line stands in for, where nothing else says so.

    What the project offers for one kernel alone is that kernel's. A function of the user's, by entry point or as
    ``module:function``, has the signature of patch extraction.

    Raises
    ------
    NotAvailableError
        If nothing has that name.
    """
    ours = tuple(
        kernel
        for kernel, known in KERNELS.items()
        if name
        in {known.reference.name, *(made.name for made in (*known.candidates, *peers(kernel), *_mutants(kernel)))}
    )
    if ours:
        return ours
    find("patch_extraction", name)
    return ("patch_extraction",)


def load(implementation: Implementation) -> Function:
    """Import the function of an implementation. Only a child process does this.

    Raises
    ------
    NotAvailableError
        If the module or the function is not there.
    """
    module_name, _, attributes = implementation.target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise NotAvailableError(f"{implementation.target} cannot be imported: {error}") from error
    if not callable(found):
        raise NotAvailableError(f"{implementation.target} must be a function, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]
