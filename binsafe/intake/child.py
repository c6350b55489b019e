"""A confined child process for one piece of work on untrusted bytes (Linux).

It begins where we are, with what we have loaded and mapped, does its work and ends: whatever a crafted file makes of
it, it can lie about that file and about nothing else.
"""

import os
import socket
import sys
from collections.abc import Callable
from typing import Self, TypeVar

import msgspec

from binsafe.intake import bounds, loading
from binsafe.intake.forking import Forked
from binsafe.intake.messages import Closed, Ending, Frame, Kind, TooLarge, receive, send, too_late
from binsafe.limits import WORKER_SECONDS

Work = Callable[[socket.socket], bytes]
"""Answers, and may say and ask something on the way over the connection that it is given."""

CAN_CONFINE = sys.platform == "linux"
"""Elsewhere what is loaded does not outlive a fork: who takes the orders parses, and nothing confines it."""

Answer = TypeVar("Answer")

_STDERR = 2
"""The descriptor, where last words go; ``sys.stderr`` is still whatever our parent had made of it."""
_LAST_WORDS_SECONDS = 5


class Broken(Exception):
    """A child ended without an answer, or said what it may not say."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class ConfinedChild:
    """The child; a context manager that ends it."""

    def __init__(self, work: Work, *, folder: int | None = None) -> None:
        """Begin; it keeps ``folder``, a descriptor, and may read below it."""
        self.gaps: bytes | None = None
        """What it could not be confined by, if anything, as it says first, before it reads the file: `Kind.OPEN`."""
        from binsafe.intake.confining import prepare  # a program that is known needs no child

        prepare(is_folder=folder is not None)
        self._connection, theirs = socket.socketpair()
        with theirs:
            kept = (theirs.fileno(),) if folder is None else (theirs.fileno(), folder)
            self._child = Forked(lambda: _carry_out(work, theirs, folder), keep=kept, said=_STDERR)
        self._connection.settimeout(2 * WORKER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; also when it is busy."""
        self._child.kill()
        self._child.wait()
        self._connection.close()

    def say(self, kind: Kind, payload: bytes, descriptor: int | None = None) -> None:
        """Tell it something.

        Raises:
            Broken: it has gone, or does not listen.
        """
        try:
            send(self._connection, kind, payload, descriptor)
        except Closed:
            raise self._gone() from None
        except TimeoutError:
            raise _too_late() from None

    def hear(self, most: int) -> Frame:
        """What it says next, in ``most`` bytes.

        Raises:
            Broken: it has gone, says what it should not, or nothing for too long.
            Unloaded: it needs something that is not loaded yet.
        """
        if self.gaps is None:
            first = self._heard(most)
            if first.kind is not Kind.OPEN:
                raise nonsense()
            self.gaps = first.payload
        frame = self._heard(most)
        if frame.kind is Kind.OPEN:
            raise nonsense()
        if frame.kind is Kind.LOAD:
            name = frame.payload.decode("ascii", "replace")
            raise loading.Unloaded(name) if name in loading.LATE else nonsense()
        return frame

    def _heard(self, most: int) -> Frame:
        try:
            frame = receive(self._connection, most)
        except Closed:
            raise self._gone() from None
        except TooLarge:
            raise Broken(Ending(None, f"the report has more than {most:,} bytes")) from None
        except TimeoutError:
            raise _too_late() from None
        except ValueError:
            raise nonsense() from None
        if frame.descriptor >= 0:  # nobody asked for one
            os.close(frame.descriptor)
            raise nonsense()
        return frame

    def _gone(self) -> Broken:
        return Broken(Ending(self._child.wait(_LAST_WORDS_SECONDS)))


def _too_late() -> Broken:
    return Broken(Ending(None, too_late(2 * WORKER_SECONDS)))


def again(work: Callable[[], Answer]) -> Answer:
    """What ``work`` gives, which is done anew for each thing of `LATE` that it turns out to need.

    Raises:
        Broken: as ``work``, or it says that it needs what it has.
    """
    for _ in range(1 + len(loading.LATE)):
        try:
            return work()
        except loading.Unloaded as needed:
            loading.LATE[needed.package]()
    raise nonsense()


def nonsense() -> Broken:
    """The error for an answer that our own code would never give: the child has been taken over."""
    return Broken(Ending(None, "the parser answered with something that is no report"))


def _carry_out(work: Work, connection: socket.socket, folder: int | None) -> None:
    bounds.limit_time()
    bounds.limit_output()
    from binsafe.intake.confining import confine  # our parent has loaded it

    loading.ask_for_modules()
    gaps = confine(folder)
    send(connection, Kind.OPEN, msgspec.msgpack.encode(gaps) if gaps else b"")
    try:
        answer = work(connection)
    except loading.Unloaded as needed:
        send(connection, Kind.LOAD, needed.package.encode())
    else:
        send(connection, Kind.REPORT, answer)
