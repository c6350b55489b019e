"""The parser on any bytes, in any split: the same requests, and nothing worse than a refusal."""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from unittest.mock import Mock

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_runner.balancer import messages
from bandit_runner.balancer.config import Limits, Timeouts
from bandit_runner.balancer.front import Client
from bandit_runner.balancer.messages import ID_LENGTH, Answer, read_id
from bandit_runner.balancer.requests import PIECE, Request, RequestParser

LIMITS = Limits(head=512, headers=8, body=64)

ID = b"abcdefghijklmnopqrstuvwx"

FRAGMENTS = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n" + ID,
    b"POST /T1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 24\r\n\r\n" + ID,
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"POST / HTTP/1.1\r\n",
    b"Host: x\r\n",
    b"Content-Length: 24\r\n",
    b"Content-Length: 65\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"A: " + b"b" * 600 + b"\r\n",
    b"\r\n",
    b"\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\x00",
    b" ",
)

streams = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=40)), max_size=8).map(b"".join)


def parsed(pieces: Iterable[bytes]):
    """What comes of these pieces: (requests, whether something is left half-sent)."""
    parser = RequestParser(LIMITS)
    requests = []
    for piece in pieces:
        requests += parser.feed(piece)
        assert len(parser._target) <= LIMITS.head + PIECE
        assert len(parser._body) <= LIMITS.body
    assert all(request.refused is None for request in requests[:-1])
    assert parser.ended == bool(requests and requests[-1].refused)
    for request in requests:
        assert request.refused is None or request.refused.close
    return requests, parser.receiving


@given(stream=streams, data=st.data())
@settings(max_examples=400, deadline=None)
def test_splits_make_no_difference(stream: bytes, data: st.DataObject):
    """A proxy that reads a request otherwise when it comes in other segments can be smuggled past.

    Refusals may differ in their status: how much is seen before the end decides which of two faults is met first.
    """
    whole, whole_left = parsed([stream[i : i + PIECE] for i in range(0, len(stream), PIECE)])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    bounds = [0, *cuts, len(stream)]
    split, split_left = parsed([stream[a:b] for a, b in pairwise(bounds)])
    assert [r for r in split if r.refused is None] == [r for r in whole if r.refused is None]
    assert [bool(r.refused) for r in split] == [bool(r.refused) for r in whole]
    assert split_left == whole_left


REPEATED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)
BODIES = (ID, ID.upper(), b"abcd", b"\r\n\r\n", b"\r\n" * 12, b"abcd\r\n0\r\n\r\n", b"")
repeating = st.tuples(
    st.sampled_from((b"", b"", b"", b"\r\n", b"\r\n\r\n")),
    st.sampled_from(REPEATED),
    st.sampled_from(BODIES),
    st.sampled_from((b"", b"", b"", b"\r\n", b"\r\n\r\n", REPEATED[0])),
).map(b"".join)


@given(st.lists(repeating, min_size=2, max_size=6))
@settings(max_examples=600, deadline=None)
def test_heads_that_repeat_make_no_difference(pieces: list[bytes]):
    """Whole messages with known heads are not parsed; byte by byte all of them are."""
    quick, quick_left = parsed(pieces)
    slow, slow_left = parsed(bytes([byte]) for byte in b"".join(pieces))
    assert [r for r in quick if r.refused is None] == [r for r in slow if r.refused is None]
    assert [bool(r.refused) for r in quick] == [bool(r.refused) for r in slow]
    assert quick_left == slow_left


def test_a_body_that_looks_like_the_end_of_a_head_shifts_nothing():
    """Empty lines after a body are skipped: with a body of empty lines, head and body could be told apart wrongly."""
    parser = RequestParser(LIMITS)
    message = REPEATED[0] + b"\r\n" * 12
    assert [request.body for request in parser.feed(message + b"\r\n")] == [b"\r\n" * 12]
    served, rest = parser.feed(REPEATED[0] + b"\r\n" + ID)
    assert served.body == b"\r\n" + ID[:22]
    assert rest.refused is not None  # the last two bytes begin no request


def test_half_a_head_is_no_head():
    """The second half of a head, with its body, once more: it ends as a message does, and is none."""
    message = REPEATED[0] + ID
    parser = RequestParser(LIMITS)
    assert parser.feed(message[:20]) == []
    assert [request.body for request in parser.feed(message[20:])] == [ID]
    (again,) = parser.feed(message[20:])
    assert again.refused is not None


def test_a_body_that_is_a_known_message_is_a_body():
    message = REPEATED[0] + ID
    parser = RequestParser(Limits())
    assert [request.body for request in parser.feed(message)] == [ID]
    assert parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(message)) == []
    assert [request.body for request in parser.feed(message)] == [message]


def test_a_known_head_is_not_parsed_again():
    parser = RequestParser(LIMITS)
    (first,) = parser.feed(REPEATED[0] + ID)
    parser._parser = None
    (second,) = parser.feed(REPEATED[0] + ID[::-1])
    assert second == msgspec.structs.replace(first, body=ID[::-1])


