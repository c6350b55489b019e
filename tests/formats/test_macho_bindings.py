"""What dyld binds: chained fixups, opcodes of the older form, and the trie of exports."""

import struct
import time

import executable_builders as build
import pytest
from parsed import command_at, only_slice

from binsafe.errors import NotAnalysable
from binsafe.formats import parse
from binsafe.formats.macho_bindings import Exports, exports


def test_chained_fixups_name_imports_that_the_symbol_table_hides():
    data = build.macho()
    build.put(data, command_at(data, 2) + 12, "<I", 1)  # the symbol table ends behind _main
    build.put(data, command_at(data, 0xB) + 60, "<I", 0)  # no indirect symbols
    found = only_slice(data)
    assert [(e.name, e.address) for e in found.imports] == [
        ("_socket", build.MACHO_GOT),
        ("_connect", build.MACHO_GOT + 8),
    ]


def with_opcodes(opcodes: bytes):
    """The built program, which binds by these opcodes, too."""
    data = build.macho(extra=struct.pack("<12I", 0x8000_0022, 48, 0, 0, 0x8200, 0x1E0, *([0] * 6)), extra_count=1)
    data[0x8200 : 0x8200 + 0x1E0] = opcodes.ljust(0x1E0, b"\0")
    return data


def test_a_flood_of_bindings_costs_no_more_than_one():
    """2 KB of opcodes that repeat 100,000 bindings each kept a parser that unrolls them busy for over a minute."""
    found = only_slice(with_opcodes(b"\x11\x40_a\0\x51" + b"\x72\x00\xc0\xa0\x8d\x06\x00" * 60))
    bound = next(entry for entry in found.imports if entry.name == "_a")
    assert (bound.library, bound.address) == ("/usr/lib/libSystem.B.dylib", build.MACHO_GOT)


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x11\x40" + b"a" * 0x1DE,  # a name without an end
        b"\x11\x40_a\0\x51\x79\x00\x90",  # segment 9
        b"\xe0",  # no opcode
        b"\x20" + b"\x80" * 0x1DF,  # a number without an end
    ],
)
def test_opcodes_that_dyld_would_refuse_are_refused(opcodes: bytes):
    with pytest.raises(NotAnalysable) as caught:
        parse(memoryview(with_opcodes(opcodes)))
    assert caught.value.finding == "malformed"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (20, 99),  # a format of imports that does not exist
        (12, 0x10_0000),  # names that lie outside of the file
        (16, 0xFFFF_FFFF),  # more names than there is room for
        (24, 1),  # compressed names
    ],
)
def test_fixups_that_cannot_be_read_are_refused_not_taken_for_none(at: int, value: int):
    data = build.macho()
    build.put(data, 0x8100 + at, "<I", value)
    with pytest.raises(NotAnalysable):
        parse(memoryview(data))


def test_a_chain_of_pointers_that_leaves_its_page_is_refused():
    data = build.macho()
    build.put(data, 0x8168 - 8, "<I", 1 | 3 << 9)  # both imports are still wanted when the chain goes on
    build.put(data, build.MACHO_GOT - (1 << 32), "<Q", 0xFFF << 51)
    with pytest.raises(NotAnalysable, match="page"):
        parse(memoryview(data))


def test_the_export_trie_names_what_the_symbol_table_was_stripped_of():
    trie = b"\0\1_\0\5" + b"\0\2a\0\x0ebc\0\x12" + b"\2\0\x10\0" + b"\3\0\x80\x01\0"
    data = build.macho(extra=struct.pack("<4I", 0x8000_0033, 16, 0x8200, len(trie)), extra_count=1)
    data[0x8200 : 0x8200 + len(trie)] = trie
    assert [s.name for s in only_slice(data).symbols] == ["_main"]
    build.put(data, 0x8000 + 4, "<B", 0x64)  # _main becomes a debugger's entry
    assert sorted((s.name, s.address) for s in only_slice(data).symbols) == [
        ("_a", (1 << 32) + 0x10), ("_bc", (1 << 32) + 0x80),
    ]  # fmt: skip


