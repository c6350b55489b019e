"""Small static programs for the analyser, assembled here, and what it finds: two instruction sets, labels, slices."""

import struct
from collections.abc import Callable

from binsafe.model import Section, Segment, Slice, Symbol
from binsafe.syscalls import analyse

CODE = 0x40_1000
DATA = 0x40_8000
REGISTERS = (
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rsp",
    "rbp",
    "rsi",
    "rdi",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
)

CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")


class Assembler:
    """Bytes with labels: ``put`` appends, ``label`` names the place where the next byte will stand."""

    def __init__(self) -> None:
        self.parts: list[bytes | tuple[int, str, Callable[[int, int], bytes]]] = []
        self.labels: dict[str, int] = {}
        self.here = CODE

    def label(self, name: str) -> None:
        self.labels[name] = self.here

    def put(self, code: bytes) -> None:
        self.parts.append(code)
        self.here += len(code)

    def to(self, label: str, size: int, encode: Callable[[int, int], bytes]) -> None:
        """An instruction of ``size`` bytes that is encoded from its own address and the label's."""
        self.parts.append((self.here, label, encode))
        self.here += size

    def code(self) -> bytes:
        return b"".join(
            part if isinstance(part, bytes) else part[2](part[0], self.labels[part[1]]) for part in self.parts
        )


class X86(Assembler):
    """As much of x86-64 as the tests need."""

    arch = "x86_64"

    def mov(self, register: str, number: int) -> None:
        at = REGISTERS.index(register)
        self.put((b"\x41" if at > 7 else b"") + bytes([0xB8 + (at & 7)]) + struct.pack("<I", number))

    def copy(self, to: str, source: str) -> None:
        a, b = REGISTERS.index(to), REGISTERS.index(source)
        self.put(bytes([0x48 | (b > 7) << 2 | (a > 7), 0x89, 0xC0 | (b & 7) << 3 | (a & 7)]))

    def syscall(self) -> None:
        self.put(b"\x0f\x05")

    def ret(self) -> None:
        self.put(b"\xc3")

    def call(self, label: str) -> None:
        self.to(label, 5, lambda here, there: b"\xe8" + struct.pack("<i", there - here - 5))

    def jump(self, label: str) -> None:
        self.to(label, 5, lambda here, there: b"\xe9" + struct.pack("<i", there - here - 5))

    def short_jump(self, label: str) -> None:
        self.to(label, 2, lambda here, there: b"\xeb" + struct.pack("<b", there - here - 2))

    def jump_if_zero(self, label: str) -> None:
        self.to(label, 2, lambda here, there: b"\x74" + struct.pack("<b", there - here - 2))

    def lea(self, label: str) -> None:
        """``lea rdi, [rip + label]``."""
        self.to(label, 7, lambda here, there: b"\x48\x8d\x3d" + struct.pack("<i", there - here - 7))


class Arm(Assembler):
    """As much of AArch64 as the tests need; ``x`` registers by number, 31 is zero or the stack pointer."""

    arch = "arm64"

    def word(self, word: int) -> None:
        self.put(struct.pack("<I", word))

    def mov(self, register: int, number: int) -> None:
        self.word(0xD280_0000 | number << 5 | register)

    def copy(self, to: int, source: int) -> None:
        self.word(0xAA00_03E0 | source << 16 | to)

    def syscall(self) -> None:
        self.word(0xD400_0001)

    def ret(self) -> None:
        self.word(0xD65F_03C0)

    def page(self, register: int, label: str) -> None:
        """``adrp``."""

        def encode(here: int, there: int) -> bytes:
            pages = (there >> 12) - (here >> 12)
            return struct.pack("<I", 0x9000_0000 | (pages & 3) << 29 | (pages >> 2 & 0x7_FFFF) << 5 | register)

        self.to(label, 4, encode)

    def add_in_page(self, to: int, register: int, label: str) -> None:
        """``add`` with what the label's address has below its page."""
        self.to(label, 4, lambda _, there: struct.pack("<I", 0x9100_0000 | (there & 0xFFF) << 10 | register << 5 | to))

    def jump_if_zero(self, register: int, label: str) -> None:
        self.to(
            label,
            4,
            lambda here, there: struct.pack("<I", 0xB400_0000 | ((there - here) // 4 & 0x7_FFFF) << 5 | register),
        )

    def adr(self, register: int, label: str) -> None:
        def encode(here: int, there: int) -> bytes:
            away = there - here
            return struct.pack("<I", 0x1000_0000 | (away & 3) << 29 | (away >> 2 & 0x7_FFFF) << 5 | register)

        self.to(label, 4, encode)

    def jump_if(self, condition: str, label: str) -> None:
        """``b.cond``."""
        code = CONDITIONS.index(condition)
        self.to(label, 4, lambda here, there: struct.pack("<I", 0x5400_0000 | (there - here) // 4 << 5 | code))

    def wrapper(self) -> None:
        """A function of that name which makes the call that it is handed the number of."""
        self.label("wrapper")
        self.copy(8, 0)
        self.syscall()
        self.ret()

    def nop(self, count: int = 1) -> None:
        for _ in range(count):
            self.word(0xD503_201F)

    def call(self, label: str) -> None:
        self.to(label, 4, lambda here, there: struct.pack("<I", 0x9400_0000 | (there - here) // 4 & 0x3FF_FFFF))

    def jump(self, label: str) -> None:
        self.to(label, 4, lambda here, there: struct.pack("<I", 0x1400_0000 | (there - here) // 4 & 0x3FF_FFFF))


def program(
    assembler: X86 | Arm,
    *,
    functions: tuple[str, ...] = ("start",),
    data: bytes = b"",
    writable: bool = True,
    constants: int = 0,
) -> Slice:
    """A static slice of the assembled code and ``data`` (at `DATA`), entered at its first byte.

    ``functions`` are the labels that have symbols; the last ``constants`` bytes of code are in no executable section.
    """
    code = assembler.code()
    return Slice(
        format="elf",
        arch=assembler.arch,
        bits=64,
        byte_order="little",
        system="linux",
        kind="executable",
        linkage="static",
        entry=CODE,
        data=memoryview(code + data),
        segments=(
            segment(CODE, 0, len(code), executable=True),
            segment(DATA, len(code), len(data), writable=writable),
        ),
        sections=(Section(name=".text", address=CODE, size=len(code) - constants, offset=0, executable=True),),
        libraries=(),
        rpaths=(),
        imports=(),
        symbols=tuple(Symbol(name=name, address=assembler.labels.get(name, CODE)) for name in functions),
        traits={},
    )


def segment(address: int, offset: int, size: int, *, writable: bool = False, executable: bool = False) -> Segment:
    return Segment(
        name="LOAD",
        address=address,
        memory_size=size,
        offset=offset,
        file_size=size,
        readable=True,
        writable=writable,
        executable=executable,
    )


def called(slice_: Slice):
    """The calls that the code makes; the analysis must have told all of them."""
    result = analyse(slice_)
    assert result.unresolved == ()
    assert result.complete
    return set(result.sites)


def reasons(slice_: Slice):
    """Why the analysis is not complete."""
    result = analyse(slice_)
    assert not result.complete
    return [gap.reason for gap in result.unresolved]
