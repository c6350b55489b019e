"""Servers with bad manners, a client that sees every byte, and a balancer between them: real sockets on loopback."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

import msgspec

from bandit_runner.balancer import Balancer, BalancerConfig, Limits, TierConfig, Timeouts
from bandit_runner.model import Outcome, Scoring
from bandit_runner.strategies import STOP

ID = "abcdefghijklmnopqrstuvw9"
OTHER_ID = "ZYXWVUTSRQPONMLKJIHGFED1"

FAST = Timeouts(
    attempt=0.3,
    request=1.0,
    receive=0.3,
    keep_alive=0.5,
    upstream_idle=5.0,
    linger=0.2,
    drain=1.0,
    down=0.2,
)

PATIENT = msgspec.structs.replace(FAST, attempt=20.0, request=60.0, receive=60.0, keep_alive=60.0)
"""Where nothing is to run out: a machine that is busy with something else may stop for a second."""

LONGEST = 60
"""Seconds until a test takes what it waits for as never to come."""

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def says(answer: bytes, *, then_close: bool = False) -> Behaviour:
    """Answer so, and keep the connection unless told otherwise."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if then_close:
            writer.close()

    return behave


def response(status: int = 200, body: bytes = b"ok", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), headers, body)


accepts = says(response())
refuses = says(response(503, b"no"))
limits_me = says(response(429, b"", b"Retry-After: 7\r\n"))


async def hangs(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(60)


async def resets(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def drips(writer: asyncio.StreamWriter) -> None:
    for byte in response():
        if writer.is_closing():
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def floods(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
        await writer.drain()


class Upstream:
    """A server that behaves the same way, or one way after the other, at each request."""

    def __init__(self, *behaviours: Behaviour, port: int = 0) -> None:
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.address = ("127.0.0.1", port)
        self._behaviours = behaviours
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, *self.address)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.address[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while not writer.is_closing():
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.asked.append((await reader.readexactly(24)).decode())
                which = min(len(self.asked), len(self._behaviours)) - 1
                await self._behaviours[which](writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the balancer or the test is done with us
        finally:
            self._tasks.discard(task)
            writer.close()


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A client's connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def end(self) -> None:
        self.writer.write_eof()

    async def response(self, *, bodiless: bool = False) -> Response:
        async with asyncio.timeout(LONGEST):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("ascii")
            first, *lines = head[:-4].split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = 0 if bodiless else int(headers.get("content-length", "0"))
            body = await self._reader.readexactly(length)
        assert first.startswith("HTTP/1.1 ")
        return Response(int(first.split(" ")[1]), headers, body)

    async def ask(self, data: bytes) -> Response:
        self.send(data)
        return await self.response()

    async def is_closed(self) -> bool:
        """Nothing more comes, and the other side has closed."""
        async with asyncio.timeout(LONGEST):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


class World(NamedTuple):
    balancer: Balancer
    address: tuple[str, int]
    records: list[Any]


@asynccontextmanager
async def balanced(
    *upstreams: Upstream | tuple[str, int],
    strategy: str | object = "round-robin",
    timeouts: Timeouts = PATIENT,
    limits: Limits | None = None,
    scoring: Scoring | None = None,
) -> AsyncIterator[World]:
    """One tier T1 with these servers."""
    addresses = tuple(u.address if isinstance(u, Upstream) else u for u in upstreams)
    name = strategy if isinstance(strategy, str) else "round-robin"
    config = BalancerConfig(
        tiers=(TierConfig(name="T1", upstreams=addresses, strategy=name),),
        timeouts=timeouts,
        limits=limits or Limits(),
        scoring=scoring or Scoring(max_attempts=3),
    )
    records: list[Any] = []
    balancer = Balancer(config, on_request=records.append)
    if not isinstance(strategy, str):
        balancer.use("T1", strategy)
    address = await balancer.start("127.0.0.1", 0)
    try:
        yield World(balancer, address, records)
    finally:
        await balancer.close()


class Scripted:
    """A strategy that makes the choices it was given, then stops; it remembers everything it is told."""

    name = "scripted"

    def __init__(self, choices: Iterable[object]) -> None:
        self._choices = list(choices)
        self.events: list[tuple[Any, ...]] = []
        self.offered: list[Sequence[int]] = []

    def select(self, *, now: float, attempt: int, tried: Sequence[int], available: Sequence[int]) -> object:
        del now
        self.events.append(("select", attempt, tuple(tried)))
        self.offered.append(list(available))
        choice = self._choices.pop(0) if self._choices else STOP
        if isinstance(choice, Exception):
            raise choice
        return choice

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None
    ):
        del now
        self.events.append(("update", arm, str(outcome), attempt, retry_after))
        assert latency >= 0

    def finish(self, *, accepted: bool, attempts: int, now: float) -> None:
        del now
        self.events.append(("finish", accepted, attempts))


def post(id_: str | bytes = ID, path: str = "/", headers: str = "") -> bytes:
    body = id_.encode() if isinstance(id_, str) else id_
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def eventually(holds: Callable[[], bool], seconds: float = LONGEST) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is awaited has no event of its own
            await asyncio.sleep(0.005)
