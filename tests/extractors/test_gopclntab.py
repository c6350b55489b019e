import struct

import go_tables
import pytest
from go_tables import END, FUNCTIONS, MAGICS, go_slice, table, with_moduledata
from hypothesis import given
from hypothesis import strategies as st
from minimal_slices import DATA, TEXT, with_section

from binsafe.formats import gopclntab
from binsafe.formats.gopclntab import functions
from binsafe.model import Section

EXPECTED = {name: TEXT + offset for name, offset in FUNCTIONS.items()}


@pytest.mark.parametrize("version", MAGICS)
@pytest.mark.parametrize(("pointer", "bits"), [(8, 64), (4, 32)])
@pytest.mark.parametrize(("order", "byte_order"), [("<", "little"), (">", "big")])
def test_every_version_of_the_table_gives_names_and_addresses(
    version: str, pointer: int, bits: int, order: str, byte_order: str
):
    data = table(version, pointer=pointer, order=order)
    found = functions(with_section(".gopclntab", data, bits=bits, byte_order=byte_order))
    assert found is not None
    assert dict(zip(found.names, list(found.addresses), strict=True)) == EXPECTED
    assert found.end == TEXT + END


@pytest.mark.parametrize("version", MAGICS)
def test_a_table_without_a_section_is_found_by_its_magic_number(version: str):
    found = functions(go_slice(b"\0" * 32 + table(version)))
    assert found is not None
    assert found.find(["main.main", "nobody"]) == {"main.main": EXPECTED["main.main"]}


@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize(("order", "byte_order"), [("<", "little"), (">", "big")])
def test_a_magic_number_is_found_wherever_it_stands(
    piece: int, order: str, byte_order: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gopclntab, "_PIECE", piece)
    for before in range(0, 40, 8):
        found = functions(go_slice(b"\xff" * before + table("1.2", order=order), byte_order=byte_order))
        assert found is not None
        assert found.find(["main.main"]) == {"main.main": EXPECTED["main.main"]}


@pytest.mark.parametrize(("version", "count"), [("1.2", 2), ("1.16", 2), ("1.18", 0), ("1.20", 0)])
def test_the_words_of_the_table_that_hold_addresses_are_known(version: str, count: int):
    data = table(version)
    found = functions(with_section(".gopclntab", data))
    assert found is not None
    held = [int.from_bytes(data[at - DATA : at - DATA + 8], "little") for at in found.entries]
    assert sorted(held) == sorted(list(EXPECTED.values()) * count)


@pytest.mark.parametrize(("version", "record"), [("1.2", 12), ("1.16", 12), ("1.18", 8), ("1.20", 8)])
def test_the_table_reaches_to_its_last_record(version: str, record: int):
    data = table(version)
    found = functions(with_section(".gopclntab", data))
    assert found is not None
    assert found.extent == (DATA, DATA + len(data) - record)


def test_since_go_1_26_moduledata_alone_says_where_code_starts():
    # The section starts 0x100 before runtime.text, as C's start-up code does in a program with cgo.
    data = with_moduledata(table("1.20", header_text=0))
    sections = (
        Section(name=".gopclntab", address=DATA, size=len(data), offset=0),
        Section(name=".text", address=TEXT - 0x100, size=0x1000, offset=None),
    )
    found = functions(go_slice(data, sections=sections))
    assert found is not None
    assert found.find(["main.main"]) == {"main.main": EXPECTED["main.main"]}


def test_moduledata_that_the_loader_relocates_is_found_in_the_relocations():
    data = table("1.20", header_text=0)
    size = len(data)
    entries = [(0x60_0000, 8, DATA), (0x60_0000 + 22 * 8, 8, TEXT)]
    data += b"".join(struct.pack("<QQQ", *entry) for entry in entries)
    sections = (
        Section(name=".gopclntab", address=DATA, size=size, offset=0),
        Section(name=".rela.dyn", address=DATA + size, size=len(data) - size, offset=size),
    )
    found = functions(go_slice(data, sections=sections))
    assert found is not None
    assert found.find(["main.main"]) == {"main.main": EXPECTED["main.main"]}


def test_the_function_that_holds_an_address():
    found = functions(go_slice(table("1.20")))
    assert found is not None
    holder = [found.containing(TEXT + offset) for offset in (-1, 0, 0x3F, 0x40, END - 1, END)]
    assert holder == [None, 0, 0, 1, 2, None]
    assert found.name(1) == "main.main"
    assert found.containing(-5) is None
    assert found.containing(2**70) is None


def test_a_name_may_be_as_long_as_the_types_of_a_generic_function(monkeypatch: pytest.MonkeyPatch):
    """With the tags of all fields it was 8,924 bytes in a real program, whose table was refused for it."""
    name = "graph.(*graph[go.shape.struct { " + 9_000 * "x" + " }]).visit"
    monkeypatch.setattr(go_tables, "FUNCTIONS", {name: 0, **FUNCTIONS})
    found = functions(go_slice(table("1.20")))
    assert found is not None
    assert found.find([name, "main.main"]) == {name: TEXT, "main.main": EXPECTED["main.main"]}


def test_functions_outside_of_code_make_the_table_worthless():
    assert functions(go_slice(table("1.16"), code_size=0x10)) is None
    assert functions(go_slice(table("1.20"), code_size=0x10)) is None


def test_names_that_would_fill_memory_are_refused():
    """A table whose every entry names the same long string, tens of thousands of times."""
    count, name = 50_000, b"x" * 4000 + b"\0"
    header = struct.pack("<IBBBB8Q", MAGICS["1.20"], 0, 0, 1, 8, count, 0, TEXT, 72, 0, 0, 0, 72 + len(name))
    info_at = (2 * count + 1) * 4
    rows = struct.pack("<II", 0, info_at) * count + struct.pack("<I", 0)
    assert functions(go_slice(header + name + rows + struct.pack("<Ii", 0, 0))) is None


@pytest.mark.parametrize("cut", range(0, 160, 7))
def test_a_table_that_ends_early_is_no_table(cut: int):
    assert functions(go_slice(table("1.20")[:cut])) is None


@given(
    version=st.sampled_from(list(MAGICS)),
    changes=st.lists(st.tuples(st.integers(0, 200), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])), max_size=12),
    address=st.sampled_from([0, DATA, 2**32 - 8, 2**64 - 64]),
)
def test_hostile_tables_never_raise(version: str, changes: list[tuple[int, int]], address: int):
    data = bytearray(with_moduledata(table(version, header_text=0)))
    for place, value in changes:
        data[place % len(data)] = value
    section = Section(name=".gopclntab", address=address, size=len(data), offset=0)
    found = functions(go_slice(bytes(data), sections=(section,)))
    assert found is None or len(found.names) == len(found.addresses)
