"""Bytes of a client -> requests, strictly and bounded. No sockets, no clock.

llhttp refuses what smuggling is made of (a length beside chunked, two lengths, folded and malformed headers, bare line
feeds); here is the rest: what RFC 9112 wants and llhttp does not check, and a bound on everything.
"""

import re
from typing import Final, NoReturn

import msgspec

from bandit_runner.balancer import messages
from bandit_runner.balancer._httptools import VERSIONS, httptools
from bandit_runner.balancer.config import Limits
from bandit_runner.balancer.messages import Answer
from bandit_runner.balancer.repeats import Repeats

PIECE: Final = 4_096
"""Bytes that are fed at a time: bounds how many pipelined requests are parsed before the first is answered."""

CHUNK_OVERHEAD: Final = 8
"""A chunk of one byte takes six: its length, two line ends, itself."""

HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
"""A host name or address and a port, both of which may be missing (RFC 9110, section 7.2; RFC 3986, section 3.2.2)."""

_LENGTHS_WE_READ: Final = frozenset(map(len, (b"content-length", b"transfer-encoding", b"host", b"expect")))


class Request(msgspec.Struct, frozen=True, gc=False):
    """One whole request, or (``refused``) the answer to what never became one; after that nothing follows."""

    method: bytes = b""
    target: bytes = b""
    body: bytes = b""
    framed: bool = True
    """It said how long its body is."""
    keep_alive: bool = False
    http_1_0: bool = False
    refused: Answer | None = None


class _Rejected(Exception):
    """Only an exception stops the parser from inside; which answer it is stands in the parser's object."""


class RequestParser:
    """The requests of one connection."""

    # what has come of the request that is being received
    _target: bytes
    _body: bytes
    _headers: int
    _hosts: int
    _length: int
    _head_bytes: int
    _raw_bytes: int
    _in_head: bool
    _framed: bool
    _chunked: bool
    _expects: bool
    _http_1_0: bool
    _keep_alive: bool

    def __init__(self, limits: Limits) -> None:
        self.receiving = False
        """Something of a request has come, but not all of it."""
        self.ended = False
        """A refusal was returned: whatever is fed now is thrown away."""
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._repeats: Repeats[Request] = Repeats()
        self._requests: list[Request] = []
        self._refusal: Answer | None = None
        self._begin()

    def recall(self, piece: bytes) -> Request | None:
        """The request that ``piece`` is if it differs from an earlier one in its body alone; None: it is to be fed.

        To be asked between requests only.
        """
        if not self._keep_alive or (known := self._repeats.recall(piece)) is None:
            return None
        body = piece[len(piece) - len(known.body) :]
        return Request(known.method, known.target, body, known.framed, known.keep_alive, known.http_1_0)

    def feed(self, piece: bytes) -> list[Request]:
        """The requests that ``piece`` completes, in order; at most `PIECE` bytes are to be fed at once."""
        if self.ended:
            return []
        fresh = not self.receiving
        if fresh and (request := self.recall(piece)) is not None:
            return [request]
        self._requests = []
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserInvalidMethodError:
            is_word = not self._requests and piece[:1].isalpha()
            self._refuse(messages.not_allowed("POST", close=True) if is_word else messages.MALFORMED)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._refusal or messages.MALFORMED)
        else:
            self._bound_raw(len(piece))
            if fresh and len(self._requests) == 1 and self._keep_alive and not (self.receiving or self._chunked):
                self._repeats.learn(piece, len(self._body), self._requests[0])
        return self._requests

    def take_expectation(self) -> bool:
        """Whether the client waits for "100 Continue" before it sends the body; True at most once per request."""
        expects = self._expects and not (self._in_head or self._body or self._http_1_0) and self.receiving
        self._expects = self._expects and not expects
        return expects

    # httptools

    def on_message_begin(self) -> None:
        """Start afresh."""
        self._begin()
        self.receiving = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the target; a split read makes several."""
        self._target += url
        self._head_bytes += len(url)
        if self._head_bytes > self._limits.head:
            self._reject(messages.HEAD_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer."""
        self._headers += 1
        self._head_bytes += len(name) + len(value) + len(b": \r\n")
        if self._head_bytes > self._limits.head or self._headers > self._limits.headers:
            self._reject(messages.HEAD_TOO_LARGE)
        if len(name) not in _LENGTHS_WE_READ:
            return
        match name.lower():
            case b"content-length":
                self._framed = True
                self._length = int(value)  # llhttp has refused what is no number below 2**64
            case b"transfer-encoding":
                # llhttp lets "gzip, chunked" pass, but a body that we cannot read is no id
                if value.strip().lower() != b"chunked":
                    self._reject(messages.MALFORMED)
                self._framed = self._chunked = True
            case b"host":
                if HOST.fullmatch(value.strip()) is None:  # RFC 9112, section 3.2: no valid host, no valid request
                    self._reject(messages.NO_HOST)
                self._hosts += 1
            case b"expect":
                self._expects = value.strip().lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Check what only the whole head shows."""
        self._in_head = False
        self._keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        self._http_1_0 = version == "1.0"
        if version not in VERSIONS:
            self._reject(messages.UNKNOWN_VERSION)
        if self._http_1_0 and self._chunked:  # RFC 9112, section 6.1: its framing is to be taken as faulty
            self._reject(messages.CHUNKED_IN_1_0)
        if self._parser.should_upgrade():  # llhttp takes what follows for the other protocol, the body included
            connect = self._parser.get_method() == b"CONNECT"
            self._reject(messages.not_allowed("POST", close=True) if connect else messages.NO_UPGRADE)
        if self._hosts > 1 or (self._hosts == 0 and not self._http_1_0):  # RFC 9112, section 3.2
            self._reject(messages.NO_HOST)
        if self._length > self._limits.body:
            self._reject(messages.TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if len(self._body) + len(body) > self._limits.body:
            self._reject(messages.TOO_LARGE)
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the request over."""
        self.receiving = False
        self._requests.append(
            Request(
                method=self._parser.get_method(),
                target=self._target,
                body=self._body,
                framed=self._framed,
                keep_alive=self._keep_alive,
                http_1_0=self._http_1_0,
            )
        )

    # bounds and ends

    def _begin(self) -> None:
        """Nothing of a request has come yet."""
        self._target = b""
        self._body = b""
        self._headers = self._hosts = self._length = 0
        self._head_bytes = self._raw_bytes = 0
        self._in_head = True
        self._framed = self._chunked = self._expects = self._http_1_0 = self._keep_alive = False

    def _bound_raw(self, size: int) -> None:
        """Bound what no callback sees: a header that never ends, chunks that are all framing.

        The piece in which a request begins is counted whole, hence the allowance of one piece.
        """
        if not self.receiving:
            return
        self._raw_bytes += size
        allowed = self._limits.head + PIECE
        if self._in_head and self._raw_bytes > allowed:
            self._refuse(messages.HEAD_TOO_LARGE)
        elif self._raw_bytes > allowed + CHUNK_OVERHEAD * self._limits.body:
            self._refuse(messages.TOO_LARGE)

    def _reject(self, answer: Answer) -> NoReturn:
        self._refusal = answer
        raise _Rejected

    def _refuse(self, answer: Answer) -> None:
        self.ended = True
        self.receiving = False
        self._requests.append(Request(refused=answer))
