"""The line between a child and the server that started it, while calls are measured.

The child sends marks, one byte each: a call starts, a call ended, give me entropy. The system stamps them, and the
server answers the last kind with bytes that did not exist before. So the inputs of a call, and the choice of what is
checked of its result, cannot be known before they are needed; and the child's times can be held against the stamps.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from validation.contract.base import Record

ENTROPY_BYTES = 16
_TIMESTAMPS = 35  # SO_TIMESTAMPNS, and the kind of message that carries one
_START, _END, _DRAW = b"s", b"e", b"d"
Kind = Literal["start", "end", "draw"]
_KINDS: dict[bytes, Kind] = {_START: "start", _END: "end", _DRAW: "draw"}


class ProtocolError(Exception):
    """Marks and entropy did not come as they must."""


class Mark(Record, frozen=True, kw_only=True):
    """What a child sent, when it did by the system's clock (seconds), and the entropy that it got, as hex."""

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
        drawn = self._read(self._descriptor, ENTROPY_BYTES)
        if len(drawn) != ENTROPY_BYTES:
            raise ProtocolError("the server is gone: it gave no entropy")
        return drawn.hex()

    def _send(self, kind: bytes) -> None:
        if self._descriptor is not None:
            self._write(self._descriptor, kind)


class Witness:
    """The server's end: takes marks with the time at which they were sent, answers draws, keeps the log of one child.

    The kernel stamps a mark within microseconds of its sending, however late it is read.
    """

    def __init__(self) -> None:
        self._mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._mine.setblocking(False)
        self._mine.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self.child_descriptor = theirs.detach()
        self.marks: list[Mark] = []

    def fileno(self) -> int:
        """Descriptor to wait for."""
        return self._mine.fileno()

    def leave_to_child(self) -> None:
        """Close the child's end in the server, once the child has it."""
        os.close(self.child_descriptor)

    def read(self) -> bool:
        """Take one mark; False when none is there or will be."""
        try:
            received, ancillary, _, _ = self._mine.recvmsg(16, 256)
            kind = _KINDS.get(received)
            if kind is None:  # the end, or what no child of ours sends
                return False
            entropy = os.urandom(ENTROPY_BYTES) if kind == "draw" else b""
            self.marks.append(Mark(kind=kind, at_s=_sent_at_s(ancillary), entropy=entropy.hex()))
            if entropy:
                self._mine.send(entropy)
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def close(self) -> None:
        """Close the server's end; what a child left behind hears nothing more."""
        self._mine.close()


def _sent_at_s(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """When the system says that a message was sent, else now; seconds."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return float(seconds + 1e-9 * nanoseconds)
    return time.time()


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
