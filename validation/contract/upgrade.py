"""Older schemas, lifted to the present one: what is read is always 2.0, whatever was written.

1.0 to 1.4 (until 2026-11-30) knew two kernels and their parameters by name; what such a run is about stands in
``old_runs.toml``. 1.0 had no ``wall_s`` of properties, 1.3 brought digests of harness and candidate, 1.4 timed the
arms apart; all that is still told by the fields that are there.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.base import Record
from validation.contract.cards import KernelCard
from validation.contract.cases import Figure
from validation.contract.lines import ResultLine
from validation.contract.manifest import SCHEMA_VERSION, Manifest, Provenance

# Runs of these were timed in pairs.
PAIRED_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
OLD_VERSIONS = (*PAIRED_VERSIONS, "1.4")
READABLE_VERSIONS = (*OLD_VERSIONS, SCHEMA_VERSION)

_OLD_RUNS = Path(__file__).with_name("old_runs.toml")
# Fields of a case that were no parameters of its kernel.
_NO_PARAMETERS = ("case_id", "kernel", "seed")


class OldJudged(Record, frozen=True, kw_only=True):
    """A figure that old runs were judged by; ``field`` of the manifest named the case."""

    field: str
    criterion: str
    figure: Figure
    promise: float
    min_work: float | None = None


class OldRuns(Record, frozen=True, kw_only=True):
    """What runs of the old schemas were about. The work of a case is the product of the parameters ``work``."""

    work: tuple[str, ...]
    judged: tuple[OldJudged, ...]
    kernels: tuple[KernelCard, ...]


@functools.cache
def old_runs() -> OldRuns:
    """Read what old runs were about."""
    return msgspec.toml.decode(_OLD_RUNS.read_bytes(), type=OldRuns)


def _renamed(record: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in record.items()}


def _provenance(old: dict[str, Any]) -> dict[str, Any]:
    # The folder that held the package went under the package's name.
    known = Provenance.__struct_fields__
    path = next((name for name in old if name.endswith("_path") and name not in known), "")
    lifted = _renamed(old, {path: "package_path"})
    return {**lifted, "machine": _renamed(old["machine"], {"kernel": "os_release"})}


def _case(old: dict[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in old.items() if name not in _NO_PARAMETERS and value is not None}
    factors = [old[name] for name in old_runs().work]
    if not all(isinstance(factor, int) for factor in factors):
        raise TypeError(f"{', '.join(old_runs().work)} must be integers, got {factors}")
    return {**{name: old[name] for name in _NO_PARAMETERS}, "params": params, "work": float(math.prod(factors))}


def lift_line(old: dict[str, Any]) -> dict[str, Any]:
    """Lift a decoded line of an older schema; one of the present schema is given back as it is."""
    if old.get("schema_version") not in OLD_VERSIONS:
        return old
    lifted = {**old, "provenance": _provenance(old["provenance"])}
    if old["kind"] == "probe":
        lifted = {**_renamed(lifted, {"probe": "name"}), "kind": "property"}
    elif old["kind"] == "case":
        lifted["case"] = _case(old["case"])
    return lifted


def lift_manifest(old: dict[str, Any]) -> dict[str, Any]:
    """Lift a decoded manifest of an older schema; one of the present schema is given back as it is."""
    version = old.get("schema_version")
    if version not in OLD_VERSIONS:
        return old
    facts = old_runs()
    named = {item.field: old[item.field] for item in facts.judged}
    judged = [
        {
            "criterion": item.criterion,
            "case_id": named[item.field],
            "figure": item.figure,
            "promise": item.promise,
            "min_work": item.min_work,
        }
        for item in facts.judged
        if named[item.field] is not None
    ]
    kept = {name: value for name, value in old.items() if name not in named}
    planned = [{**item, "kind": "property"} if item["kind"] == "probe" else item for item in old["planned"]]
    return {
        **kept,
        "written_as": version,
        "kernels": msgspec.to_builtins(facts.kernels),
        "cases": [],
        "judged": judged,
        "planned": planned,
        "provenance": _provenance(old["provenance"]),
        "scan": dict(old["scan"]),
    }


def decode_line(encoded: bytes) -> ResultLine:
    """Decode one result line of any schema that is read.

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError
        If it is none.
    """
    line: ResultLine = msgspec.convert(lift_line(msgspec.json.decode(encoded)), type=ResultLine)
    return line


def decode_manifest(encoded: bytes) -> Manifest:
    """Decode a manifest of any schema that is read.

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError
        If it is none.
    """
    return msgspec.convert(lift_manifest(msgspec.json.decode(encoded)), type=Manifest)
