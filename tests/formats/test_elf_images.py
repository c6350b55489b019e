"""ELF programs of this system and of Go, beside what pyelftools reads; and the one that the builder makes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import capstone
import executable_builders as build
import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from parsed import only_slice

from binsafe.formats import parse
from binsafe.model import Slice

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="compares the system's own ELF programs")
OWN_PROGRAMS = [Path("/bin/ls"), Path(sys.executable).resolve()]


def oracle_segments(elf: ELFFile):
    return [
        (s["p_vaddr"], s["p_memsz"], s["p_offset"], s["p_filesz"], bool(s["p_flags"] & 2), bool(s["p_flags"] & 1))
        for s in elf.iter_segments()
        if s["p_type"] == "PT_LOAD"
    ]


def oracle_sections(elf: ELFFile):
    return [
        (s.name, s["sh_addr"], s["sh_size"], None if s["sh_type"] == "SHT_NOBITS" else s["sh_offset"])
        for s in elf.iter_sections()
        if s["sh_type"] != "SHT_NULL"
    ]


def oracle_functions(elf: ELFFile):
    kinds = {"STT_FUNC", "STT_OBJECT", "STT_NOTYPE", "STT_LOOS"}
    return {
        (s.name, s["st_value"], s["st_size"])
        for table in elf.iter_sections()
        if isinstance(table, SymbolTableSection) and table["sh_type"] == "SHT_SYMTAB"
        for s in table.iter_symbols()
        if s["st_shndx"] not in {"SHN_UNDEF", "SHN_ABS"} and s["st_info"]["type"] in kinds and s.name
    }


def assert_like_the_oracle(found: Slice, elf: ELFFile):
    assert found.entry == elf["e_entry"]
    assert found.bits == elf.elfclass
    segments = [(s.address, s.memory_size, s.offset, s.file_size, s.writable, s.executable) for s in found.segments]
    assert segments == oracle_segments(elf)
    assert [(s.name, s.address, s.size, s.offset) for s in found.sections] == oracle_sections(elf)
    functions = oracle_functions(elf)
    if functions:
        assert {(s.name, s.address, s.size) for s in found.symbols} == functions
    assert found.problems == ()


@linux_only
@pytest.mark.parametrize("path", OWN_PROGRAMS, ids=str)
def test_dynamic_programs_are_read_as_by_pyelftools(path: Path):
    data = path.read_bytes()
    found = only_slice(data)
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert_like_the_oracle(found, elf)
        dynamic = next(s for s in elf.iter_segments() if isinstance(s, DynamicSegment))
        needed = [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]
        undefined = {s.name for s in elf.get_section_by_name(".dynsym").iter_symbols() if s["st_shndx"] == "SHN_UNDEF"}
        slots = {
            elf.get_section_by_name(".dynsym").get_symbol(r["r_info_sym"]).name
            for name in (".rela.dyn", ".rela.plt")
            if elf.get_section_by_name(name) is not None
            for r in elf.get_section_by_name(name).iter_relocations()
        }
        interpreter = next(s.get_interp_name() for s in elf.iter_segments() if s["p_type"] == "PT_INTERP")
    assert [library.name for library in found.libraries] == needed
    assert {library.kind for library in found.libraries} == {"needed"}
    assert {entry.name for entry in found.imports} == undefined - {""}
    assert {entry.name for entry in found.imports if entry.address is not None} == (undefined & slots) - {""}
    assert (found.kind, found.linkage, found.system) == ("executable", "dynamic", "linux")
    assert found.traits["interpreter"] == interpreter


def test_the_system_is_that_of_the_loader_it_asks_for():
    """Programs of illumos and of Go for Solaris say System V, as Linux's do."""
    data = build.elf()
    assert only_slice(bytes(data)).system == "linux"
    data[0x200:0x21C] = b"/lib/amd64/ld.so.1".ljust(28, b"\0")
    assert only_slice(bytes(data)).system == "solaris"


