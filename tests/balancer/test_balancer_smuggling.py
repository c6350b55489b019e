"""One stream of bytes that two servers could read as different requests: it is refused, or read as the standards say.

Behind each request stands another. Where its beginning is in doubt it must not be served: it may be a part of the first
that was smuggled past whoever stands before us (RFC 9112, sections 6.3 and 11.2).
"""

import asyncio
import re

from balancing import ID, LONGEST, Upstream, accepts, balanced

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig

SMUGGLED = "smuggled0smuggled1smuggl"
BEHIND = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n" + SMUGGLED.encode()
LENGTH, CHUNKED = b"Content-Length: 24\r\n", b"Transfer-Encoding: chunked\r\n"


def raw(headers: bytes, *, line: bytes = b"POST / HTTP/1.1", host: bytes = b"Host: x\r\n") -> bytes:
    return line + b"\r\n" + host + headers + b"\r\n" + ID.encode()


def chunked(headers: bytes = CHUNKED, *, size: bytes = b"18\r\n", after: bytes = b"\r\n0\r\n\r\n") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + size + ID.encode() + after


REFUSED = {
    "a space before the colon": chunked(b"Transfer-Encoding : chunked\r\n"),
    "a vertical tab before chunked": chunked(b"Transfer-Encoding:\x0bchunked\r\n"),
    "a tab around chunked": chunked(b"Transfer-Encoding:\tchunked\t\r\n"),
    "chunked, then identity": chunked(CHUNKED + b"Transfer-Encoding: identity\r\n"),
    "identity, then chunked": chunked(b"Transfer-Encoding: identity\r\n" + CHUNKED),
    "chunked twice": chunked(CHUNKED + CHUNKED),
    "chunked twice in a list": chunked(b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked not last": chunked(b"Transfer-Encoding: chunked, identity\r\n"),
    "an empty list member": chunked(b"Transfer-Encoding: ,chunked\r\n"),
    "nearly chunked": chunked(b"Transfer-Encoding: xchunked\r\n"),
    "chunked in quotes": chunked(b'Transfer-Encoding: "chunked"\r\n'),
    "chunked with a parameter": chunked(b"Transfer-Encoding: chunked;q=1\r\n"),
    "no coding beside a length": raw(b"Transfer-Encoding:\r\n" + LENGTH),
    "a folded coding": chunked(b"Transfer-Encoding:\r\n chunked\r\n"),
    "a folded length": raw(b"Content-Length:\r\n 24\r\n"),
    "a list of lengths": raw(b"Content-Length: 24, 24\r\n"),
    "a hexadecimal length": raw(b"Content-Length: 0x18\r\n"),
    "a length of two words": raw(b"Content-Length: 2 4\r\n"),
    "a length as Python writes numbers": raw(b"Content-Length: 2_4\r\n"),
    "a length below nothing": raw(b"Content-Length: -1\r\n"),
    "a length of 2 to the 64 and 24": raw(b"Content-Length: 18446744073709551640\r\n"),
    "no length in it": raw(b"Content-Length:\r\n"),
    "a chunk size with 0x": chunked(size=b"0x18\r\n"),
    "a chunk size with a space": chunked(size=b"18 \r\n"),
    "a chunk size behind a space": chunked(size=b" 18\r\n"),
    "a chunk size with a sign": chunked(size=b"+18\r\n"),
    "a chunk size below nothing": chunked(size=b"-18\r\n"),
    "a chunk size of 2 to the 64 and 24": chunked(size=b"10000000000000018\r\n"),
    "a line feed ends the chunk size": chunked(size=b"18\n"),
    "a line feed in an extension": chunked(size=b"18;a\nb\r\n"),
    "a carriage return in an extension": chunked(size=b"18;a\rb\r\n"),
    "a line end in an extension's quotes": chunked(size=b'18;a="b\r\nc"\r\n'),
    "a line feed ends the chunk": chunked(after=b"\n0\r\n\r\n"),
    "line feeds end the body": chunked(after=b"\r\n0\n\n"),
    "the last line end is missing": chunked(after=b"\r\n0\r\n"),
    "a chunk longer than it says": chunked(size=b"17\r\n"),
    "a line feed in a trailer": chunked(after=b"\r\n0\r\nA: b\n\r\n"),
    "a length in a trailer": chunked(after=b"\r\n0\r\nContent-Length: 24\r\n\r\n"),
    "a coding in a trailer": chunked(after=b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a line feed in a header": raw(b"A: b\nContent-Length: 0\r\n" + LENGTH),
    "a carriage return in a header": raw(b"A: b\rContent-Length: 0\r\n" + LENGTH),
    "a header without a colon": raw(b"A\r\n" + LENGTH),
    "a header without a name": raw(b": a\r\n" + LENGTH),
    "a header whose name is not ASCII": raw(b"\xc3\xa9: a\r\n" + LENGTH),
    "a folded first header": raw(LENGTH, host=b" A: b\r\nHost: x\r\n"),
    "a word too many in the request line": raw(LENGTH, line=b"POST / HTTP/1.1 x"),
    "a version in small letters": raw(LENGTH, line=b"POST / http/1.1"),
    "authority form": raw(LENGTH, line=b"POST example.org:80 HTTP/1.1"),
    "a host of two words": raw(LENGTH, host=b"Host: a b\r\n"),
    "a list of hosts": raw(LENGTH, host=b"Host: a, b\r\n"),
    "a host with a path": raw(LENGTH, host=b"Host: a/b\r\n"),
    "a host with a user": raw(LENGTH, host=b"Host: a@b\r\n"),
    "a host that is not ASCII": raw(LENGTH, host=b"Host: \xff\r\n"),
    "a length with an underscore in its name": raw(b"Content_Length: 24\r\n"),  # so there is none: 411
    "a proxy's greeting": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + raw(LENGTH),
}

TAKEN = {
    "capitals": chunked(b"TRANSFER-ENCODING: CHUNKED\r\n"),
    "leading zeros": raw(b"Content-Length: 000024\r\n"),
    "blanks around the length": raw(b"Content-Length: \t 24 \t\r\n"),
    "leading zeros of a chunk size": chunked(size=b"000000000018\r\n"),
    "extensions": chunked(size=b"18;a=b;c\r\n"),
    "trailers": chunked(after=b"\r\n0\r\nHost: y\r\n\r\n"),
    "a header that is not ASCII": raw(b"A: \xff\xfe\r\n" + LENGTH),
    "a length that is named a connection option": raw(b"Connection: Content-Length\r\n" + LENGTH),
    "no host in it": raw(LENGTH, host=b"Host:\r\n"),
    "an address and a port": raw(LENGTH, host=b"Host: [::1]:8000\r\n"),
    "absolute form without a path": raw(LENGTH, line=b"POST http://example.org HTTP/1.1"),
    "an expectation that is met": raw(b"Expect: 100-continue\r\n" + LENGTH),
    "1.0 with keep-alive": raw(LENGTH + b"Connection: keep-alive\r\n", line=b"POST / HTTP/1.0"),
}


async def told(data: bytes, address: tuple[str, int]) -> list[int]:
    """The final statuses that these bytes, and a request behind them, are answered with until the connection ends."""
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(LONGEST):
        writer.write(data + BEHIND)
        writer.write_eof()
        answers = await reader.read()
    writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answers) if status != b"100"]


