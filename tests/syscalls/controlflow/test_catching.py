"""Landing pads by ranges of code; and entries of functions that contradict each other."""

import struct

import msgspec
import numpy as np

from binsafe.formats.eh_frame_hdr import NOTHING_LISTED, Listed
from binsafe.model import Section, Segment, Slice
from binsafe.syscalls.controlflow.catching import Catching, Caught

ADDRESS, CODE = 0x40_0000, 0x40_1000


def entry(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def catching(*functions: tuple[int, int, bytes], spent: list[int] | None = None, name: str = ".eh_frame") -> Catching:
    """Of functions by start, size and table, in a section of some name."""
    data = entry(struct.pack("<IB", 0, 1) + b"zPLR\0\x01\x78\x10\x07\x03\0\0\0\0\x03\x03\x0c\x07\x08")
    tables = ADDRESS + 0x400
    for start, size, table in functions:
        data += entry(struct.pack("<IIIBI", len(data) + 4, start, size, 4, tables) + b"\0")
        tables += len(table)
    whole = (data + bytes(4)).ljust(0x400, b"\0") + b"".join(table for *_, table in functions)
    slice_ = Slice(
        format="elf", arch="x86_64", bits=64, byte_order="little", system="linux", kind="executable",
        linkage="static", entry=0, data=memoryview(whole),
        segments=(Segment(name="LOAD", address=ADDRESS, memory_size=len(whole), offset=0, file_size=len(whole),
                          readable=True, writable=False, executable=False),),
        sections=(Section(name=name, address=ADDRESS, size=len(data) + 4, offset=0, executable=False),),
        libraries=(), rpaths=(), imports=(), symbols=(), traits={},
    )  # fmt: skip
    return Catching(slice_, NOTHING_LISTED, ([] if spent is None else spent).append)


def table(*sites: int, base: int | None = None) -> bytes:
    first = b"\xff" if base is None else b"\x03" + struct.pack("<I", base)
    return first + bytes((0xFF, 1, len(sites), *sites))


def test_what_is_caught_around_a_range():
    told = catching((CODE, 0x40, table(8, 5, 0x20, 0, 0x18, 5, 0x28, 1)), (CODE + 0x40, 0x20, table(0, 5, 0x10, 0)))
    first, second = Caught(CODE + 8, CODE + 13, CODE + 0x20, True), Caught(CODE + 0x18, CODE + 0x1D, CODE + 0x28, True)
    assert told.around(CODE, CODE + 0x40) == (first, second)
    assert told.around(CODE + 9, CODE + 10) == (first,)
    assert told.around(CODE + 0x28, CODE + 0x30) == (second,)
    assert told.around(CODE + 0x40, CODE + 0x60) == (Caught(CODE + 0x40, CODE + 0x45, CODE + 0x50, True),)
    assert told.around(CODE + 0x60, CODE + 0x70) == ()


def test_a_landing_pad_in_another_part_of_a_function():
    told = catching((CODE, 0x40, table(8, 5, 0x20, 0, base=CODE + 0x100)))
    assert told.around(CODE + 0x120, CODE + 0x121) == (Caught(CODE + 8, CODE + 13, CODE + 0x120, True),)
    edges = told.leading_elsewhere()
    assert (edges.sources.tolist(), edges.targets.tolist()) == ([CODE + 8], [CODE + 0x120])


def test_a_landing_pad_above_all_memory_is_none():
    behind_the_end = b"\x03" + bytes(4) + bytes((0xFF, 9, 4, 8, 5, 0x7F, 0))  # less one, from zero on
    told = catching((CODE, 0x40, behind_the_end))
    assert told.around(CODE, CODE + 0x40) == ()
    assert not len(told.leading_elsewhere().sources)


def test_two_entries_for_the_same_code_say_nothing():
    both = ((CODE, 0x40, table(8, 5, 0x20, 0)), (CODE + 4, 0x40, table(4, 5, 0x30, 0)))
    assert catching(*both).around(CODE, CODE + 0x40) is None


def test_what_cannot_be_read_may_lead_anywhere():
    assert catching((CODE, 0x40, b"\x9b" + bytes(20))).around(CODE + 0x200, CODE + 0x300) is None
    assert catching((CODE, 0x40, b"\xff\xff\x05\x08" + bytes(20))).around(CODE + 0x200, CODE + 0x300) == ()
    assert catching((CODE, 0x40, b"\xff\xff\x05\x08" + bytes(20))).around(CODE, CODE + 0x10) is None


def test_entries_that_no_section_holds_are_not_read():
    function = (CODE, 0x40, table(8, 5, 0x20, 0))
    assert catching(function, name=".other").around(CODE, CODE + 0x40) is None
    assert catching(name=".other").around(CODE, CODE + 0x40) is None
    other = catching(function)._slice
    plain = msgspec.structs.replace(other, data=memoryview(bytes(other.data).replace(b"zPLR", b"zPXR")), sections=())
    assert Catching(plain, NOTHING_LISTED, [].append).around(CODE, CODE + 0x40) == ()


def test_functions_of_an_index_that_have_no_table():
    common = entry(struct.pack("<IB", 0, 1) + b"zPLR\0\x01\x78\x10\x07\x03\0\0\0\0\x1b\x1b\x0c\x07\x08")
    data, rows = common, []
    for start, told in ((CODE, 0), (CODE + 0x40, 0x1000)):
        at = len(data)
        rows.append((start, start + 0x40, ADDRESS + at, ADDRESS, at))
        distance = told and told - at - 17
        data += entry(struct.pack("<IiIBi", at + 4, start - ADDRESS - at - 8, 0x40, 4, distance) + bytes(3))
    whole = data.ljust(0x1000, b"\0") + table(8, 5, 0x20, 0)
    slice_ = msgspec.structs.replace(
        catching()._slice,
        data=memoryview(whole),
        segments=(msgspec.structs.replace(catching()._slice.segments[0], file_size=len(whole)),),
        sections=(),
    )
    told_ = Catching(slice_, Listed(*(np.array(column, np.int64) for column in zip(*rows, strict=True))), [].append)
    assert told_.around(CODE, CODE + 0x40) == ()
    assert told_.around(CODE + 0x40, CODE + 0x80) == (Caught(CODE + 0x48, CODE + 0x4D, CODE + 0x60, True),)


def test_reading_a_long_table_is_paid_for():
    spent: list[int] = []
    sites = b"\x01\x01\x20\x00" * 30_000
    told = catching((CODE, 1 << 20, b"\xff\xff\x01\xc0\xa9\x07" + sites), spent=spent)
    assert told.around(CODE, CODE + 0x40) == (Caught(CODE + 1, CODE + 2, CODE + 0x20, True),)
    assert sum(spent) > 30_000
