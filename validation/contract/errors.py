"""The errors that end a command, each with its exit code."""

from __future__ import annotations

import msgspec

# What decoding raises where bytes are not of the schema; all but the first three where an older one was to be lifted.
UNDECODABLE = (
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError,
    KeyError, TypeError, AttributeError, ValueError, OverflowError,
)  # fmt: skip


class CommandError(Exception):
    """A command cannot go on. The message is one line: what was expected, what came, what to do."""

    exit_code = 2


class UsageError(CommandError):
    """The user's input or arguments are at fault."""


class InstrumentError(CommandError):
    """An instrument does not read right, so that nothing it would say counts."""

    exit_code = 4


class NothingRanError(CommandError):
    """There was no case to run."""

    exit_code = 5
