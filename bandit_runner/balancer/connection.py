"""One connection to one server: an id is sent, and the answer is read as hostile input.

Nothing of an answer leaves this module but its status, whether it was whole, and the seconds of its `Retry-After`.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import msgspec

from bandit_runner.balancer._httptools import VERSIONS, httptools
from bandit_runner.balancer.config import Address, host_port
from bandit_runner.balancer.messages import ID_LENGTH
from bandit_runner.balancer.repeats import Repeats
from bandit_runner.balancer.retry_after import retry_after_seconds
from bandit_runner.balancer.watchdog import Watchdog
from bandit_runner.model import Outcome

if TYPE_CHECKING:
    from bandit_runner.balancer.upstream import Pool

OK_STATUS: Final = range(200, 300)
INTERIM_STATUS: Final = range(100, 200)
TOO_MANY_REQUESTS: Final = 429
MAX_DIGITS: Final = 4
BODILESS: Final = frozenset({204, 304})


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What came of one attempt. ``status`` is None where no whole answer came; ``reason`` then says why."""

    outcome: Outcome
    status: int | None = None
    retry_after: float | None = None
    reason: str = ""
    refused: bool = False
    """Nobody listens there: the server is down, rather than in a bad mood."""
    attempts: int | None = None
    """What an ``X-Attempts`` says: the harness asks balancers, and these tell how often they tried."""


Done = Callable[[Reply], None]


class _Faulty(Exception):
    """Only an exception stops the parser from inside."""


class Endpoint:
    """One server, and our idle connections to it, the latest used last."""

    __slots__ = ("address", "head", "idle", "name")

    def __init__(self, address: Address, path: str = "/") -> None:
        self.address = address
        self.name = host_port(address)
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.name}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {ID_LENGTH}\r\n\r\n"
        ).encode("ascii")
        self.idle: list[Connection] = []


class Connection(asyncio.Protocol):
    """One connection to one server: one attempt at a time, dropped at the first thing that is not as it should be."""

    # what has come of the answer that is awaited
    _status: int
    _retry_after: bytes | None
    _date: bytes | None
    _attempts: bytes
    _coded: bool
    _framed: bool
    _length: int | None
    _until_eof: bool
    _complete: bool
    _surplus: bool
    _keep: bool

    def __init__(self, pool: "Pool", endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.idle_since = 0.0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._repeats: Repeats[Reply] = Repeats()
        self._watchdog = Watchdog(pool.loop, self._expired)
        self._done: Done | None = None
        self._reset()

    def ask(self, id_: bytes, deadline: float, done: Done) -> bool:
        """Send one id; ``deadline`` is on the loop's clock. False where nothing can be sent any more, nor was."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._done = done
        self._received = 0
        self._watchdog.set(deadline)
        transport.write(self.endpoint.head + id_)
        return True

    def drop(self) -> None:
        """Close at once; an attempt that is still out is an error."""
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Close at once; an attempt that is still out is forgotten."""
        self._done = None
        self._watchdog.cancel()
        self.drop()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Belong to the pool from here on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._pool.adopt(self)

    def data_received(self, data: bytes) -> None:
        """Read on; the attempt ends with the answer's last byte, or with the first that is wrong."""
        if self._done is None:  # it speaks without having been asked: the next answer could be a forged one
            self.drop()
            return
        first = not self._received
        if first and (known := self._repeats.recall(data)) is not None:
            self._end(known, keep=True)  # as nearly all
            return
        self._received += len(data)
        if self._received > self._pool.answer_bytes:
            self._fail("the answer is too long")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the answer is malformed")
        else:
            if self._surplus:
                self._fail("more came than the answer")
            elif self._complete:
                reply, keep = self._reply(), self._keep
                if first and keep and self._length is not None:
                    self._repeats.learn(data, self._length, reply)
                self._reset()
                self._end(reply, keep=keep)

    def eof_received(self) -> None:
        """The server sends no more."""
        if self._done is None:
            return
        if self._until_eof:  # RFC 9112, section 6.3, rule 8: no length was given, the end is where the bytes end
            self._end(self._reply(), keep=False)
        else:
            self._fail("the connection ended before the answer did")

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        self._transport = None
        self._watchdog.cancel()
        self._pool.forget(self)
        if self._done is not None:
            self._fail("the connection was lost" if exc is None else f"the connection was lost: {type(exc).__name__}")

    # httptools

    def on_message_begin(self) -> None:
        """An answer after the answer is one too many."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take the few that matter."""
        if len(name) not in _LENGTHS_WE_READ:
            return
        match name.lower():
            case b"retry-after":
                self._retry_after = value
            case b"date":
                self._date = value
            case b"x-attempts":
                self._attempts = value
            case b"content-length":
                self._framed = True
                self._length = int(value)  # llhttp has refused what is no number below 2**64
            case b"transfer-encoding":
                self._coded = True
                self._framed = value.lower().endswith(b"chunked")

    def on_headers_complete(self) -> None:
        """Learn how the body ends."""
        version = self._parser.get_http_version()
        if version not in VERSIONS or (version == "1.0" and self._coded):  # RFC 9112, section 6.1: faulty framing
            raise _Faulty
        self._status = self._parser.get_status_code()
        if self._status in INTERIM_STATUS:
            return
        self._keep = self._parser.should_keep_alive()
        self._until_eof = not self._framed and self._status not in BODILESS

    def on_message_complete(self) -> None:
        """An interim answer (1xx) announces another; anything else is the answer."""
        if self._status in INTERIM_STATUS:
            self._reset()
        else:
            self._complete = True

    # one attempt's end

    def _reply(self) -> Reply:
        """What the whole answer means."""
        status, attempts = self._status, _count(self._attempts)
        if status in OK_STATUS:
            return Reply(Outcome.OK, status, attempts=attempts)
        if status == TOO_MANY_REQUESTS:
            wait = None if self._retry_after is None else retry_after_seconds(self._retry_after, self._date)
            return Reply(Outcome.RATE_LIMITED, status, wait)
        return Reply(Outcome.ERROR, status, attempts=attempts)

    def _fail(self, reason: str) -> None:
        self._end(Reply(Outcome.ERROR, reason=reason), keep=False)

    def _expired(self) -> None:
        if self._done is not None:  # else the answer has come, and no other was asked for
            self._end(Reply(Outcome.TIMEOUT, reason="no whole answer in time"), keep=False)

    def _end(self, reply: Reply, *, keep: bool) -> None:
        done, self._done = self._done, None
        if keep:
            self._pool.release(self)  # before done(): the next attempt may want it
        else:
            self.drop()
        if done is not None:
            done(reply)

    def _reset(self) -> None:
        """Nothing of an answer has come yet."""
        self._status = 0
        self._retry_after = None
        self._date = None
        self._attempts = b""
        self._coded = False
        self._framed = False
        self._length = None
        self._until_eof = False
        self._complete = False
        self._surplus = False
        self._keep = False


_LENGTHS_WE_READ: Final = frozenset(
    map(len, (b"retry-after", b"date", b"x-attempts", b"content-length", b"transfer-encoding"))
)


def _count(value: bytes) -> int | None:
    """A number of at most four digits, or nothing."""
    return int(value) if value.isdigit() and len(value) <= MAX_DIGITS else None
