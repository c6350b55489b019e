"""ELF -> Image. LIEF is asked only for the dynamic symbols of 32-bit and big-endian files."""

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from binsafe.formats import _lief, stubs, symbols
from binsafe.formats import elf_headers as eh
from binsafe.formats import elf_sections as es
from binsafe.formats.elf_dynamic import Dynamic, dynamic
from binsafe.formats.elf_features import features
from binsafe.formats.elf_needs import build_id, interpreter
from binsafe.formats.structure import Reader, decoded, excessive, malformed
from binsafe.formats.traits import import_traits
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Image, Import, Section, Segment, Slice, Symbol
from binsafe.model.image import Linkage

if TYPE_CHECKING:
    from binsafe.formats.elf_linking import Linking

_SYSTEMS = {0: "linux", 2: "netbsd", 3: "linux", 6: "solaris", 9: "freebsd", 12: "openbsd"}
"""``EI_OSABI``: 0 (System V) is what Linux programs have, 3 those with GNU extensions."""
_LOADERS = {
    "/usr/libexec/ld.so": "openbsd",
    **dict.fromkeys(("/usr/libexec/ld.elf_so", "/libexec/ld.elf_so"), "netbsd"),
    **dict.fromkeys(("/usr/lib/ld.so.1", "/lib/64/ld.so.1", "/usr/lib/64/ld.so.1"), "solaris"),
    **dict.fromkeys(("/lib/amd64/ld.so.1", "/usr/lib/amd64/ld.so.1"), "solaris"),
    "/system/runtime_loader": "haiku",
}
"""Loaders of systems whose programs say System V, too; Linux has ``/lib/ld.so.1`` on some processors."""
_FUNCTION_KINDS = (0, 1, 2, 10)
"""Symbol types that name places: none, object, function, indirect function; not sections, files or TLS offsets."""
_NOWHERE = (_SHN_UNDEF, _SHN_ABS) = (0, 0xFFF1)
_MODULE = ".gnu.linkonce.this_module"
"""The section that Linux looks for in a kernel module (``kernel/module/main.c``)."""
_LOADED = frozenset({"executable", "library"})
"""Kinds that a loader takes: how the others would behave is not in them."""
_PAGE = 4096
"""The smallest page of any processor here: files for larger ones are laid out for those."""
_SYMBOL_LAYOUTS = {32: ("III4x", "12xBxH"), 64: ("I4xQQ", "4xBxH16x")}
"""Word size -> how a symbol record keeps its name, address and size; and its type and section."""


def read(data: memoryview, *, imports: bool = True) -> Image:
    """The Image of an ELF file, which has one slice; without ``imports`` those are left out of one that is linked.

    Raises:
        NotAnalysable: the headers or the dynamic section break a rule.
    """
    head, reader = eh.header(data)
    headers = eh.program_headers(head, reader)
    loaded = [h for h in headers if h.type == eh.PT_LOAD]
    section_headers, table_problem = es.section_headers(head, reader)
    sections, section_problem = es.sections(head, section_headers, loaded, data)
    if head.type == eh.REL and not sections:  # kernels load modules by them
        raise malformed(f"an object file without sections: {table_problem or section_problem}", finding="section-table")
    problems = () if head.type == eh.CORE else filter(None, (table_problem, section_problem))
    hollow = eh.is_debug_symbols(head, headers)
    wanted = None if hollow else dynamic(head.bits, reader, headers)
    loader = None if hollow else interpreter(reader, headers)
    kind = "debug-symbols" if hollow else _kind(head, wanted, loader, sections)
    linked = None if wanted is None else _linking(head, data)
    asked: tuple[Import, ...] = ()
    supplied: Sequence[Symbol] = ()
    if linked is not None and not imports:
        supplied = linked.symbols.supplied()
    elif wanted is not None:
        asked, supplied = _linkage(head, data, sections, wanted, linked)
    slice_ = Slice(
        format="elf",
        arch=head.arch,
        bits=head.bits,
        byte_order=head.byte_order,
        system=_system(head, loader),
        kind=kind,
        linkage=_linked(head, kind, wanted, loader),
        entry=head.entry,
        data=data,
        segments=tuple(_segment(h) for h in loaded),
        sections=sections,
        libraries=wanted.libraries if wanted else (),
        rpaths=(*wanted.runpath, *wanted.rpath) if wanted else (),
        imports=asked,
        symbols=_defined(head, reader, section_headers) or supplied,
        traits={
            **_traits(head, kind, reader, headers, sections, wanted),
            **(import_traits(asked) if imports and kind in _LOADED else {}),
            **({"interpreter": loader} if loader else {}),
        },
        problems=tuple(f"section-table: the table of sections: {problem}" for problem in problems),
        linking=linked,
    )
    return Image(format="elf", slices=(slice_,))


