"""Where code calls a stub or through a pointer's slot, by arithmetic on the bytes: nothing is disassembled.

A direct call holds the distance to its target, so bytes that look like one and hit one of a few dozen addresses out of
2**32 are one but for an accident: in the 44 MB of code of Node.js, 0.3 accidents are to be expected per 100 targets.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from binsafe.formats.structure import let_go
from binsafe.model import Segment, Slice

Site = tuple[int, int]
"""The address that calls, and the target."""

_STUB_SECTIONS = (".plt", ".iplt", "__stubs", "__auth_stubs", "__symbol_stub")
_DIRECT, _INDIRECT, _CALL_SLOT, _JUMP_SLOT = 0xE8, 0xFF, 0x15, 0x25
"""``call rel32`` and, one above, ``jmp rel32``; ``call`` and ``jmp`` through a slot (Intel SDM volume 2)."""
_BRANCH_MASK, _BRANCHES = 0x7C00_0000, 0x1400_0000
"""``b`` and ``bl``: the top bit tells them apart (Arm ARM, C6.2)."""
_ADRP_MASK, _ADRP, _LDR_MASK, _LDR = 0x9F00_0000, 0x9000_0000, 0xFFC0_0000, 0xF940_0000
_STEP = 4 * 1024 * 1024
_OVERLAP = 8


class _Code(NamedTuple):
    address: int
    data: bytes


def call_sites(slice_: Slice, targets: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Target (a stub or a slot) -> addresses of the calls to it, ascending; empty for processors not known here."""
    wanted, scan = frozenset(targets), _SCANS.get(slice_.arch)
    found: defaultdict[int, list[int]] = defaultdict(list)
    if scan is not None and wanted:
        for code in _code(slice_):
            for site, target in scan(code, wanted):
                found[target].append(site)
    return {target: tuple(sorted(set(sites))) for target, sites in found.items()}


def _code(slice_: Slice) -> Iterator[_Code]:
    """Executable bytes without the stubs themselves, in pieces that overlap by an instruction."""
    sections = [s for s in slice_.sections if s.executable and s.offset is not None]
    if sections:
        ranges = [(s.address, slice_.contents(s)) for s in sections if not s.name.startswith(_STUB_SECTIONS)]
    else:
        code = (s for s in slice_.segments if s.executable)
        ranges = [(s.address, slice_.data[s.offset : s.offset + s.file_size]) for s in code]
    for address, data in ranges:
        for start in range(0, len(data), _STEP):
            yield _Code(address + start, bytes(data[start : start + _STEP + _OVERLAP]))
            let_go(data)


def _runnable(slice_: Slice) -> Iterator[_Code]:
    """All that can run: what sections call code, and then executable segments, as no loader asks the sections."""
    yield from _code(slice_)
    yield from _code(msgspec.structs.replace(slice_, sections=())) if slice_.sections else ()


def _x86(code: _Code, wanted: frozenset[int], *, bits: int) -> Iterator[Site]:
    """``call`` and ``jmp``: by distance, and through a slot whose distance (64 bits) or address (32) they hold."""
    import numpy as np  # takes longer to load than most files to read

    padded = code.data + bytes(_OVERLAP)
    data = np.frombuffer(padded, dtype=np.uint8)
    operands = np.ndarray(len(data) - 3, dtype="<i4", buffer=padded, strides=(1,))  # one at each byte
    addresses = np.array(sorted(wanted), dtype=np.uint64)
    direct = np.flatnonzero((data & 0xFE) == _DIRECT)
    indirect = np.flatnonzero((data[:-1] == _INDIRECT) & ((data[1:] == _CALL_SLOT) | (data[1:] == _JUMP_SLOT)))
    for places, size in ((direct, 5), (indirect, 6)):
        held = operands[places + size - 4].astype(np.int64).view(np.uint64)
        is_address = bits == 32 and size == 6
        ends = np.uint64(0) if is_address else places.astype(np.uint64) + np.uint64(code.address % (1 << 64) + size)
        targets = (held + ends) & np.uint64((1 << bits) - 1)
        near = addresses[np.minimum(np.searchsorted(addresses, targets), len(addresses) - 1)]
        hits = np.flatnonzero(near == targets)
        yield from (
            (code.address + at, to) for at, to in zip(places[hits].tolist(), targets[hits].tolist(), strict=True)
        )


