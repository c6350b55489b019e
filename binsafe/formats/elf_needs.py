"""What an ELF file asks the program loader for, from its headers alone: no table of symbols is read."""

from collections.abc import Iterator

import msgspec

from binsafe.formats import elf_headers as eh
from binsafe.formats.elf_dynamic import Dynamic, dynamic
from binsafe.formats.structure import Reader, malformed, text
from binsafe.model import Section

_MAX_PATH = 4096
_NT_GNU_BUILD_ID = 3
_BUILD_ID_SECTION = ".note.gnu.build-id"
_NOTE_HEADER = 12
_MAX_NOTES = 1024


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """One file as the loader sees it; ``dynamic`` is None where nothing is to be linked."""

    arch: str
    bits: int
    interpreter: str | None
    dynamic: Dynamic | None
    build_id: str | None


def needs(data: memoryview) -> Needs:
    """The needs of an ELF file.

    Raises:
        NotAnalysable: it is no ELF file, or its headers or its dynamic section break a rule.
    """
    if bytes(data[:4]) != b"\x7fELF":
        raise malformed("it is no ELF file")
    head, reader = eh.header(data)
    headers = eh.program_headers(head, reader)
    return Needs(
        arch=head.arch,
        bits=head.bits,
        interpreter=interpreter(reader, headers),
        dynamic=dynamic(head.bits, reader, headers),
        build_id=build_id(reader, headers),
    )


def interpreter(reader: Reader, headers: tuple[eh.ProgramHeader, ...]) -> str | None:
    """The program loader's path; the kernel wants 2 to PATH_MAX bytes of which the last is NUL."""
    header = next((h for h in headers if h.type == eh.PT_INTERP), None)
    if header is None:
        return None
    path = reader.range(header.offset, header.file_size, "the program loader's path")
    if not 1 < len(path) <= _MAX_PATH or path[-1] != 0 or path[0] == 0:
        raise malformed("the program loader's path is no path")
    return text(path)


def build_id(reader: Reader, headers: tuple[eh.ProgramHeader, ...], sections: tuple[Section, ...] = ()) -> str | None:
    """The build id as hex; None where there is none. Go's linker keeps its own in a section of no segment of notes."""
    segments = ((h.offset, h.file_size) for h in headers if h.type == eh.PT_NOTE)
    named = ((s.offset, s.size) for s in sections if s.name == _BUILD_ID_SECTION and s.offset is not None)
    return next(_build_ids(reader, (*segments, *named)), None)


def _build_ids(reader: Reader, places: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Descriptors of the notes NT_GNU_BUILD_ID (elf(5), "Notes"): sizes, type, name, descriptor, padded to 4."""
    for offset, length in places:
        rest = reader.data[offset : offset + length]
        for _ in range(_MAX_NOTES):
            if len(rest) < _NOTE_HEADER:
                break
            name_size, size, kind = Reader(memoryview(rest), reader.byte_order).unpack("III", 0, "a note")
            start = _NOTE_HEADER + (name_size + 3) // 4 * 4
            if kind == _NT_GNU_BUILD_ID and bytes(rest[_NOTE_HEADER:start]) == b"GNU\0" and start + size <= len(rest):
                yield bytes(rest[start : start + size]).hex()
            rest = rest[start + (size + 3) // 4 * 4 :]
