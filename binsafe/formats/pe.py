"""PE -> Image. Headers are read here; imports, exports and the load configuration come from LIEF."""

from collections.abc import Iterator, Mapping
from typing import Any

from binsafe.formats import _lief, symbols
from binsafe.formats import pe_headers as ph
from binsafe.formats.pe_imports import declared_libraries
from binsafe.formats.structure import Memory, Reader, decoded, malformed, text
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Image, Import, Library, Section, Segment, Slice, Symbol

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
_COFF_LAYOUT = [
    ("name", "V8"),
    ("value", "u4"),
    ("section", "i2"),
    ("type", "u2"),
    ("class", "u1"),
    ("auxiliary", "u1"),
]
_EXTERNAL, _STATIC, _FUNCTION = 2, 3, 0x20


def read(data: memoryview) -> Image:
    """The Image of a PE file, which has one slice.

    Raises:
        NotAnalysable: the headers or the section table break a rule, or LIEF cannot read the imports.
    """
    head, reader = ph.header(data)
    found = ph.sections(head, reader)
    segments = tuple(_segments(head, found))
    declared = declared_libraries(head, reader, Memory(segments))
    binary = _lief.pe(data)
    with _lief.reading():
        libraries, imports = _imports(head, binary)
        exports = tuple(_exports(head, binary))
        traits = _traits(head, found, binary)
    slice_ = Slice(
        format="pe",
        arch=head.arch,
        bits=head.bits,
        byte_order="little",
        system="uefi" if _subsystem(head).startswith("efi-") else "windows",
        kind=_kind(head),
        linkage="dynamic",
        entry=head.image_base + head.entry if head.entry else 0,
        data=data,
        segments=segments,
        sections=tuple(_section(head, section) for section in found),
        libraries=libraries,
        rpaths=(),
        imports=imports,
        symbols=tuple(dict.fromkeys([*exports, *_coff(head, reader, found)])),
        traits=traits,
        signature_range=_signature(head, reader),
        problems=_unread(declared, libraries),
    )
    return Image(format="pe", slices=(slice_,))


def _kind(head: ph.Header) -> str:
    if head.characteristics & _DLL:
        return "library"
    return "driver" if _subsystem(head) in {"native", "efi-boot-service-driver", "efi-runtime-driver"} else "executable"


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


def _imports(head: ph.Header, binary: Any) -> tuple[tuple[Library, ...], tuple[Import, ...]]:
    libraries: list[Library] = []
    imports: list[Import] = []
    for library in binary.imports:
        name = decoded(library.name)
        libraries.append(Library(name=name, kind="load"))
        named = _lief.with_ordinals_named(library)  # held by a name: LIEF's iterators do not keep their owner alive
        for entry in named.entries:
            slot = head.image_base + entry.iat_address if entry.iat_address else None
            imports.append(Import(name=_entry_name(entry), library=name, address=slot))
    for library in binary.delay_imports:
        name = decoded(library.name)
        libraries.append(Library(name=name, kind="delay"))
        for number, entry in enumerate(library.entries):
            slot = head.image_base + library.iat + number * (head.bits // 8)
            imports.append(Import(name=_entry_name(entry), library=name, address=slot))
    return tuple(dict.fromkeys(libraries)), tuple(imports)


def _entry_name(entry: Any) -> str:
    """The imported name, or ``#12`` for an ordinal that has no well-known name."""
    name = decoded(entry.name)
    return name or f"#{entry.ordinal if entry.is_ordinal else '?'}"


def _unread(declared: tuple[str, ...], libraries: tuple[Library, ...]) -> tuple[str, ...]:
    """A problem where the loader is asked for other libraries than LIEF reports: then its list is not complete."""
    missing = set(declared) - {library.name for library in libraries}
    return (f"malformed: {len(missing)} libraries of the import table could not be read",) if missing else ()


def _exports(head: ph.Header, binary: Any) -> Iterator[Symbol]:
    export = binary.get_export()
    for number, entry in enumerate(export.entries if export is not None else ()):
        if number >= MAX_SYMBOLS:
            raise malformed("more exports than can be looked at")
        if not entry.is_forwarded and entry.function_rva:
            name = decoded(entry.name) or f"#{entry.ordinal}"
            yield Symbol(name=name, address=head.image_base + entry.function_rva)


def _coff(head: ph.Header, reader: Reader, found: tuple[ph.PeSection, ...]) -> Iterator[Symbol]:
    """Functions and objects of the COFF symbol table, which GNU's and Go's linkers leave in the file."""
    tables = ph.coff_symbols(head, reader)
    if tables is None:
        return
    records = symbols.records(tables.table, _COFF_LAYOUT, "little")
    skips, places = records["auxiliary"].tolist(), []
    at = 0
    while at < len(skips):
        places.append(at)
        at += 1 + skips[at]
    records = records[places]
    records = records[(records["section"] > 0) & (records["section"] <= len(found))]
    for raw, value, section, kind, auxiliary in zip(
        records["name"].tolist(),
        records["value"].tolist(),
        records["section"].tolist(),
        records["class"].tolist(),
        records["auxiliary"].tolist(),
        strict=True,
    ):
        if kind == _EXTERNAL or (kind == _STATIC and not auxiliary):  # a static one with a record is a section
            long = raw[:4] == b"\0\0\0\0"
            name = text(tables.strings, int.from_bytes(raw[4:], "little")) if long else text(raw)
            if name:
                yield Symbol(name=name, address=head.image_base + found[section - 1].rva + value)


def _traits(head: ph.Header, found: tuple[ph.PeSection, ...], binary: Any) -> dict[str, bool | int | str]:
    flags, both = head.dll_characteristics, ph.SCN_EXECUTE | ph.SCN_WRITE
    configuration = binary.load_configuration
    traits: dict[str, bool | int | str] = {name: bool(flags & bit) for name, bit in _FLAGS}
    traits |= {
        "dynamic_base": bool(flags & _DYNAMIC_BASE) and not head.characteristics & _RELOCATIONS_STRIPPED,
        "security_cookie": configuration is not None and bool(configuration.security_cookie),
        "subsystem": _subsystem(head),
        "dotnet": head.directory(ph.CLI)[1] != 0,
        "rwx_segment": any(section.flags & both == both for section in found),
    }
    if head.arch == "i386":
        handlers = configuration is not None and bool(configuration.se_handler_table)
        traits["safe_seh"] = handlers or bool(flags & _NO_SEH)
    return traits
