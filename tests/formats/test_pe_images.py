import struct
from collections.abc import Callable
from pathlib import Path

import executable_builders as build
import pytest
from parsed import only_slice

from binsafe.errors import NotAnalysable
from binsafe.formats import parse

OPTIONAL = 64 + 24
SECTIONS = OPTIONAL + 240


def test_the_built_program():
    found = only_slice(build.pe())
    assert (found.arch, found.bits, found.system, found.kind) == ("x86_64", 64, "windows", "executable")
    assert found.entry == build.PE_BASE + 0x1000
    assert [(library.name, library.kind) for library in found.libraries] == [
        ("ws2_32.dll", "load"),
        ("slow.dll", "delay"),
    ]
    slots = build.PE_BASE + build.PE_IDATA
    assert [(e.name, e.library, e.address) for e in found.imports] == [
        ("connect", "ws2_32.dll", slots + 0x100),  # by ordinal 4 only
        ("send", "ws2_32.dll", slots + 0x108),
        ("later", "slow.dll", slots + 0x48),
    ]
    expected = {
        "dynamic_base": True,
        "high_entropy_va": True,
        "nx_compat": True,
        "guard_cf": True,
        "no_seh": False,
        "force_integrity": False,
        "security_cookie": False,
        "subsystem": "console",
        "dotnet": False,
        "rwx_segment": False,
    }
    assert {name: found.traits[name] for name in expected} == expected
    assert found.read(found.entry, 1) == b"\xc3"
    assert found.signature_range is None
    assert found.problems == ()


def test_where_resources_begin_and_symbols_end():
    assert (only_slice(build.pe()).traits["resources"], only_slice(build.pe()).traits["coff_symbols_end"]) == (0, 0)
    data = bent(OPTIONAL + 112 + 8 * 2, "<II", build.PE_IDATA + 0x200, 0x100)
    size = len(data)
    struct.pack_into("<II", data, 64 + 12, size, 2)
    found = only_slice(data + bytes(2 * 18) + struct.pack("<I", 9) + b"name\0" + b"behind")
    assert found.traits["resources"] == build.PE_BASE + build.PE_IDATA + 0x200
    assert found.traits["coff_symbols_end"] == size + 2 * 18 + 9
    struct.pack_into("<I", data, 64 + 12, size + 1)
    assert only_slice(data).traits["coff_symbols_end"] == 0  # they are not in the file


def test_libraries_that_exports_are_passed_on_to_are_told():
    data = build.pe()
    build.put(data, OPTIONAL + 112, "<II", build.PE_IDATA + 0x200, 0x200)
    texts = (b"other.Work\0", b"OTHER.#4\0", b"two.dots.f\0", b"slow.later\0", b"nothing\0")
    places = [0x300 + 16 * number for number in range(len(texts))]
    build.put(data, 0x600 + 0x200 + 16, "<6I", 1, len(texts) + 1, 0, build.PE_IDATA + 0x240, 0, 0)
    build.put(data, 0x600 + 0x240, "<6I", 0x1000, *(build.PE_IDATA + place for place in places))
    for place, text in zip(places, texts, strict=True):
        data[0x600 + place : 0x600 + place + len(text)] = text
    found = only_slice(data)
    assert [(library.name, library.kind) for library in found.libraries] == [
        ("ws2_32.dll", "load"),
        ("slow.dll", "delay"),
        ("OTHER.dll", "reexport"),
        ("two.dots.dll", "reexport"),
    ]
    assert [(symbol.name, symbol.address) for symbol in found.symbols] == [("#1", build.PE_BASE + 0x1000)]


def test_a_library_that_is_asked_for_in_other_letters_is_one():
    data = build.pe(imports=2)
    build.put(data, 0x600 + 0x118 + 20 + 12, "<I", build.PE_IDATA + 0xB0)  # the second descriptor's name
    data[0x6B0:0x6BA] = b"WS2_32.DLL"
    found = only_slice(data)
    assert [library.name for library in found.libraries] == ["ws2_32.dll", "slow.dll"]
    assert {entry.library for entry in found.imports} == {"ws2_32.dll", "WS2_32.DLL", "slow.dll"}


