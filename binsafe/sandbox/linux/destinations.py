"""The destinations that connections are granted to.

Names are resolved once, before the program starts, and pinned: the program finds them in its hosts file and cannot ask
any resolver for others.
"""

import socket
from collections.abc import Iterable, Mapping

import msgspec

from binsafe.errors import NotEnforceable
from binsafe.model import Grant


class Destinations(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses that may be connected to, and the names they were found under."""

    addresses: frozenset[tuple[str, int]] = frozenset()
    names: Mapping[str, tuple[str, ...]] = {}

    @property
    def hosts(self) -> str:
        """Lines for the program's /etc/hosts."""
        return "".join(f"{address} {name}\n" for name, found in self.names.items() for address in found)


def pin(grants: Iterable[Grant]) -> Destinations:
    """Resolve the granted destinations, once, now.

    Raises:
        NotEnforceable: a name has no address.
    """
    addresses: set[tuple[str, int]] = set()
    names: dict[str, tuple[str, ...]] = {}
    for grant in grants:
        host, _, port = grant.object.rpartition(":")
        host = host.strip("[]")
        try:
            found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotEnforceable(
                f"{grant.object} is granted, and {host} has no address: {error.strerror or error}",
                hint="check the name, or grant an address",
            ) from error
        numbers = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        addresses.update((number, int(port)) for number in numbers)
        if host not in numbers:
            names[host] = numbers
    return Destinations(addresses=frozenset(addresses), names=names)
