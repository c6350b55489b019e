"""Signs that a program's code is packed: it is unpacked in memory when it starts, and cannot be read before."""

import math
import re
import struct
from collections import Counter
from collections.abc import Iterator

from binsafe.extractors import rustaudit
from binsafe.formats import FORMATS, identify
from binsafe.formats.structure import Spans, find_all
from binsafe.model import Evidence, Section, Segment, Slice

_SECTIONS = {
    "upx": "UPX",
    ".aspack": "ASPack",
    ".adata": "ASPack",
    ".mpress": "MPRESS",
    ".petite": "Petite",
    ".themida": "Themida",
    ".winlice": "WinLicense",
    ".vmp": "VMProtect",
    ".enigma": "Enigma",
    ".nsp": "NsPack",
    ".perplex": "PerPlex",
    ".yp": "Yoda's Protector",
    "pec": "PECompact",
    "petite": "Petite",
}
"""How the names of sections begin (in lower case) that only packers make."""
_UPX_MAGIC = b"UPX!"
_UPX_WITHIN = 4096
"""UPX's header stands near the start of the file; behind it any program may hold the word."""
_SAMPLE = 256 * 1024
_SMALL = 8 * 1024
_DENSE = 7.5
"""Bits a byte: code lies between 5.0 and 6.9 (libsodium's at 7.3), compressed or encrypted bytes above 7.8."""
_BLOCK = 16 * 1024
_MANY_BLOCKS = 2
_NO_ORDER = 7.9
"""Of a block of that size: compressed and encrypted bytes have 7.98 and more; tables, texts and code far less."""
_NOT_LOADED = (
    *(".debug", ".zdebug", ".symtab", ".strtab", ".shstrtab", ".comment", ".note", ".gnu", ".gdb", ".stab"),
    rustaudit.SECTION,
)
"""How sections begin that are stored and never loaded: for debuggers, and Rust's record; some are compressed."""
_MAX_STRANGE = 256
"""Sections that no part of a program asks to be loaded, and that are looked at; real programs have a few."""
_PROGRAM_START = re.compile(rb"MZ(?=.{60}\x00\x00)|\x7fELF(?=[\x01\x02][\x01\x02]\x01)", re.DOTALL)
"""With what few other bytes have: a new header within 64 KB; a class, an order and a version that exist."""
_MAX_STARTS = 65_536
_ZIP_TAIL = 65_535 + 22
"""Where a zip archive's end may be: before a comment (PKWARE APPNOTE, 4.3.16)."""
_FEW_IMPORTS = 12
_LOADER = frozenset({"LoadLibraryA", "LoadLibraryW", "LoadLibraryExA", "LoadLibraryExW"})


def packed(slice_: Slice, *, is_managed: bool) -> Iterator[Evidence]:
    """The signs, each with the place it is seen at; ``is_managed`` programs import next to nothing by nature."""
    for section in slice_.sections:
        packer = next((name for start, name in _SECTIONS.items() if section.name.lower().startswith(start)), None)
        if packer is not None:
            yield _at(section.address, section.name, f"a section of {packer}")
    if not slice_.sections and slice_.format == "elf" and _UPX_MAGIC in bytes(slice_.data[:_UPX_WITHIN]):
        yield _at(slice_.entry, "UPX!", "the mark of UPX, and no sections")
    if slice_.traits.get("encrypted"):
        yield Evidence(via="layout", detail="the system decrypts its code when it loads it")
    if slice_.format == "elf" and slice_.segments:  # an object file's sections are loaded by what it is linked into
        yield from _carried(slice_)
    if slice_.segments:
        yield from _behind(slice_)
    home = _home(slice_)
    if home is None:
        return
    density = _entropy(_stored(slice_, home))
    if density > _DENSE:
        what = "the code that starts first" if slice_.entry else "its code"
        yield _at(home.address, home.name, f"{what} has {density:.1f} bits of entropy a byte")
    if home.writable and slice_.format == "pe" and not is_managed and _imports_a_loader_only(slice_):
        yield _at(slice_.entry, home.name, "it starts in memory that it can write, and imports little but a loader")


def without_order(slice_: Slice) -> int:
    """Bytes of what it loads that are compressed or encrypted, by their looks, in whole blocks; 0 for a few."""
    blocks = sum(
        _entropy(bytes(slice_.data[at : at + _BLOCK])) > _NO_ORDER
        for segment in slice_.segments
        for at in range(segment.offset, segment.offset + segment.file_size - _BLOCK + 1, _BLOCK)
    )
    return blocks * _BLOCK if blocks >= _MANY_BLOCKS else 0


def programs(slice_: Slice) -> Iterator[Evidence]:
    """The programs that it holds whole: in a section of their own, behind its end, or among resources of Windows.

    They are not looked at; nor is an archive behind its end, where launchers keep what they unpack and run.
    """
    end = _end(slice_)
    padding = bytes(slice_.data[end : end + _SAMPLE])
    end += len(padding) - len(padding.lstrip(b"\0"))
    places = [(section.name, section.offset) for section in slice_.sections if section.offset]
    for name, at in (*places, (None, end)):
        kind = _program(slice_.data[at:])
        if kind in FORMATS or (kind == "archive" and at == end):
            yield Evidence(via="layout", symbol=name, detail=f"{kind} at offset {at:#x}")
    if _ends_as_zip(slice_.data[end:]) and identify(slice_.data[end:]) != "archive":
        yield Evidence(via="layout", detail=f"archive that ends behind it, somewhere from {end:#x} on")
    yield from _among_resources(slice_)


