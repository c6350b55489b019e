"""The headers of ELF: the file header and program headers, and the rules a loadable file obeys.

Layouts and rules: the gABI (System V ABI, chapters 4 and 5), elf(5), and what ``fs/binfmt_elf.c`` and glibc's
``elf/dl-load.c`` refuse. The kernel looks at program headers only, so they decide.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from binsafe.formats.structure import (
    ByteOrder,
    Memory,
    Reader,
    excessive,
    is_layered,
    malformed,
    refuse_overlap,
    truncated,
)
from binsafe.limits import MAX_SEGMENTS

REL, EXEC, DYN, CORE = 1, 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR, PT_TLS = 1, 2, 3, 4, 6, 7
PT_GNU_EH_FRAME, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = range(0x6474E550, 0x6474E554)
_ONCE = (PT_DYNAMIC, PT_INTERP, PT_PHDR, PT_TLS, PT_GNU_EH_FRAME, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY)
"""A program may have one segment of each: of two, the kernel takes the first loader and the last stack, glibc the last
dynamic section."""
PF_X, PF_W, PF_R = 1, 2, 4
_PAGE = 4096
"""The smallest page of any machine: addresses and offsets must agree modulo this to be mapped at all."""

Bits = Literal[32, 64]
_EITHER: tuple[ByteOrder, ...] = ("little", "big")
_MACHINES: dict[int, tuple[dict[Bits, str], tuple[ByteOrder, ...]]] = {
    2: ({32: "sparc"}, ("big",)),
    3: ({32: "i386"}, ("little",)),
    8: ({32: "mips", 64: "mips64"}, _EITHER),
    20: ({32: "ppc"}, _EITHER),
    21: ({64: "ppc64"}, _EITHER),
    22: ({32: "s390", 64: "s390x"}, ("big",)),
    40: ({32: "arm"}, _EITHER),
    43: ({64: "sparc64"}, ("big",)),
    62: ({32: "x32", 64: "x86_64"}, ("little",)),
    183: ({64: "arm64"}, _EITHER),
    243: ({32: "riscv32", 64: "riscv64"}, ("little",)),
    258: ({32: "loongarch32", 64: "loongarch64"}, ("little",)),
}
"""``e_machine`` -> name by word size, and byte orders. Kernels go by ``e_machine`` alone: a mismatch is a trap."""
_X86_64 = 62


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The file header."""

    bits: Bits
    byte_order: ByteOrder
    osabi: int
    type: int
    machine: int
    arch: str
    entry: int
    phoff: int
    shoff: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class ProgramHeader(NamedTuple):
    """One program header."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


def header(data: memoryview) -> tuple[Header, Reader]:
    """The file header, and a reader in its byte order.

    Raises:
        NotAnalysable: it is cut off, or a kernel would read something else than it seems to say.
    """
    if len(data) < 16:  # EI_NIDENT
        raise truncated(f"an ELF header has 52 or 64 bytes, the file {len(data)}")
    class_, order, osabi = data[4], data[5], data[7]
    if class_ not in {1, 2} or order not in {1, 2}:
        raise malformed(f"no ELF file has class {class_} and byte order {order}")
    bits: Bits = 32 if class_ == 1 else 64
    reader = Reader(data, "little" if order == 1 else "big")
    layout = "HHIIIIIHHHHHH" if bits == 32 else "HHIQQQIHHHHHH"
    kind, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = reader.unpack(
        layout, 16, "the ELF header"
    )
    if kind not in {REL, EXEC, DYN, CORE}:
        raise malformed(f"no ELF file has type {kind}")
    if bits == 32 and machine == _X86_64 and reader.unpack("H", 54, "the ELF header")[0] == _entry_size(64):
        raise malformed("it says 32 bits, and kernels that do not look at that read it as 64")
    if phnum and phentsize != _entry_size(bits):
        raise malformed(f"program headers of {phentsize} bytes")
    return Header(
        bits=bits,
        byte_order=reader.byte_order,
        osabi=osabi,
        type=kind,
        machine=machine,
        arch=_arch(machine, bits, reader.byte_order),
        entry=entry,
        phoff=phoff,
        shoff=shoff,
        phnum=phnum,
        shentsize=shentsize,
        shnum=shnum,
        shstrndx=shstrndx,
    ), reader


def _arch(machine: int, bits: Bits, byte_order: ByteOrder) -> str:
    swapped = int.from_bytes(machine.to_bytes(2, "little"), "big")
    if machine not in _MACHINES:
        if swapped in _MACHINES:
            raise malformed("its byte order is not the one that its processor number is written in")
        return f"machine-{machine}"
    names, orders = _MACHINES[machine]
    if bits not in names or byte_order not in orders:
        raise malformed(
            f"a processor ({'/'.join(names.values())}) that does not go with {bits} bits, {byte_order} endian"
        )
    return names[bits]


def _entry_size(bits: Bits) -> int:
    return 32 if bits == 32 else 56


def program_headers(head: Header, reader: Reader) -> tuple[ProgramHeader, ...]:
    """All program headers; those that are loaded obey the loaders' rules.

    Raises:
        NotAnalysable: "truncated" where a stored segment ends behind the file, "malformed" where no loader takes it.
    """
    if head.phnum > MAX_SEGMENTS:
        raise excessive(f"{head.phnum:,} program headers, more than {MAX_SEGMENTS:,}")
    size = head.phnum * _entry_size(head.bits)
    if head.bits == 32:
        rows = reader.rows("IIIIIIII", head.phoff, size, "the program headers")
        found = [ProgramHeader(t, flags, offset, va, fs, ms) for t, offset, va, _, fs, ms, flags, _ in rows]
    else:
        rows = reader.rows("IIQQQQQQ", head.phoff, size, "the program headers")
        found = [ProgramHeader(t, flags, offset, va, fs, ms) for t, flags, offset, va, _, fs, ms, _ in rows]
    for number, segment in enumerate(found):
        _check(head, reader, number, segment)
    loaded = [segment for segment in found if segment.type == PT_LOAD]
    if head.type in {EXEC, DYN}:
        if not loaded:
            raise malformed("a program without a segment to load")
        kinds = Counter(segment.type for segment in found)
        if twice := next((kind for kind in _ONCE if kinds[kind] > 1), None):
            raise malformed(f"two segments of type {twice:#x}, where one counts")
        refuse_overlap(((s.address, s.memory_size) for s in loaded), "segments in memory")
        if is_layered(((s.offset, s.file_size) for s in loaded), len(reader.data)):
            raise excessive("its segments lie over each other in the file")
        _refuse_shared_pages(loaded)
        _refuse_other_headers(head, found, loaded)
    return tuple(found)


def _refuse_shared_pages(loaded: Iterable[ProgramHeader]) -> None:
    """Refuse two segments with bytes of different pages of the file for one in memory: it has only those mapped last.

    Raises:
        NotAnalysable: there are two.
    """
    stored = sorted((s for s in loaded if s.file_size), key=lambda segment: segment.address)
    for one, other in pairwise(stored):
        moved = one.address - one.offset != other.address - other.offset
        if moved and _maps(one, other.address):
            raise malformed(f"segments at {one.address:#x} and {other.address:#x} share a page of memory")


def _refuse_other_headers(head: Header, found: Iterable[ProgramHeader], loaded: list[ProgramHeader]) -> None:
    """Refuse a program whose loader finds its program headers elsewhere in memory than they say, or finds others.

    They are told an address: kernels before 5.18 count from the first segment, later ones from the one that holds the
    headers. What PT_PHDR says is subtracted from it, and all else, the dynamic section too, is looked for from there.

    Raises:
        NotAnalysable: they do not agree.
    """
    told = [h.address for h in found if h.type == PT_PHDR]
    if not told and not any(h.type == PT_INTERP and h.file_size for h in found):
        return
    holders = [h for h in loaded if h.offset <= head.phoff < h.offset + h.file_size]
    places = {h.address - h.offset + head.phoff for h in (loaded[0], *holders)}
    if not holders or len(places.union(told)) > 1:
        raise malformed("its program headers are not in memory where loaders look for them")


def is_debug_symbols(head: Header, headers: tuple[ProgramHeader, ...]) -> bool:
    """Whether it is what ``objcopy --only-keep-debug`` makes: segments of a program whose bytes are in another file.

    Only what nothing can start counts as one: no loader finds a dynamic section, and the kernel refuses it for a
    PT_INTERP without bytes (``load_elf_binary``) or would begin in a page that it fills with nothing of the file.
    """
    loaded = [h for h in headers if h.type == PT_LOAD]
    memory = Memory(loaded)
    linked = any(h.file_size or memory.stored(h.address) for h in headers if h.type == PT_DYNAMIC)
    if head.type not in {EXEC, DYN} or linked:
        return False
    loader = next((h for h in headers if h.type == PT_INTERP), None)
    if loader is not None:
        return loader.file_size == 0
    everything = _reads_imply_execution(headers)
    return not any(_maps(h, head.entry) for h in loaded if everything or h.flags & PF_X)


def _maps(segment: ProgramHeader, address: int) -> bool:
    """Whether the page of ``address`` has bytes of the file: pages are mapped whole, beyond what is stored."""
    page = address - address % _PAGE
    return segment.address // _PAGE * _PAGE <= page < segment.address + segment.file_size


def _reads_imply_execution(headers: tuple[ProgramHeader, ...]) -> bool:
    """Without a stack that is said to be data, kernels may make all that is readable executable."""
    return not any(h.type == PT_GNU_STACK and not h.flags & PF_X for h in headers)


def _check(head: Header, reader: Reader, number: int, segment: ProgramHeader) -> None:
    if segment.file_size and segment.type not in {PT_GNU_STACK, 0}:
        reader.range(segment.offset, segment.file_size, f"segment {number}")
    if segment.type != PT_LOAD or head.type == CORE:
        return
    if segment.file_size > segment.memory_size:
        raise malformed(f"segment {number} stores more bytes than it has in memory")
    if segment.address + segment.memory_size > 1 << head.bits:
        raise malformed(f"segment {number} goes over the end of the address space")
    if (segment.address - segment.offset) % _PAGE:
        raise malformed(f"segment {number} cannot be mapped: its address and offset differ within the page")
