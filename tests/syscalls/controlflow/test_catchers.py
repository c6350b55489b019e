"""Which functions have a table of where exceptions are caught, with pointers of the sizes that compilers give them."""

import struct

import numpy as np
import pytest
from assembled import X86, program
from msgspec import structs

from binsafe.formats import eh_frame, eh_frame_hdr
from binsafe.formats.eh_frame_hdr import Listed, listed
from binsafe.model import Section, Segment, Slice
from binsafe.syscalls.controlflow.catchers import catchers

ADDRESS, TABLE = 0x40_0000, 0x40_3000


@pytest.mark.parametrize(
    ("kinds", "size"),
    [((0x9B, 0x1B), 4), ((0x9C, 0x1C), 8), ((0x1C, 0x1C), 8)],
    ids=["of four bytes", "of eight, as LLVM has them for arm64", "of eight, read where they are"],
)
def test_the_table_of_a_function_is_found(kinds: tuple[int, int], size: int):
    personality, language = kinds
    augmentation = bytes((personality,)) + bytes(size) + bytes((language, 0x1B))
    first = _entry(struct.pack("<IB", 0, 1) + b"zPLR\0\x04\x78\x1e" + bytes((len(augmentation),)) + augmentation)
    data, entries = first, []
    for start, table in ((0x40_1000, 0), (0x40_1010, TABLE)):
        entries.append(len(data))
        distance = table and table - (ADDRESS + len(data) + 17)
        fields = struct.pack("<IiIB", len(data) + 4, start - (ADDRESS + len(data) + 8), 0x10, size)
        data += _entry(fields + distance.to_bytes(size, "little", signed=True) + bytes(8))
    at = np.array(entries, np.int64)
    starts = np.array([0x40_1000, 0x40_1010], np.int64)
    commons = np.full(2, ADDRESS, np.int64)
    found = catchers(_file(data), Listed(starts, starts + 0x10, at + ADDRESS, commons, at), lambda _: None)
    assert found is not None
    assert (found.starts, found.tables.tolist()) == ([0x40_1010], [TABLE])
    assert found.read(0).table == TABLE


def _entry(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _file(data: bytes) -> Slice:
    segment = Segment(
        name="LOAD", address=ADDRESS, memory_size=len(data), offset=0, file_size=len(data), readable=True,
        writable=False, executable=False,
    )  # fmt: skip
    return Slice(
        format="elf", arch="arm64", bits=64, byte_order="little", system="linux", kind="executable", linkage="static",
        entry=0, data=memoryview(data), segments=(segment,), sections=(), libraries=(), rpaths=(), imports=(),
        symbols=(), traits={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (b"\0\0\0\0\1zPLR\0", False),
        (b"zPL\0\0\0\0\3zPL", False),
        (b"\0\0\0\0\1zR\0", True),
        (b"\0\0\1\0\1zPL", True),
        (b"\0\0\0\0\2zPL", True),
    ],
)
def test_where_nothing_is_listed_what_looks_like_an_entry_is_not_taken_for_nothing(found: bytes, *, told: bool):
    slice_ = program(X86(), data=bytes(16) + found)
    assert (catchers(slice_, listed(slice_, None), lambda _: None) is not None) is told


def test_an_entry_in_another_segment_is_not_read_where_the_file_has_it_by_chance():
    """A decoy stands where the entry would be if both segments were one; the unwinder finds the other one."""
    table, entries = 0x40_0000, 0x40_1000
    head = bytes((1, 0x1B, 0x03, 0x3B)) + struct.pack("<iIii", 0, 1, 0x2000, entries - table)
    decoy = struct.pack("<IIiIB", 0x11, 4, 0x1000 - 8, 0x10, 0) + bytes(4)
    data = head.ljust(0x1000, b"\0") + decoy + bytes(0x20)
    first = Segment(
        name="LOAD", address=table, memory_size=0x1000, offset=0, file_size=0x1000, readable=True, writable=False,
        executable=False,
    )  # fmt: skip
    whole = structs.replace(first, memory_size=len(data), file_size=len(data))
    section = Section(name=".eh_frame_hdr", address=table, size=len(head), offset=0, executable=False)
    slices = (structs.replace(_file(data), segments=(each,), sections=(section,)) for each in (whole, first))
    ends = [each.ends.tolist() for slice_ in slices if (each := listed(slice_, None)) is not None]
    assert ends == [[0x40_2010], [0]]


def test_entries_may_lie_in_a_segment_of_their_own():
    """Zig's linker puts them where the program may write: musl's assembler files have a section that says so."""
    table, entries = 0x40_0000, 0x60_0080
    head = bytes((1, 0x1B, 0x03, 0x3B)) + struct.pack("<iIii", 0, 1, 0x2000, entries - table)
    entry = struct.pack("<IIiIB", 0x11, 4, table + 0x2000 - entries - 8, 0x10, 0) + bytes(4)
    data = head.ljust(0x80, b"\0") + entry + bytes(0x20)
    first = Segment(
        name="LOAD", address=table, memory_size=0x80, offset=0, file_size=0x80, readable=True, writable=False,
        executable=False,
    )  # fmt: skip
    other = structs.replace(first, address=entries, offset=0x80, file_size=len(data) - 0x80, writable=True)
    section = Section(name=".eh_frame_hdr", address=table, size=len(head), offset=0, executable=False)
    slice_ = structs.replace(_file(data), segments=(first, other), sections=(section,))
    found = listed(slice_, None)
    assert found is not None
    assert (found.starts.tolist(), found.ends.tolist(), found.offsets.tolist()) == ([0x40_2000], [0x40_2010], [0x80])


def test_of_an_index_longer_than_any_program_has_nothing_is_said(monkeypatch: pytest.MonkeyPatch):
    head = bytes((1, 0x1B, 0x03, 0x3B)) + struct.pack("<iI", 0, 9) + bytes(8 * 9)
    section = Section(name=".eh_frame_hdr", address=ADDRESS, size=len(head), offset=0, executable=False)
    slice_ = structs.replace(_file(head), sections=(section,))
    whole = listed(slice_, None)
    assert whole is not None
    assert len(whole.starts) == 9
    monkeypatch.setattr(eh_frame_hdr, "MAX_UNWOUND", 8)
    assert listed(slice_, None) is None
    assert catchers(slice_, None, lambda _: None) is None


def test_of_more_entries_than_any_program_has_nothing_is_said(monkeypatch: pytest.MonkeyPatch):
    data = _entry(struct.pack("<IB", 0, 1) + b"zR\0\x04\x78\x1e\1\x1b") * 9
    section = Section(name=".eh_frame", address=ADDRESS, size=len(data), offset=0, executable=False)
    slice_ = structs.replace(_file(data), sections=(section,))
    assert eh_frame.frames(slice_) is not None
    monkeypatch.setattr(eh_frame, "MAX_UNWOUND", 7)
    assert eh_frame.frames(slice_) is None
