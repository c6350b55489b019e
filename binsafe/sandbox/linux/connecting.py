"""Granted connections: the supervisor makes exactly those, outside, and puts them in place of the program's socket.

Everything else stays unreachable, because the program's own sockets live in an empty namespace.
"""

import contextlib
import errno
import os
import select
import socket
import threading
from typing import Final

from binsafe.sandbox.linux.describing import to_connect
from binsafe.sandbox.linux.destinations import Destinations
from binsafe.sandbox.linux.neighbours import is_interrupted
from binsafe.sandbox.linux.notifications import Call, Gone, Listener
from binsafe.sandbox.linux.sockets import Address, Original, Refused, original, read_address

MAX_CONNECTING: Final = 32
"""Blocking connections that are under way at once."""

MAX_INTERRUPTED: Final = 1_000
"""Sockets that are remembered because a signal came while their connection was waited for."""

_TICK: Final = 100
"""Milliseconds after which a waiting caller is looked at again: has a signal come, or has it gone?"""

_SYN_SENT, _CLOSE = 2, 7
"""net/tcp_states.h"""

_RESTART: Final = 512
"""ERESTARTSYS of linux/errno.h: with a signal pending the kernel makes EINTR of it, or the call once more, as the
signal's handler wants it (SA_RESTART)."""


class Connector:
    """Answers connect() calls."""

    def __init__(self, listener: Listener, destinations: Destinations) -> None:
        self._listener = listener
        self._destinations = destinations
        self._room = threading.BoundedSemaphore(MAX_CONNECTING)
        self._interrupted: set[int] = set()
        """Inodes of sockets whose connection goes on, and is waited for again by the next call."""

    def answer(self, call: Call) -> None:
        """Connect and answer, now or from a worker; raises :class:`Refused` or OSError where the caller must answer."""
        address = read_address(self._listener, call)
        if (address.plain_host, address.port) not in self._destinations.addresses:
            raise Refused(errno.EPERM, str(address), grant=to_connect(address))
        with contextlib.ExitStack() as keep:
            own = keep.enter_context(original(self._listener, call))
            if own.is_blocking:
                if not self._room.acquire(blocking=False):
                    raise OSError(errno.EAGAIN, "too many connections under way")
                keep.callback(self._room.release)
            if own.inode in self._interrupted:
                self._interrupted.discard(own.inode)
                self._wait(call, own.socket, keep)
                return
            if own.state != _CLOSE:  # one that we connected before: a socket of the empty namespace never gets so far
                raise OSError(errno.EALREADY if own.state == _SYN_SENT else errno.EISCONN, "")
            if own.is_bound or own.socket.family != address.family:
                raise Refused(errno.EINVAL, str(address))
            self._begin(call, own, address, keep)

    def _begin(self, call: Call, own: Original, address: Address, keep: contextlib.ExitStack) -> None:
        """Start a connection, which is the program's from here on: to wait for, or to have it waited for here."""
        replacement = keep.enter_context(own.make_replacement())
        replacement.setblocking(False)  # else Python itself would wait for the connection
        result = replacement.connect_ex((address.host, address.port))
        if waits := own.is_blocking:
            replacement.setblocking(True)
        if result in (0, errno.EINPROGRESS):
            own.install(self._listener, call, replacement)
        if result == errno.EINPROGRESS and waits:
            self._wait(call, replacement, keep)
        else:
            self._listener.finish(call, result)

    def _wait(self, call: Call, connection: socket.socket, keep: contextlib.ExitStack) -> None:
        """Wait and answer in a worker thread, which then releases the descriptors."""
        kept = keep.pop_all()
        try:
            threading.Thread(target=self._finish, args=(call, connection, kept), daemon=True).start()
        except RuntimeError:
            kept.close()
            raise

    def _finish(self, call: Call, connection: socket.socket, kept: contextlib.ExitStack) -> None:
        with kept, contextlib.suppress(Gone):
            try:
                result = self._outcome(call, connection)
            except OSError as error:
                result = error.errno or errno.EIO
            self._listener.finish(call, result)

    def _outcome(self, call: Call, connection: socket.socket) -> int:
        """What the connection came to, by the kernel's own patience; or that a signal waits."""
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        while not poll.poll(_TICK):
            self._listener.check(call)
            if is_interrupted(call.pid) and len(self._interrupted) < MAX_INTERRUPTED:
                self._interrupted.add(os.fstat(connection.fileno()).st_ino)
                return _RESTART
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
