"""What a run is held to: how it must have measured, and what it promises, unless a file of the user says otherwise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import msgspec

from reports.errors import InputError
from validation.contract.cards import KernelCard
from validation.contract.cases import Judged
from validation.contract.manifest import Manifest

PROMISED = Path(__file__).parents[1].joinpath("policy.toml")
# Criteria of judged figures that have a name in every run.
COMMON = ("speed", "cold_speed", "memory")


class Tolerance(NamedTuple):
    """How far a result may be off: absolute, in units of the scale of a case, and relative; and whom it is held to."""

    atol: float
    rtol: float = 0.0
    has_oracle: bool = True

    def __str__(self) -> str:
        return f"{self.atol:g}" if self.rtol == 0.0 else f"{self.atol:g} plus {self.rtol:g} of its value"


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the policy's tables: every number is given, no other is."""


class SpeedPolicy(Table, frozen=True, kw_only=True):
    """Counts of processes and samples, durations in seconds."""

    min_replicates: int
    min_noise_pairs: int
    min_samples: int
    min_sample_s: float
    long_call_s: float
    max_bias: float


class MemoryPolicy(Table, frozen=True, kw_only=True):
    """How many pairs of peaks, and what a reading is worth (bytes)."""

    min_pairs: int
    meters: tuple[str, ...]
    spread_bytes: int
    small_increment_bytes: int


class Policy(Table, frozen=True, kw_only=True):
    """All thresholds.

    ``promise`` by criterion takes the place of what the run promises, ``atol`` of the tolerance that its comparisons
    may have been judged by; in the policy of the package neither is there.
    """

    speed: SpeedPolicy
    memory: MemoryPolicy
    promise: dict[str, float] = {}
    atol: float | None = None


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file.

    Parameters
    ----------
    path : str or Path, optional
        The policy of the package if left out.

    Raises
    ------
    InputError
        If it cannot be read, a number is missing, unknown, or not finite and positive.
    """
    file = PROMISED if path is None else Path(path)
    try:
        policy = msgspec.toml.decode(file.read_bytes(), type=Policy)
    except OSError as error:
        raise InputError(f"--policy {file} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError(
            f"--policy {file} must give every threshold of reports/policy.toml, may give atol and a table [promise], "
            f"and no other: {error}"
        ) from None
    for name, value in flat(policy).items():
        if isinstance(value, int | float) and not (math.isfinite(value) and value > 0):
            raise InputError(f"--policy {file}: {name} must be a finite positive number, got {value}")
    return policy


def flat(policy: Policy) -> dict[str, object]:
    """All that a policy gives, by dotted names."""
    found: dict[str, object] = {}
    for name, value in msgspec.to_builtins(policy).items():
        found |= {f"{name}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value for name, value in found.items() if value is not None}


def judged(manifest: Manifest, policy: Policy) -> tuple[Judged, ...]:
    """Give what a run is judged by, in its own order: its promises, or those that the policy puts in their place.

    Raises
    ------
    InputError
        If the policy promises what the run does not know.
    """
    known = dict.fromkeys((*COMMON, *(item.criterion for item in manifest.judged)))
    known |= dict.fromkeys(title for card in manifest.kernels for title in card.words.titles)
    for name in policy.promise:
        if name not in known:
            raise InputError(f"--policy: [promise] must name criteria of the run, {', '.join(known)}, got {name}")
    return tuple(
        msgspec.structs.replace(item, promise=policy.promise.get(item.criterion, item.promise))
        for item in manifest.judged
    )


def tolerance(card: KernelCard, policy: Policy) -> Tolerance:
    """Tolerance that comparisons of a kernel may have been judged by."""
    return Tolerance(card.atol if policy.atol is None else policy.atol, card.rtol, card.oracle is not None)


def _is_stricter(name: str, mine: object, promised: object) -> bool:
    """Whether a threshold that differs from that of the package can only turn more runs away."""
    last = name.rpartition(".")[2]
    if isinstance(mine, tuple) and isinstance(promised, tuple):
        return set(mine) < set(promised)
    if isinstance(mine, int | float) and isinstance(promised, int | float):
        return mine < promised if last == "max_bias" else last.startswith("min_") and mine > promised
    return False


def relaxations(policy: Policy, manifest: Manifest) -> tuple[str, ...]:
    """Say where a policy may let through what a run's promises and the package's policy stop, one sentence each."""

    def shown(value: object) -> str:
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    mine, theirs = flat(policy), flat(read_policy())
    found = [
        (name, mine[name], promised)
        for name, promised in theirs.items()
        if mine[name] != promised and not _is_stricter(name, mine[name], promised)
    ]
    for before, after in zip(manifest.judged, judged(manifest, policy), strict=True):
        if before.promise is not None and after.promise is not None:
            looser = after.promise > before.promise if before.figure == "memory" else after.promise < before.promise
            if looser:
                found.append((f"promise.{before.criterion}", after.promise, before.promise))
    if policy.atol is not None:
        found += [("atol", policy.atol, card.atol) for card in manifest.kernels if policy.atol > card.atol]
    sentences = (f"{name} is {shown(value)} where {shown(promised)} was promised" for name, value, promised in found)
    return tuple(dict.fromkeys(sentences))
