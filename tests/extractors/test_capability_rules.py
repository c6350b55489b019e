import os
import random
import struct

import msgspec
import pytest
from go_tables import go_slice, table
from minimal_slices import DATA, TEXT, calls, defining, importing, minimal, subject

from binsafe.extractors import capabilities, texts
from binsafe.extractors.capabilitynames import CAPABILITIES, TOGETHER
from binsafe.formats.cli_metadata import Member, Metadata
from binsafe.formats.gopclntab import functions
from binsafe.model import Section, Segment, Severity, Signature, Slice


def found(slice_: Slice, **known: object):
    known = {"texts": texts.find(slice_, CAPABILITIES.texts), **known}
    return {fact.name: fact for fact in capabilities.extract(subject(slice_, **known)).value}


def severities(slice_: Slice, **known: object):
    return {finding.id: finding.severity for finding in capabilities.extract(subject(slice_, **known)).findings}


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("execvp", "execute"),
        ("CreateProcessW", "execute"),
        ("OBJC_CLASS_$_NSTask", "execute"),
        ("OBJC_CLASS_$_SMAppService", "persistence"),
        ("CreateServiceW", "persistence"),
        ("SecItemCopyMatching", "keychain"),
        ("CryptUnprotectData", "keychain"),
        ("secret_password_lookup_sync", "keychain"),
        ("CGDisplayStreamCreate", "screen"),
        ("XGetImage", "screen"),
        ("waveInOpen", "microphone"),
        ("ptrace", "debug"),
        ("WriteProcessMemory", "debug"),
        ("dlopen", "load-library"),
        ("pthread_jit_write_protect_np", "modify-code"),
    ],
)
def test_an_imported_name_proves_its_capability(name: str, capability: str):
    fact = found(importing("puts", name))[capability]
    assert (fact.verdict, fact.evidence[0].symbol, fact.evidence[0].address) == ("yes", name, "0x402008")


@pytest.mark.parametrize("name", ["fork", "mprotect", "VirtualProtect", "OpenProcess", "BitBlt", "kill", "mmap"])
def test_what_nearly_every_program_imports_proves_nothing(name: str):
    assert found(importing("puts", name)) == {}


@pytest.mark.parametrize(("capability", "sets"), TOGETHER)
def test_some_names_prove_something_only_together(capability: str, sets: tuple[frozenset[str], ...]):
    together = [min(names) for names in sets]
    assert found(importing(*together))[capability].verdict == "yes"
    for missing in together:
        assert capability not in found(importing(*(name for name in together if name != missing)))


def test_calls_are_shown_where_they_are():
    fact = found(importing("puts", "execve"), sites={0x402008: (TEXT + 4, TEXT + 9)})["execute"]
    assert [place.address for place in fact.evidence] == [hex(TEXT + 4), hex(TEXT + 9)]


def test_a_system_call_of_a_static_program_proves_it():
    known = calls("execve", "read", sites={"execve": ("0x401010",)})
    fact = found(minimal(linkage="static"), syscalls=known)["execute"]
    assert (fact.evidence[0].via, fact.evidence[0].address) == ("syscall", "0x401010")


def test_the_c_library_inside_a_dynamic_program_is_not_the_program():
    known = calls("execve", sites={"execve": ("0x401010",)})
    assert found(importing("puts"), syscalls=known) == {}


def test_texts_and_entitlements_are_hints_and_no_proof():
    slice_ = minimal(b"....~/Library/LaunchAgents/x.plist")
    fact = found(slice_)["persistence"]
    assert (fact.verdict, fact.evidence[0].via) == ("unknown", "string")
    signature = Signature(kind="adhoc", status="valid", entitlements={"com.apple.security.device.camera": True})
    assert found(minimal(), signature=signature)["camera"].verdict == "unknown"
    assert severities(slice_) == {}


def test_what_go_imports_into_every_program_says_nothing_of_the_program():
    known = functions(go_slice(table("1.20")))
    assert found(importing("_ptrace", "_execve", format="mach-o"), functions=known) == {}
    assert "keychain" in found(importing("_SecItemAdd", format="mach-o"), functions=known)


