"""Tables of what catches exceptions: their encodings, and tables that lie."""

import struct
from itertools import chain

import pytest
from test_eh_frame import ADDRESS, common, entry, file

from binsafe.formats.eh_frame import UNKNOWN, Extent, extent, frames
from binsafe.formats.exception_table import CallSite, call_sites

FUNCTION, SIZE = 0x40_1000, 0x100


def table(sites: bytes, head: bytes = b"\xff\xff\x01", length: int | None = None) -> bytes:
    return head + leb(len(sites) if length is None else length) + sites


def leb(*numbers: int) -> bytes:
    """Numbers of variable length without a sign."""
    return bytes(chain.from_iterable(_leb(number) for number in numbers))


def _leb(number: int) -> list[int]:
    return [number] if number < 0x80 else [number & 0x7F | 0x80, *_leb(number >> 7)]


def sites(data: bytes) -> tuple[CallSite, ...]:
    return call_sites(file(data + bytes(64)), ADDRESS, FUNCTION, SIZE, [].append)


PLAIN = (CallSite(0x40_1010, 0x40_1015, 0x40_1080),)


@pytest.mark.parametrize(
    "data",
    [
        table(leb(0x10, 5, 0x80, 1)),
        table(leb(0x10, 5, 0x80, 1), b"\xff\x9b\x90\x02\x01"),
        table(struct.pack("<3IB", 0x10, 5, 0x80, 1), b"\xff\xff\x03"),
        table(struct.pack("<3HB", 0x10, 5, 0x80, 1), b"\xff\xff\x02"),
        table(struct.pack("<3QB", 0x10, 5, 0x80, 1), b"\xff\xff\x00"),
        table(struct.pack("<3iB", 0x10, 5, 0x80, 1), b"\xff\xff\x0b"),
        table(b"\x10\x05\x80\x01\x01", b"\xff\xff\x09"),
        table(leb(0x10, 5, 0x40, 1), b"\x03" + struct.pack("<I", FUNCTION + 0x40) + b"\xff\x01"),
        table(leb(0x10, 5, 0x40, 1), b"\x1b" + struct.pack("<i", FUNCTION + 0x3F - ADDRESS) + b"\xff\x01"),
        table(leb(0x10, 5, 0x80, 1, 0x20, 5, 0, 0)),
        table(leb(0, 0x10, 0, 0, 0x10, 5, 0x80, 1, 0x10, 0x90, 0, 0, 0x12, 1, 0x90, 0)),
        table(leb(0x10, 5, 0x80, 1, 0x50, 0xB0, 0, 0, 0x90), length=200) + b"\xff" * 9,
    ],
    ids=[
        "plain", "types", "udata4", "udata2", "absptr", "sdata4", "sleb128", "from-elsewhere", "from-near",
        "nothing-caught", "said-twice", "longer-than-its-function",
    ],
)  # fmt: skip
def test_however_it_is_written(data: bytes):
    assert sites(data) == PLAIN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        table(b"\x80" * 40),
        table(b"", length=1 << 40),
        table(struct.pack("<3QB", 0, (1 << 64) - 1, 0, 0) + struct.pack("<3QB", 0x10, 5, 0x80, 1), b"\xff\xff\x00"),
        table(leb(0x10), length=200),
        table(leb(0x10, 5, 0x80, 1), b"\x9b\0\0\0\0\xff\x01"),
        table(leb(0x10, 5, 0x80, 1), b"\x50\0\0\0\0\xff\x01"),
        table(leb(0x10, 5, 0x80, 1), b"\xff\xff\x05"),
        table(leb(0x10, 5, 0x80, 1), b"\xff" + b"\x80" * 12 + b"\x01\x01"),
    ],
    ids=["nothing", "without-end", "megabytes", "beyond", "cut", "indirect", "aligned", "no-form", "types-without-end"],
)
def test_what_is_not_as_expected(data: bytes):
    with pytest.raises((LookupError, ValueError)):
        call_sites(file(data), ADDRESS, FUNCTION, SIZE, [].append)


def test_what_contradicts_what_was_said_before_does_not_count():
    later, earlier = leb(0x40, 8, 0x80, 0), leb(0x10, 0x34, 0x90, 0)
    assert sites(table(later + earlier + leb(0x44, 8, 0xA0, 0))) == (
        CallSite(0x40_1040, 0x40_1048, 0x40_1080),
        CallSite(0x40_1048, 0x40_104C, 0x40_10A0),
    )


def test_each_function_says_where_its_table_is_and_what_was_pushed():
    first = common(b"zPLR", b"\x03" + struct.pack("<I", 0x40_2000) + b"\x1b\x1b")
    other = common(b"zLR", b"\x9b\x1b")
    pushed = b"\x04\x2e\x10\0"

    def told(at: int, back: int, address: int, value: int, program: bytes = b"\x04\0\0\0") -> bytes:
        distance = address - (ADDRESS + at + 8)
        return entry(struct.pack("<IiIBi", at + 4 - back, distance, 0x10, 4, value) + program)

    parts = [first, other]
    for back, value, program in ((0, 0x1000, pushed), (0, 0x1000, b"\x04\0\0\0"), (len(first), 8, b"\x04\0\0\0")):
        parts.append(told(sum(map(len, parts)), back, 0x40_1000 + 0x10 * len(parts), value, program))
    slice_ = file(b"".join(parts))
    found = frames(slice_)
    assert found is not None
    at = [ADDRESS + sum(map(len, parts[:count])) for count in (2, 3, 4)]
    assert found.extents == (
        Extent(0x40_1020, 0x40_1030, True, at[0] + 17 + 0x1000, pushes=True),
        Extent(0x40_1030, 0x40_1040, True, at[1] + 17 + 0x1000),
        Extent(0x40_1040, 0x40_1050, True, UNKNOWN),
    )
    assert tuple(extent(slice_, address) for address in at) == found.extents
