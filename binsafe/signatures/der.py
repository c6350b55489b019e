"""DER, read strictly: enough of X.690 for entitlements and for Authenticode's digest. asn1crypto reads certificates."""

from collections.abc import Iterator
from typing import Final

import msgspec

from binsafe.signatures.structure import StructureError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
SEQUENCE: Final = 0x30
SET: Final = 0x31
APPLICATION_16: Final = 0x70
CONTEXT_0: Final = 0xA0
CONTEXT_16: Final = 0xB0

_LONG_TAG = 0x1F
_MAX_LENGTH_BYTES = 4


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One value: its identifier octet, its content, and how many bytes it takes with both."""

    tag: int
    content: memoryview
    size: int


def element(data: memoryview) -> Element:
    """The first element of some bytes; what follows it is the caller's business.

    Raises:
        StructureError: no element, a tag of several bytes, a length that is indefinite, not minimal or too large.
    """
    if len(data) < 2:  # an identifier octet and a length octet (X.690, 8.1)
        raise StructureError("DER ends where an element should begin", problem="truncated")
    tag, length = data[0], data[1]
    if tag & _LONG_TAG == _LONG_TAG:
        raise StructureError(f"DER tag {tag:#04x} of several bytes")
    start = 2
    if length & 0x80:
        octets = length & 0x7F
        start += octets
        length = int.from_bytes(data[2:start], "big")
        if not 1 <= octets <= _MAX_LENGTH_BYTES or length < max(0x80, 1 << 8 * (octets - 1)):
            raise StructureError("DER length that is indefinite, too long or not the shortest")
    if length > len(data) - start:
        raise StructureError(
            f"DER element of {length} bytes where {max(len(data) - start, 0)} are left", problem="truncated"
        )
    return Element(tag=tag, content=data[start : start + length], size=start + length)


def elements(content: memoryview) -> Iterator[Element]:
    """The elements that a constructed one holds, in order.

    Raises:
        StructureError: as ``element`` does.
    """
    while content:
        found = element(content)
        yield found
        content = content[found.size :]


def split(content: memoryview) -> Iterator[memoryview]:
    """The elements that a constructed one holds, each as all of its bytes.

    Raises:
        StructureError: as ``element`` does.
    """
    while content:
        size = element(content).size
        yield content[:size]
        content = content[size:]


def encode(tag: int, content: bytes) -> bytes:
    """An element of that tag and content."""
    if len(content) < 0x80:  # the short form of a length (X.690, 8.1.3.4)
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def expect(data: memoryview, *tags: int) -> Element:
    """The one element that some bytes consist of, which must have one of these tags and nothing after it.

    Raises:
        StructureError: as ``element`` does, and for another tag or for bytes that follow.
    """
    found = element(data)
    if found.tag not in tags:
        raise StructureError(f"DER tag {found.tag:#04x} where {' or '.join(f'{tag:#04x}' for tag in tags)} belongs")
    if found.size != len(data):
        raise StructureError(f"{len(data) - found.size} bytes after the DER structure")
    return found