def _arm64(code: _Code, wanted: frozenset[int]) -> Iterator[Site]:
    """``bl`` and ``b``; and ``adrp`` with the ``ldr`` behind it, which loads a slot to call through."""
    import numpy as np  # takes longer to load than most files to read

    words = np.frombuffer(code.data, dtype="<u4", count=len(code.data) // 4)
    lows = np.array(sorted({target & 0xFFFF_FFFF for target in wanted}), dtype=np.int64)
    places = np.flatnonzero((words & _BRANCH_MASK) == _BRANCHES)
    distances = ((words[places] << np.uint32(6)).view(np.int32) >> 4).astype(np.int64)
    ends = (distances + code.address + 4 * places) & 0xFFFF_FFFF
    near = lows[np.minimum(np.searchsorted(lows, ends), len(lows) - 1)]
    hits = places[near == ends]
    for at in hits.tolist():
        word = int(words[at]) & 0x3FF_FFFF
        target = code.address + 4 * at + 4 * (word - (1 << 26) if word >> 25 else word)
        if target in wanted:
            yield code.address + 4 * at, target
    loads = (words[:-1] & _ADRP_MASK == _ADRP) & (words[1:] & _LDR_MASK == _LDR)
    pages = {target & ~0xFFF for target in wanted}
    for at in np.flatnonzero(loads & (words[:-1] & 31 == words[1:] >> 5 & 31)).tolist():
        word, load = int(words[at]), int(words[at + 1])
        page = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
        base = (code.address + 4 * at & ~0xFFF) + ((page - (1 << 21) if page >> 20 else page) << 12)
        if base in pages and base + (load >> 10 & 0xFFF) * 8 in wanted:
            yield code.address + 4 * at, base + (load >> 10 & 0xFFF) * 8


_SCANS: Mapping[str, Callable[[_Code, frozenset[int]], Iterator[Site]]] = {
    "x86_64": partial(_x86, bits=64),
    "i386": partial(_x86, bits=32),
    "arm64": _arm64,
    "arm64e": _arm64,
}


_BEFORE = 40
"""Bytes before a call in which its arguments are looked for."""
_MOVES: Mapping[str, tuple[bytes, ...]] = {
    "pe": (b"\xb9", b"\xba", b"\x41\xb8", b"\x41\xb9"),
    "elf": (b"\xbf", b"\xbe", b"\xba", b"\xb9", b"\x41\xb8", b"\x41\xb9"),
}
"""``mov r32, imm32`` into each argument's register: ecx, edx, r8d, r9d on Windows; edi to ecx, r8d, r9d elsewhere."""
_MOVZ_W0 = 0x5280_0000


def constant_argument(slice_: Slice, site: int, number: int) -> int | None:
    """The small number that the code before a call puts into an argument (from 0); None where that is not plain to see.

    Only the usual form is known (``mov edi, 1``, ``mov w0, #1``): enough for nearly all calls of ``socket``.
    """
    offset = slice_.offset_of(site)
    if offset is None:
        return None
    before = bytes(slice_.data[max(offset - _BEFORE, 0) : offset])
    if slice_.arch in {"arm64", "arm64e"}:
        words = [int.from_bytes(before[at : at + 4], "little") for at in range(len(before) % 4, len(before), 4)]
        move = _MOVZ_W0 | number
        return next((word >> 5 & 0xFFFF for word in reversed(words) if word & 0xFFE0_001F == move), None)
    if slice_.arch != "x86_64":
        return None
    moves = _MOVES.get(slice_.format, _MOVES["elf"])
    if number >= len(moves):
        return None  # on the stack
    move_to = moves[number]
    at = before.rfind(move_to)
    value = before[at + len(move_to) : at + len(move_to) + 4]
    return value[0] if at >= 0 and value[1:] == b"\0\0\0" else None


_INTERRUPT = re.compile(rb"\xb8.[\x00\x01]\x00\x00(?:[^\xcd]|\xcd[^\x80]){0,40}?(\xcd\x80)", re.DOTALL)
"""``mov eax, number`` and, a few instructions later, ``int 0x80``."""


def old_kernel_call(slice_: Slice) -> int | None:
    """Where 64-bit code calls the kernel by the interrupt of 32-bit programs, whose numbers are others; None: nowhere.

    Only the usual form is known; the two bytes of the interrupt alone stand by chance in every large program.
    """
    if slice_.arch != "x86_64":
        return None
    found = ((code, _INTERRUPT.search(code.data)) for code in _runnable(slice_))
    return next((code.address + match.start(1) for code, match in found if match is not None), None)


_SVC = re.compile(rb"(?=[\x01\x21\x41\x61\x81\xa1\xc1\xe1][\x00-\xff][\x00-\x1f]\xd4)", re.DOTALL)
_ENTERING: Mapping[str, re.Pattern[bytes]] = {
    "x86_64": re.compile(rb"\x0f\x05|\x0f\x34|\xcd\x80"),
    "arm64": _SVC,
    "arm64e": _SVC,
}
"""``syscall``, ``sysenter``, ``int 0x80``; ``svc``, wherever it begins: what looks like one may reach into another."""
_PAGE, _APPLES_PAGE = 0x1000, 0x4000
_ENTERING_AT_ALL: Mapping[str, re.Pattern[bytes]] = {
    **_ENTERING,
    "i386": re.compile(rb"\xcd\x80|\x0f\x34|\x65\xff\x15\x10\0\0\0"),
}
"""The same, and on i386 ``call gs:0x10``, where the kernel's own way in stands."""


def kernel_call(slice_: Slice) -> int | None:
    """Where code may enter the kernel: a place, or by chance something that looks like one; None: nowhere.

    Raises:
        KeyError: how that is done is not known for the processor.
    """
    entering = _ENTERING_AT_ALL[slice_.arch]
    found = ((code, entering.search(code.data)) for code in _runnable(slice_))
    return next((code.address + match.start() for code, match in found if match is not None), None)


def call_beside_code(slice_: Slice) -> int | None:
    """Where executable memory that is not called code holds what enters the kernel; None: nowhere.

    Whole pages are mapped, and what the file has before a segment's first byte and behind its last one can run as well.
    In a Mach-O the sections are a matter of names, too: constants lie in the same segment as the code.
    """
    entering = _ENTERING.get(slice_.arch)
    if entering is None or slice_.format == "pe":
        return None
    found = (
        segment.address + match.start() - segment.offset
        for segment in slice_.segments
        if segment.executable and segment.file_size
        for low, high in _beside(slice_, segment)
        for match in entering.finditer(slice_.data, low, min(high, len(slice_.data)))
    )
    return next((address for address in found if slice_.arch == "x86_64" or not address % 4), None)


def _beside(slice_: Slice, segment: Segment) -> Iterator[tuple[int, int]]:
    """Ranges of the file: the rest of a segment's pages, and the gaps between a Mach-O's sections of code."""
    page = _PAGE if slice_.arch == "x86_64" or slice_.format == "elf" else _APPLES_PAGE
    start, end = segment.offset, segment.offset + segment.file_size
    yield start - start % page, start
    yield end, end + -end % page
    if slice_.format == "mach-o":
        code = sorted((s.offset, s.offset + s.size) for s in slice_.sections if s.executable and s.offset is not None)
        within = [(low, high) for low, high in code if start <= low < end] or [(start, end)]
        yield from zip([start, *(high for _, high in within)], [*(low for low, _ in within), end], strict=True)
