"""A static ELF file as a slice, read with pyelftools: independent of our own parser."""

from pathlib import Path

from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section as ElfSection
from elftools.elf.sections import Symbol as ElfSymbol
from elftools.elf.segments import Segment as ElfSegment

from binsafe.model import Section, Segment, Slice, Symbol

ARCHITECTURES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}


def elf_slice(path: Path) -> Slice:
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert not any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments()), "not static"
        symbols = elf.get_section_by_name(".symtab")
        return Slice(
            format="elf",
            arch=ARCHITECTURES[elf["e_machine"]],
            bits=64,
            byte_order="little",
            system="linux",
            kind="executable",
            linkage="static-pie" if elf["e_type"] == "ET_DYN" else "static",
            entry=elf["e_entry"],
            data=memoryview(path.read_bytes()),
            segments=tuple(_segment(s) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"),
            sections=tuple(_section(s) for s in elf.iter_sections() if s.name),
            libraries=(),
            rpaths=(),
            imports=(),
            symbols=tuple(_symbol(s) for s in symbols.iter_symbols() if s["st_shndx"] != "SHN_UNDEF"),
            traits={},
        )


def _segment(segment: ElfSegment) -> Segment:
    flags = segment["p_flags"]
    return Segment(
        name="LOAD",
        address=segment["p_vaddr"],
        memory_size=segment["p_memsz"],
        offset=segment["p_offset"],
        file_size=segment["p_filesz"],
        readable=bool(flags & P_FLAGS.PF_R),
        writable=bool(flags & P_FLAGS.PF_W),
        executable=bool(flags & P_FLAGS.PF_X),
    )


def _section(section: ElfSection) -> Section:
    return Section(
        name=section.name,
        address=section["sh_addr"],
        size=section["sh_size"],
        offset=None if section["sh_type"] == "SHT_NOBITS" else section["sh_offset"],
        executable=bool(section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR),
    )


def _symbol(symbol: ElfSymbol) -> Symbol:
    return Symbol(name=symbol.name, address=symbol["st_value"], size=symbol["st_size"])
