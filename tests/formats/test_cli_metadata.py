import struct

import pytest
from executable_builders import PE_BASE
from hypothesis import given
from hypothesis import strategies as st

from binsafe.formats.cli_metadata import metadata
from binsafe.model import Segment, Slice

AT = PE_BASE + 0x2000
NAMES = b"\0System.Net.Sockets\0TcpClient\0Connect\0kernel32\0Beep\0.ctor\0"


def at(name: bytes) -> int:
    return NAMES.index(b"\0" + name + b"\0") + 1


def built(*, heaps: int = 0, version: bytes = b"v4.0.30319\0\0") -> bytes:
    """Metadata with one type of another assembly, two members of it, and one native function (ECMA-335, II.24)."""
    name = {0: "<H", 1: "<I"}[heaps & 1]

    def word(text: bytes) -> bytes:
        return struct.pack(name, at(text))

    rows = b"".join((
        struct.pack("<H", 1 << 2 | 2), word(b"TcpClient"), word(b"System.Net.Sockets"),  # TypeRef
        struct.pack("<H", 1 << 3 | 1), word(b"Connect"), b"\0\0",  # MemberRef
        struct.pack("<H", 1 << 3 | 1), word(b".ctor"), b"\0\0",
        word(b"kernel32"),  # ModuleRef
        struct.pack("<HH", 0, 1 << 1 | 1), word(b"Beep"), struct.pack("<H", 1),  # ImplMap
    ))  # fmt: skip
    valid = 1 << 0x01 | 1 << 0x0A | 1 << 0x1A | 1 << 0x1C
    tables = struct.pack("<IBBBBQQ4I", 0, 2, 0, heaps, 1, valid, 0, 1, 2, 1, 1) + rows
    streams = [(b"#~\0\0", tables), (b"#Strings\0\0\0\0", NAMES)]
    head = struct.pack("<4sHHII", b"BSJB", 1, 1, 0, len(version)) + version + struct.pack("<HH", 0, len(streams))
    place = len(head) + sum(8 + len(label) for label, _ in streams)
    for label, content in streams:
        head += struct.pack("<II", place, len(content)) + label
        place += len(content)
    return head + b"".join(content for _, content in streams)


def holding(data: bytes) -> Slice:
    segment = Segment(
        name=".text", address=AT, memory_size=len(data), offset=0, file_size=len(data),
        readable=True, writable=False, executable=True,
    )  # fmt: skip
    return Slice(
        format="pe", arch="i386", bits=32, byte_order="little", system="windows", kind="executable", linkage="dynamic",
        entry=0, data=memoryview(data), segments=(segment,), sections=(), libraries=(), rpaths=(), imports=(),
        symbols=(), traits={"dotnet": True, "cli_metadata": AT},
    )  # fmt: skip


@pytest.mark.parametrize("heaps", [0, 1])
def test_members_of_other_assemblies_and_native_functions_are_named_with_their_place(heaps: int):
    data = built(heaps=heaps)
    found = metadata(holding(data))
    assert found.runtime == "v4.0.30319"
    assert [member.name for member in found.members] == [
        "System.Net.Sockets.TcpClient.Connect",
        "System.Net.Sockets.TcpClient..ctor",
    ]
    assert [native.name for native in found.natives] == ["kernel32!Beep"]
    first = found.members[0].address - AT
    assert struct.unpack_from("<H", data, first) == (1 << 3 | 1,)


def test_a_program_for_no_runtime_has_none():
    assert metadata(Slice(**{**{f: getattr(holding(b"x"), f) for f in Slice.__struct_fields__}, "traits": {}})) is None


@given(st.integers(0, len(built()) - 1), st.integers(0, 255), st.integers(0, len(built())))
def test_no_byte_makes_it_raise(place: int, value: int, end: int):
    data = bytearray(built())
    data[place] = value
    metadata(holding(bytes(data[:end]) or b"\0"))
