"""ELF files with one thing changed: what is refused, what is a problem, and what is read as loaders read it."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

import executable_builders as build
import pytest
from parsed import only_slice

from binsafe.errors import NotAnalysable
from binsafe.formats import parse


def bent(offset: int, layout: str, *values: int):
    data = build.elf()
    build.put(data, offset, layout, *values)
    return data


def header_field(number: int, field: str):
    """Offset of a field of a program header."""
    return 64 + 56 * number + {"type": 0, "flags": 4, "offset": 8, "address": 16, "stored": 32, "memory": 40}[field]


def far_headers():
    """Program headers behind all segments: a loader would take for them what is in memory."""
    data = build.elf()
    data += data[64 : 64 + 7 * 56]
    build.put(data, 32, "<Q", build.ELF_BASE_SIZE)
    return data


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (b"\x7fELF", "truncated"),
        (build.elf()[:40], "truncated"),
        (build.elf()[: build.ELF_BASE_SIZE // 2], "truncated"),
        (bent(4, "<B", 3), "malformed"),  # class
        (bent(5, "<B", 0), "malformed"),  # byte order
        (bent(5, "<B", 2), "malformed"),  # big-endian x86-64: kernels ignore the byte
        (bent(4, "<B", 1), "malformed"),  # 32-bit x86-64: kernels ignore that one, too
        (bent(16, "<H", 9), "malformed"),  # type
        (bent(54, "<H", 57), "malformed"),  # size of a program header
        (bent(56, "<H", 0), "malformed"),  # no program headers
        (bent(56, "<H", 0xFFFF), "malformed"),
        (bent(32, "<Q", 1 << 63), "truncated"),  # program headers far away
        (bent(header_field(0, "stored"), "<Q", 1 << 62), "truncated"),
        (bent(header_field(1, "stored"), "<Q", 0x1801), "truncated"),
        (bent(header_field(1, "memory"), "<Q", 0x10), "malformed"),  # stores more than it has
        (bent(header_field(1, "memory"), "<Q", (1 << 64) - 1), "malformed"),
        (bent(header_field(1, "address"), "<Q", 0x1800), "malformed"),  # cannot be mapped
        (bent(header_field(1, "address"), "<Q", 0), "malformed"),  # over the first segment
        (bent(header_field(2, "address"), "<Q", 0x90000), "malformed"),  # dynamic section in the void
        (bent(header_field(3, "stored"), "<Q", 5), "malformed"),  # loader's path without NUL
        (bent(header_field(3, "offset"), "<Q", 0x21B), "malformed"),  # loader's path that is empty
        (bent(build.ELF_DYNAMIC + 16 * 5 + 8, "<Q", 1 << 40), "malformed"),  # symbols in the void
        (bent(build.ELF_DYNAMIC + 16 * 5, "<Q", 0x6FFF_FDF0), "malformed"),  # no symbols, where a library is asked for
        (bent(build.ELF_DYNAMIC + 8, "<Q", 0x5000), "malformed"),  # library's name outside of the strings
        (bent(build.ELF_DYNAMIC + 16 * 4 + 8, "<Q", 1 << 40), "malformed"),  # size of the strings
        (bent(build.ELF_DYNAMIC + 16 * 4 + 8, "<Q", 33), "malformed"),  # strings that end within a search path
        (bent(build.ELF_DYNAMIC + 16 * 8 + 8, "<Q", 1 << 40), "malformed"),  # size of the PLT's relocations
        (bent(build.ELF_DYNAMIC + 16 * 12, "<QQ", 35, 1 << 30), "malformed"),  # a flood of packed relocations
        # Two of what counts once: readers show the first, and glibc obeys the last (or the kernel, for the stack).
        (bent(64 + 56 * 6, "<I", 2), "malformed"),  # dynamic sections
        (bent(64 + 56 * 6, "<I", 0x6474E551), "malformed"),  # stacks
        (bent(build.ELF_DYNAMIC + 16 * 12, "<QQ", 5, 0x300), "malformed"),  # string tables
        # Loaders take the program headers from memory, and the difference to what they say for the image's base.
        (bent(64 + 56 * 6, "<IIQQ", 6, 4, 64, 0x1040), "malformed"),
        (far_headers(), "malformed"),
    ],
)
def test_what_a_kernel_or_loader_would_trip_over_is_refused(data: bytes, finding: str):
    with pytest.raises(NotAnalysable) as caught:
        parse(memoryview(data))
    assert caught.value.finding == finding


def test_a_program_for_x86_64_with_short_addresses_is_one():
    """Whose kernel does not go by the class could not take it for one of 64 bits."""
    head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 62, 1, 0x400054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    data = (head + struct.pack("<8I", 1, 0, 0x400000, 0x400000, 0x60, 0x60, 5, 0x1000)).ljust(0x60, b"\x90")
    assert (only_slice(data).arch, only_slice(data).kind) == ("x32", "executable")


def test_a_dynamic_section_that_says_it_is_empty_is_read_as_the_loader_reads_it():
    data = bent(header_field(2, "stored"), "<QQ", 0, 0)
    assert only_slice(data).libraries == only_slice(build.elf()).libraries != ()


def test_a_library_of_sparc_names_each_register_that_it_uses():
    data = build.elf()
    build.put(data, build.ELF_DYNAMIC + 16 * 11, "<QQQQ", 0x7000_0001, 2, 0x7000_0001, 3)
    assert only_slice(data).libraries == only_slice(build.elf()).libraries


def test_a_table_without_a_byte_may_be_said_to_lie_where_nothing_is():
    """As LLD says it of the PLT's relocations in static programs that export their functions."""
    data = build.elf()
    build.put(data, build.ELF_DYNAMIC + 16 * 7, "<QQQQ", 23, 1 << 40, 2, 0)
    assert only_slice(data).libraries == only_slice(build.elf()).libraries


