"""The thresholds of the gate: one TOML file in the package, or a user's own by name."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from reports.errors import InputError

PROMISED = Path(__file__).parents[1].joinpath("policy.toml")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the policy's tables: every number is given, no other is."""


class SpeedPolicy(Table, frozen=True, kw_only=True):
    """Speedups as ratios, durations in seconds."""

    min_speedup: float
    min_cold_speedup: float
    min_replicates: int
    min_noise_pairs: int
    min_samples: int
    min_sample_s: float
    long_call_s: float
    max_bias: float


class MemoryPolicy(Table, frozen=True, kw_only=True):
    """Largest ratio of peaks, and what a reading is worth (bytes)."""

    max_ratio: float
    min_pairs: int
    meters: tuple[str, ...]
    spread_bytes: int
    small_increment_bytes: int


class ReassemblyPolicy(Table, frozen=True, kw_only=True):
    """Speedup promised from ``min_patches`` patches on."""

    min_speedup: float
    min_patches: int


class EvidencePolicy(Table, frozen=True, kw_only=True):
    """What must occur in a run whose verdict is evidence, and the versions every run records."""

    N: tuple[int, ...]
    gridsize: tuple[int, ...]
    batch: tuple[int, ...]
    dtype: tuple[str, ...]
    pattern: tuple[str, ...]
    reference_N: int
    reference_gridsize: int
    reference_batch: int
    defects: tuple[str, ...]
    versions: tuple[str, ...]


class Policy(Table, frozen=True, kw_only=True):
    """All thresholds. ``atol`` is the largest tolerance a comparison may have been judged by."""

    atol: float
    speed: SpeedPolicy
    memory: MemoryPolicy
    reassembly: ReassemblyPolicy
    evidence: EvidencePolicy


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file.

    Parameters
    ----------
    path : str or Path, optional
        The promised thresholds if left out.

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
            f"--policy {file} must give every threshold of reports/policy.toml and no other: {error}"
        ) from None
    for name, value in flat(policy).items():
        if isinstance(value, int | float) and not (math.isfinite(value) and value > 0):
            raise InputError(f"--policy {file}: {name} must be a finite positive number, got {value}")
    return policy


def flat(table: Table, prefix: str = "") -> dict[str, object]:
    """All thresholds by their dotted names."""
    found: dict[str, object] = {}
    for field in table.__struct_fields__:
        value = getattr(table, field)
        found |= flat(value, f"{field}.") if isinstance(value, Table) else {prefix + field: value}
    return found


def _is_stricter(name: str, mine: object, promised: object) -> bool:
    """Whether a threshold that differs from the promised one can only turn more runs away."""
    last = name.rpartition(".")[2]
    if isinstance(mine, tuple) and isinstance(promised, tuple):
        return set(mine) < set(promised) if last == "meters" else set(mine) > set(promised)
    if isinstance(mine, int | float) and isinstance(promised, int | float):
        if last in ("atol", "max_ratio", "max_bias"):
            return mine < promised
        return last.startswith("min_") and name != "reassembly.min_patches" and mine > promised
    return False


def relaxations(policy: Policy, promised: Policy) -> tuple[str, ...]:
    """Say where a policy may let through what the promised one stops, one sentence each."""

    def shown(value: object) -> str:
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    mine, theirs = flat(policy), flat(promised)
    return tuple(
        f"{name} is {shown(mine[name])} where {shown(promise)} was promised"
        for name, promise in theirs.items()
        if mine[name] != promise and not _is_stricter(name, mine[name], promise)
    )