def _segment(h: eh.ProgramHeader) -> Segment:
    return Segment(
        name="LOAD",
        address=h.address,
        memory_size=h.memory_size,
        offset=h.offset,
        file_size=h.file_size,
        readable=bool(h.flags & eh.PF_R),
        writable=bool(h.flags & eh.PF_W),
        executable=bool(h.flags & eh.PF_X),
    )


def _system(head: eh.Header, loader: str | None) -> str:
    """For which system it was built, by what it says and by the loader that it asks for."""
    if head.osabi == 0 and loader in _LOADERS:
        return _LOADERS[loader]
    return _SYSTEMS.get(head.osabi, "linux" if loader and "linux" in loader else f"osabi-{head.osabi}")


def _kind(head: eh.Header, wanted: Dynamic | None, loader: str | None, sections: tuple[Section, ...]) -> str:
    """A position-independent program says so (DF_1_PIE), or has a loader and no library name of its own.

    Or it starts somewhere and has nothing to be linked by, as static programs that were packed: no loader takes that
    for a library.
    """
    if head.type == eh.REL and any(section.name == _MODULE for section in sections):
        return "kernel-module"
    if head.type != eh.DYN:
        return {eh.REL: "object", eh.EXEC: "executable", eh.CORE: "core"}[head.type]
    named = wanted is not None and wanted.soname is not None
    alone = wanted is None and loader is None and head.entry != 0
    return "executable" if (wanted and wanted.pie) or (loader and not named) or alone else "library"


def _linked(head: eh.Header, kind: str, wanted: Dynamic | None, loader: str | None) -> Linkage | None:
    if kind not in _LOADED:
        return None
    if kind == "library" or loader or (wanted and wanted.libraries):
        return "dynamic"
    return "static" if head.type == eh.EXEC else "static-pie"


def _traits(
    head: eh.Header,
    kind: str,
    reader: Reader,
    headers: tuple[eh.ProgramHeader, ...],
    sections: tuple[Section, ...],
    wanted: Dynamic | None,
) -> dict[str, bool | int | str]:
    traits: dict[str, bool | int | str] = {"osabi": head.osabi, "machine": head.machine}
    if kind in _LOADED:
        stack = next((h for h in headers if h.type == eh.PT_GNU_STACK), None)
        both = eh.PF_W | eh.PF_X
        protected = _protected(headers)
        traits |= {
            "pie": head.type == eh.DYN,
            "executable_stack": stack is None or bool(stack.flags & eh.PF_X),
            "relro": bool(protected),
            "relro_got": wanted is None or wanted.plt_got == 0 or wanted.plt_got in protected,
            "bind_now": wanted is not None and wanted.bind_now,
            "textrel": wanted is not None and wanted.textrel,
            "rwx_segment": any(h.type == eh.PT_LOAD and h.flags & both == both for h in headers),
            "rpath_current_folder": wanted is not None and wanted.current_folder,
            **features(head.arch, reader, headers),
        }
    if wanted and wanted.soname is not None:
        traits["soname"] = wanted.soname
    found = build_id(reader, headers, sections)
    return traits if found is None else traits | {"build_id": found}


def _protected(headers: tuple[eh.ProgramHeader, ...]) -> range:
    """Addresses that the loader write-protects once it has relocated them: whole pages, and none where it cannot."""
    relro = next((h for h in headers if h.type == eh.PT_GNU_RELRO), None)
    if relro is None:
        return range(0)
    start, end = relro.address & -_PAGE, (relro.address + relro.memory_size) & -_PAGE
    loaded = (h for h in headers if h.type == eh.PT_LOAD)
    mapped = any(h.address & -_PAGE <= start and end <= h.address + h.memory_size + _PAGE for h in loaded)
    return range(start, end) if mapped else range(0)