@linux_only
def test_calls_of_a_real_program_go_through_the_reported_stubs():
    """Each stub, disassembled, reads the slot that the symbol's relocation fills."""
    if os.uname().machine != "x86_64":
        pytest.skip("decodes x86-64; test_stubs has the other processors")
    path = Path("/bin/ls")
    found = only_slice(path.read_bytes())
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    with path.open("rb") as file:
        elf = ELFFile(file)
        names = elf.get_section_by_name(".dynsym")
        relocated = {
            r["r_offset"]: names.get_symbol(r["r_info_sym"]).name
            for name in (".rela.dyn", ".rela.plt")
            for r in elf.get_section_by_name(name).iter_relocations()
        }
    stubs = [
        (entry, next(s for s in found.sections if s.address <= entry.address < s.address + s.size))
        for entry in found.imports
        if entry.address is not None
    ]
    decoded = 0
    for entry, section in stubs:
        if not section.executable:
            assert relocated[entry.address] == entry.name
            continue
        code = found.read(entry.address, 16)
        jump = next(i for i in decoder.disasm(code, entry.address) if i.mnemonic.endswith("jmp"))
        assert relocated[jump.address + jump.size + jump.operands[0].mem.disp] == entry.name
        decoded += 1
    assert decoded > 10


@pytest.mark.parametrize(("target", "arch"), [("linux/amd64", "x86_64"), ("linux/arm64", "arm64")])
def test_static_go_programs(standin: Callable[[str], Path], target: str, arch: str):
    path = standin(target)
    found = only_slice(path.read_bytes())
    assert (found.arch, found.kind, found.linkage, found.system) == (arch, "executable", "static", "linux")
    assert found.libraries == found.imports == found.rpaths == ()
    assert found.section(".gopclntab") is not None
    assert any(symbol.name == "main.main" for symbol in found.symbols)
    assert found.traits["pie"] is False
    assert found.traits["executable_stack"] is False
    with path.open("rb") as file:
        assert_like_the_oracle(found, ELFFile(file))


@pytest.mark.each_user
def test_a_static_program_is_read_quickly_and_without_lief(standin: Callable[[str], Path]):
    """CPU time of a fresh interpreter, with all imports and a symbol table of thousands of names."""
    program = (
        "import sys, time; from pathlib import Path; from binsafe.formats import parse;"
        "s = parse(memoryview(Path(sys.argv[1]).read_bytes())).slices[0];"
        "assert len(s.symbols) > 1000 and 'lief' not in sys.modules; print(time.process_time())"
    )
    argv = [sys.executable, "-c", program, str(standin("linux/amd64"))]
    times = [float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    assert min(times) < 0.6, times  # 0.22 s on the machine it was written on


def test_slices_are_views_not_copies(standin: Callable[[str], Path]):
    data = standin("linux/amd64").read_bytes()
    view = memoryview(data)
    found = parse(view).slices[0]
    assert found.data.obj is data
    assert found.contents(found.section(".text")).obj is data


def test_the_built_program():
    found = only_slice(build.elf())
    assert [library.name for library in found.libraries] == ["libc.so.6"]
    assert found.rpaths == ("$ORIGIN/lib", "/opt/lib")
    assert {e.name: e.address for e in found.imports} == {"socket": build.ELF_PLT, "connect": build.ELF_PLT + 16}
    expected = {"pie": True, "bind_now": True, "relro": True, "textrel": False, "build_id": "c0ffee01"}
    assert {name: found.traits[name] for name in expected} == expected
    assert found.problems == ()


def test_a_build_id_in_a_section_of_no_segment_as_gos_linker_keeps_it():
    data = build.elf()
    build.put(data, 64 + 56 * 6, "<I", 0)  # no segment of notes
    names = b"\0.note.gnu.build-id\0"
    data[0x2150 : 0x2150 + len(names)] = names
    for number in (2, 3, 4):
        build.put(data, build.ELF_SECTIONS + 64 * number, "<I", 0)
    assert "build_id" not in only_slice(data).traits
    build.put(data, build.ELF_SECTIONS + 64, "<IIQQQQ", 1, 7, 0, 0, 0x220, 20)
    assert only_slice(data).traits["build_id"] == "c0ffee01"
