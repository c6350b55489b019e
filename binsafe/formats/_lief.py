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
    lief = load()
    config = lief.ELF.ParserConfig()
    config.parse_notes = config.parse_overlay = False
    config.parse_symtab_symbols = config.parse_symbol_versions = False
    parsed = lief.ELF.parse(bytes(data), config)
    if not isinstance(parsed, lief.ELF.Binary):
        raise malformed("its tables cannot be read")
    return parsed


def load() -> Any:
    """LIEF itself, silenced."""
    import lief

    lief.logging.disable()  # it would print names out of hostile files
    return lief