@pytest.mark.parametrize(
    ("bending", "relro", "table"),
    [
        ((header_field(5, "memory"), "<Q", 0x800), False, False),  # less than a page: the loader protects none
        ((header_field(5, "memory"), "<Q", 0), False, False),
        ((header_field(5, "address"), "<Q", 0x90000), False, False),  # nothing is there
        ((build.ELF_DYNAMIC + 16 * 10 + 8, "<Q", 0x2000), True, False),  # the table of functions lies behind it
    ],
)
def test_write_protection_of_no_page_is_none(bending: tuple[int, str, int], relro: bool, table: bool):
    traits = only_slice(bent(*bending)).traits
    assert (traits["relro"], traits["relro_got"]) == (relro, table)


def test_two_segments_that_share_a_page_of_memory_have_the_bytes_of_the_one_mapped_last():
    data = build.elf()
    build.put(data, header_field(0, "stored"), "<QQ", 0x300, 0x300)
    build.put(data, header_field(1, "offset"), "<QQQQQ", 0x1400, 0x400, 0, 0x400, 0x400)
    with pytest.raises(NotAnalysable, match="share a page of memory"):
        parse(memoryview(data))


@pytest.mark.parametrize(
    "data",
    [
        build.elf()[: build.ELF_SECTIONS] + bytes(0x16F),  # zeroed
        bent(40, "<Q", 0),  # no section table
        bent(40, "<Q", 1 << 40),
        bent(58, "<H", 63),  # entries of an impossible size
        bent(60, "<H", 0xFF00),  # too many
        bent(62, "<H", 77),  # names in a section that is not there
        bent(build.ELF_SECTIONS + 64 + 24, "<Q", 1 << 50),  # a section outside of the file
        bent(build.ELF_SECTIONS + 64 + 24, "<Q", 0x740),  # ... that shows other bytes than the loader maps
        bent(build.ELF_SECTIONS + 64 + 16, "<Q", 0x900000),  # ... where nothing is mapped
    ],
)
def test_a_bad_section_table_is_a_problem_but_no_end(data: bytes):
    found = only_slice(data)
    assert [problem.split(":")[0] for problem in found.problems] == ["section-table"]
    assert [library.name for library in found.libraries] == ["libc.so.6"]
    assert len(found.segments) == 2
    assert all(s.offset is None or s.offset + s.size <= len(data) for s in found.sections)


def test_a_section_that_contradicts_the_segments_is_left_out():
    """A text section that shows harmless bytes in place of what is mapped would mislead every later stage."""
    found = only_slice(bent(build.ELF_SECTIONS + 64 + 24, "<Q", 0x740))
    assert found.section(".plt.sec") is None
    assert found.section(".data") is not None


