"""A policy that allows calls in some of their forms only; the others go to the supervisor."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from binsafe.model import Condition, Grant, Policy

Tests = tuple[Condition, ...]

OWN_PROCESS: Final = 0x5E1F_5E1F
"""Stands for the program's own process id, which is known only when it is there: above any that Linux gives (2^22)."""

_F_SETFL, _O_ASYNC = 4, 0o20000
_FCNTL_COMMANDS: Final = (0, 1, 2, 3, 5, 6, 7, 36, 37, 38, 1027, 1030, 1031, 1032)
"""F_DUPFD to F_GETFL, locks, F_DUPFD_QUERY, F_DUPFD_CLOEXEC, pipe sizes (linux/fcntl.h): none that sends signals."""

FCNTL: Final[tuple[Tests, ...]] = (
    (Condition(argument=1, values=_FCNTL_COMMANDS),),
    (Condition(argument=1, values=(_F_SETFL,)), Condition(argument=2, mask=_O_ASYNC, values=(0,))),
)
"""What of fcntl(2) sends no signals."""


def narrow(policy: Policy, forms: Mapping[str, tuple[Tests, ...]]) -> Policy:
    """The policy with one of a call's ``forms`` (alternatives) asked for on top of what its grants ask themselves."""
    return msgspec.structs.replace(
        policy, grants=tuple(kept for grant in policy.grants for kept in _narrowed(grant, forms))
    )


def _narrowed(grant: Grant, forms: Mapping[str, tuple[Tests, ...]]) -> Iterator[Grant]:
    for tests in forms.get(grant.object, ((),)) if grant.kind == "syscall" else ((),):
        if _can_hold(when := (*grant.when, *tests)):
            yield msgspec.structs.replace(grant, when=when)


def _can_hold(when: Tests) -> bool:
    """Whether no two tests contradict each other, as far as equal masks tell."""
    seen: dict[tuple[int, int], set[int]] = {}
    for test in when:
        left = seen.setdefault((test.argument, test.mask), set(test.values))
        left &= set(test.values)
        if not left:
            return False
    return True
