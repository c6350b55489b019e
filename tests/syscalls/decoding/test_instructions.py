"""Decoded code, of which each instruction is read when it is asked for."""

import random

import pytest

from binsafe.syscalls.decoding.capstone_library import JUNK, Engine
from binsafe.syscalls.decoding.decode import MODES, Decoder
from binsafe.syscalls.decoding.instructions import Instruction, Instructions
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.machines.x86_64 import X86_64
from binsafe.syscalls.machines.x86_64_values import BRANCHES

_TOLD_APART = BRANCHES | X86_64.nonsense | {"call", "jmp", "ret", "ud0", "ud1", "ud2", "int3", "cmp", "nop", "add"}
"""Mnemonics of which the analysis asks by name alone."""


def _decoded(code: bytes, arch: str = "x86_64") -> Instructions:
    return Engine(*MODES[arch], detailed=False).instructions(code, 0x1000, 1_000_000)


def test_an_instruction_is_read_by_index_and_by_slice() -> None:
    found = _decoded(bytes.fromhex("b83c000000 0f05 c3"))
    assert len(found) == 3
    assert found[0] == Instruction(0x1000, 5, "mov", "eax, 0x3c")
    assert found[-1] == Instruction(0x1007, 1, "ret", "")
    assert found[-2:] == list(found)[1:]
    assert [each.mnemonic for each in reversed(found)] == ["ret", "syscall", "mov"]
    assert found.end == 0x1008


def test_code_that_is_filled_in_many_places_is_decoded_twice() -> None:
    filled = bytes.fromhex("740b e800000000 050505050505 90909090") * 100  # je over what fills
    decoder = Decoder("x86_64", 10_000)
    found = decoder.sweep(filled, 0x1000)
    assert [found.crosses(0x100D + 17 * at) for at in range(100)] == [False] * 100
    assert decoder.budget > 10_000 - 3 * len(found)


def test_no_code_is_no_instruction() -> None:
    assert list(_decoded(b"")) == []


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_many_are_read_as_few_are_and_take_less_memory(arch: str) -> None:
    code = random.Random(5).randbytes(40_000)
    found = _decoded(code, arch)
    few = [each for at in range(len(found)) for each in _few(code, found, at, arch)]
    assert list(found) == few
    assert found.kept_bytes < 120 * len(found)


def _few(code: bytes, found: Instructions, at: int, arch: str) -> Instructions:
    return Engine(*MODES[arch], detailed=False).instructions(code[found.addresses[at] - 0x1000 :], found[at].address, 1)


def test_an_address_is_found_where_an_instruction_starts_and_inside_of_one() -> None:
    found = _decoded(bytes.fromhex("b83c000000 0f05 06 c3"))
    assert [found.at(address) for address in (0xFFF, 0x1000, 0x1001, 0x1005, 0x1008, 0x1009)] == [
        None,
        0,
        None,
        1,
        3,
        None,
    ]
    assert [found.crosses(address) for address in (0x1000, 0x1001, 0x1004, 0x1005, 0x1006)] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert not _decoded(b"\x06").crosses(0x1001)


def test_instructions_are_found_by_name_and_first_operand() -> None:
    found = _decoded(bytes.fromhex("488d05010000004889c3488d0d02000000488d0503000000c3"))
    assert found.by_first_operand("lea") == {"rax": [0, 3], "rcx": [2]}
    assert found.by_first_operand("jmp") == {}


def test_a_branch_is_known_behind_its_prefix() -> None:
    found = _decoded(bytes.fromhex("f2e800000000 3effe0 f3c3 2e7400 0f0b"))
    assert X86_64().flows(found) == {0: Flow.CALL, 1: Flow.INDIRECT, 2: Flow.RETURN, 3: Flow.BRANCH, 4: Flow.TRAP}
    assert [X86_64().target(found, at) for at in (0, 1, 3)] == [0x1006, None, 0x100E]


def test_the_name_is_the_mnemonic_without_its_prefix() -> None:
    found = _decoded(random.Random(4).randbytes(400_000))
    for name, each in zip(found.names, found, strict=True):
        plain = each.mnemonic.rpartition(" ")[2]
        assert (name in _TOLD_APART, plain in _TOLD_APART) in ((False, False), (name == plain, True)), each
    assert JUNK in found.names
