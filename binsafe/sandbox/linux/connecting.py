"""Granted connections: the supervisor makes exactly those, outside, and puts them in place of the program's socket.

Names are resolved once, before the program starts, and pinned: the program finds them in its hosts file and cannot ask
anybody for others. Everything else stays unreachable, because the program's own sockets live in an empty namespace.
"""

import contextlib
import errno
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from binsafe.errors import NotEnforceable
from binsafe.model import Grant
from binsafe.sandbox.linux.notifications import Call, Gone, Listener
from binsafe.sandbox.linux.sockets import Address, Original, Refused, original, read_address

CONNECT_SECONDS: Final = 130.0
"""As long as Linux itself tries (tcp_syn_retries 6)."""

MAX_CONNECTING: Final = 32
"""Blocking connections that are under way at once."""

_SYN_SENT, _CLOSE = 2, 7
"""net/tcp_states.h"""


class Destinations(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses that may be connected to, and the names they were found under."""

    addresses: frozenset[tuple[str, int]] = frozenset()
    names: Mapping[str, tuple[str, ...]] = {}

    @property
    def hosts(self) -> str:
        """Lines for the program's /etc/hosts."""
        return "".join(f"{address} {name}\n" for name, found in self.names.items() for address in found)


def pin(grants: Iterable[Grant]) -> Destinations:
    """Resolve what is granted, now and once.

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


class Connector:
    """Answers connect() calls."""

    def __init__(self, listener: Listener, destinations: Destinations) -> None:
        self._listener = listener
        self._destinations = destinations
        self._room = threading.BoundedSemaphore(MAX_CONNECTING)

    def answer(self, call: Call) -> None:
        """Connect and answer, now or from a worker; raises :class:`Refused` or OSError where the caller must answer."""
        address = read_address(self._listener, call)
        if (address.plain_host, address.port) not in self._destinations.addresses:
            raise Refused(errno.EPERM, str(address), grant=f"--connect {address}")
        with contextlib.ExitStack() as keep:
            own = keep.enter_context(original(self._listener, call))
            if own.state != _CLOSE:  # one that we connected before: a socket of the empty namespace never gets so far
                raise OSError(errno.EALREADY if own.state == _SYN_SENT else errno.EISCONN, "")
            if own.is_bound or own.socket.family != address.family:
                raise Refused(errno.EINVAL, str(address))
            if not own.is_blocking:
                self._begin(call, own, address)
                return
            if not self._room.acquire(blocking=False):
                raise OSError(errno.EAGAIN, "too many connections under way")
            kept = keep.pop_all()
        threading.Thread(target=self._finish, args=(call, own, address, kept), daemon=True).start()

    def _begin(self, call: Call, own: Original, address: Address) -> None:
        """A connection that the program itself will wait for."""
        with own.make_replacement() as replacement:
            replacement.setblocking(False)  # else Python itself would wait for the connection
            result = replacement.connect_ex((address.host, address.port))
            if result in (0, errno.EINPROGRESS):
                own.install(self._listener, call, replacement)
            self._listener.finish(call, result)

    def _finish(self, call: Call, own: Original, address: Address, kept: contextlib.ExitStack) -> None:
        """A connection that is waited for here, in a worker."""
        try:
            with kept, own.make_replacement() as replacement, contextlib.suppress(Gone):
                replacement.settimeout(CONNECT_SECONDS)
                try:
                    result = replacement.connect_ex((address.host, address.port))
                except TimeoutError:
                    result = errno.ETIMEDOUT
                replacement.setblocking(True)  # as the program's own was
                if result in (errno.EAGAIN, errno.EINPROGRESS):
                    result = errno.ETIMEDOUT
                if result == 0:
                    own.install(self._listener, call, replacement)
                self._listener.finish(call, result)
        except OSError as error:
            with contextlib.suppress(Gone, OSError):
                self._listener.finish(call, error.errno or errno.EIO)
        finally:
            self._room.release()
