"""The line between a child and the server that started it, while calls are measured.

The child sends marks, one byte each: a call starts, a call ended, give me entropy. The server stamps them with its own
clock and answers the last kind with bytes that did not exist before. So the inputs of a call, and the choice of what is
checked of its result, cannot be known before they are needed; and the child's times can be held against the server's.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from validation.records import Record

ENTROPY_BYTES = 16
_START, _END, _DRAW = b"s", b"e", b"d"
Kind = Literal["start", "end", "draw"]
_KINDS: dict[bytes, Kind] = {_START: "start", _END: "end", _DRAW: "draw"}


class ProtocolError(Exception):
    """Marks and entropy did not come as they must."""


class Mark(Record, frozen=True, kw_only=True):
    """What a child sent, when the server saw it (its monotonic clock, seconds), and the entropy that it got, as hex."""

    kind: Kind
    at_s: float
    entropy: str = ""


class WitnessedCall(Record, frozen=True, kw_only=True):
    """One call as the server saw it: entropy of its inputs, its length, and the entropy that came after it.

    ``prepared_s`` is the time from the entropy of the inputs to the start of the call.
    """

    inputs: str
    prepared_s: float
    wall_s: float
    choice: str


def generator(entropy: str) -> np.random.Generator:
    """Random numbers from entropy as hex: of inputs, or of a choice."""
    return np.random.default_rng(int(entropy, 16))


class Channel:
    """The child's end; without a descriptor it draws entropy by itself, and nobody sees its marks."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        # Bound now: what an implementation replaces later is not used.
        self._write, self._read, self._random = os.write, os.read, os.urandom

    def start(self) -> None:
        """Say that a call starts."""
        self._send(_START)

    def end(self) -> None:
        """Say that a call has ended."""
        self._send(_END)

    def draw(self) -> str:
        """Ask for entropy, as hex."""
        if self._descriptor is None:
            return self._random(ENTROPY_BYTES).hex()
        self._send(_DRAW)
        drawn = b""
        while len(drawn) < ENTROPY_BYTES:
            received = self._read(self._descriptor, ENTROPY_BYTES - len(drawn))
            if not received:
                raise ProtocolError("the server is gone: it gave no entropy")
            drawn += received
        return drawn.hex()

    def _send(self, kind: bytes) -> None:
        if self._descriptor is not None:
            self._write(self._descriptor, kind)


class Witness:
    """The server's end: stamps marks, answers draws, and keeps the log of one child."""

    def __init__(self) -> None:
        self._mine, theirs = socket.socketpair()
        self._mine.setblocking(False)
        self.child_descriptor = theirs.detach()
        self.marks: list[Mark] = []

    def fileno(self) -> int:
        """Descriptor to wait for."""
        return self._mine.fileno()

    def leave_to_child(self) -> None:
        """Close the child's end in the server, once the child has it."""
        os.close(self.child_descriptor)

    def read(self) -> bool:
        """Take what is there; False when nothing is or will be."""
        try:
            received = self._mine.recv(4096)
        except BlockingIOError:
            return False
        except ConnectionError:
            return False
        at_s = time.monotonic()
        for byte in received:
            kind = _KINDS.get(bytes([byte]))
            if kind is None:  # no child of ours sends that
                return False
            entropy = os.urandom(ENTROPY_BYTES) if kind == "draw" else b""
            self.marks.append(Mark(kind=kind, at_s=at_s, entropy=entropy.hex()))
            if entropy:
                try:
                    self._mine.send(entropy)
                except (BlockingIOError, ConnectionError):
                    return False
        return bool(received)

    def close(self) -> None:
        """Close the server's end; what a child left behind hears nothing more."""
        self._mine.close()


def calls_of(marks: Sequence[Mark]) -> tuple[WitnessedCall, ...]:
    """Read the calls from a log: each is draw, start, end, draw.

    Raises
    ------
    ProtocolError
        If the marks come in another order, as where an implementation sent some of its own.
    """
    kinds = [mark.kind for mark in marks]
    expected: list[Kind] = ["draw", "start", "end", "draw"]
    if kinds != expected * (len(kinds) // 4):
        raise ProtocolError(
            f"marks must come as draw, start, end, draw; the last were {', '.join(kinds[-8:]) or 'none'}"
        )
    return tuple(
        WitnessedCall(
            inputs=marks[at].entropy,
            prepared_s=marks[at + 1].at_s - marks[at].at_s,
            wall_s=marks[at + 2].at_s - marks[at + 1].at_s,
            choice=marks[at + 3].entropy,
        )
        for at in range(0, len(marks), 4)
    )
