"""Implementations a user might pick instead."""

from __future__ import annotations

from validation.kernels import Implementation

PEERS: dict[str, tuple[Implementation, ...]] = {}