def test_a_client_is_told_to_go_on_once_between_its_head_and_its_body():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 24\r\n\r\n"
    parser = RequestParser(LIMITS)
    assert not parser.take_expectation()
    parser.feed(head[:-2])
    assert not parser.take_expectation(), "its head is not whole"
    parser.feed(head[-2:])
    assert [parser.take_expectation() for _ in range(2)] == [True, False]
    parser.feed(ID)
    for begun in (head + ID[:1], head.replace(b"1.1", b"1.0")):  # RFC 9110, section 10.1.1
        parser = RequestParser(LIMITS)
        parser.feed(begun)
        assert parser.receiving
        assert not parser.take_expectation(), begun


def test_limits_are_the_largest_that_is_taken():
    def refusal(*, filler: int = 0, headers: int = 0, body: int = 0) -> Answer | None:
        lines = [b"Host: x", b"Content-Length: %d" % body, b"A: " + b"b" * filler, *[b"C: d"] * headers]
        message = b"POST / HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + b"e" * body
        (request,) = RequestParser(LIMITS).feed(message)
        return request.refused

    room = LIMITS.head - len(b"/") - len(b"Host: x\r\nContent-Length: 0\r\nA: \r\n")
    assert refusal(filler=room) is None
    assert refusal(filler=room + 1) is messages.HEAD_TOO_LARGE
    assert refusal(headers=LIMITS.headers - 3) is None
    assert refusal(headers=LIMITS.headers - 2) is messages.HEAD_TOO_LARGE
    assert refusal(body=LIMITS.body) is None
    assert refusal(body=LIMITS.body + 1) is messages.TOO_LARGE


def test_byte_by_byte():
    stream = b"".join(FRAGMENTS[:4])
    requests, left = parsed([bytes([byte]) for byte in stream])
    assert [r.target for r in requests] == [b"/", b"/T1", b"/", b"/healthz"]
    assert [r.body for r in requests] == [ID, b"abcd", ID, b""]
    assert [r.http_1_0 for r in requests] == [False, False, True, False]
    assert not left


@given(st.binary(max_size=80))
@settings(max_examples=400, deadline=None)
def test_read_id_takes_ids_only(body: bytes):
    id_ = read_id(body)
    assert id_ is None or (len(id_) == ID_LENGTH and id_.isascii() and id_.isalnum())


@given(st.text(max_size=30))
@settings(max_examples=400, deadline=None)
def test_read_id_on_text(text: str):
    fine = len(text) == ID_LENGTH and text.isascii() and text.isalnum()
    assert (read_id(text.encode()) == text) is fine


class Puppet:
    """A service, its loop, and the transport of its one client, without time: it answers when told to."""

    limits, timeouts, draining = LIMITS, Timeouts(), False

    def __init__(self) -> None:
        self.asked: deque[Request] = deque()
        self.written = b""
        self.reads = self.open = True
        self.client = Client(self, self)  # the loop's clock is all that is needed
        self.client.connection_made(self)

    def answer(self) -> None:
        self.client.answer(Answer(200, self.asked.popleft().body))

    # front.Service

    def connected(self, client: Client) -> bool:
        return client is not None

    def serve(self, request: Request, client: Client) -> None:
        assert client is self.client
        assert not self.asked, "a second request before the answer to the first"
        self.asked.append(request)

    # the loop

    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, callback: object) -> Mock:
        del callback
        return Mock(when=lambda: when)

    # the transport

    def write(self, data: bytes) -> None:
        assert self.open
        self.written += data

    def write_eof(self) -> None:
        self.open = False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def answers(written: bytes) -> list[tuple[int, bytes]]:
    """Statuses and bodies of what was written, interim ones left out."""
    found = []
    while written:
        head, _, written = written.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line[16:]) for line in lines if line.startswith(b"Content-Length: ")), 0)
        if lines[0] != b"HTTP/1.1 100 Continue":
            found.append((int(lines[0][9:12]), written[:length]))
        written = written[length:]
    return found


@given(stream=streams, data=st.data())
@settings(max_examples=300, deadline=None)
def test_one_answer_per_request_in_order_whenever_it_comes(stream: bytes, data: st.DataObject):
    """Pipelined, half-sent, split anywhere, answered at once or late: each request gets its own answer and no other."""
    requests, _ = parsed([stream[i : i + PIECE] for i in range(0, len(stream), PIECE)])
    last = next((i for i, request in enumerate(requests) if request.refused or not request.keep_alive), len(requests))
    puppet = Puppet()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    for a, b in pairwise([0, *cuts, len(stream)]):
        while puppet.asked and (not puppet.reads or data.draw(st.booleans())):
            puppet.answer()
        puppet.client.data_received(stream[a:b])
    while puppet.asked:
        puppet.answer()
    got = answers(puppet.written)
    assert len(got) == min(last + 1, len(requests))
    for (status, body), request in zip(got, requests, strict=False):
        assert status >= 400 if request.refused else (status, body) == (200, request.body)
    assert puppet.open == (last == len(requests))