def test_an_export_trie_that_leads_back_to_itself_is_refused():
    trie = b"\0\1a\0\0"
    data = build.macho(extra=struct.pack("<4I", 0x8000_0033, 16, 0x8200, len(trie)), extra_count=1)
    data[0x8200 : 0x8200 + len(trie)] = trie
    build.put(data, 0x8000 + 4, "<B", 0x64)
    with pytest.raises(NotAnalysable, match="tree"):
        parse(memoryview(data))


@pytest.mark.parametrize(("nodes", "too_many"), [(100, False), (3000, True)])
def test_an_export_trie_whose_names_would_take_far_more_than_it_has_is_refused(nodes: int, too_many: bool):
    """A chain of nodes: each name is a letter longer than the one before it, and all of them together a square."""
    places = (7 * number for number in range(1, nodes + 1))
    links = (bytes([at & 0x7F | 0x80, at >> 7 & 0x7F | 0x80, at >> 14]) for at in places)
    trie = memoryview(b"".join(b"\0\1a\0" + link for link in links) + b"\2\0\x10\0")
    if too_many:
        with pytest.raises(NotAnalysable, match="tree"):
            list(exports(trie))
    else:
        assert list(exports(trie)) == [("a" * nodes, 0x10)]


@pytest.mark.parametrize("library", [0xFE, 1])
def test_a_name_that_the_program_looks_up_in_itself_and_passes_on_is_the_other_name(library: int):
    """``_socket`` as anybody sees it is ``_puts``, which the program's own trie says is libSystem's ``_accept``."""
    trie = b"\0\1_\0\5" + b"\0\1socket\0\x0f" + b"\x09\x08\1_accept\0\0"
    data = build.macho(extra=struct.pack("<4I", 0x8000_0033, 16, 0x8200, len(trie)), extra_count=1)
    data[0x8200 : 0x8200 + len(trie)] = trie
    build.put(data, 0x8160, "<B", library)  # flat, or libSystem
    names = {entry.name: entry.library for entry in only_slice(data).imports}
    assert names.get("_accept") == ("/usr/lib/libSystem.B.dylib" if library == 0xFE else None)
    assert "_socket" in names


def with_more(kind: int, where: int, more: bytes) -> bytearray:
    """The built program, whose load command of that kind has its table, ``where`` says, behind all else."""
    data = build.macho()
    linkedit = command_at(data, 0x19, 3)
    build.put(data, command_at(data, kind) + where, "<I", len(data))
    data += more
    build.put(data, linkedit + 32, "<QQQ", -(-len(more) // 0x4000) * 0x4000 + 0x4000, 0x8000, len(data) - 0x8000)
    return data


def test_names_that_lie_over_each_other_are_refused_before_they_fill_memory():
    """8,000 imports of 64 KB each, out of 140 KB: by chained fixups, and by the symbol table."""
    count, name = 8_000, b"_a" * 40_000
    fixups = struct.pack("<7I4x4x", 0, 32, 36, 36 + 4 * count, count, 1, 0)
    fixups += b"".join(struct.pack("<I", 1 | number << 9) for number in range(1, count + 1)) + b"\0" + name
    chained = with_more(0x8000_0034, 8, fixups)
    build.put(chained, command_at(chained, 0x8000_0034) + 12, "<I", len(fixups))
    table = b"".join(struct.pack("<IBBHQ", number, 1, 0, 0x100, 0) for number in range(1, count + 1))
    listed = with_more(2, 8, table + b"\0" + name)
    build.put(listed, command_at(listed, 2) + 12, "<III", count, 0x8400 + len(table), len(name) + 1)
    for data in (chained, listed):
        with pytest.raises(NotAnalysable, match="names lie over each other"):
            parse(memoryview(data))


def test_names_that_are_looked_up_in_a_trie_of_circles_take_no_more_time_than_others():
    """An edge without letters leads back, behind 254 that are long and lead nowhere."""
    own = Exports(memoryview(b"\0\xff" + (b"z" * 1000 + b"\0\0") * 254 + b"\0\0"))
    before = time.process_time()
    with pytest.raises(NotAnalysable, match="tree"):
        _ = [own.passed_on(f"_a{number}") for number in range(100_000)]
    assert time.process_time() - before < 10
