"""Where functions start and end by ``.eh_frame``; and sections of it that lie."""

import random
import struct

import pytest

from binsafe.formats.eh_frame import Extent, frames
from binsafe.model import Section, Segment, Slice

ADDRESS = 0x40_0000


def entry(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def common(words: bytes = b"zR", data: bytes = b"\x1b") -> bytes:
    return entry(struct.pack("<IB", 0, 1) + words + b"\0\x01\x78\x10" + bytes((len(data),)) + data + b"\x0c\x07\x08")


def function(at: int, first: int, size: int, program: bytes = b"\x44\x0e\x10") -> bytes:
    """One that follows the common entry at 0, with its address relative to where it stands."""
    return entry(struct.pack("<IiI", at + 4, first - (ADDRESS + at + 8), size) + b"\0" + program)


def file(data: bytes, address: int = ADDRESS) -> Slice:
    return Slice(
        format="elf", arch="x86_64", bits=64, byte_order="little", system="linux", kind="executable",
        linkage="static", entry=0, data=memoryview(data),
        segments=(Segment(name="LOAD", address=address, memory_size=len(data), offset=0, file_size=len(data),
                          readable=True, writable=False, executable=False),),
        sections=(Section(name=".eh_frame", address=address, size=len(data), offset=0, executable=False),),
        libraries=(), rpaths=(), imports=(), symbols=(), traits={},
    )  # fmt: skip


def test_functions_and_parts_that_were_split_off():
    first = common()
    second = function(len(first), 0x40_1000, 0x20)
    third = function(len(first) + len(second), 0x40_0F00, 0x10, b"\x0e\x20")
    found = frames(file(first + second + third + bytes(4)))
    assert found is not None
    assert found.extents == (Extent(0x40_0F00, 0x40_0F10, whole=False), Extent(0x40_1000, 0x40_1020, whole=True))
    assert not found.personalities


def test_who_is_called_when_exceptions_pass():
    first = common(b"zPR", b"\x03" + struct.pack("<I", 0x40_2000) + b"\x1b")
    found = frames(file(first + function(len(first), 0x40_1000, 0x20)))
    assert found is not None
    assert found.personalities == {0x40_2000}


def test_where_exceptions_may_be_caught():
    first = common(b"zPLR", b"\x03" + struct.pack("<I", 0x40_2000) + b"\x1b\x1b")

    def told(at: int, address: int, data: int) -> bytes:
        distance = address - (ADDRESS + at + 8)
        return entry(struct.pack("<IiIBi", at + 4, distance, 0x10, 4, data))

    second = told(len(first), 0x40_1000, 0)
    found = frames(file(first + second + told(len(first) + len(second), 0x40_1010, 0x123)))
    assert found is not None
    assert [extent.catches for extent in found.extents] == [False, True]


@pytest.mark.parametrize(
    "data",
    [
        common(b"zR", b"\x00") + function(len(common()), 0x40_1000, 16),
        common(b"eh"),
        function(400, 0x40_1000, 16),
        common() + struct.pack("<I", 0xFFFF_FFFF) + bytes(20),
        common() + struct.pack("<I", 40) + bytes(20),
        common()[:-9],
        b"\x02\0\0\0\0\0",
    ],
    ids=["pointer", "augmentation", "nothing-common", "of-64-bits", "too-long", "cut", "too-short"],
)
def test_what_is_not_understood_is_not_used(data: bytes):
    assert frames(file(data)) is None


def test_any_bytes_give_an_answer():
    chosen = random.Random(1)
    whole = common() + function(len(common()), 0x40_1000, 0x20) * 20
    for _ in range(2_000):
        data = bytearray(whole)
        for _ in range(chosen.randrange(1, 6)):
            data[chosen.randrange(len(data))] = chosen.randrange(256)
        frames(file(bytes(data)))
    assert frames(file(whole, 0xFFFF_FFFF_0000_0000)) is None
