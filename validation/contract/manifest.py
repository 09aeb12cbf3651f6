"""The head of a run folder: what a run measures, where its numbers come from, what it intends to write."""

from __future__ import annotations

from typing import Literal

from validation.contract.base import Record
from validation.contract.cards import KernelCard
from validation.contract.cases import Case, Judged, Protocol

SCHEMA_VERSION = "2.0"


class Machine(Record, frozen=True, kw_only=True):
    """Fingerprint of a machine; results of different fingerprints are never mixed in a verdict."""

    fingerprint: str
    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    os_release: str
    governor: str | None


class Provenance(Record, frozen=True, kw_only=True):
    """Where a number comes from: commit, sources, machine, versions, thread settings.

    ``kernel_digest`` is of the sources that are judged: those of the package, or of the reference of a pair.
    ``package_path`` is the folder that holds the package, or ``installed``; ``reference_path`` and ``candidate_path``
    are others for one arm alone, ``reference_digest`` is of a reference of the user's. ``harness_digest`` is of the
    sources that measured, ``candidate_digest`` of those of a candidate that came with neither the package nor the
    harness (``None`` otherwise, and both before schema 1.3). ``threads`` holds the variables that children have as
    fixed or as kept, ``cleared_env`` the names of those that change allocators or compilers and that children do not
    have.
    """

    commit: str | None
    dirty: bool | None
    commit_subject: str | None
    kernel_digest: str
    package_path: str
    machine: Machine
    versions: dict[str, str]
    threads: dict[str, str]
    harness_digest: str | None = None
    candidate_digest: str | None = None
    reference_path: str | None = None
    candidate_path: str | None = None
    reference_digest: str | None = None
    cleared_env: tuple[str, ...] = ()


class Scan(Record, frozen=True, kw_only=True):
    """The scan whose object and positions were used. ``path`` is as the user gave it.

    ``sha256`` is of that file; ``reading`` holds the options that say how it is read, and ``prepared_sha256`` is of
    what was made of it for the children to read (``None``: they read the file itself).
    """

    name: str
    path: str | None
    sha256: str
    object_shape: tuple[int, int]
    positions: int
    reading: tuple[str, ...] = ()
    prepared_sha256: str | None = None

    @property
    def read_sha256(self) -> str:
        """Digest of the file that the children read."""
        return self.prepared_sha256 or self.sha256


class Planned(Record, frozen=True, kw_only=True):
    """One line the run intends to write. ``key`` is unique in the run and names the line.

    For cases and properties the key is ``case_id|candidate`` (properties: ``name|case_id|candidate``), for the
    rest ``calibration``, ``mutant|NAME``, ``suite|off``. A ``calibration|FINGERPRINT`` is never planned.
    """

    key: str
    kind: Literal["case", "calibration", "property", "mutant", "suite"]
    optional: bool = False


class Manifest(Record, frozen=True, kw_only=True):
    """Head of a run folder, written before the first case.

    ``written_as`` is the schema version of the folder, also where an older one was lifted to this; its rules for times
    are those that judge it. ``judged`` holds what the verdict rests on, ``cases`` all that is measured or probed;
    ``provisional`` marks a sweep whose verdict is no evidence. ``scan`` is ``None`` where no kernel takes one.
    """

    schema_version: str
    written_as: str = SCHEMA_VERSION
    run_id: str
    created_at: str
    sweep: str
    provisional: bool
    seed: int
    command: str
    kernels: tuple[KernelCard, ...]
    cases: tuple[Case, ...]
    judged: tuple[Judged, ...]
    candidate: str
    planned: tuple[Planned, ...]
    protocol: Protocol
    provenance: Provenance
    scan: Scan | None = None

    def kernel(self, name: str) -> KernelCard:
        """Card of a kernel of this run."""
        return next(card for card in self.kernels if card.name == name)
