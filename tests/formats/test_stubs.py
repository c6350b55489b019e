"""The stubs of each processor, with a disassembler as the oracle for what they read."""

import struct

import capstone
import pytest

from binsafe.formats import stubs

ADDRESS = 0x40_1000


def arm64_stub(place: int, slot: int, *, landing: bool) -> bytes:
    """``[bti c;] adrp x16, slot; ldr x17, [x16, #low]; add x16, x16, #low; br x17``, as GNU ld and lld write it."""
    page = ((slot >> 12) - ((place + 4 * landing) >> 12)) & 0x1F_FFFF
    low = slot & 0xFFF
    words = [0xD503_245F] if landing else []
    words += [
        0x9000_0010 | (page & 3) << 29 | (page >> 2) << 5,
        0xF940_0211 | low // 8 << 10,
        0x9100_0210 | low << 10,
        0xD61F_0220,
    ]
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize("landing", [False, True])
@pytest.mark.parametrize("slot", [0x41_2008, 0x3F_0FF8, 0x8123_5678])
def test_arm64_stubs_are_read(slot: int, landing: bool):
    header = bytes(32)  # the lazy-binding entry, which is no stub
    place = ADDRESS + len(header)
    stub = arm64_stub(place, slot, landing=landing)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM64, 0)
    decoder.detail = True
    first, second = [*decoder.disasm(stub, place)][landing : landing + 2]
    assert first.operands[1].imm + second.operands[1].mem.disp == slot  # the test's own encoding is right
    assert stubs.slots("arm64", memoryview(header + stub), ADDRESS, 0) == {slot: place}


_MOLD = b"\xf3\x0f\x1e\xfa\x41\xbb\x03\0\0\0"


@pytest.mark.parametrize("prefix", [b"", b"\xf3\x0f\x1e\xfa", b"\xf3\x0f\x1e\xfa\xf2", _MOLD])
def test_x86_64_stubs_are_read(prefix: bytes):
    code = b"\x90" * 16 + prefix + b"\xff\x25" + struct.pack("<i", -0x100)
    assert stubs.slots("x86_64", memoryview(code), ADDRESS, 0) == {ADDRESS + len(code) - 0x100: ADDRESS + 16}


def test_i386_absolute_and_relative_to_the_table():
    code = b"\xff\x25\x0c\xa0\x04\x08" + b"\xff\xa3\x10\0\0\0"
    found = stubs.slots("i386", memoryview(code), 0x1000, 0x4000)
    assert found == {0x0804_A00C: 0x1000, 0x4010: 0x1006}


def test_other_processors_and_empty_code_have_none():
    assert stubs.slots("riscv64", memoryview(bytes(64)), 0, 0) == {}
    for arch in ("x86_64", "i386", "arm64"):
        assert stubs.slots(arch, memoryview(b""), 0, 0) == {}
