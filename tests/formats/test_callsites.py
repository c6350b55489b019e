"""Call sites are found by arithmetic; the decoder is only the test's."""

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from binsafe.formats import parse
from binsafe.formats.callsites import call_sites, constant_argument
from binsafe.model import Section, Segment, Slice

CODE, STUB = 0x40_1000, 0x40_9000


def program(code: bytes, arch: str, *, format_: str = "elf", name: str = ".text", address: int = CODE) -> Slice:
    text = Segment(
        name=name, address=address, memory_size=len(code), offset=0, file_size=len(code),
        readable=True, writable=False, executable=True,
    )  # fmt: skip
    section = Section(name=name, address=address, size=len(code), offset=0, executable=True)
    return Slice(
        format=format_, arch=arch, bits=64, byte_order="little", system="linux", kind="executable", linkage="dynamic",
        entry=address, data=memoryview(code), segments=(text,), sections=(section,), libraries=(), rpaths=(),
        imports=(), symbols=(), traits={},
    )  # fmt: skip


def relative(opcode: bytes, at: int, target: int) -> bytes:
    return opcode + struct.pack("<i", target - (CODE + at + len(opcode) + 4))


def test_x86_64_calls_and_jumps_to_a_stub_and_through_a_slot():
    code = b"\x90" + relative(b"\xe8", 1, STUB) + relative(b"\xe9", 6, STUB) + relative(b"\xff\x15", 11, STUB + 8)
    assert call_sites(program(code, "x86_64"), [STUB, STUB + 8]) == {
        STUB: (CODE + 1, CODE + 6),
        STUB + 8: (CODE + 11,),
    }


def test_i386_calls_through_an_absolute_slot():
    code = b"\xff\x15" + struct.pack("<I", STUB) + relative(b"\xe8", 6, STUB + 16)
    assert call_sites(program(code, "i386"), [STUB, STUB + 16]) == {STUB: (CODE,), STUB + 16: (CODE + 6,)}


@pytest.mark.parametrize("bits", [32, 64])
def test_x86_finds_all_that_byte_by_byte_arithmetic_finds(bits: int):
    """Opcodes stand inside of other instructions' operands, too, and targets lie below the code and above it."""
    luck = random.Random(bits)
    code = bytes(luck.choice((0xE8, 0xE9, 0xFF, 0x15, 0x25, 0x00, luck.randrange(256))) for _ in range(20_000))
    mask, expected = (1 << bits) - 1, {}
    for at in range(len(code) - 6):
        indirect = code[at] == 0xFF and code[at + 1] in {0x15, 0x25}
        if indirect or code[at] in {0xE8, 0xE9}:
            end = at + 5 + indirect
            operand = int.from_bytes(code[end - 4 : end], "little", signed=True)
            base = 0 if indirect and bits == 32 else CODE + end
            expected.setdefault(base + operand & mask, []).append(CODE + at)
    chosen = luck.sample(sorted(expected), 500)
    found = call_sites(program(code, "x86_64" if bits == 64 else "i386"), chosen)
    assert found == {target: tuple(expected[target]) for target in chosen}


@pytest.mark.parametrize("address", [CODE, 0x1_0000_4000])
def test_arm64_calls_forward_backward_and_through_a_slot(address: int):
    forward, backward = 0x9400_0000 | 0x400, 0x1400_0000 | (-0x400 & 0x3FF_FFFF)
    page = 0x9000_0008 | 1 << 29  # adrp x8, the next page
    load = 0xF940_0108 | (0x10 // 8) << 10  # ldr x8, [x8, #0x10]
    code = struct.pack("<4I", forward, backward, page, load)
    slot = (address & ~0xFFF) + 0x1000 + 0x10
    targets = [address + 0x1000, address + 4 - 0x1000, slot]
    assert call_sites(program(code, "arm64", address=address), targets) == {
        targets[0]: (address,),
        targets[1]: (address + 4,),
        slot: (address + 8,),
    }


def test_stubs_are_not_callers_of_themselves():
    code = relative(b"\xff\x25", 0, STUB)
    assert call_sites(program(code, "x86_64", name=".plt.sec"), [STUB]) == {}


def test_a_call_that_lies_across_two_pieces_is_found_once():
    from binsafe.formats import callsites

    at = callsites._STEP - 2
    code = b"\x90" * at + relative(b"\xe8", at, CODE) + b"\x90" * 64
    assert call_sites(program(code, "x86_64"), [CODE]) == {CODE: (CODE + at,)}


def test_other_processors_give_nothing_and_no_error():
    assert call_sites(program(b"\x90" * 64, "riscv64"), [CODE]) == {}


def test_the_first_argument_where_it_is_plain():
    assert constant_argument(program(b"\xbf\x01\0\0\0\xe8\0\0\0\0", "x86_64"), CODE + 5, 0) == 1
    assert constant_argument(program(b"\x89\xc7\xe8\0\0\0\0", "x86_64"), CODE + 2, 0) is None
    moved = struct.pack("<2I", 0x5280_0020, 0x9400_0000)
    assert constant_argument(program(moved, "arm64"), CODE + 4, 0) == 1


@pytest.mark.skipif(shutil.which("objdump") is None or shutil.which("cc") is None, reason="needs cc and objdump")
def test_a_compiled_program_has_the_calls_that_objdump_shows(tmp_path: Path):
    source = tmp_path / "main.c"
    calls = "".join(f"if (n == {n}) puts(s[{n}]);" for n in range(9))
    source.write_text(f"#include <stdio.h>\nint main(int n, char **s) {{ {calls} return 0; }}\n")
    made = tmp_path / "made"
    subprocess.run(["cc", "-O1", "-o", made, source], check=True)
    [slice_] = parse(memoryview(made.read_bytes())).slices
    puts = next(entry.address for entry in slice_.imports if entry.name == "puts")
    shown = subprocess.run(["objdump", "-d", made], check=True, capture_output=True, text=True).stdout
    expected = [int(line.split(":")[0], 16) for line in shown.splitlines() if line.endswith("<puts@plt>")]
    assert expected
    assert sorted(call_sites(slice_, [puts])[puts]) == expected