def test_dotnet_metadata_proves_it():
    member = Member("System.Diagnostics.Process.Start", 0x40_2000)
    managed = Metadata(runtime="v4.0.30319", members=(member,), natives=())
    fact = found(importing("_CorExeMain", format="pe"), managed=managed)["execute"]
    assert (fact.evidence[0].symbol, fact.evidence[0].address) == (member.name, "0x402000")


@pytest.mark.parametrize(
    ("native", "capability"),
    [
        ("kernel32.dll!CreateProcessW", "execute"),
        ("kernel32!CreateProcess", "execute"),  # with CharSet.Unicode
        ("libc!ptrace", "debug"),
        ("kernel32!Beep", None),
    ],
)
def test_a_function_outside_of_dotnet_proves_what_it_does_as_an_import_would(native: str, capability: str | None):
    managed = Metadata(runtime="v4.0.30319", members=(), natives=(Member(native, 0x40_3000),))
    facts = found(importing("_CorExeMain", format="pe"), managed=managed)
    assert {name: (fact.verdict, fact.evidence[0].symbol) for name, fact in facts.items()} == (
        {capability: ("yes", native)} if capability else {}
    )


def test_a_tool_that_starts_programs_and_loads_libraries_is_nothing_to_worry_about():
    assert severities(importing("execve", "dlopen", "posix_spawn", "system")) == {}
    assert severities(importing("ptrace")) == {"capability-debug": Severity.LOW}


def code(data: bytes, *, name: str = ".text", writable: bool = False, **changes: object) -> Slice:
    """A program whose code is ``data``."""
    stored = Segment(
        name=name, address=DATA, memory_size=len(data), offset=0, file_size=len(data),
        readable=True, writable=writable, executable=True,
    )  # fmt: skip
    section = Section(name=name, address=DATA, size=len(data), offset=0, executable=True)
    return minimal(data, segments=(stored,), sections=(section,), entry=DATA, **changes)


def test_memory_that_is_writable_and_executable_is_seen_in_the_layout():
    fact = found(code(b"\x90" * 64, writable=True))["modify-code"]
    assert (fact.evidence[0].via, fact.evidence[0].address) == ("layout", hex(DATA))


@pytest.mark.parametrize("name", ["UPX0", "UPX1", ".aspack", ".vmp0", ".themida"])
def test_sections_that_only_packers_make(name: str):
    assert found(code(b"\x90" * 64, name=name))["packed"].evidence[0].symbol == name


def test_code_that_the_system_decrypts_is_packed():
    program = code(b"\x90" * 64, format="mach-o")
    assert "packed" not in found(program)
    assert "packed" in found(msgspec.structs.replace(program, traits={"encrypted": True}))


def test_code_without_any_order_is_packed_and_ordinary_code_is_not():
    noise = random.Random(1).randbytes(64 * 1024)
    assert severities(code(noise))["capability-packed"] is Severity.MEDIUM
    assert "packed" not in found(code(os.fsencode(__file__) * 2000))
    assert "packed" not in found(code(noise[:512]))  # too little to tell
    assert "packed" not in found(code(noise + bytes(12 * 1024)))  # 7.3 bits a byte, as in libsodium for x86-64


def test_a_payload_behind_the_end_or_in_a_section_that_is_not_loaded_is_packed():
    noise = random.Random(1).randbytes(64 * 1024)
    program = code(b"\x90" * 64)
    for behind, is_packed in ((noise, True), (noise[:512], False), (bytes(65536), False)):
        whole = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + behind))
        assert ("packed" in found(whole)) == is_packed
    whole = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + noise))
    for name, is_packed in (("pydata", True), (".debug_info", False), (".dep-v0", False)):
        section = Section(name=name, address=0, size=len(noise), offset=64)
        assert ("packed" in found(msgspec.structs.replace(whole, sections=(*program.sections, section)))) == is_packed


