"""The protocol between the process that has the bytes and the one that parses them: frames over a socket pair.

A frame is one byte that says what it is, four bytes of length (big-endian), and that many bytes: orders and questions
in msgpack, reports in JSON. The bytes to parse are not in it: their descriptor travels beside it (``SCM_RIGHTS``,
unix(7)).
"""

import socket
import struct
from enum import Enum
from typing import NamedTuple

import msgspec

from binsafe.model import Artifact, Syscalls

_HEAD = struct.Struct(">cI")
_SMALL = 1 << 16
"""Bytes that are copied sooner than said apart."""


class Kind(Enum):
    """What a frame is."""

    ORDER = b"O"
    """Parent to child, with a descriptor."""
    MEMBER = b"M"
    """Child to parent: the number of the member that is being parsed, so that it is known which one broke it."""
    KEEP = b"K"
    """Child to parent: what is worth keeping of the program that is being parsed, for the next time."""
    ASK, ANSWER = b"A", b"Y"
    """Child to parent, and back: what `binsafe.intake.asking` says."""
    LOAD = b"D"
    """Child to parent: gone, because it needs a package that is not loaded (`binsafe.intake.loading`)."""
    OPEN = b"U"
    """Child to parent, first of all: what it could not be confined by (a tuple of `Gap`), nothing if by nothing."""
    ENDED = b"E"
    """Child to parent: whom it left the parsing to has gone without an answer (`Ending`)."""
    REPORT = b"R"
    """Child to parent: done, and ready for the next order."""
    LAST = b"L"
    """Child to parent: done, and gone, because it has taken too much memory on the way."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is asked to do with the bytes whose descriptor comes with it."""

    artifact: Artifact
    syscalls: bool = True
    listings: bool = False
    root: str | None = None
    loaded: tuple[str, ...] = ()
    explain: str | None = None
    kept: bytes | None = None
    """What was worth keeping of these bytes the last time."""
    closure: bool = True
    """Whether the libraries of a dynamic program are looked up, which reads and hashes all of them."""
    only_syscalls: bool = False
    """Answer with `Calls`, not with a report."""
    skip: tuple[int, ...] = ()
    """Numbers of members of an archive that broke the parser before."""


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """The system calls alone; without them the reason why there are none."""

    calls: Syscalls | None = None
    problem: str = ""


class Ending(msgspec.Struct, frozen=True):
    """How a process ended that should have answered: its exit status, or minus the signal that ended it."""

    status: int | None
    reason: str = ""
    """Why it was ended, where we did that."""


class Frame(NamedTuple):
    """One message; ``descriptor`` is -1 where none came with it."""

    kind: Kind
    payload: bytes
    descriptor: int = -1


class Closed(Exception):
    """The other side has gone, in the middle of a frame or between two."""


class TooLarge(Exception):
    """A frame announced more bytes than are accepted."""


def send(connection: socket.socket, kind: Kind, payload: bytes, descriptor: int | None = None) -> None:
    """Send one frame.

    Raises:
        Closed: the other side has gone.
    """
    try:
        head = _HEAD.pack(kind.value, len(payload))
        if descriptor is None and len(payload) < _SMALL:
            connection.sendall(head + payload)
        elif descriptor is None:
            connection.sendall(head)
            connection.sendall(payload)
        else:
            socket.send_fds(connection, [head], [descriptor])
            connection.sendall(payload)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Closed from error


def receive(connection: socket.socket, most: int) -> Frame:
    """The next frame, with at most ``most`` bytes.

    Raises:
        Closed: the other side has gone.
        TooLarge: more bytes were announced.
        TimeoutError: the socket has a time limit, and it was reached.
    """
    try:
        first, descriptors, _, _ = socket.recv_fds(connection, _HEAD.size, 1)
        head = first + _exactly(connection, _HEAD.size - len(first)) if first else b""
        if not head:
            raise Closed
        kind, size = _HEAD.unpack(head)
        if size > most:
            raise TooLarge
        return Frame(Kind(kind), _exactly(connection, size), descriptors[0] if descriptors else -1)
    except ConnectionResetError as error:
        raise Closed from error


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 1 << 20))
        if not part:
            raise Closed
        received += part
    return bytes(received)


def too_late(seconds: int) -> str:
    """What is said of a parser that was given so much time. What it learnt of libraries is kept."""
    return f"the parser did not end within {seconds} s; where this machine was busy, asking again may help"
