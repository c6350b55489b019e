"""Which instructions have something to do with a register, by their text: none that has may be missing."""

import random

import pytest

from binsafe.syscalls.controlflow.catching import Catching, Caught
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.machine import Machine, Use
from binsafe.syscalls.machines.x86_64 import X86_64

X86_REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{number}" for number in range(8, 16)), "[rsp]")
ARM64_REGISTERS = (*(f"x{number}" for number in range(31)), "[sp, #8]")


def code(seed: int, size: int) -> bytes:
    """Bytes of all kinds of instructions: any, and shorter ones of registers alone as programs have them."""
    chance = random.Random(seed)
    plain = (
        bytes((0x48 | chance.randrange(8), chance.randrange(0x100), 0xC0 | chance.randrange(64))) for _ in range(size)
    )
    unnamed = b"\x0f\x05" * 8 + b"\xf0\x48\x0f\xc7\x0f\x90\x90\x90"  # syscall, lock cmpxchg16b [rdi]
    return chance.randbytes(8 * size) + b"".join(plain) + unnamed


@pytest.mark.parametrize(("machine", "registers"), [(X86_64(), X86_REGISTERS), (Arm64(), ARM64_REGISTERS)])
def test_what_is_passed_over_does_nothing_to_the_register(machine: Machine, registers: tuple[str, ...]):
    instructions = Decoder(machine.arch, 1 << 20).sweep(code(1, 2_000), 0x1000)
    region = Region(machine, 0x1000, instructions, anchored=True)
    passed = 0
    for register in registers:
        concerned = {*region.concerned(register)}
        assert len(instructions) in concerned
        others = [at for at in range(len(instructions)) if at not in concerned]
        passed += len(others)
        for at in others:
            wide = bool(at % 2)
            assert machine.use(instructions, at, register, 0, wide=wide) is Use.NONE, (register, instructions[at])
            assert not machine.adds(instructions, at, register), (register, instructions[at])
            assert not machine.changes(instructions, at, register), (register, instructions[at])
            assert machine.copied(instructions, at, register) is None, (register, instructions[at])
            assert region.following(at) == [at + 1]
    assert passed > 5 * len(instructions)


class _Pads(Catching):
    """What the unwinder is told, without its tables."""

    def __init__(self, caught: tuple[Caught, ...] | None) -> None:
        self._all = caught

    def around(self, start: int, end: int) -> tuple[Caught, ...] | None:
        del start, end
        return self._all


@pytest.mark.parametrize(
    ("caught", "concerned"),
    [
        ((), [2, 3]),
        ((Caught(0x1001, 0x1004, 0x1005, level=True),), [1, 2, 3]),
        (None, [0, 1, 2, 3]),
    ],
)
def test_what_may_throw_is_not_passed_over(caught: tuple[Caught, ...] | None, concerned: list[int]):
    instructions = Decoder("x86_64", 1 << 20).sweep(bytes.fromhex("90 488b07 c3"), 0x1000)  # nop; mov rax, [rdi]; ret
    region = Region(X86_64(), 0x1000, instructions, anchored=True, catching=_Pads(caught))
    assert [*region.concerned("rbx")] == concerned
