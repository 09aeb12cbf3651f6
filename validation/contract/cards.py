"""What a run folder says of a kernel, so that it can be judged, drawn and asked again without the kernel's code."""

from __future__ import annotations

from typing import Literal

import msgspec

from validation.contract.base import Record
from validation.contract.cases import Parameter, Scalar

ImplementationRole = Literal["reference", "oracle", "candidate", "peer", "mutant"]


class Implementation(Record, frozen=True, kw_only=True):
    """A named implementation of a kernel; ``target`` is ``module:function``."""

    name: str
    role: ImplementationRole
    target: str
    summary: str


class Pair(Record, frozen=True, kw_only=True):
    """A slow and a fast function, and the one that makes their arguments, each ``module:function``."""

    slow: str
    fast: str
    inputs: str


class KernelSource(Record, frozen=True, kw_only=True):
    """Where a kernel is found: by its name alone, in a ``folder``, or made of a ``pair``.

    ``paths`` are folders that come first where modules are looked for; ``reference`` is ``module:function`` in place of
    the kernel's own.
    """

    name: str
    folder: str | None = None
    pair: Pair | None = None
    paths: tuple[str, ...] = ()
    reference: str | None = None


class Coverage(Record, frozen=True, kw_only=True):
    """What a run must hold whose verdict is evidence.

    Of each parameter in ``values`` every value is compared; the first judged case has the parameters ``judged``; the
    ``defects`` are among the mutants; the ``suite`` of the package passes in both states of its flag; ``versions`` are
    on record.
    """

    values: dict[str, tuple[Scalar, ...]] = msgspec.field(default_factory=dict)
    judged: dict[str, Scalar] = msgspec.field(default_factory=dict)
    defects: tuple[str, ...] = ()
    suite: bool = False
    versions: tuple[str, ...] = ()


class Words(Record, frozen=True, kw_only=True):
    """How a kernel's figures are told: ``titles``, ``meanings`` and ``promises`` by criterion, where they are its own.

    A promise may name ``{promise:g}`` and ``{min_work:g}``. ``columns`` are the parameters that tables show; ``rows``,
    ``by`` and ``of`` are the axes of the map of speedups; ``groups`` is the parameter by which errors are told apart,
    ``along`` the one that makes the work of otherwise equal cases grow.
    """

    titles: dict[str, str] = msgspec.field(default_factory=dict)
    meanings: dict[str, str] = msgspec.field(default_factory=dict)
    promises: dict[str, str] = msgspec.field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: str = ""
    by: str = ""
    of: str = ""
    groups: str = ""
    along: str = ""


class KernelCard(Record, frozen=True, kw_only=True):
    """A kernel as a run folder shows it.

    ``work_unit`` is what the work of a case counts, plural; ``reference`` and ``oracle`` are told in words, the latter
    ``None`` where the reference is the only truth. A result passes within ``atol`` (in units of the scale of a case)
    and ``rtol``. ``promise_digest`` is of the file that the promise came from, ``None`` where the user gave it.
    """

    name: str
    title: str
    source: KernelSource
    parameters: tuple[Parameter, ...]
    work_unit: str
    reference: str
    oracle: str | None
    atol: float
    rtol: float = 0.0
    coverage: Coverage | None = None
    words: Words = Words()
    promise_digest: str | None = None
