"""PE -> Image."""

import struct
from collections.abc import Iterator, Mapping

from binsafe.formats import pe_headers as ph
from binsafe.formats.pe_imports import Imports, imports
from binsafe.formats.pe_tables import Tables, linker
from binsafe.formats.structure import Memory, Reader, text
from binsafe.formats.symbols import Strings
from binsafe.model import Image, Library, Section, Segment, Slice, Symbol

_RELOCATIONS_STRIPPED, _DLL = 0x1, 0x2000
_SUBSYSTEMS: Mapping[int, str] = {
    1: "native",
    2: "gui",
    3: "console",
    5: "os2-console",
    7: "posix-console",
    8: "native-9x",
    9: "windows-ce",
    10: "efi-application",
    11: "efi-boot-service-driver",
    12: "efi-runtime-driver",
    13: "efi-rom",
    14: "xbox",
    16: "boot-application",
}
_FLAGS = (
    ("high_entropy_va", 0x20),
    ("force_integrity", 0x80),
    ("nx_compat", 0x100),
    ("no_seh", 0x400),
    ("app_container", 0x1000),
    ("guard_cf", 0x4000),
)
"""Bits of ``DllCharacteristics`` that are traits as they are."""
_DYNAMIC_BASE, _NO_SEH = 0x40, 0x400
_COFF_SYMBOL = struct.Struct("<8sIhHBB")
"""Name, value, section, type, storage class, number of auxiliary records."""
_EXTERNAL, _STATIC = 2, 3
_BEFORE_WINDOWS = "ntdll.dll"
"""What programs are linked with that start before Windows' own subsystem (``autochk``), and no driver is."""


def read(data: memoryview) -> Image:
    """The Image of a PE file, which has one slice.

    Raises:
        NotAnalysable: the headers or the section table break a rule, or the imports are more than any program's.
    """
    head, reader = ph.header(data)
    found = ph.sections(head, reader)
    segments = tuple(_segments(head, found))
    memory = Memory(segments)
    hollow = _is_debug_symbols(head, segments, memory)
    wanted = Imports((), (), 0) if hollow else imports(head, reader, memory)
    tables = Tables(head, reader, memory)
    slice_ = Slice(
        format="pe",
        arch=head.arch,
        bits=head.bits,
        byte_order="little",
        system="uefi" if _subsystem(head).startswith("efi-") else "windows",
        kind="debug-symbols" if hollow else _kind(head, wanted),
        linkage=None if hollow else "dynamic",
        entry=head.image_base + head.entry if head.entry else 0,
        data=data,
        segments=segments,
        sections=tuple(_section(head, section) for section in found),
        libraries=(*wanted.libraries, *_passed_on(wanted, tables)),
        rpaths=(),
        imports=wanted.imports,
        symbols=tuple(dict.fromkeys([*tables.exports(), *_coff(head, reader, found)])),
        traits=_traits(head, found, tables, data) | _places(head, reader),
        signature_range=_signature(head, reader),
        problems=(f"malformed: {wanted.unnamed} libraries of the import table have no name",) if wanted.unnamed else (),
    )
    return Image(format="pe", slices=(slice_,))


def _passed_on(wanted: Imports, tables: Tables) -> Iterator[Library]:
    """The libraries of its exports that it does not import as well."""
    known = {library.name.lower() for library in wanted.libraries}
    yield from (library for library in tables.forwards() if library.name.lower() not in known)


def _is_debug_symbols(head: ph.Header, segments: tuple[Segment, ...], memory: Memory[Segment]) -> bool:
    """Whether it is what ``objcopy --only-keep-debug`` makes: neither code nor a start nor imports are in it."""
    code = [segment for segment in segments if segment.executable]
    starts, asked = head.image_base + head.entry, head.image_base + head.directory(ph.IMPORT)[0]
    hollow = bool(code) and not any(segment.file_size for segment in code)
    return hollow and all(memory.stored(place) is None for place in (starts, asked))


def _kind(head: ph.Header, wanted: Imports) -> str:
    if head.characteristics & _DLL:
        return "library"
    own = _subsystem(head) == "native" and any(each.name.lower() == _BEFORE_WINDOWS for each in wanted.libraries)
    drivers = {"native", "efi-boot-service-driver", "efi-runtime-driver"}
    return "driver" if _subsystem(head) in drivers and not own else "executable"


