"""A cache of what was found out about programs: their own summaries, and the answers that were given.

It is kept apart from what is known of libraries and under a program's own sha256 alone, by the process that has not
parsed it: whatever a hostile file makes of its parser, it can lie about itself and about nothing else.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from binsafe.formats.elf_needs import Needs
from binsafe.intake.cached_answers import CachedAnswer
from binsafe.intake.store import Store, cache_folder
from binsafe.syscalls import engine_version

if TYPE_CHECKING:
    from binsafe.syscalls import Summary

Watched = frozenset[tuple[str, str]]

_NOTHING = msgspec.msgpack.encode([])
_NOT_OURS = (msgspec.DecodeError, RecursionError)
"""What decoding ends with where a hostile file had something else kept of it."""


class _Cached(msgspec.Struct, frozen=True, array_like=True):
    needs: Needs | None
    answer: CachedAnswer | None
    summaries: msgspec.Raw
    """A list of (`Watched`, `Summary`), which are not decoded for who wants the answer alone."""


class CachedProgram:
    """What is cached of the inspected program itself: its needs, its summaries by what was watched, and an answer."""

    def __init__(self, kept: bytes | None = None) -> None:
        """``kept`` is what `payload` gave before, if anything."""
        self.is_new = False
        """Whether there is something that was not kept."""
        self.needs: Needs | None = None
        """None of a program that loads nothing, or of which nothing is known yet."""
        self.answer: CachedAnswer | None = None
        self._known: dict[Watched, Summary] | None = None
        self._encoded = b""
        """The summaries as they were kept."""
        if kept is not None:
            try:
                found = msgspec.msgpack.decode(kept, type=_Cached)
            except _NOT_OURS:
                return
            self.needs, self.answer, self._encoded = found.needs, found.answer, bytes(found.summaries)

    def of(self, watched: Watched, make: "Callable[[], Summary]") -> "Summary":
        """The summary for these watched arguments."""
        summaries = self._summaries()
        if watched not in summaries:
            summaries[watched] = make()
            self.is_new = True
        return summaries[watched]

    def keep_answer(self, answer: CachedAnswer | None) -> None:
        """Keep the answer to the whole question, if it is worth keeping."""
        if answer is not None:
            self.answer = answer
            self.is_new = True

    def payload(self, most: int) -> bytes:
        """All of that in a form that can be kept; nothing where there is nothing new, or more than ``most`` bytes."""
        known = self._known or {}
        least = sum(len(each.starts) + len(each.targets) + len(each.exports.names) for each in known.values())
        if not self.is_new or least > most:
            return b""
        encoded = self._encoded if self._known is None else msgspec.msgpack.encode([*known.items()])
        return msgspec.msgpack.encode(_Cached(self.needs, self.answer, msgspec.Raw(encoded or _NOTHING)))

    def _summaries(self) -> "dict[Watched, Summary]":
        if self._known is None:
            self._known = {}
            if self._encoded:
                from binsafe.syscalls import Summary

                with contextlib.suppress(*_NOT_OURS):
                    self._known.update(msgspec.msgpack.decode(self._encoded, type=list[tuple[Watched, Summary]]))
        return self._known


def programs() -> Store:
    """Where what `CachedProgram` gives is kept, by the sha256 of the program."""
    return Store(cache_folder() / "programs" / engine_version())
