"""The parser on any bytes, in any split: the same requests, and nothing worse than a refusal."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_runner.balancer.config import Limits
from bandit_runner.balancer.messages import ID_LENGTH, read_id
from bandit_runner.balancer.requests import PIECE, RequestParser

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
