"""Property notes: what the linker says of branch targets and shadow stacks."""

import struct

import executable_builders as build
import pytest
from executable_builders import put

from binsafe.formats import parse

_NOTE_HEADER, _NOTE_AT = 64 + 6 * 56, 0x300


def traits(note: bytes) -> dict[str, object]:
    data = build.elf()
    data[_NOTE_AT : _NOTE_AT + len(note)] = note
    put(data, _NOTE_HEADER, "<IIQQQQQ", 0x6474E553, 4, _NOTE_AT, _NOTE_AT, _NOTE_AT, len(note), len(note))
    return dict(parse(memoryview(bytes(data))).slices[0].traits)


def note(*properties: tuple[int, int], size: int | None = None) -> bytes:
    body = b"".join(struct.pack("<IIII", kind, 4, value, 0) for kind, value in properties)
    return struct.pack("<III4s", 4, len(body) if size is None else size, 5, b"GNU\0") + body


@pytest.mark.parametrize(("bits", "ibt", "shadow_stack"), [(0, False, False), (1, True, False), (3, True, True)])
def test_each_bit_is_a_mitigation(bits: int, ibt: bool, shadow_stack: bool):
    found = traits(note((0xC000_8002, 7), (0xC000_0002, bits)))
    assert (found["ibt"], found["shadow_stack"]) == (ibt, shadow_stack)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff" * 16,
        note((0xC000_0002, 3)).replace(b"GNU", b"GMU"),
        note((0xC000_0002, 3), size=4),
        note((0xC000_0000, 3)),
        struct.pack("<III4sII", 4, 0xFFFF_FFFF, 5, b"GNU\0", 0xC000_0002, 0),
    ],
)
def test_a_note_that_says_nothing_promises_nothing(bad: bytes):
    assert traits(bad)["ibt"] is False


@pytest.mark.parametrize(
    ("path", "current"), [(b"$ORIGIN/lib:/opt/lib\0", False), (b"$ORIGIN/lib::opt/lib\0", True), (b"\0" * 21, False)]
)
def test_an_empty_entry_between_colons_is_the_current_folder(path: bytes, current: bool):
    data = bytes(build.elf()).replace(b"$ORIGIN/lib:/opt/lib\0", path)
    assert parse(memoryview(data)).slices[0].traits["rpath_current_folder"] is current
