"""What is read from an instruction's text is what capstone's own package tells of it."""

import platform
from pathlib import Path

import pytest
from msgspec import structs
from numpy._core import _multiarray_umath

from binsafe.formats import parse
from binsafe.syscalls.decoding.capstone_library import Engine
from binsafe.syscalls.decoding.capstone_package import Package
from binsafe.syscalls.decoding.code import Code, CodeRange
from binsafe.syscalls.decoding.decode import MODES, Immediate, Memory, Operand, Register
from binsafe.syscalls.decoding.operands import from_text
from binsafe.syscalls.machines.x86_64 import X86_64
from binsafe.syscalls.machines.x86_64_registers import REGISTERS

_SAMPLES = 20
"""Instructions of each mnemonic that are compared."""


def _told(operand: Operand) -> Operand:
    """Without what makes no difference: the sign of a constant, and how much memory is meant where no word says it."""
    if isinstance(operand, Immediate):
        return Immediate(operand.value & 0xFFFF_FFFF)
    if isinstance(operand, Memory):
        known = {1, 2, 4, 8, 10, 16, 32, 64}
        size = operand.size if operand.size in known else 0
        return structs.replace(operand, size=size, displacement=operand.displacement & 0xFFFF_FFFF)
    return operand


def _general(names: frozenset[str]) -> set[str]:
    return {REGISTERS[name][0] for name in names if name in REGISTERS}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="takes the code of an installed extension")
def test_operands_and_written_registers_are_those_of_the_package() -> None:
    ranges = Code(parse(memoryview(Path(_multiarray_umath.__file__).read_bytes())).slices[0]).ranges
    code = max(ranges, key=lambda each: len(each.data))
    engine, registers = Engine(*MODES["x86_64"], detailed=False), Engine(*MODES["x86_64"], detailed=True)
    package = Package(*MODES["x86_64"])
    seen: dict[str, int] = {}
    for each in engine.instructions(bytes(code.data[:400_000]), code.address, 1_000_000):
        address, size, mnemonic, text = each.address, each.size, each.mnemonic, each.operands
        seen[mnemonic] = seen.get(mnemonic, 0) + 1
        if mnemonic == ".byte" or seen[mnemonic] > _SAMPLES:
            continue
        piece = bytes(code.data[address - code.address :][:size])
        expected = package.detail(piece, address)
        assert expected is not None
        found = from_text(text)
        if mnemonic != "lea" and mnemonic[0] != "f":  # the address' size is said of the one, of x87 what is implied
            pairs = list(zip(found, expected.operands, strict=False))
            assert [_told(ours) for ours, _ in pairs] == [_told(theirs) for _, theirs in pairs], (mnemonic, text)
        assert _general(registers.written(piece, address) or frozenset()) == _general(expected.writes()), (
            mnemonic,
            text,
        )
    assert len(seen) > 40


def test_a_masked_store_is_a_store() -> None:
    assert from_text("zmmword ptr [rsp + 0x40] {k2}, zmm21")[0] == Memory("rsp", "", 1, 0x40, 64)


def test_what_saves_the_processors_state_writes_more_than_one_slot() -> None:
    saved = from_text("[rsp - 8]")[0]
    assert isinstance(saved, Memory)
    assert saved.displacement == -8
    assert saved.size >= 512


def test_scaled_index_without_a_base() -> None:
    assert from_text("rax, qword ptr [rcx*8 + 0x4010]") == (Register("rax"), Memory("", "rcx", 8, 0x4010, 8))


def test_short_jumps_of_few_bytes_are_those_of_many() -> None:
    code = bytes(range(0x60, 0x100)) * 2 + b"\xeb"
    found = X86_64().short_jumps(CodeRange(0x5000, memoryview(code)))
    pairs = sorted(zip(found.sources.tolist(), found.targets.tolist(), strict=True))
    assert pairs == list(X86_64().short_jumps_into(code, 0x5000, 0, 0x10000))
    assert len(pairs) == 42
    inside = [pair for pair in pairs if 0x5080 <= pair[1] < 0x50A0]
    assert inside == list(X86_64().short_jumps_into(code, 0x5000, 0x5080, 0x50A0))