def test_a_library_that_is_asked_for_without_its_suffix_has_the_same_numbers():
    data = build.pe()
    data[0x600 : 0x600 + 11] = b"WS2_32".ljust(11, b"\0")
    assert [(entry.name, entry.library) for entry in only_slice(data).imports[:1]] == [("connect", "WS2_32")]


def test_the_certificate_table_is_found():
    found = only_slice(build.pe(certificate=b"certificate data"))
    offset, size = found.signature_range
    assert bytes(found.data[offset : offset + size]) == b"certificate data"


def test_a_go_program_for_windows_has_its_parts(standin: Callable[[str], Path]):
    found = only_slice(standin("windows/amd64").read_bytes())
    assert (found.arch, found.system, found.kind) == ("x86_64", "windows", "executable")
    assert [library.name.lower() for library in found.libraries] == ["kernel32.dll"]
    text = found.section(".text")
    assert text.executable
    assert text.address <= found.entry < text.address + text.size
    main = next(symbol for symbol in found.symbols if symbol.name == "main.main")
    assert text.address < main.address < text.address + text.size
    assert {"ExitProcess", "WriteFile"} <= {entry.name for entry in found.imports}
    assert found.section(".debug_info") or found.section(".zdebug_info")  # names longer than 8 bytes


@pytest.mark.parametrize("field", [0x40, 0x20, 0x100, 0x4000])
def test_each_characteristic_is_read_from_its_own_bit(field: int):
    name = {0x40: "dynamic_base", 0x20: "high_entropy_va", 0x100: "nx_compat", 0x4000: "guard_cf"}[field]
    assert only_slice(bent(OPTIONAL + 70, "<H", 0x4160 & ~field)).traits[name] is False


def test_stripped_relocations_undo_address_randomisation():
    assert only_slice(bent(64 + 22, "<H", 0x23)).traits["dynamic_base"] is False


@pytest.mark.parametrize(("size", "guarded"), [(148, True), (147, False), (0x140, True)])
def test_a_load_configuration_that_ends_with_its_guard_flags_has_them(size: int, guarded: bool):
    """As Visual C++ 2015 wrote it (vcruntime140.dll): 148 bytes."""
    data = build.pe()
    struct.pack_into("<II", data, OPTIONAL + 112 + 8 * 10, build.PE_IDATA + 0x800, size)
    struct.pack_into("<I", data, 0x600 + 0x800, size)
    struct.pack_into("<I", data, 0x600 + 0x800 + 144, 0x500)
    assert only_slice(data).traits["guard_table"] is guarded


def bent(offset: int, layout: str, *values: int):
    data = build.pe()
    struct.pack_into(layout, data, offset, *values)
    return data


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (b"MZ", "truncated"),
        (build.pe()[:64], "truncated"),
        (build.pe()[:120], "truncated"),
        (build.pe()[: len(build.pe()) // 2], "truncated"),
        (bent(60, "<I", 0xFFFF_FFF0), "truncated"),
        (bent(60, "<I", 0), "malformed"),  # a DOS program
        (bent(OPTIONAL, "<H", 0x10B), "malformed"),  # 32-bit header for x86-64
        (bent(OPTIONAL + 32, "<I", 0), "malformed"),
        (bent(OPTIONAL + 36, "<I", 0x300), "malformed"),
        (bent(OPTIONAL + 60, "<I", 0x7FFF_FFFF), "truncated"),  # size of the headers
        (bent(64 + 20, "<H", 0xFFFF), "truncated"),  # size of the optional header
        (bent(64 + 6, "<H", 0), "section-table"),
        (bent(64 + 6, "<H", 0xFFFF), "section-table"),
        (bent(SECTIONS + 16, "<I", 0x7FFF_0000), "truncated"),
        (bent(SECTIONS + 40 + 12, "<I", 0x1000), "malformed"),  # over the first section
        (bent(SECTIONS + 12, "<I", 0x200), "malformed"),  # the first one over the headers
        (bent(OPTIONAL + 32, "<II", 0x200, 0x200), "malformed"),  # no pages: mapped as it is, whatever sections say
        (bent(OPTIONAL + 112 + 32, "<II", 0x100, 0x7FFF_0000), "truncated"),  # certificate table
        (bent(OPTIONAL + 112 + 8, "<I", 0x7FFF_0000), "malformed"),  # import table
        (build.pe(imports=1200, entries=1000), "malformed"),  # a flood of imports
        (build.pe(imports=5000), "malformed"),
    ],
)
def test_what_the_loader_would_trip_over_is_refused(data: bytes, finding: str):
    with pytest.raises(NotAnalysable) as caught:
        parse(memoryview(data))
    assert caught.value.finding == finding, str(caught.value)


