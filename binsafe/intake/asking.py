"""What the process that parses a program asks of the one that reads libraries, and the answers as `Libraries`.

The first has parsed untrusted bytes. The second has not, and writes the cache of summaries that all programs share. So
nothing of the program reaches it but what these questions hold: names, and what is watched.
"""

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from binsafe.formats.elf_needs import Needs
from binsafe.intake.cached_programs import CachedProgram, Watched
from binsafe.intake.messages import Closed, Kind, receive, send
from binsafe.intake.summaries import Known
from binsafe.limits import MAX_SUMMARY_BYTES
from binsafe.model import ResolvedLibrary
from binsafe.syscalls.linking.folders import Folder

if TYPE_CHECKING:
    from binsafe.syscalls import Member, Summary


class Link(msgspec.Struct, frozen=True, tag=True):
    """Find what a program with these needs is linked with. Answer: all libraries, `ResolvedLibrary`."""

    needs: Needs


class Add(msgspec.Struct, frozen=True, tag=True):
    """Load one more by name. Answer: all libraries."""

    name: str
    needed_by: str


class Summarise(msgspec.Struct, frozen=True, tag=True):
    """The summary of the library with this number. Answer: its bytes, none where there is no summary."""

    at: int
    watched: Watched
    anew: bool
    """Whether one that was kept is no good."""


class Services(msgspec.Struct, frozen=True, tag=True):
    """The name services. Answer: their names."""


class Modules(msgspec.Struct, frozen=True, tag=True):
    """Where are modules of the program? Answer: folders, `Folder`."""

    named: tuple[str, ...]
    """Folders named in its files."""


class Exists(msgspec.Struct, frozen=True, tag=True):
    """Is anything at this path? Answer: a truth value."""

    path: str


Question = Link | Add | Summarise | Services | Modules | Exists


class AskedLibraries:
    """The library closure of one program, of which another process knows; see `binsafe.syscalls.linking.provider`."""

    def __init__(self, connection: socket.socket, program: Needs, own: CachedProgram) -> None:
        self._connection = connection
        self._own = own
        self._known = Known(self._summary)
        self._resolved = self._all(Link(program))
        self._added: set[str] = set()
        self._there: dict[str, bool] = {}

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """What the report says of them."""
        return self._resolved

    def members(self, watched: Watched = frozenset()) -> "tuple[Member, ...]":
        """All libraries so far with their summaries, which are asked for once."""
        from binsafe.syscalls import Member

        return tuple(Member(each, self._known.of(at, watched)) for at, each in enumerate(self._resolved))

    def program(self, watched: Watched, make: "Callable[[], Summary]") -> "Summary":
        """The summary of the program itself: one that was kept, or what ``make`` gives."""
        return self._own.of(watched, make)

    def add(self, name: str, needed_by: str) -> None:
        """Load another one by name, as dlopen(3) called by the program would."""
        if name not in self._added:
            self._added.add(name)
            self._resolved = self._all(Add(name, needed_by))

    def modules(self, named: Sequence[str]) -> tuple[Folder, ...]:
        """Folders in which the program may have modules."""
        return msgspec.msgpack.decode(self._ask(Modules(tuple(named))), type=tuple[Folder, ...])

    def name_services(self) -> tuple[str, ...]:
        """Services that are configured."""
        return msgspec.msgpack.decode(self._ask(Services()), type=tuple[str, ...])

    def exists(self, path: str) -> bool:
        """Whether anything is at an absolute path of the tree that is looked into."""
        if path not in self._there:
            self._there[path] = msgspec.msgpack.decode(self._ask(Exists(path)), type=bool)
        return self._there[path]

    def _all(self, question: Link | Add) -> tuple[ResolvedLibrary, ...]:
        return msgspec.msgpack.decode(self._ask(question), type=tuple[ResolvedLibrary, ...])

    def _summary(self, at: int, watched: Watched, anew: bool) -> bytes:
        return self._ask(Summarise(at, watched, anew))

    def _ask(self, question: Question) -> bytes:
        send(self._connection, Kind.ASK, msgspec.msgpack.encode(question))
        frame = receive(self._connection, MAX_SUMMARY_BYTES)
        if frame.kind is not Kind.ANSWER:
            raise Closed
        return frame.payload


def asked(payload: bytes) -> Any:
    """A question, decoded by the process that answers it.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.msgpack.decode(payload, type=Question)
