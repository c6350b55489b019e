"""What the analysis asks of the outside world: the libraries that a program is linked with."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from binsafe.model import ResolvedLibrary
from binsafe.syscalls.linking.folders import Folder
from binsafe.syscalls.linking.summary import Summary


class Member(NamedTuple):
    """One library and its summary; None where it is not there or could not be read."""

    library: ResolvedLibrary
    summary: Summary | None


class Libraries(Protocol):
    """The library closure of one program; see `binsafe.intake.libraries`."""

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """What the report says of them: the loader first, then in load order."""
        ...

    def members(self, watched: frozenset[tuple[str, str]] = frozenset()) -> Sequence[Member]:
        """All of them so far, in the same order, with their summaries; see `binsafe.syscalls.summarise_library`."""
        ...

    def program(self, watched: frozenset[tuple[str, str]], make: Callable[[], Summary]) -> Summary:
        """The summary of the program itself: one that was kept, or what ``make`` gives."""
        ...

    def add(self, name: str, needed_by: str) -> None:
        """Load another one, and what it needs, as ``dlopen`` would; it is a member then, found or not."""
        ...

    def modules(self, named: Sequence[str]) -> Sequence[Folder]:
        """Folders in which the program may have modules, of those ``named`` in its files and of its own."""
        ...

    def name_services(self) -> Sequence[str]:
        """What ``/etc/nsswitch.conf`` names: the C library loads ``libnss_NAME.so.2`` for each."""
        ...

    def exists(self, path: str) -> bool:
        """Whether anything is at an absolute path of the system that the program runs on."""
        ...