def _subsystem(head: ph.Header) -> str:
    return _SUBSYSTEMS.get(head.subsystem, f"subsystem-{head.subsystem}")


def _segments(head: ph.Header, found: tuple[ph.PeSection, ...]) -> Iterator[Segment]:
    """What the loader maps: the headers, then each section."""
    yield Segment(
        name="headers",
        address=head.image_base,
        memory_size=head.headers_size,
        offset=0,
        file_size=head.headers_size,
        readable=True,
        writable=False,
        executable=False,
    )
    for section in found:
        yield Segment(
            name=section.name,
            address=head.image_base + section.rva,
            memory_size=section.memory_size,
            offset=section.offset,
            file_size=section.size,
            readable=bool(section.flags & ph.SCN_READ),
            writable=bool(section.flags & ph.SCN_WRITE),
            executable=bool(section.flags & ph.SCN_EXECUTE),
        )


def _section(head: ph.Header, section: ph.PeSection) -> Section:
    """A section as the file holds it: its size is the stored one, which may be less or more than in memory."""
    return Section(
        name=section.name,
        address=head.image_base + section.rva,
        size=section.size or section.memory_size,
        offset=section.offset if section.size else None,
        executable=bool(section.flags & ph.SCN_EXECUTE),
    )


def _signature(head: ph.Header, reader: Reader) -> tuple[int, int] | None:
    offset, size = head.directory(ph.SECURITY)
    if size == 0:
        return None
    reader.range(offset, size, "the certificate table")
    return offset, size


def _coff(head: ph.Header, reader: Reader, found: tuple[ph.PeSection, ...]) -> Iterator[Symbol]:
    """Functions and objects of the COFF symbol table, which GNU's and Go's linkers leave in the file."""
    tables = ph.coff_symbols(head, reader)
    if tables is None:
        return
    strings = Strings(tables.strings)
    rows = _COFF_SYMBOL.iter_unpack(tables.table)
    for raw, value, section, _, storage, auxiliary in rows:
        for _ in range(auxiliary):
            next(rows, None)
        external = storage == _EXTERNAL or (storage == _STATIC and not auxiliary)  # one with a record is a section
        if external and 0 < section <= len(found):
            long = raw[:4] == b"\0\0\0\0"
            name = strings.at(int.from_bytes(raw[4:], "little")) if long else text(raw)
            if name:
                yield Symbol(name=name, address=head.image_base + found[section - 1].rva + value)


def _places(head: ph.Header, reader: Reader) -> dict[str, bool | int | str]:
    """Where the resources begin in memory, and the symbols end in the file; 0 where there are none."""
    resources, symbols = head.directory(ph.RESOURCES)[0], ph.coff_symbols(head, reader)
    end = head.coff_symbols + len(symbols.table) + len(symbols.strings) if symbols else 0
    return {"resources": head.image_base + resources if resources else 0, "coff_symbols_end": end}


def _traits(
    head: ph.Header, found: tuple[ph.PeSection, ...], tables: Tables, data: memoryview
) -> dict[str, bool | int | str]:
    flags, both = head.dll_characteristics, ph.SCN_EXECUTE | ph.SCN_WRITE
    configuration, debug = tables.load_configuration(), tables.debug()
    traits: dict[str, bool | int | str] = {name: bool(flags & bit) for name, bit in _FLAGS}
    traits |= {
        "dynamic_base": bool(flags & _DYNAMIC_BASE) and not head.characteristics & _RELOCATIONS_STRIPPED,
        "security_cookie": configuration is not None and configuration.cookie,
        "guard_table": configuration is not None and configuration.guarded,
        "cet_compat": debug.cet,
        "subsystem": _subsystem(head),
        "dotnet": head.directory(ph.CLI)[0] != 0,
        "rwx_segment": any(section.flags & both == both for section in found),
    }
    if head.arch == "i386":
        traits["safe_seh"] = (configuration is not None and configuration.handlers) or bool(flags & _NO_SEH)
    if traits["dotnet"]:
        traits["cli_metadata"] = tables.cli_metadata()
    texts = {"toolchain": linker(head, data), "uuid": debug.uuid, "execution_level": tables.execution_level()}
    return traits | {name: value for name, value in texts.items() if value is not None}
