import struct
from collections.abc import Callable
from pathlib import Path

import capstone
import executable_builders as build
import lief
import pytest
from parsed import command_at, only_slice

from binsafe.errors import NotAnalysable
from binsafe.formats import parse


def read(data: bytes):
    return parse(memoryview(data))


def standin_bytes(standin: Callable[[str], Path], *targets: str):
    return [standin(target).read_bytes() for target in targets]


def test_the_built_program():
    found = only_slice(build.macho())
    assert (found.arch, found.bits, found.system, found.kind, found.linkage) == (
        "arm64", 64, "macos", "executable", "dynamic",
    )  # fmt: skip
    assert found.entry == build.MACHO_TEXT
    assert [(library.name, library.kind) for library in found.libraries] == [
        ("/usr/lib/libSystem.B.dylib", "load"),
        ("@rpath/weak.dylib", "weak"),
    ]
    assert found.rpaths == ("@executable_path/lib",)
    assert [(e.name, e.library, e.address) for e in found.imports] == [
        ("_socket", "/usr/lib/libSystem.B.dylib", build.MACHO_STUBS),
        ("_connect", "/usr/lib/libSystem.B.dylib", build.MACHO_STUBS + 12),
    ]
    assert [(s.name, s.address) for s in found.symbols] == [("_main", build.MACHO_TEXT)]
    expected = {
        "pie": True,
        "platforms": "macos",
        "minimum_os": "13.0",
        "sdk": "14.5.1",
        "toolchain": "ld 1053.12",
        "uuid": "00010203-0405-0607-0809-0A0B0C0D0E0F",
    }
    assert {name: found.traits[name] for name in expected} == expected


def test_an_entry_for_debuggers_defines_nothing():
    data = build.macho()
    data[0x8004] = 0x2E  # N_BNSYM of mach-o/stab.h, instead of _main's
    assert only_slice(data).symbols == []


def test_a_library_command_of_the_newer_kind_says_how_it_is_used():
    name = b"/usr/lib/libup.dylib\0\0\0\0"
    extra = struct.pack("<7I", 0xC, 28 + len(name), 28, 0x1A741800, 0, 0, 4) + name
    found = only_slice(build.macho(extra=extra, extra_count=1))
    assert ("/usr/lib/libup.dylib", "upward") in [(library.name, library.kind) for library in found.libraries]


@pytest.mark.parametrize(("target", "arch"), [("darwin/arm64", "arm64"), ("darwin/amd64", "x86_64")])
def test_go_programs_for_macos_have_their_parts(standin: Callable[[str], Path], target: str, arch: str):
    (data,) = standin_bytes(standin, target)
    found = only_slice(data)
    assert (found.arch, found.system, found.kind, found.linkage) == (arch, "macos", "executable", "dynamic")
    assert "/usr/lib/libSystem.B.dylib" in [library.name for library in found.libraries]
    text = found.section("__text")
    assert text.executable
    assert text.address <= found.entry < text.address + text.size
    assert found.section("__gopclntab") is not None
    assert any(symbol.name == "_main.main" for symbol in found.symbols)
    assert all(entry.library and entry.address is not None for entry in found.imports)
    if arch == "arm64":
        offset, size = found.signature_range
        assert data[offset : offset + 4] == b"\xfa\xde\x0c\xc0"
        assert offset + size == len(data)
    else:
        assert found.signature_range is None


