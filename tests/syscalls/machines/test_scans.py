"""What is found by looking at many bytes at once is what a look at each of them finds."""

import random
from collections.abc import Iterator

import pytest

from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import Edges
from binsafe.syscalls.machines.x86_64 import X86_64

START = 0x1000
MACHINE = X86_64()
FREQUENT = b"\x0f\x05\x34\xcd\x80\x84\xb6\xe8\xe9\xeb\x74\xe2\xe5\x66\x48\x00\xff"


def codes() -> list[bytes]:
    chance = random.Random(7)
    return [bytes(chance.choices(FREQUENT, k=size)) for size in (0, 1, 2, 5, 6, 40, 3000)]


def pairs(edges: Edges) -> list[tuple[int, int]]:
    return sorted(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True))


def led(code: bytes, opcode: int, size: int, at: int) -> tuple[int, int]:
    end = at + opcode + size
    return START + at, START + end + int.from_bytes(code[at + opcode : end], "little", signed=True)


def near_jumps(code: bytes) -> Iterator[tuple[int, int]]:
    for at, byte in enumerate(code):
        opcode = 1 if byte == 0xE9 else 2 if byte == 0x0F and code[at + 1 : at + 2] and code[at + 1] >> 4 == 8 else 0
        if opcode and at + opcode + 4 <= len(code):
            yield led(code, opcode, 4, at)


@pytest.mark.parametrize("code", codes(), ids=len)
def test_near_jumps_are_found_at_every_byte(code: bytes):
    assert pairs(MACHINE.jumps(CodeRange(START, memoryview(code)))) == list(near_jumps(code))


@pytest.mark.parametrize("code", codes(), ids=len)
def test_calls_are_found_at_every_byte(code: bytes):
    expected = [led(code, 1, 4, at) for at in range(len(code) - 4) if code[at] == 0xE8]
    assert pairs(MACHINE.calls(CodeRange(START, memoryview(code)))) == expected


@pytest.mark.parametrize("code", codes(), ids=len)
def test_short_jumps_are_found_at_every_byte(code: bytes):
    begins = {*range(0x70, 0x80), *range(0xE0, 0xE4), 0xEB}
    expected = [led(code, 1, 1, at) for at in range(len(code) - 1) if code[at] in begins]
    assert pairs(MACHINE.short_jumps(CodeRange(START, memoryview(code)))) == expected


def entering(code: bytes, opcode: bytes) -> Iterator[int]:
    """Where an instruction may begin that has this opcode, whatever prefixes stand before it."""
    for at in (at for at in range(len(code)) if code[at : at + 2] == opcode):
        start = at
        while start and code[start - 1] in b"\x66\x48" and at - start < 13:
            start -= 1
        yield from range(START + start, START + at + 1)


@pytest.mark.parametrize("code", codes(), ids=len)
def test_system_calls_of_other_architectures(code: bytes):
    found = list(MACHINE.find_foreign(CodeRange(START, memoryview(code))))
    assert found == [*entering(code, b"\xcd\x80"), *entering(code, b"\x0f\x34")]


@pytest.mark.parametrize("code", codes(), ids=len)
def test_system_calls_and_the_prefixes_before_them(code: bytes):
    assert list(MACHINE.find_sites(CodeRange(START, memoryview(code)))) == [*entering(code, b"\x0f\x05")]
