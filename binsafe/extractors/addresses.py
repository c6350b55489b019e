"""Network addresses in texts: IPv4, IPv6, and named hosts with a port. Patterns begin with the byte that is rare."""

import ipaddress
import re
from collections.abc import Iterator
from itertools import islice

from binsafe.limits import MAX_CANDIDATES

_NUMBERS = re.compile(rb"\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])(?::\d{2,5})?")
_FIRST_NUMBER = re.compile(rb"(?<![\d.A-Za-z])\d{1,3}$")
_COLON = re.compile(rb":(?:[0-9a-f]{0,4}:[0-9a-f:.]{0,34}|\d{2,5}(?![\d.:]))")
"""Where an IPv6 address or the port of a named host may be."""
_BEFORE_COLON = re.compile(rb"(?<![\w:.%-])\[?[0-9a-f]{0,4}$")
_AFTER_ADDRESS = re.compile(rb"(?:/\d{1,3}|\]:\d{1,5}|\])?(?![\w:])")
_HOST = re.compile(rb"(?<![\w./@%:-])(?:(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,18}|localhost)$")
_SOURCES = frozenset(
    b"c cc cpp cxx go h hpp hs html inc java js json jsx kt m md mjs ml mm nim php pl py pyx rb rs s scala sh swift"
    b" toml ts tsx txt xml yaml yml zig".split()
)
"""Endings of files, whose numbers are lines and not ports."""
_OBJECT_IDENTIFIERS = (b"2.5.4.", b"2.5.29.")
"""How the names of certificates' fields begin (ITU-T X.520, X.509)."""
_PORTS = range(1, 65_536)


def addresses(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """Each address with the place where it begins, IPv4 first."""
    for match in islice(_NUMBERS.finditer(chunk), MAX_CANDIDATES):
        first = _FIRST_NUMBER.search(chunk, max(match.start() - 4, 0), match.start())
        if first is not None and _is_address(chunk[first.start() : match.end()]):
            yield first.start(), chunk[first.start() : match.end()]
    for match in islice(_COLON.finditer(chunk), MAX_CANDIDATES):
        found = _around(chunk, match)
        if found is not None:
            yield found


def _around(chunk: bytes, match: re.Match[bytes]) -> tuple[int, bytes] | None:
    """The IPv6 address, or the named host with its port, that a colon belongs to."""
    if b":" in match[0][1:]:
        before = _BEFORE_COLON.search(chunk, max(match.start() - 5, 0), match.start())
        after = _AFTER_ADDRESS.match(chunk, match.end())
        if before is None or after is None:
            return None
        text = chunk[before.start() : after.end()]
        return (before.start(), text) if _is_ipv6(text) else None
    host = _HOST.search(chunk, max(match.start() - 128, 0), match.start())
    if host is None or host[0].rpartition(b".")[2] in _SOURCES or int(match[0][1:]) not in _PORTS:
        return None
    return host.start(), chunk[host.start() : match.end()]


def _is_ipv6(text: bytes) -> bool:
    """In brackets any address, else one whose first group says its kind: C++ and Rust write names with colons."""
    address = text.decode("ascii").lstrip("[").partition("]")[0].partition("/")[0]
    if text.startswith(b"[") != (b"]" in text):
        return False
    try:
        number = int(ipaddress.IPv6Address(address))
    except ValueError:
        return False
    return text.startswith(b"[") or number >> 125 == 1 or number >> 120 >= 0xFC  # 2000::/3, fc00::/6


def _is_address(text: bytes) -> bool:
    """Four numbers below 256, and no version number: those begin with 0 to 9 and are small all over."""
    if text.startswith(_OBJECT_IDENTIFIERS):
        return False
    numbers = [int(part) for part in text.split(b":")[0].split(b".")]
    return max(numbers) < 256 and (max(numbers) > 31 or b":" in text)  # a byte; what versions reach