def _ends_as_zip(behind: memoryview) -> bool:
    """Whether what is behind a program is found by who looks for a zip archive's end: launchers, and Python."""
    tail = bytes(behind[max(0, len(behind) - _ZIP_TAIL) :])
    return tail.rfind(b"PK\5\6") >= 0 and next(find_all(behind, b"PK\1\2"), None) is not None


def _among_resources(slice_: Slice) -> Iterator[Evidence]:
    """Programs anywhere in the section with a PE file's resources: nothing there need stand at its beginning."""
    start = int(slice_.traits.get("resources", 0))
    for section in slice_.sections if start else ():
        if section.address <= start < section.address + section.size and section.offset is not None:
            for number, match in enumerate(_PROGRAM_START.finditer(slice_.contents(section))):
                at = section.offset + match.start()
                if number == _MAX_STARTS:
                    yield Evidence(via="layout", symbol=section.name, detail=f"what looks like many, from {at:#x} on")
                    break
                if match.start() and (kind := _program(slice_.data[at:])):
                    yield Evidence(via="layout", symbol=section.name, detail=f"{kind} at offset {at:#x}")


def _program(data: memoryview) -> str | None:
    """The format of the program or archive that some bytes begin with."""
    kind = identify(data)
    new_header = int.from_bytes(data[0x3C:0x40], "little")
    if kind == "pe" and bytes(data[new_header : new_header + 4]) != b"PE\0\0":  # two letters prove nothing
        return None
    if kind == "elf" and sum(data[20:24]) != 1:  # its version; loaders have the bytes before it to compare with
        return None
    return kind


def _carried(slice_: Slice) -> Iterator[Evidence]:
    """Compressed or encrypted bytes in a file of a program that no part of it asks to be loaded."""
    loaded = Spans((segment.offset, segment.file_size) for segment in slice_.segments)
    stored = ((s, s.offset) for s in slice_.sections if s.offset is not None and s.size >= _SMALL)
    strange = ((s, at) for s, at in stored if not s.name.startswith(_NOT_LOADED) and not loaded.hold(at, s.size))
    for number, (section, at) in enumerate(strange):
        if number == _MAX_STRANGE:
            yield Evidence(via="layout", detail=f"more than {_MAX_STRANGE} sections that are not loaded")
            return
        if _entropy(bytes(slice_.data[at : at + min(section.size, _SAMPLE)])) > _NO_ORDER:
            yield Evidence(via="layout", symbol=section.name, detail=f"{section.size:,} bytes that are not loaded")


def _behind(slice_: Slice) -> Iterator[Evidence]:
    """The same behind all that the file's headers tell of, where AppImages and installers keep what they unpack."""
    end = _end(slice_)
    start, size = slice_.signature_range or (0, 0)
    stop = start if size else len(slice_.data)
    if _entropy(bytes(slice_.data[end : min(stop, end + _SAMPLE)])) > _NO_ORDER:
        yield Evidence(via="layout", detail=f"{stop - end:,} bytes behind its end, at offset {end:#x}")


def _end(slice_: Slice) -> int:
    """The offset behind all that the file's headers tell of, the symbols of GNU's and Go's PE files included."""
    loaded = (segment.offset + segment.file_size for segment in slice_.segments)
    stored = (section.offset + section.size for section in slice_.sections if section.offset is not None)
    symbols = int(slice_.traits.get("coff_symbols_end", 0))
    return max((*loaded, *stored, _section_headers_end(slice_), symbols), default=0)


def _section_headers_end(slice_: Slice) -> int:
    """The offset behind an ELF file's table of sections, which linkers write last; 0 for other files."""
    if slice_.format != "elf" or bytes(slice_.data[:4]) != b"\x7fELF":
        return 0
    offset, *_, size, count, _ = struct.unpack_from(
        ("<" if slice_.byte_order == "little" else ">") + ("QI6H" if slice_.bits == 64 else "II6H"),
        slice_.data,
        0x28 if slice_.bits == 64 else 0x20,
    )
    return int(offset) + int(size) * int(count) if count else 0


def _at(address: int, symbol: str, detail: str) -> Evidence:
    return Evidence(via="layout", address=hex(address), symbol=symbol, detail=detail)


def _home(slice_: Slice) -> Segment | None:
    """What holds the first instruction."""
    return next(
        (s for s in slice_.segments if s.executable and s.address <= slice_.entry < s.address + s.memory_size), None
    )


def _stored(slice_: Slice, home: Segment) -> bytes:
    """A sample of the code: the section that holds the first instruction, or its segment from there on.

    A library starts nowhere: of that the largest section of code, as tables may stand before it in its segment.
    """
    code = [s for s in slice_.sections if s.executable and s.offset is not None]
    first = [s for s in code if s.address <= slice_.entry < s.address + s.size] if slice_.entry else code
    section: Section | None = max(first, key=lambda s: s.size, default=None)
    start = home.offset if section is None or section.offset is None else section.offset
    size = home.file_size if section is None else section.size
    return bytes(slice_.data[start : start + min(size, _SAMPLE)])


def _entropy(data: bytes) -> float:
    """Shannon's, in bits a byte; 0 for samples too small to tell."""
    if len(data) < _SMALL:
        return 0.0
    return -sum(count / len(data) * math.log2(count / len(data)) for count in Counter(data).values())


def _imports_a_loader_only(slice_: Slice) -> bool:
    names = {entry.name for entry in slice_.imports}
    return len(names) <= _FEW_IMPORTS and "GetProcAddress" in names and not _LOADER.isdisjoint(names)
