"""The one door to LIEF. Loaded when first needed: importing it takes a third of a second and 50 MB.

Only bytes that passed our own structure rules come here. ``bytes`` are passed, never a ``memoryview``: LIEF takes
any other object for a path or a stream, and ``lief.parse(bytes)`` guesses the format anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from binsafe.formats.structure import malformed


@contextmanager
def reading() -> Iterator[None]:
    """Around code that reads LIEF's objects: some of their properties raise for names that are not UTF-8.

    Raises:
        NotAnalysable: one did.
    """
    try:
        yield
    except (UnicodeDecodeError, RuntimeError, OverflowError) as error:
        raise malformed("its tables hold names or numbers that nobody can read") from error


def elf(data: memoryview) -> Any:
    """The dynamic symbols and relocations of an ELF file as a ``lief.ELF.Binary``.

    Raises:
        NotAnalysable: LIEF cannot read it.
    """
    lief = _load()
    config = lief.ELF.ParserConfig()
    config.parse_notes = config.parse_overlay = False
    config.parse_symtab_symbols = config.parse_symbol_versions = False
    return _checked(lief.ELF.parse(bytes(data), config), lief.ELF.Binary)


def macho(data: memoryview) -> Any:
    """The bindings and exports of one slice as a ``lief.MachO.FatBinary`` of one; rebases are left out.

    Hold on to it while you read ``at(0)``: LIEF's objects do not keep the one alive that they belong to.

    Raises:
        NotAnalysable: LIEF cannot read it, or sees another number of slices than one.
    """
    lief = _load()
    config = lief.MachO.ParserConfig()
    config.parse_dyld_rebases = False
    config.parse_dyld_exports = config.parse_dyld_bindings = True
    fat = _checked(lief.MachO.parse(bytes(data), config), lief.MachO.FatBinary)
    if fat.size != 1:
        raise malformed("a slice of a universal file must be one program")
    return fat


def pe(data: memoryview) -> Any:
    """The imports, exports and load configuration of a PE file as a ``lief.PE.Binary``.

    Raises:
        NotAnalysable: LIEF cannot read it.
    """
    lief = _load()
    config = lief.PE.ParserConfig()
    config.parse_reloc = config.parse_rsrc = config.parse_exceptions = config.parse_signature = False
    return _checked(lief.PE.parse(bytes(data), config), lief.PE.Binary)


def with_ordinals_named(imported: Any) -> Any:
    """A PE import whose well-known ordinals (ws2_32's, for one) have got their names."""
    lief = _load()
    resolved = lief.PE.resolve_ordinals(imported, strict=False, use_std=True)
    return resolved if isinstance(resolved, lief.PE.Import) else imported


def _load() -> Any:
    import lief  # noqa: PLC0415 - see above

    lief.logging.disable()  # it would print names out of hostile files
    return lief


def _checked(parsed: Any, kind: type) -> Any:
    if not isinstance(parsed, kind):
        raise malformed("its tables cannot be read")
    return parsed
