"""The side that clients see: one connection, answered in order, bounded in memory and time.

Requests of one connection are taken one at a time. What follows is not parsed before the answer is out, so a client
that pipelines is served in order, and one that pipelines without end fills its own socket and not our memory.
After anything that leaves the connection's state in doubt the answer closes it.
"""

import asyncio
from collections import deque
from enum import Enum, auto
from typing import Protocol, cast

from bandit_runner.balancer import messages
from bandit_runner.balancer.config import Limits, Timeouts
from bandit_runner.balancer.messages import Answer
from bandit_runner.balancer.requests import PIECE, Request, RequestParser
from bandit_runner.balancer.watchdog import Watchdog


class Service(Protocol):
    """What a connection needs from the balancer."""

    @property
    def limits(self) -> Limits:
        """How much is borne."""

    @property
    def timeouts(self) -> Timeouts:
        """For how long."""

    @property
    def draining(self) -> bool:
        """Every answer is now the last of its connection."""

    def connected(self, client: "Client") -> bool:
        """A client came; False if there is no room for it."""

    def disconnected(self, client: "Client") -> None:
        """A client's connection is closed."""

    def serve(self, request: Request, client: "Client") -> None:
        """See to it that ``client.answer`` is called once."""


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()
    RECEIVING = auto()
    SERVING = auto()
    LINGERING = auto()
    """The last answer is out; what still comes is thrown away (RFC 9112, section 9.6)."""


IDLE, RECEIVING, SERVING, LINGERING = Phase
"""Looking a member up in its class costs as much as a call, and this is done several times per request."""


class Client(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._timeouts = service.timeouts
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser(service.limits)
        self._watchdog = Watchdog(loop, self._expired)
        self._phase = SERVING  # until `connection_made` finds nothing to serve
        self._patience = self._timeouts.receive  # strangers get less than a client that has asked before
        self._unread = b""
        self._queue: deque[Request] = deque()
        self._current: Request | None = None
        self._proceeding = False
        self._eof = False
        self._writable = True
        self._paused = False

    # for the balancer

    def waits(self) -> bool:
        """Whether somebody is there to be answered. One who only closed its own side (FIN) still is."""
        return self._transport is not None

    def answer(self, answer: Answer) -> None:
        """Answer the request that was handed to ``Service.serve``, and go on with the next."""
        request, self._current = self._current, None
        if self._transport is None or request is None:
            return
        last = answer.close or not request.keep_alive or self._service.draining
        if last or request.http_1_0 or request.method == b"HEAD":
            data = messages.render(
                answer,
                close=last,
                keep_alive_1_0=request.http_1_0 and request.keep_alive,
                bodiless=request.method == b"HEAD",
            )
        else:
            data = answer.usual
        self._transport.write(data)
        if last:
            self._linger(self._transport)
        elif self._unread or self._queue or self._eof or not self._writable:
            self._proceed()
        else:
            self._await_more(self._transport)

    def drain(self) -> None:
        """Close now if nothing is under way; else the next answer closes."""
        if self._phase in {IDLE, LINGERING} and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in, if there is room."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        if not self._service.connected(self):
            self._queue.append(Request(refused=messages.SATURATED_CLOSE))
        self._proceed()

    def data_received(self, data: bytes) -> None:
        """Keep what came; more is not taken while an answer is owed."""
        if self._phase is IDLE and (request := self._parser.recall(data)) is not None:
            self._serve(request)  # as nearly all: nothing waits before it, and all of it is here
            return
        if self._phase is LINGERING:
            return
        self._unread += data
        if self._current is None:
            self._proceed()
        else:
            self._pause_reading()

    def eof_received(self) -> bool:
        """Keep our side open: a client may close its own side and still read the answer."""
        if self._phase is LINGERING:
            return False
        self._eof = True
        self._proceed()
        return True

    def pause_writing(self) -> None:
        """The client does not read its answers: it gets no more until it does, and we do not wait for ever."""
        self._writable = False
        self._watchdog.set(self._loop.time() + self._timeouts.receive)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._writable = True
        self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more, for whatever reason; an attempt under way still ends and is learnt from."""
        del exc
        self._transport = None
        self._unread = b""
        self._queue.clear()
        self._watchdog.cancel()
        self._service.disconnected(self)

    # the machine

    def _proceed(self) -> None:
        """Serve what is whole, parse what is not, until there is something to wait for."""
        if self._proceeding:  # a request was answered while it was handed over: the loop below goes on with the next
            return
        self._proceeding = True
        while self._transport is not None and self._current is None and self._phase is not LINGERING:
            if not self._writable:
                self._pause_reading()
                break
            if self._unread and not self._queue:
                piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
                self._queue.extend(self._parser.feed(piece))
            if self._queue:
                self._serve(self._queue.popleft())
            elif self._unread:
                continue
            elif self._eof and self._parser.receiving:
                self._queue.append(Request(refused=messages.CUT_SHORT))
            elif self._eof:
                self._transport.close()
                break
            else:
                self._await_more(self._transport)
                break
        self._proceeding = False

    def _serve(self, request: Request) -> None:
        self._phase = SERVING
        self._patience = self._timeouts.keep_alive
        self._current = request
        if request.refused is None:
            self._service.serve(request, self)
        else:
            self.answer(request.refused)

    def _await_more(self, transport: asyncio.Transport) -> None:
        timeouts = self._timeouts
        if self._parser.receiving:
            if self._phase is not RECEIVING:
                self._phase = RECEIVING
                self._watchdog.set(self._loop.time() + timeouts.receive)
            if self._parser.take_expectation():  # all earlier requests are answered: nobody can take it for theirs
                transport.write(messages.CONTINUE)
        elif self._phase is not IDLE:  # empty lines before a request buy nobody time
            self._phase = IDLE
            self._watchdog.set(self._loop.time() + self._patience)
        if self._paused:
            self._resume_reading(transport)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Say that no more follows from us, and give the client time to read that before we close.

        Closing with bytes unread makes the kernel send a reset, which can wipe our answer out on the client's side.
        """
        self._phase = LINGERING
        self._unread = b""
        self._queue.clear()
        if self._eof or self._service.draining:
            transport.close()
            return
        timeouts = self._timeouts
        wait = timeouts.receive if transport.get_write_buffer_size() else timeouts.linger
        self._watchdog.set(self._loop.time() + wait)
        transport.write_eof()
        self._resume_reading(transport)

    def _expired(self) -> None:
        if not self._writable:
            self.abort()
        elif self._phase is RECEIVING:
            self._queue.append(Request(refused=messages.TOO_SLOW))
            self._proceed()
        elif self._phase is not SERVING:  # there the time was that of what has come since
            self.abort()

    def _pause_reading(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self, transport: asyncio.Transport) -> None:
        if self._paused:
            self._paused = False
            transport.resume_reading()