def test_imports_are_there_whatever_size_their_table_states():
    """The loader goes from its address to the entry of zeros."""
    whole = only_slice(build.pe())
    assert only_slice(bent(OPTIONAL + 112 + 12, "<I", 0)).libraries == whole.libraries != ()
    without = only_slice(bent(OPTIONAL + 112 + 8, "<II", 0, 0x100)).libraries
    assert [library.kind for library in without] == ["delay"]


@pytest.mark.parametrize("names", [0, 0x300, 0x7FFF_0000])
def test_names_in_the_headers_or_nowhere_are_read_from_the_slots(names: int):
    """As Windows' loader does; a list of its own in the headers, or none, would hide what is imported."""
    whole = only_slice(build.pe())
    table = struct.unpack_from("<I", build.pe(), OPTIONAL + 112 + 8)[0] - build.PE_IDATA + 0x600
    assert only_slice(bent(table, "<I", names)).imports == whole.imports != ()


def test_a_section_is_read_from_the_sector_that_it_begins_in():
    found = only_slice(bent(SECTIONS + 20, "<I", 0x410))
    assert (found.section(".text").offset, found.read(found.entry, 1)) == (0x400, b"\xc3")


def test_a_section_without_a_place_in_the_file_is_zeros_whatever_its_size_there():
    found = only_slice(bent(SECTIONS + 20, "<I", 0))
    assert (found.section(".text").offset, found.read(found.entry, 1)) == (None, b"")


def test_more_directories_than_there_can_be_are_not_looked_for():
    assert only_slice(bent(OPTIONAL + 108, "<I", 0x7FFF_FFFF)).libraries == only_slice(build.pe()).libraries


def test_firmware_takes_sections_that_are_closer_than_pages():
    data = bent(OPTIONAL + 32, "<II", 0x20, 0x20)
    struct.pack_into("<H", data, OPTIONAL + 68, 10)
    found = only_slice(data)
    assert (found.system, found.read(found.entry, 1)) == ("uefi", b"\xc3")


def test_addresses_in_the_place_of_offsets_are_understood_where_a_library_is_loaded_later():
    """As Visual C++ 6 wrote them."""
    data, base = bent(OPTIONAL + 24, "<Q", 0x40_0000), 0x40_0000 + build.PE_IDATA
    struct.pack_into("<5I", data, 0x600 + 0x60, 0, base + 0x20, 0, base + 0x48, base + 0x48)
    struct.pack_into("<Q", data, 0x600 + 0x48, build.PE_IDATA + 0x30)
    found = only_slice(data)
    assert [library.name for library in found.libraries] == ["ws2_32.dll", "slow.dll"]
    assert found.imports[-1].name == "later"


