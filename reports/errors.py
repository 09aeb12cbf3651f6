"""The error that ends a command with exit code 2."""

from __future__ import annotations


class InputError(Exception):
    """The input is at fault. The message is one line: what was expected, what came, what to do."""
