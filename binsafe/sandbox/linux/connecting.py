"""Granted connections: the supervisor makes exactly those, outside, and puts them in place of the program's socket.

Everything else stays unreachable, because the program's own sockets live in an empty namespace.
"""

import contextlib
import errno
import threading
from typing import Final

from binsafe.sandbox.linux.destinations import Destinations
from binsafe.sandbox.linux.notifications import Call, Gone, Listener
from binsafe.sandbox.linux.sockets import Address, Original, Refused, original, read_address

CONNECT_SECONDS: Final = 130.0
"""As long as Linux itself tries (tcp_syn_retries 6)."""

MAX_CONNECTING: Final = 32
"""Blocking connections that are under way at once."""

_SYN_SENT, _CLOSE = 2, 7
"""net/tcp_states.h"""


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
