"""Finding out about libraries by confined children, so that a crafted one can lie about itself and about nothing else.

A child for each would cost as much again as the work: what it has warmed up is lost with it. So the system's own
libraries (`owners`) share one.
"""

import gc
import mmap
import os
import socket
from typing import Self

import msgspec

from binsafe.intake import loading
from binsafe.intake.cached_programs import Watched
from binsafe.intake.child import Broken, ConfinedChild, again, nonsense
from binsafe.intake.messages import Closed, Kind, receive, send
from binsafe.intake.owners import is_systems_own
from binsafe.intake.summaries import Copy, summarised
from binsafe.limits import MAX_SUMMARY_BYTES
from binsafe.model import ResolvedLibrary

_LARGE = 16 * 1024**2
"""Bytes of a library whose analysis leaves so much behind that it is worth looking for what holds itself."""


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """A question about the bytes whose descriptor comes with it."""

    size: int
    watched: Watched


class Summariser:
    """Makes summaries (`binsafe.intake.summaries.Make`); a context manager that ends its children."""

    def __init__(self, *, in_system: bool = True) -> None:
        """Without ``in_system`` the libraries are those of another tree, whose origin is not known."""
        self._in_system = in_system
        self._shared: ConfinedChild | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child that is shared."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def __call__(self, library: ResolvedLibrary, copy: Copy, watched: Watched) -> bytes:
        """The summary; nothing where its parser breaks, as of one that is no library."""
        try:
            return again(lambda: self._ask(library, copy, watched))
        except Broken:
            return b""

    def _ask(self, library: ResolvedLibrary, copy: Copy, watched: Watched) -> bytes:
        is_shared = self._in_system and library.path is not None and is_systems_own(library.path)
        child = (self._shared if is_shared else None) or _begin()
        if is_shared:
            self._shared = None  # only one that answers well is asked again
        try:
            child.say(Kind.ASK, msgspec.msgpack.encode(_Question(copy.size, watched)), copy.descriptor)
            frame = child.hear(MAX_SUMMARY_BYTES)
            if frame.kind is not Kind.ANSWER:
                raise nonsense()
        except BaseException:
            child.close()
            raise
        if is_shared:
            self._shared = child
        else:
            child.close()
        return frame.payload


def _begin() -> ConfinedChild:
    loading.load_for_library()  # not there yet where what was kept of the program was enough
    return ConfinedChild(_answer_all)


def _answer_all(connection: socket.socket) -> bytes:
    """Answers until there are no more questions."""
    while True:
        try:
            frame = receive(connection, MAX_SUMMARY_BYTES)
        except Closed:
            return b""
        question = msgspec.msgpack.decode(frame.payload, type=_Question)
        data = mmap.mmap(frame.descriptor, question.size, access=mmap.ACCESS_READ)
        os.close(frame.descriptor)
        send(connection, Kind.ANSWER, summarised(memoryview(data), question.watched))
        del data
        if question.size > _LARGE:
            gc.collect()