@pytest.mark.parametrize(("target", "machine"), [("darwin/arm64", "arm64"), ("darwin/amd64", "x86_64")])
def test_stubs_of_go_programs_read_the_slot_that_dyld_binds(standin: Callable[[str], Path], target: str, machine: str):
    (data,) = standin_bytes(standin, target)
    found = only_slice(data)
    (binary,) = fat = lief.MachO.parse(data)
    slots = {b.address: b.symbol.name for b in binary.bindings if b.has_symbol}
    shape = {"arm64": (capstone.CS_ARCH_ARM64, 0), "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64)}[machine]
    decoder = capstone.Cs(*shape)
    decoder.detail = True
    assert fat.size == 1
    assert len(found.imports) > 30
    for entry in found.imports:
        first, second = [*decoder.disasm(found.read(entry.address, 12), entry.address)][:2]
        if machine == "x86_64":
            slot = first.address + first.size + first.operands[0].mem.disp
        else:
            slot = first.operands[1].imm + second.operands[1].mem.disp
        assert slots[slot] == entry.name


@pytest.mark.parametrize("wide", [False, True])
def test_all_slices_of_a_universal_file(standin: Callable[[str], Path], wide: bool):
    thin = standin_bytes(standin, "darwin/amd64", "darwin/arm64")
    image = read(build.universal(*thin, wide=wide))
    assert [found.arch for found in image.slices] == ["x86_64", "arm64"]
    assert image.problems == ()
    for found, data in zip(image.slices, thin, strict=True):
        alone = only_slice(data)
        assert bytes(found.data) == data
        assert (found.imports, found.symbols, found.sections) == (alone.imports, alone.symbols, alone.sections)
        assert found.signature_range == alone.signature_range


def second_program():
    data = build.macho()
    build.put(data, 8, "<i", 2)  # arm64e
    return data


def test_one_slice_and_bytes_that_belong_to_none():
    assert only_slice(build.universal(build.macho())).arch == "arm64"
    image = read(build.universal(build.macho(), second_program()) + b"hidden")
    assert [found.arch for found in image.slices] == ["arm64", "arm64e"]
    assert [problem.split(":")[0] for problem in image.problems] == ["appended-data"]


def test_code_that_the_system_decrypts():
    """By the App Store's command, or by the flag that Apple's own programs once had and malware has borrowed."""
    command = struct.pack("<6I", 0x2C, 24, 0x800, 0x100, 1, 0)
    plain, stored = build.macho(), build.macho(extra=command, extra_count=1)
    flagged = bent(SEGMENT, 68, "<I", 0x8, number=1)
    assert [only_slice(data).traits["encrypted"] for data in (plain, stored, flagged)] == [False, True, True]


def test_the_entry_is_counted_from_the_header_whatever_its_segment_is_called():
    data = build.macho()
    for number, name in ((1, b"__CODE"), (2, b"__TEXT")):  # what is called so now lies elsewhere
        at = command_at(data, SEGMENT, number)
        data[at + 8 : at + 24] = name.ljust(16, b"\0")
    assert only_slice(data).entry == only_slice(build.macho()).entry == build.MACHO_TEXT


def started_by_registers(sets: int):
    """The built program with LC_UNIXTHREAD in the place of LC_MAIN."""
    registers = struct.pack("<II256xQ8x", 6, 68, build.MACHO_TEXT) * sets
    data = build.macho(extra=struct.pack("<II", 5, 8 + len(registers)) + registers, extra_count=1)
    struct.pack_into("<I", data, command_at(data, MAIN), 0x2A)  # LC_SOURCE_VERSION, which has the same size
    return data


def test_the_entry_may_be_a_register():
    assert only_slice(started_by_registers(1)).entry == build.MACHO_TEXT


def bent_universal(offset: int, layout: str, *values: int):
    data = bytearray(build.universal(build.macho(), second_program()))
    struct.pack_into(layout, data, offset, *values)
    return data


def bent(kind: int, offset: int, layout: str, *values: int, number: int = 0):
    data = build.macho()
    build.put(data, command_at(data, kind, number) + offset, layout, *values)
    return data


def headed(offset: int, layout: str, *values: int):
    data = build.macho()
    build.put(data, offset, layout, *values)
    return data


SEGMENT, SYMTAB, MAIN, DYLIB, FIXUPS = 0x19, 0x2, 0x8000_0028, 0xC, 0x8000_0034


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (build.macho()[:4], "truncated"),
        (build.macho()[:32], "truncated"),  # a header alone
        (build.macho()[: 0x8400 // 2], "truncated"),
        (headed(16, "<I", 0xFFFF_FFFF), "malformed"),  # ncmds
        (headed(16, "<I", 0), "malformed"),
        (headed(20, "<I", 0xFFFF_FFFF), "truncated"),  # sizeofcmds
        (headed(36, "<I", 0), "malformed"),  # cmdsize
        (headed(36, "<I", 7), "malformed"),
        (headed(36, "<I", 0xFFFF_FFF8), "malformed"),
        (bent(SEGMENT, 48, "<Q", 1 << 40, number=1), "truncated"),  # file size
        (bent(SEGMENT, 48, "<Q", 0x5000, number=1), "malformed"),  # more than its memory
        (bent(SEGMENT, 24, "<Q", 1 << 32, number=3), "malformed"),  # over another segment
        (bent(SEGMENT, 32, "<Q", (1 << 64) - 1, number=1), "malformed"),
        (bent(SEGMENT, 64, "<I", 500, number=1), "section-table"),  # more sections than the command holds
        (bent(SEGMENT, 72 + 48, "<I", 0x7000, number=1), "section-table"),  # a section outside of its segment
        (bent(SEGMENT, 72 + 48, "<I", 0x810, number=1), "section-table"),  # ... that shows other bytes
        (bent(SYMTAB, 12, "<I", 0xFFFF_FFFF), "truncated"),
        (bent(SYMTAB, 8, "<I", 0x83F8), "truncated"),
        (bent(FIXUPS, 12, "<I", 0x10000), "truncated"),
        (bent(MAIN, 8, "<Q", 1 << 40), "malformed"),  # entry outside of the code
        (bent(DYLIB, 8, "<I", 0x1000), "malformed"),  # a name outside of its command
        (build.macho(extra=struct.pack("<IIQQ", MAIN, 24, 0x900, 0), extra_count=1), "malformed"),  # two entry points
        (started_by_registers(2), "malformed"),  # the kernel takes the second set
        (build.macho(extra=struct.pack("<III20s", 0xE, 32, 12, b"/one") * 2, extra_count=2), "malformed"),  # loaders
        (build.macho(extra=struct.pack("<II16s8I", 1, 56, b"__NARROW", *[0] * 8), extra_count=1), "malformed"),
        (bent_universal(4, ">I", 0), "malformed"),
        (bent_universal(8 + 8, ">I", 1 << 30), "truncated"),  # offset of the first slice
        (bent_universal(8 + 20 + 12, ">I", 0x8401), "truncated"),  # size of the second
        (bent_universal(8 + 20 + 8, ">I", 0x8000), "overlapping-slices"),
        (bent_universal(8 + 8, ">I", 0), "overlapping-slices"),  # over the header
        (build.universal(build.macho(), build.macho()), "malformed"),  # the same processor twice
        (bent_universal(8 + 4, ">I", 1), "malformed"),  # another processor than the slice says
        (bent_universal(8 + 16, ">I", 40), "malformed"),  # alignment
        (bent_universal(0x4000, "<8s", b"!<arch>\n"), "archive"),
        (bent_universal(0x4000, "<I", 0), "malformed"),
        (build.universal(build.macho(), second_program())[:0x9000], "truncated"),
    ],
)
def test_what_dyld_would_trip_over_is_refused(data: bytes, finding: str):
    with pytest.raises(NotAnalysable) as caught:
        parse(memoryview(data))
    assert caught.value.finding == finding, str(caught.value)


def test_a_kernel_extension_or_object_is_named_as_such():
    assert only_slice(build.macho(file_type=11)).kind == "kernel-extension"
    assert only_slice(build.macho(file_type=1)).linkage is None


def test_an_object_files_one_segment_is_no_memory_that_can_be_written_and_executed():
    data = build.macho(file_type=1)
    build.put(data, command_at(data, 0x19, 1) + 56, "<II", 7, 7)
    found = only_slice(data)
    assert not any(segment.writable and segment.executable for segment in found.segments)
    assert found.traits["rwx_segment"] is False
    build.put(data, 12, "<I", 2)
    assert only_slice(data).traits["rwx_segment"] is True


def test_a_section_that_dsymutil_keeps_lies_where_it_put_it():
    """Of a dSYM nothing is loaded: its sections have the program's addresses, and places of their own."""
    data = build.macho(file_type=10)
    build.put(data, command_at(data, 0x19, 1) + 72 + 48, "<I", 0x1000)
    assert only_slice(data).kind == "debug-symbols"
    build.put(data, 12, "<I", 2)
    with pytest.raises(NotAnalysable, match="section"):
        only_slice(data)


def test_a_section_of_an_object_file_may_lie_behind_one_that_stores_nothing():
    """``ld -r`` puts ``__bss`` before other sections: what follows has another place in memory than in the file."""
    data = build.macho(file_type=1)
    build.put(data, command_at(data, 0x19, 1) + 72 + 48, "<I", 0x1000)
    assert [section.offset for section in only_slice(data).sections][:2] == [0x1000, 0x900]


@pytest.mark.parametrize("by", ["pointers", "relocations"])
def test_what_dyld_binds_by_number_has_no_type_to_hide_behind(by: str):
    """Where it has no tables of its own, the older way; a debugger's entry is bound like any other symbol."""
    data = build.macho()
    build.put(data, command_at(data, 0x8000_0034), "<I", 0x29)
    build.put(data, 0x8000 + 16 + 4, "<B", 0x20)  # _socket
    build.put(data, 0x8000 + 32 + 4, "<B", 0x0F)  # _connect
    if by == "relocations":
        build.put(data, command_at(data, 0xB) + 60, "<3I", 0, 0x8200, 2)
        build.put(data, 0x8200, "<4I", 0, 1 | 0x0D00_0000, 8, 2 | 0x0D00_0000)
    assert {entry.name for entry in only_slice(data).imports} == {"_socket", "_connect"}


def test_an_unknown_processor_is_named_by_its_number():
    data = headed(4, "<i", 0x0155_0123)
    assert only_slice(data).arch == "cpu-0x1550123"


def test_what_a_file_tells_dyld_beside_the_environment():
    said = b"DYLD_LIBRARY_PATH=/tmp\0"
    command = struct.pack("<III", 0x27, 12 + 28, 12) + said.ljust(28, b"\0")
    found = only_slice(build.macho(extra=command, extra_count=1))
    assert found.traits["dyld_environment"] == "DYLD_LIBRARY_PATH=/tmp"


@pytest.mark.parametrize("what", ["segments", "sections"])
def test_segments_and_sections_that_lie_over_each_other_in_the_file_are_refused(what: str):
    """Each segment is at an address of its own; the sections are all in one."""
    name, size = b"__MORE", 0x8400
    part = ("<II16sQQQQiiII", 0x19)
    if what == "segments":
        places = [(2 + number) << 32 for number in range(9)]
        more = [struct.pack(*part, 72, name, place, size, 0, size, 1, 1, 0, 0) for place in places]
    else:
        row = struct.pack("<16s16sQQ8I", b"__more", name, 0x2_0000_0010, size - 16, 16, *([0] * 7))
        more = [struct.pack(*part, 72 + 80 * 9, name, 2 << 32, size, 0, size, 1, 1, 9, 0) + row * 9]
    with pytest.raises(NotAnalysable, match="lie over each other in the file"):
        read(build.macho(extra=b"".join(more), extra_count=len(more)))