def _linkage(
    head: eh.Header,
    data: memoryview,
    sections: tuple[Section, ...],
    wanted: Dynamic,
    linked: "Linking | None",
) -> tuple[tuple[Import, ...], Sequence[Symbol]]:
    """Names that others must supply, with the stub or slot they are called through; and names supplied to others."""
    stub_of: dict[int, int] = {}
    for section in sections:
        if section.name.startswith((".plt", ".iplt")) and section.offset is not None:
            code = data[section.offset : section.offset + section.size]
            stub_of |= stubs.slots(head.arch, code, section.address, wanted.plt_got)
    through: dict[str, int] = {}
    with _lief.reading():
        named, slots = _liefs(data) if linked is None else _ours(linked)
    for name, slot in slots:
        if slot in stub_of:
            through[name] = stub_of[slot]
        through.setdefault(name, slot)
    imports = {symbol.name: Import(name=symbol.name, address=through.get(symbol.name)) for symbol in named.wanted}
    return tuple(imports.values()), named.supplied


class _Named(NamedTuple):
    wanted: tuple[Symbol, ...]
    supplied: Sequence[Symbol]


def _linking(head: eh.Header, data: memoryview) -> "Linking | None":
    """What the loader links, of files whose form ours reads; LIEF reads the others."""
    if head.bits != 64 or head.byte_order != "little":
        return None
    from binsafe.formats.elf_linking import linking  # numpy only for dynamic files

    return linking(data)


def _ours(linked: "Linking") -> tuple[_Named, list[tuple[str, int]]]:
    """Symbols, imported and defined, and (name, slot) of the relocations."""
    symbols, table = linked.symbols, linked.relocations
    known = (table.symbols > 0) & (table.symbols < len(symbols))
    indices = table.symbols[known].tolist()
    distinct = sorted(set(indices))
    names = dict(zip(distinct, (symbol.name for symbol in symbols.chosen(distinct)), strict=True))
    slots = [(names[index], slot) for index, slot in zip(indices, table.addresses[known].tolist(), strict=True)]
    asked = (symbols.named & ~symbols.defined).nonzero()[0]
    wanted = (Symbol(name=symbol.name, address=symbol.value, size=symbol.size) for symbol in symbols.chosen(asked))
    return _Named(tuple(wanted), symbols.supplied()), slots


def _liefs(data: memoryview) -> tuple[_Named, list[tuple[str, int]]]:
    binary = _lief.elf(data)
    if len(binary.dynamic_symbols) > MAX_SYMBOLS:
        raise excessive(f"more than {MAX_SYMBOLS:,} dynamic symbols")
    relocations = chain(binary.pltgot_relocations, binary.dynamic_relocations)
    slots = [(decoded(each.symbol.name), each.address) for each in relocations if each.has_symbol]
    found: tuple[list[Symbol], list[Symbol]] = ([], [])
    for symbol in binary.dynamic_symbols:
        name = decoded(symbol.name)
        if name and symbol.shndx != _SHN_ABS:
            found[symbol.shndx != _SHN_UNDEF].append(Symbol(name=name, address=symbol.value, size=symbol.size))
    return _Named(tuple(found[0]), tuple(found[1])), slots


def _defined(head: eh.Header, reader: Reader, headers: list[es.SectionHeader]) -> Sequence[Symbol]:
    """Functions and objects of the symbol table; empty where it was stripped or lies outside of the file."""
    table = next((h for h in headers if h.type == es.SHT_SYMTAB), None)
    if table is None or not 0 < table.link < len(headers):
        return ()
    strings = headers[table.link]
    if max(table.offset + table.size, strings.offset + strings.size) > len(reader.data):
        return ()
    where, what = (symbols.layout(fields, head.byte_order) for fields in _SYMBOL_LAYOUTS[head.bits])
    records = symbols.whole(reader.data[table.offset : table.offset + table.size], what)
    kept = array(
        "I",
        (
            number
            for number, (info, section) in enumerate(what.iter_unpack(records))
            if section not in _NOWHERE and info & 0xF in _FUNCTION_KINDS
        ),
    )
    return symbols.Symbols(records, reader.data[strings.offset : strings.offset + strings.size], where, kept)
