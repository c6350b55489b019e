"""Answers that were given before, and whether they still hold: what was asked about libraries has the same answers.

What calls a program makes is found out from its bytes, from those of its libraries, and from what else is asked of the
system. All of that is asked again, which is quick, and nothing is put together anew where nothing has changed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from binsafe.limits import MAX_LIBRARIES
from binsafe.model import ResolvedLibrary
from binsafe.syscalls.linking.folders import Folder

if TYPE_CHECKING:
    from binsafe.syscalls import Libraries, Member, Summary

_MAX_QUESTIONS = 4 * MAX_LIBRARIES
"""That are asked again: who parsed a hostile program says which."""


class CachedAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer to an order, and what it depends on beside the program's bytes."""

    payload: bytes
    added: tuple[tuple[str, str], ...] = ()
    """What was loaded by name, and for whom, in order."""
    resolved: tuple[ResolvedLibrary, ...] = ()
    services: tuple[str, ...] | None = None
    """The name services; None where nobody asked."""
    there: dict[str, bool] = {}
    modules: dict[tuple[str, ...], tuple[Folder, ...]] = {}
    """Named folders, and those in which there were modules."""

    def holds(self, libraries: "Libraries") -> bool:
        """Whether the libraries of today, as the program itself needs them, lead to the same answer."""
        if len(self.added) + len(self.there) > _MAX_QUESTIONS:
            return False
        for name, needed_by in self.added:
            libraries.add(name, needed_by)
        return (
            libraries.resolved == self.resolved
            and (self.services is None or tuple(libraries.name_services()) == self.services)
            and all(tuple(libraries.modules(named)) == found for named, found in self.modules.items())
            and all(libraries.exists(path) is there for path, there in self.there.items())
        )


class RecordingLibraries:
    """`Libraries` of which it is noted what was asked; see `binsafe.syscalls.linking.provider`."""

    def __init__(self, libraries: "Libraries") -> None:
        self._libraries = libraries
        self._added: list[tuple[str, str]] = []
        self._services: tuple[str, ...] | None = None
        self._there: dict[str, bool] = {}
        self._modules: dict[tuple[str, ...], tuple[Folder, ...]] = {}
        self._broken = False

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """What the report says of them."""
        return self._libraries.resolved

    def members(self, watched: frozenset[tuple[str, str]] = frozenset()) -> "Sequence[Member]":
        """All of them so far."""
        members = self._libraries.members(watched)
        self._broken |= any(each.summary is None and each.library.path is not None for each in members)
        return members

    def program(self, watched: frozenset[tuple[str, str]], make: "Callable[[], Summary]") -> "Summary":
        """The summary of the program itself."""
        return self._libraries.program(watched, make)

    def add(self, name: str, needed_by: str) -> None:
        """Load another one."""
        self._added.append((name, needed_by))
        self._libraries.add(name, needed_by)

    def modules(self, named: "Sequence[str]") -> tuple[Folder, ...]:
        """Folders with modules."""
        found = tuple(self._libraries.modules(named))
        self._modules[tuple(named)] = found
        return found

    def name_services(self) -> tuple[str, ...]:
        """Services that are configured."""
        self._services = tuple(self._libraries.name_services())
        return self._services

    def exists(self, path: str) -> bool:
        """Whether anything is at a path."""
        self._there[path] = self._libraries.exists(path)
        return self._there[path]

    def answer(self, payload: bytes) -> CachedAnswer | None:
        """What was asked, with the answer that it led to; None where a library's parser broke, as it may not again."""
        if self._broken:
            return None
        return CachedAnswer(payload, tuple(self._added), self.resolved, self._services, self._there, self._modules)