def test_a_search_path_of_thousands_of_letters_is_read_to_its_end():
    data = build.elf()
    at = -(-len(data) // 0x1000) * 0x1000
    strings = bytes(data[0x240 : 0x240 + data[build.ELF_DYNAMIC + 16 * 4 + 8]]) + b"/far:" * 1000 + b"/last\0"
    data = data.ljust(at, b"\0") + strings
    build.put(data, 64 + 56 * 6, "<IIQQQQQQ", 1, 4, at, at * 2, 0, len(strings), len(strings), 0x1000)
    build.put(data, build.ELF_DYNAMIC + 16 * 3 + 8, "<QQQ", at * 2, 10, len(strings))
    build.put(data, build.ELF_DYNAMIC + 16 + 8, "<Q", strings.index(b"/far"))
    assert only_slice(data).rpaths == ("/far",) * 1000 + ("/last",)


def test_libraries_for_auditing_are_libraries():
    data = build.elf()
    audit = bytes(data[0x240:0x2C0]).index(b"audit.so")
    build.put(data, build.ELF_DYNAMIC + 16 * 12, "<QQQQ", 0x6FFFFEFC, audit, 0, 0)
    assert [library.name for library in only_slice(data).libraries] == ["libc.so.6", "audit.so"]


def test_a_thousand_lying_sections_cost_little():
    count = 65_000
    data = build.elf()
    data += b"".join(bytes(data[build.ELF_SECTIONS + 64 : build.ELF_SECTIONS + 128]) for _ in range(count))
    build.put(data, 40, "<Q", build.ELF_BASE_SIZE)
    build.put(data, 60, "<H", count)
    start = time.process_time()
    assert len(only_slice(data).sections) == count - 1
    assert time.process_time() - start < 5


def test_segments_that_lie_over_each_other_in_the_file_are_refused():
    """Each is at an address of its own, so that whoever looks at all of them looks at the same bytes 60 times."""
    data = build.elf()
    table = bytes(data[64 : 64 + 7 * 56])
    extra = (struct.pack("<IIQQQQQQ", 1, 4, 0, at << 16, at << 16, 0x2000, 0x2000, 0x1000) for at in range(1, 61))
    more = b"".join([table, *extra])
    build.put(data, 32, "<Q", len(data))
    build.put(data, 56, "<H", 67)
    build.put(data, 64 + 3 * 56, "<I", 0)  # without a loader nobody looks for the headers in memory
    with pytest.raises(NotAnalysable, match="segments lie over each other"):
        parse(memoryview(bytes(data) + more))


def test_sections_that_lie_over_each_other_are_left_out():
    data = build.elf()
    row = struct.pack("<IIQQQQIIQQ", 0, 1, 4, 0, 0, build.ELF_BASE_SIZE, 0, 0, 0, 0)
    build.put(data, 40, "<Q", len(data))
    build.put(data, 60, "<HH", 21, 0)
    found = only_slice(bytes(data) + bytes(64) + row * 20)
    assert found.sections == ()
    assert found.problems == ("section-table: the table of sections: its sections lie over each other",)


def test_a_static_program_that_may_lie_anywhere_has_nothing_to_be_linked_by_once_it_was_packed(
    standin: Callable[[str], Path],
):
    """UPX leaves of a static PIE two segments; without a dynamic section no loader takes a file for a library."""
    data = bytearray(standin("linux/amd64").read_bytes())
    data[16:18] = (3).to_bytes(2, "little")  # ET_DYN
    found = only_slice(bytes(data))
    assert (found.kind, found.linkage) == ("executable", "static-pie")


def test_an_object_file_whose_sections_are_all_left_out_is_refused():
    """A kernel takes a module by its sections: without them it would be taken for an object, which nothing loads."""
    data = build.elf()
    row = struct.pack("<IIQQQQIIQQ", 0, 1, 4, 0, 0, build.ELF_BASE_SIZE, 0, 0, 0, 0)
    build.put(data, 16, "<H", 1)
    build.put(data, 32, "<Q", 0)
    build.put(data, 40, "<Q", len(data))
    build.put(data, 56, "<HHHH", 0, 64, 21, 0)
    with pytest.raises(NotAnalysable, match="without sections: its sections lie over each other") as error:
        parse(memoryview(bytes(data) + bytes(64) + row * 20))
    assert error.value.finding == "section-table"
