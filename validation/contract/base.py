"""What all records have in common."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records: immutable, keyword-only, unknown fields refused."""