def test_more_sections_that_are_not_loaded_than_are_looked_at_may_be_packed():
    program = code(bytes(16384))
    whole = msgspec.structs.replace(program, data=memoryview(bytes(8192 * 3)))
    section = Section(name="x", address=0, size=8192, offset=16384)
    for count, is_packed in ((256, False), (257, True)):
        sections = (*program.sections, *([section] * count))
        assert ("packed" in found(msgspec.structs.replace(whole, sections=sections))) == is_packed


PROGRAMS = [
    b"\x7fELF\2\1\1".ljust(20, b"\0") + b"\1".ljust(44, b"\0"),
    b"\xcf\xfa\xed\xfe" + bytes(60),
    b"MZ".ljust(60, b"\0") + b"\x40\0\0\0PE\0\0",
]
"""How they begin, in three formats."""


@pytest.mark.parametrize("format_", ["elf", "mach-o", "pe"])
@pytest.mark.parametrize("inner", PROGRAMS)
def test_a_program_in_a_section_or_behind_the_end_is_a_finding(format_: str, inner: bytes):
    program = code(b"\x90" * 64, format=format_)
    assert "carried-program" not in severities(program)
    behind = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + inner))
    assert severities(behind)["carried-program"] is Severity.MEDIUM
    held = Section(name="__payload", address=0, size=len(inner), offset=64)
    inside = msgspec.structs.replace(behind, sections=(*program.sections, held))
    (told,) = (one for one in capabilities.extract(subject(inside)).findings if one.id == "carried-program")
    assert [(one.symbol, (one.detail or "").endswith("at offset 0x40")) for one in told.evidence] == [
        ("__payload", True)
    ]
    assert "at offset 0x40 (section __payload). Unpack" in told.detail
    for text in (b"MZ", b"\x7fELF\2\1\1"):  # ld.so compares files with that
        whole = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + text + bytes(500)))
        assert "carried-program" not in severities(whole)


def test_an_archive_behind_the_end_is_a_finding_and_compressed_data_in_a_section_is_none():
    """What pip makes for Windows is a launcher and a zip archive with the script that it runs."""
    program, archive = code(b"\x90" * 64, format="pe"), b"PK\x03\x04" + bytes(60)
    whole = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + archive))
    assert "carried-program" in severities(whole)
    held = Section(name=".rsrc", address=0, size=len(archive), offset=64)
    assert "carried-program" not in severities(msgspec.structs.replace(whole, sections=(*program.sections, held)))


def test_a_program_among_the_resources_of_a_windows_program_is_a_finding():
    """What installs a driver or a service has it there, anywhere in the section."""
    held = b"a directory of resources".ljust(37, b".") + PROGRAMS[2] + b"MZ and \x7fELF alone are none".ljust(100)
    program = code(b"\x90" * 64 + held, format="pe", traits={"resources": 0x7004})
    section = Section(name=".anything", address=0x7000, size=len(held), offset=64)
    whole = msgspec.structs.replace(program, sections=(*program.sections, section))
    (told,) = (one for one in capabilities.extract(subject(whole)).findings if one.id == "carried-program")
    assert [(one.symbol, one.detail) for one in told.evidence] == [(".anything", "pe at offset 0x65")]
    flood = b"\x7fELF\2\1\1".ljust(16, b"\0") * 70_000
    section = msgspec.structs.replace(section, size=len(flood))
    many = code(b"\x90" * 64 + flood, format="pe", traits={"resources": 0x7004})
    many = msgspec.structs.replace(many, sections=(section,))
    (told,) = (one for one in capabilities.extract(subject(many)).findings if one.id == "carried-program")
    assert told.evidence[0].detail == f"what looks like many, from {64 + 16 * 65_536:#x} on"
    for start in (0, 0x9000):
        assert "carried-program" not in severities(msgspec.structs.replace(whole, traits={"resources": start}))


@pytest.mark.parametrize("inner", [PROGRAMS[2], b"PK\x03\x04" + bytes(60)])
def test_what_stands_behind_symbols_or_padding_is_a_finding(inner: bytes):
    """MinGW's and Go's programs end with a table of symbols, which no section has."""
    program = code(b"\x90" * 64, format="pe")
    for between, traits in ((b"symbols", {"coff_symbols_end": len(program.data) + 7}), (bytes(300), {})):
        data = memoryview(bytes(program.data) + between + inner)
        whole = msgspec.structs.replace(program, data=data, traits=traits)
        assert severities(whole)["carried-program"] is Severity.MEDIUM


