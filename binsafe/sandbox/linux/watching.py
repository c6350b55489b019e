"""What the supervisor needs to know of a policy."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from binsafe.model import Policy, Violation
from binsafe.sandbox.linux.connecting import Destinations
from binsafe.sandbox.linux.lookups import Lookups
from binsafe.syscalls import tables


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor needs to know of the policy.

    ``names`` are the processor's system calls by number, ``granted`` the calls that the policy knows, ``whole`` those
    that it grants whatever their arguments, ``ports`` those that may be bound, ``executables`` paths inside that may
    be executed later on, ``foreseen`` the calls that inspection had found.
    """

    names: Mapping[int, str]
    granted: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    destinations: Destinations = Destinations()
    executables: frozenset[str] = frozenset()
    foreseen: frozenset[str] = frozenset()
    lookups: Lookups | None = None
    resolves: bool = False
    """Whether it may well ask getaddrinfo(3): it was found to, or its C library has not been looked into."""
    on_violation: Callable[[Violation], None]


def watch_for(policy: Policy, arch: str, on_violation: Callable[[Violation], None], **how: Any) -> Watch:
    """All that the policy itself says; ``how`` it is held here are further fields of `Watch`."""
    calls = tuple(policy.of("syscall"))
    return Watch(
        names=tables.names(arch),
        granted=frozenset(grant.object for grant in calls),
        whole=frozenset(grant.object for grant in calls if not grant.when),
        ports=frozenset(policy.listen_ports()),
        foreseen=frozenset(word for denial in policy.denied for word in denial.capability.split()),
        resolves=_resolves(policy),
        on_violation=on_violation,
        **how,
    )


def _resolves(policy: Policy) -> bool:
    """As its own code says, or with libraries where nobody can tell."""
    return policy.artifact.interpreter is not None or any("resolve" in denial.capability for denial in policy.denied)
