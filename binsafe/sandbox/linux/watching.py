"""What the supervisor needs to know of a policy."""

import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from binsafe.model import Condition, Policy, Violation
from binsafe.paths import is_inside
from binsafe.sandbox.linux.destinations import Destinations
from binsafe.sandbox.linux.elsewhere import SEARCHED, is_file, leaves, may_exist
from binsafe.sandbox.linux.layout import SYSTEM
from binsafe.sandbox.linux.lookups import Lookups
from binsafe.sandbox.linux.offering import OWN_ROOT, Miss
from binsafe.sandbox.linux.planning import foreseen, limits_of
from binsafe.syscalls import tables

if TYPE_CHECKING:
    from binsafe.sandbox.pseudoterminal import PseudoTerminal

_MAX_LINKS: Final = 40
"""What the kernel follows, too (path_resolution(7))."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor needs to know of the policy.

    ``names`` are the processor's system calls by number, ``granted`` the calls that the policy knows with the tests of
    their arguments (alternatives, of which one must hold), ``ports`` those that may be bound, ``executables`` paths
    inside that may be executed later on, ``foreseen`` the calls that inspection had found.
    """

    names: Mapping[int, str]
    granted: Mapping[str, tuple[tuple[Condition, ...], ...]] = {}
    ports: frozenset[int] = frozenset()
    destinations: Destinations = Destinations()
    executables: frozenset[str] = frozenset()
    shown: tuple[str, ...] = ()
    """Files and folders of the host that lie inside by the same path."""
    outside: Mapping[str, str] = {}
    """Paths by which the program finds itself inside, and what a user would call it."""
    called: str = ""
    """What it is told that its own file is called, where that has no name."""
    foreseen: frozenset[str] = frozenset()
    lookups: Lookups | None = None
    names_root: bool = False
    """Whether its user told it / by name, which then is not what it makes of the folder that its user is in."""
    stood_in: tuple[str, ...] = ()
    """Files that its user told it by name, and in whose place it finds others."""
    limits: Mapping[str, int] = {}
    """The limits that it cannot raise, by the names of ``RLIMIT_*``."""
    alone: bool = False
    """Whether there is no pid namespace, so that the kernel knows every process of the host by its number."""
    begun: bool = False
    """Whether all calls are the program's, none the launcher's on its way to execve: the doctor's takes no execve."""
    resolves: bool = False
    """Whether it may well ask getaddrinfo(3): it was found to, or its C library has not been looked into."""
    terminal: "PseudoTerminal | None" = None
    """The program's own, where it has one."""
    on_violation: Callable[[Violation], None]

    def allows(self, name: str, arguments: Sequence[int]) -> bool:
        """What the filter would decide of a call that comes by although it is granted.

        Registers alone are tested, which cannot change any more.
        """
        return any(
            all(arguments[test.argument] & test.mask in test.values for test in tests)
            for tests in self.granted.get(name, ())
        )

    def follow(self, path: str) -> str:
        """Where a path leads by links in folders that are ``shown``, as that of a virtual environment to its Python.

        Others are not looked at, so that an answer says nothing of them.
        """
        for _ in range(_MAX_LINKS):
            if not is_inside(path, *self.shown) or leaves(path) or not os.path.islink(path):
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), os.readlink(path)))
        return path

    def sought(self, path: str) -> str | None:
        """The host's program that a refused path stands for; None if none does: such a refusal is expected.

        A search along PATH ends at the first refusal, which need not be in the folder that holds the program.
        """
        folder, name = posixpath.split(path)
        places = [f"{place}/{name}" for place in SEARCHED] if folder in SEARCHED else []
        found = next(filter(may_exist, (path, *places)), None)
        if found is None and folder not in SEARCHED and self._may_be_made(path):
            return path
        return found

    def named(self, path: str) -> str | None:
        """What lets it start a program that its user named from the folder that they are in, where it begins in /."""
        meant = self.lookups.working_folder.meant(path) if self.lookups is not None else ""
        if not meant or not _is_program(meant):
            return None
        return f"--read {posixpath.dirname(meant)}" if meant in self.executables else f"--exec {meant}"

    def wanted(self, missed: Miss, *, opened: bool) -> str:
        """The grant for a file that was missed: who starts others asks what there is before it executes that.

        A shell on its PATH, gcc and git where they were installed with their helpers.
        """
        if missed.path == "/" and self.names_root:
            return OWN_ROOT
        starts_others = self.executables or "execve" in self.foreseen
        if opened or missed.writes or not starts_others or not missed.path.startswith(SYSTEM):
            return missed.grant
        return f"--exec {missed.path}" if _is_program(missed.path) else missed.grant

    def _may_be_made(self, path: str) -> bool:
        """Whether something could be there for the program alone: in a folder for temporary files."""
        shown = is_inside(path, *self.shown)
        return not shown and (self.lookups is None or self.lookups.given.could_write(path))


def _is_program(path: str) -> bool:
    """Whether it is a file that may be executed, and no library (many have that permission, too)."""
    return is_file(path) and os.access(path, os.X_OK) and ".so" not in posixpath.basename(path)


def watch_for(policy: Policy, arch: str, on_violation: Callable[[Violation], None], **how: Any) -> Watch:
    """All that the policy itself says; ``how`` it is held here are further fields of `Watch`."""
    granted: dict[str, tuple[tuple[Condition, ...], ...]] = {}
    for grant in policy.of("syscall"):
        granted[grant.object] = (*granted.get(grant.object, ()), grant.when)
    return Watch(
        names=tables.names(arch),
        granted=granted,
        ports=frozenset(policy.listen_ports()),
        limits=dict(limits_of(policy)),
        foreseen=foreseen(policy),
        resolves=_resolves(policy),
        on_violation=on_violation,
        **how,
    )


def _resolves(policy: Policy) -> bool:
    """Whether the program resolves names: by its own code, or with libraries, where that cannot be told."""
    return policy.artifact.interpreter is not None or any("resolve" in denial.capability for denial in policy.denied)