async def test_what_is_in_doubt_is_refused_and_ends_the_connection():
    async with Upstream(accepts) as up, balanced(up) as world:
        for what, data in REFUSED.items():
            (status,) = await told(data, world.address)
            assert status in {400, 405, 411}, what
        assert up.asked == []


async def test_what_is_odd_and_clear_is_read_as_the_standards_say():
    async with Upstream(accepts) as up, balanced(up) as world:
        for what, data in TAKEN.items():
            up.asked.clear()
            assert await told(data, world.address) == [200, 200], what
            assert up.asked == [ID, SMUGGLED], what


async def test_a_path_in_a_query_is_no_path():
    """With two tiers `/` is nobody's; what a query names must not become the tier."""
    async with Upstream(accepts) as up:
        tiers = tuple(TierConfig(name=name, upstreams=(up.address,), strategy="v4") for name in ("T1", "T2"))
        balancer = Balancer(BalancerConfig(tiers=tiers))
        address = await balancer.start("127.0.0.1", 0)
        for target in ("http://example.org?/T1", "http://example.org/?/T1", "/?http://x/T1", "/nope?/T1"):
            assert await told(raw(LENGTH, line=f"POST {target} HTTP/1.1".encode()), address) == [404, 404], target
        assert up.asked == []
        assert await told(raw(LENGTH, line=b"POST http://example.org/T1?/T2 HTTP/1.1"), address) == [200, 404]
        await balancer.close()