@pytest.mark.parametrize(("behind", "told"), [(b"PK\1\2 PK\5\6".ljust(40), True), (b"PK\5\6".ljust(40), False)])
def test_an_archive_behind_anything_is_found_from_its_end(behind: bytes, told: bool):
    program = code(b"\x90" * 64, format="pe")
    whole = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + b"settings" * 9_000 + behind))
    assert ("carried-program" in severities(whole)) == told
    long = msgspec.structs.replace(program, data=memoryview(bytes(program.data) + b"x" + behind + bytes(70_000)))
    assert "carried-program" not in severities(long)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_program_behind_an_elf_files_table_of_sections_is_a_finding(bits: int):
    header = bytearray(b"\x7fELF".ljust(64, b"\0"))
    struct.pack_into("<Q" if bits == 64 else "<I", header, 40 if bits == 64 else 32, 64)
    struct.pack_into("<HH", header, 58 if bits == 64 else 46, 40, 2)
    whole = code(bytes(header) + bytes(80) + PROGRAMS[0], bits=bits)
    stored = msgspec.structs.replace(whole.segments[0], file_size=64)
    assert "carried-program" in severities(msgspec.structs.replace(whole, segments=(stored,), sections=()))


def test_what_an_installer_for_windows_carries_is_packed_and_its_signature_is_not():
    noise = random.Random(1).randbytes(64 * 1024)
    plain = code(b"\x90" * 64, format="pe")
    whole = msgspec.structs.replace(plain, data=memoryview(bytes(plain.data) + noise))
    assert "packed" in found(whole)
    signed = msgspec.structs.replace(whole, signature_range=(len(plain.data), len(noise)))
    assert "packed" not in found(signed)


def test_tables_of_an_object_file_are_not_packed():
    noise = random.Random(1).randbytes(64 * 1024)
    table = Section(name=".rodata", address=0, size=len(noise), offset=0)
    assert "packed" not in found(minimal(noise, kind="object", segments=(), sections=(table,)))


@pytest.mark.parametrize(("tables_first", "is_packed"), [(True, False), (False, True)])
def test_of_a_library_its_code_counts_and_not_the_tables_before_it(tables_first: bool, is_packed: bool):
    noise, plain = random.Random(1).randbytes(64 * 1024), os.fsencode(__file__) * 3000
    data = noise + plain if tables_first else plain + noise
    start = len(noise) if tables_first else len(plain)
    whole = Segment(
        name="LOAD", address=0, memory_size=len(data), offset=0, file_size=len(data),
        readable=True, writable=False, executable=True,
    )  # fmt: skip
    text = Section(name=".text", address=start, size=len(data) - start, offset=start, executable=True)
    plt = Section(name=".plt", address=start - 16, size=16, offset=start - 16, executable=True)
    library = minimal(data, segments=(whole,), sections=(plt, text), entry=0, kind="library")
    assert ("packed" in found(library)) == is_packed


def test_upx_without_sections_is_known_by_its_mark():
    slice_ = minimal(b"\x7fELF" + b"\0" * 200 + b"UPX!" + b"\0" * 100)
    assert found(slice_)["packed"].evidence[0].symbol == "UPX!"
    assert "packed" not in found(minimal(b"\0" * 9000 + b"UPX!"))


def test_a_windows_program_that_starts_in_writable_memory_with_a_loader_alone_is_packed():
    few = importing("LoadLibraryA", "GetProcAddress").imports
    assert "packed" in found(code(b"\x90" * 64, name=".x", writable=True, format="pe", imports=few))
    many = importing("LoadLibraryA", "GetProcAddress", *(f"f{n}" for n in range(30))).imports
    assert "packed" not in found(code(b"\x90" * 64, name=".x", writable=True, format="pe", imports=many))


def test_functions_of_a_static_program():
    assert found(defining("__execve", linkage="static"))["execute"].evidence[0].via == "function"
