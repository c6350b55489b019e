"""A baseline: what a kind of program may have at most. Read from YAML by `binsafe.policy.parsing`."""

from typing import Literal

import msgspec

from binsafe.model import Grant

BASELINE_SCHEMA = "binsafe.baseline/1"


class PortLayout(msgspec.Struct, frozen=True, kw_only=True):
    """The ports that this kind of program listens on, as inclusive ranges in the order in which a count takes them."""

    ranges: tuple[tuple[int, int], ...]
    reason: str

    @property
    def ports(self) -> tuple[int, ...]:
        """All of them, in that order."""
        return tuple(port for first, last in self.ranges for port in range(first, last + 1))


Need = Literal["dynamic", "jit", "segments", "files", "write", "connect", "execute"]
"""What a group of calls may ask for: a program with libraries, one that was named as making code at run time or as
sharing System V segments among its processes, one that was given files of the user's (``--read``, ``--write``), may
write anywhere but to ``/dev/null``, connect somewhere, or execute another program."""


class CallGroup(msgspec.Struct, frozen=True, kw_only=True):
    """System calls that serve one purpose, each as a ready grant (several of one name are alternatives).

    ``assumed`` says that the calls are taken from here when the analysis of a program is not complete. A group is left
    out where what it ``needs`` is not given, or where none of the calls was found that it goes ``along_with`` (which an
    analysis that is not complete may have missed).
    """

    name: str
    reason: str
    assumed: bool
    grants: tuple[Grant, ...]
    needs: Need | None = None
    along_with: tuple[str, ...] = ()


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The cap that a policy is derived under.

    ``grants`` are those that need no finding in the program (files, environment, limits); system calls are granted only
    where they are found, or assumed because nothing better is known.
    """

    name: str
    description: str
    ports: PortLayout | None = None
    grants: tuple[Grant, ...] = ()
    calls: tuple[CallGroup, ...] = ()

    def allows_call(self, name: str) -> bool:
        """Whether the cap holds a system call, under whatever conditions."""
        return any(grant.object == name for group in self.calls for grant in group.grants)

    @property
    def may_listen(self) -> bool:
        """Whether this kind of program may listen at all, on ports that are named."""
        return self.allows_call("listen")
