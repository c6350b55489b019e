"""Linkage stubs of ELF: the few instructions that a call to another library goes through, and the slot each reads."""

import re
from collections.abc import Callable, Iterator, Mapping

Stub = tuple[int, int]
"""The address of the stub, and of the slot in the global offset table whose content it jumps to."""

_X86_JUMP = re.compile(rb"(?:\xf3\x0f\x1e[\xfa\xfb])?(?:\x41\xbb.{4})?\xf2?\xff([\x25\xa3])(.{4})", re.DOTALL)
"""``jmp *slot``: ff 25 (rip-relative or absolute), ff a3 (ebx).

Before it CET's ``endbr``, MPX's ``bnd``, and ``mov r11d, index`` where mold is the linker (``src/arch-x86-64.cc``).
"""
_EBX_RELATIVE = b"\xa3"
_ADRP_X16, _LDR_X17_X16, _BTI_C = 0x9000_0010, 0xF940_0211, 0xD503_245F


def slots(arch: str, code: memoryview, address: int, plt_got: int) -> dict[int, int]:
    """Slot -> stub in ``code`` (a ``.plt`` section that stands at ``address``); empty for processors not known here."""
    scan = _SCANS.get(arch)
    return {} if scan is None else {slot: stub for stub, slot in scan(code, address, plt_got)}


def _x86_64(code: memoryview, address: int, plt_got: int) -> Iterator[Stub]:
    del plt_got
    for match in _X86_JUMP.finditer(code):
        if match[1] != _EBX_RELATIVE:
            yield address + match.start(), address + match.end() + int.from_bytes(match[2], "little", signed=True)


def _i386(code: memoryview, address: int, plt_got: int) -> Iterator[Stub]:
    for match in _X86_JUMP.finditer(code):
        operand = int.from_bytes(match[2], "little")
        yield address + match.start(), (operand + plt_got) & 0xFFFF_FFFF if match[1] == _EBX_RELATIVE else operand


def _arm64(code: memoryview, address: int, plt_got: int) -> Iterator[Stub]:
    """``adrp x16, page; ldr x17, [x16, #offset]``, with BTI's landing pad before it (Arm ARM, C6.2)."""
    del plt_got
    import numpy as np  # takes longer to load than most files to read

    words = np.frombuffer(code, dtype="<u4", count=len(code) // 4).astype(np.int64)
    page_words, load_words = (words[:-1] & 0x9F00_001F) == _ADRP_X16, (words[1:] & 0xFFC0_03FF) == _LDR_X17_X16
    pairs = np.flatnonzero(page_words & load_words)
    for at in map(int, pairs):
        page_word, load_word = int(words[at]), int(words[at + 1])
        page = (page_word >> 5 & 0x7FFFF) << 2 | page_word >> 29 & 3
        page = page - (1 << 21) if page >> 20 else page
        place = address + 4 * at
        landing = at > 0 and int(words[at - 1]) == _BTI_C
        yield place - 4 * landing, (place & ~0xFFF) + (page << 12) + (load_word >> 10 & 0xFFF) * 8


_SCANS: Mapping[str, Callable[[memoryview, int, int], Iterator[Stub]]] = {
    "x86_64": _x86_64,
    "i386": _i386,
    "arm64": _arm64,
}
