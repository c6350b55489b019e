"""The smallest slices that mean something: what a test is about is all that it states."""

from typing import Any

import msgspec

from binsafe.extractors import Subject
from binsafe.model import Import, Library, Section, Segment, Signature, Slice, Symbol, Syscalls

TEXT = 0x40_1000
DATA = 0x50_0000


def minimal(data: bytes = b"", *, code_size: int = 0x1_0000, **changes: Any) -> Slice:
    """A Linux program for x86-64: no stored code, and ``data`` mapped at :data:`DATA`."""
    code = Segment(
        name=".text", address=TEXT, memory_size=code_size, offset=0, file_size=0,
        readable=True, writable=False, executable=True,
    )  # fmt: skip
    stored = Segment(
        name=".data", address=DATA, memory_size=len(data), offset=0, file_size=len(data),
        readable=True, writable=True, executable=False,
    )  # fmt: skip
    whole = Slice(
        format="elf", arch="x86_64", bits=64, byte_order="little", system="linux", kind="executable",
        linkage="dynamic", entry=TEXT, data=memoryview(data), segments=(code, stored), sections=(), libraries=(),
        rpaths=(), imports=(), symbols=(), traits={},
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


def importing(*names: str, **changes: Any) -> Slice:
    """A program that imports these names and the C library."""
    imports = tuple(Import(name=name, address=0x40_2000 + 8 * index) for index, name in enumerate(names))
    return minimal(imports=imports, libraries=(Library(name="libc.so.6", kind="needed"),), **changes)


def with_section(name: str, data: bytes, **changes: Any) -> Slice:
    """A program that holds one section."""
    return minimal(data, sections=(Section(name=name, address=DATA, size=len(data), offset=0),), **changes)


def defining(*names: str, **changes: Any) -> Slice:
    """A program whose symbol table holds these names."""
    symbols = tuple(Symbol(name=name, address=TEXT + 16 * index) for index, name in enumerate(names))
    return minimal(symbols=symbols, **changes)


def subject(slice_: Slice, **changes: Any) -> Subject:
    """What extractors read, without asking the packages below."""
    whole = Subject(slice=slice_, signature=Signature(kind="none", status="absent"))
    return msgspec.structs.replace(whole, **changes)


def calls(*required: str, complete: bool = True, **changes: Any) -> Syscalls:
    """The system calls of a program."""
    return Syscalls(abi="linux-x86_64", complete=complete, required=required, likely=required, **changes)


def code_in_a_page(at: int, size: int, **changes: bool) -> Slice:
    """A program whose page has ``syscall`` at 128 and 4,000, and of which ``size`` bytes at ``at`` are its code."""
    page = bytearray(4096)
    page[128:130] = page[4000:4002] = b"\x0f\x05"
    code = Segment(
        name="LOAD", address=TEXT + at, memory_size=size, offset=at, file_size=size,
        readable=True, writable=False, executable=True,
    )  # fmt: skip
    return importing("puts", data=memoryview(page), segments=(msgspec.structs.replace(code, **changes),))
