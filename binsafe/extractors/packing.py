"""Signs that a program's code is packed: it is unpacked in memory when it starts, and cannot be read before."""

import math
from collections import Counter
from collections.abc import Iterator

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
_DENSE = 7.2
"""Bits a byte: code of every compiler met lies between 5.0 and 6.9, compressed or encrypted bytes above 7.8."""
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
    home = _home(slice_)
    if home is None:
        return
    density = _entropy(_stored(slice_, home))
    if density > _DENSE:
        yield _at(home.address, home.name, f"the code that starts first has {density:.1f} bits of entropy a byte")
    if home.writable and slice_.format == "pe" and not is_managed and _imports_a_loader_only(slice_):
        yield _at(slice_.entry, home.name, "it starts in memory that it can write, and imports little but a loader")


def _at(address: int, symbol: str, detail: str) -> Evidence:
    return Evidence(via="layout", address=hex(address), symbol=symbol, detail=detail)


def _home(slice_: Slice) -> Segment | None:
    """What holds the first instruction."""
    return next(
        (s for s in slice_.segments if s.executable and s.address <= slice_.entry < s.address + s.memory_size), None
    )


def _stored(slice_: Slice, home: Segment) -> bytes:
    """A sample of the code: the section that holds the first instruction, or its segment from there on."""
    section: Section | None = next(
        (
            s
            for s in slice_.sections
            if s.executable and s.offset is not None and s.address <= slice_.entry < s.address + s.size
        ),
        None,
    )
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
