"""The policy: a platform-neutral set of grants with their reasons, and what is denied although the program could."""

import re
from typing import Literal

import msgspec

from binsafe.model.facts import Evidence

POLICY_SCHEMA = "binsafe.policy/1"

GrantKind = Literal["listen", "connect", "read", "write", "execute", "syscall", "environment", "limit"]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A test on one argument of a system call, a 64-bit register: ``(args[argument] & mask) in values``."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF_FFFF_FFFF


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One permission, with its reason and its evidence.

    ====================  =========================  ==============================================
    kind                  object                     access
    ====================  =========================  ==============================================
    listen, connect       ``127.0.0.1:4000``         ``tcp``
    read, write, execute  absolute path, or          empty; a read of what is mapped as code:
                          ``artifact`` (the program  ``loader`` (the dynamic loader) or
                          itself) or ``scratch``     ``library``
    syscall               name                       the conditions as text, or empty
    environment, limit    name                       the value
    ====================  =========================  ==============================================

    Several ``syscall`` grants of one name are alternatives; the conditions of one grant must all hold.
    """

    kind: GrantKind
    object: str
    access: str = ""
    reason: str
    evidence: tuple[Evidence, ...] = ()
    when: tuple[Condition, ...] = ()


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """Something the program could do, by its own code, and may not."""

    capability: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that runs together with the program: the dynamic loader, a library, a program it may execute.

    ``opened_as`` is the path it is opened by, ``path`` the same with links resolved when it was inspected.
    """

    opened_as: str
    path: str
    sha256: str
    execute: bool = False


class PolicyArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy was made for: only these bytes run under it."""

    name: str
    sha256: str
    system: str
    arch: str
    interpreter: str | None = None
    """The dynamic loader as the program names it."""
    files: tuple[PolicyFile, ...] = ()
    """The loader, the libraries and what may be executed beside the program itself: only these bytes run with it."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``binsafe.policy/1``. What is not granted is denied."""

    schema: str = POLICY_SCHEMA
    artifact: PolicyArtifact
    baseline: str
    grants: tuple[Grant, ...]
    denied: tuple[Denial, ...] = ()

    def of(self, kind: GrantKind) -> tuple[Grant, ...]:
        """The grants of one kind, in order."""
        return tuple(g for g in self.grants if g.kind == kind)

    def listen_ports(self) -> tuple[int, ...]:
        """The TCP ports that may be bound, ascending."""
        return tuple(sorted({int(re.split(r":(?=\d+$)", g.object)[-1]) for g in self.of("listen")}))