def test_what_is_passed_on_to_another_library_is_no_symbol_of_this_one():
    data, at = build.pe(), build.PE_IDATA + 0x900
    struct.pack_into("<II", data, OPTIONAL + 112, at, 0x80)
    struct.pack_into("<IIHHIIIIIII", data, 0xF00, 0, 0, 0, 0, 0, 7, 2, 1, at + 40, at + 48, at + 52)
    struct.pack_into("<IIIH", data, 0xF00 + 40, 0x1000, at + 60, at + 70, 0)
    data[0xF00 + 60 : 0xF00 + 75] = b"other.go\0\0own\0\0"
    found = [(symbol.name, symbol.address - build.PE_BASE) for symbol in only_slice(data).symbols]
    assert found == [("own", 0x1000)]


def test_a_library_that_cannot_be_read_is_a_problem():
    data = build.pe()
    data[0x600] = 0  # the library has an empty name now
    assert [problem.split(":")[0] for problem in only_slice(data).problems] == ["malformed"]


def test_long_names_that_lie_over_each_other_are_refused_before_they_fill_memory():
    """Each import has 4,096 letters of the same 32 KB."""
    count = 10_000
    data = build.pe(entries=count)
    raw, section = len(data) - 0x600, 64 + 24 + 240 + 40
    data += b"A" * 0x8000
    stored = raw + 0x8000
    build.put(data, section + 8, "<I", stored)
    build.put(data, section + 16, "<I", stored)
    build.put(data, 0x700, f"<{count}Q", *(build.PE_IDATA + raw + number % 0x7000 for number in range(count)))
    with pytest.raises(NotAnalysable, match="names lie over each other"):
        only_slice(bytes(data))


def test_sections_that_lie_over_each_other_in_the_file_are_refused():
    data = build.pe(entries=0x1000)
    size = len(data) - 0x400
    for count, is_refused in ((2, False), (12, True)):
        for number in range(count):
            place = 0x100_0000 + 0x10_0000 * number
            row = struct.pack("<8sIIIIIIHHI", b".more", size, place, size, 0x400, 0, 0, 0, 0, 0x4000_0040)
            build.put(data, SECTIONS + 80 + 40 * number, "<40s", row)
        build.put(data, 64 + 6, "<H", 2 + count)
        build.put(data, OPTIONAL + 56, "<I", 0x400_0000)
        if is_refused:
            with pytest.raises(NotAnalysable, match="sections lie over each other"):
                only_slice(bytes(data))
        else:
            assert len(only_slice(bytes(data)).sections) == 4


@pytest.mark.parametrize("kind", ["exports", "symbols"])
def test_long_names_of_functions_that_lie_over_each_other_are_refused_before_they_fill_memory(kind: str):
    """Each has 4,096 letters, or all that follow, of the same 64 KB."""
    count, data = 20_000, build.pe()
    if kind == "symbols":
        build.put(data, 64 + 12, "<II", len(data), count)
        rows = (struct.pack("<IIIhHBB", 0, 4 + number, 0, 1, 0, 2, 0) for number in range(count))
        data += b"".join(rows) + struct.pack("<I", 0x1_0004) + b"A" * 0x1_0000
    else:
        raw, stored = len(data) - 0x600, len(data) - 0x600 + 40 + 10 * count + 0x1_0000
        at = build.PE_IDATA + raw
        names = at + 40 + 10 * count
        data += struct.pack("<16x6I", 1, count, count, at + 40, at + 40 + 4 * count, at + 40 + 8 * count)
        data += struct.pack(f"<{count}I", *([0x1000] * count))
        data += struct.pack(f"<{count}I", *(names + number for number in range(count)))
        data += struct.pack(f"<{count}H", *range(count)) + b"A" * 0x1_0000
        build.put(data, OPTIONAL + 112, "<II", at, 40)
        build.put(data, OPTIONAL + 56, "<I", 0x400_0000)
        build.put(data, SECTIONS + 40 + 8, "<I", stored)
        build.put(data, SECTIONS + 40 + 16, "<I", stored)
    with pytest.raises(NotAnalysable, match="names lie over each other"):
        only_slice(bytes(data))
