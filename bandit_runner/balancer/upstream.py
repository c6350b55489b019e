"""Asking one server for one id: connections that are kept alive, opened, used again and let go.

Each attempt sends its bytes at most once: a kept connection that is known to be dead is replaced before anything is
sent on it, but once a byte may have reached a server, whatever happens then is that attempt's outcome. (RFC 9110,
section 9.2.2: a POST is not to be repeated behind the client's back; here it would also cost the server's tokens.)
"""

import asyncio
from typing import Final

from bandit_runner.balancer.connection import Connection, Done, Endpoint, Reply
from bandit_runner.model import Outcome

NO_CONNECTION: Final = "no connection"
"""So a reply's reason begins where nobody was reached."""


class Pool:
    """Kept-alive connections to many endpoints. Those in use are bounded by the caller, the idle ones here."""

    def __init__(self, *, answer_bytes: int, max_idle: int, idle_seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.answer_bytes = answer_bytes
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._idle: dict[Connection, None] = {}  # the longest idle first
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    def ask(self, endpoint: Endpoint, id_: bytes, timeout: float, done: Done) -> None:
        """Send an id once; ``done`` is called once, within ``timeout`` seconds, unless the pool is closed."""
        now = self.loop.time()
        deadline, oldest = now + timeout, now - self._idle_seconds
        while endpoint.idle:
            connection = endpoint.idle.pop()
            del self._idle[connection]
            if connection.idle_since >= oldest and connection.ask(id_, deadline, done):
                return
            connection.drop()
        task = self.loop.create_task(self._open(endpoint, id_, deadline, done))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def release(self, connection: Connection) -> None:
        """Keep a connection whose answer was whole for later; where there is no room, the longest idle one makes it.

        It is wanted least: a strategy that turns to another server leaves many behind at the one before.
        """
        if len(self._idle) >= self._max_idle:
            oldest = next(iter(self._idle))
            self._forget_idle(oldest)
            oldest.drop()
        connection.idle_since = self.loop.time()
        connection.endpoint.idle.append(connection)
        self._idle[connection] = None

    def adopt(self, connection: Connection) -> None:
        """A connection is open."""
        self._connections.add(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is closed."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._forget_idle(connection)

    def _forget_idle(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.endpoint.idle.remove(connection)

    async def close(self) -> None:
        """Drop every connection; attempts that are still out are never answered."""
        opening = tuple(self._opening)
        for task in opening:
            task.cancel()
        for connection in tuple(self._connections):
            connection.abandon()
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn

    async def _open(self, endpoint: Endpoint, id_: bytes, deadline: float, done: Done) -> None:
        host, port = endpoint.address
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await self.loop.create_connection(lambda: Connection(self, endpoint), host, port)
        except TimeoutError:
            done(Reply(Outcome.TIMEOUT, reason=f"{NO_CONNECTION} in time"))
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that no DNS name can be
            refused = isinstance(error, ConnectionRefusedError)
            done(Reply(Outcome.ERROR, reason=f"{NO_CONNECTION}: {type(error).__name__}", refused=refused))
        else:
            if not connection.ask(id_, deadline, done):
                done(Reply(Outcome.ERROR, reason="closed before the request was sent"))
