"""What the command line asks for beside what the program was found to need."""

from collections.abc import Iterator

import msgspec

from binsafe.errors import UsageError
from binsafe.model import Grant
from binsafe.model.policy import GrantKind
from binsafe.policy.objects import TEMPORARY, ObjectError, check_object, check_value


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Grants by name. ``ports`` is None where none were named: then the baseline's own layout counts."""

    ports: tuple[int, ...] | None = None
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    execute: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    scratch: str | None = None
    """A folder of the user's for temporary files, in place of one that goes with the program."""
    packs: tuple[Grant, ...] = ()
    """What runtime packs add."""
    jit: bool = False
    """The program makes code while it runs, although neither its name nor its libraries say so (see `runtimes`)."""
    segments: bool = False
    """Its processes share System V segments: in a namespace of their own, as everything that is granted here."""

    def grants(self) -> Iterator[Grant]:
        """The grants of all fields but ``ports``, whose meaning depends on the baseline.

        Raises:
            UsageError: an object is not what its option takes.
        """
        for name, value in dict(self.environment).items():  # of several for one name the last, before what packs give
            yield named_grant("environment", name, value, reason=f"--env {name}", option="--env")
        yield from self.packs
        for name in self.connect:
            reason = f"--connect {name}: data can leave through it"
            yield named_grant("connect", name, "tcp", reason=reason, option="--connect")
        for path in self.read:
            yield named_grant("read", path, reason=f"--read {path}", option="--read")
        for path in self.write:
            yield named_grant("write", path, reason=f"--write {path}", option="--write")
        if self.scratch is not None:
            reason = "--scratch: a folder for temporary files, which stay"
            yield named_grant("write", self.scratch, reason=reason, option="--scratch")
            yield named_grant("environment", TEMPORARY, self.scratch, reason=reason, option="--scratch")
        for path in self.execute:
            yield named_grant("execute", path, reason=f"--exec {path}", option="--exec")


def named_grant(kind: GrantKind, name: str, access: str = "", *, reason: str, option: str) -> Grant:
    """A grant that an option asks for.

    Raises:
        UsageError: the object or value is not what the option takes.
    """
    try:
        return Grant(kind=kind, object=check_object(kind, name), access=check_value(kind, access), reason=reason)
    except ObjectError as problem:
        raise UsageError(f"{option}: {problem.message}", hint=problem.expected) from None
