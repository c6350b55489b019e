"""What an ELF file's property notes say of the processor's mitigations: shadow stacks and marked branch targets.

Layout: "Linux Extensions to gABI", section 2.1.7 (``NT_GNU_PROPERTY_TYPE_0``); the bits are in the psABI
supplements for x86-64 and for AArch64. The linker sets a bit only where all that it linked has it.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from binsafe.formats import elf_headers as eh
from binsafe.formats.structure import Reader

_PROPERTY_TYPE_0 = 5
_OWNER = b"GNU\0"
_HEADER, _MAX_PROPERTIES = 16, 256
"""A note's header with its owner's name."""
_X86_FEATURES, _AARCH64_FEATURES = 0xC000_0002, 0xC000_0000
_BITS: Mapping[str, tuple[int, tuple[tuple[str, int], ...]]] = MappingProxyType(
    {
        "x86_64": (_X86_FEATURES, (("ibt", 1), ("shadow_stack", 2))),
        "i386": (_X86_FEATURES, (("ibt", 1), ("shadow_stack", 2))),
        "arm64": (_AARCH64_FEATURES, (("bti", 1), ("pac", 2))),
    }
)
"""Processor -> the property that lists its mitigations, and their bits."""


def features(arch: str, reader: Reader, headers: tuple[eh.ProgramHeader, ...]) -> dict[str, bool | int | str]:
    """Trait -> whether the file may run with that mitigation; empty for processors without any."""
    if arch not in _BITS:
        return {}
    wanted, bits = _BITS[arch]
    stated = next((value for kind, value in _properties(arch, reader, headers) if kind == wanted), 0)
    return {name: bool(stated & bit) for name, bit in bits}


def _properties(arch: str, reader: Reader, headers: tuple[eh.ProgramHeader, ...]) -> Iterator[tuple[int, int]]:
    """Type and first word of each property; the kernel, too, looks into the segment of properties alone."""
    header = next((h for h in headers if h.type == eh.PT_GNU_PROPERTY), None)
    if header is None:
        return
    note = Reader(reader.data[header.offset : header.offset + header.file_size], reader.byte_order)
    if len(note.data) < _HEADER or bytes(note.data[12:16]) != _OWNER:
        return
    _, size, kind = note.unpack("III", 0, "a note")
    at, end = _HEADER, min(_HEADER + size, len(note.data))
    step = 4 if arch == "i386" else 8
    for _ in range(_MAX_PROPERTIES if kind == _PROPERTY_TYPE_0 else 0):
        if at + 12 > end:
            return
        property_, length, word = note.unpack("III", at, "a property")
        if length >= 4:  # a word
            yield property_, word
        at += 8 + (length + step - 1) // step * step
