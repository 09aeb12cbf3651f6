"""The JSON Schema of a run folder, generated from the records."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from validation.contract.records import SCHEMA_VERSION, Manifest, ResultLine


def schema_text() -> str:
    """Give the JSON Schema (2020-12) of ``manifest.json`` and of a line of ``results.jsonl``, as indented JSON."""
    (manifest, line), definitions = msgspec.json.schema_components(
        [Manifest, ResultLine], ref_template="#/$defs/{name}"
    )
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Run folder of ptycho-validation, schema version {SCHEMA_VERSION}",
        "description": "manifest.json is a Manifest; every line of results.jsonl is one of the result lines.",
        "anyOf": [manifest, line],
        "$defs": definitions,
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
