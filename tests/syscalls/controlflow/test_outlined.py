"""Parts that a compiler made functions of, to save space: they write what functions leave alone."""

from collections.abc import Callable

import pytest
from assembled import X86, Arm, program

from binsafe.syscalls import analyse

FRAME, STORE, LOAD = 0xD100_83FF, 0xB900_0BE0, 0xB940_0BE8  # sub sp, sp, #32; str w0, [sp, #8]; ldr w8, [sp, #8]


def in_register(arm: Arm) -> None:
    arm.mov(19, 172)
    arm.call("part")
    arm.copy(8, 19)


def on_the_stack(arm: Arm) -> None:
    arm.word(FRAME)
    arm.mov(0, 172)
    arm.word(STORE)
    arm.call("part")
    arm.word(LOAD)


def sets_the_register(arm: Arm) -> None:
    arm.mov(19, 173)
    arm.ret()


def goes_on_to_what_sets_it(arm: Arm) -> None:
    arm.jump("further")
    arm.label("further")
    sets_the_register(arm)


def calls_what_sets_it(arm: Arm) -> None:
    arm.word(0xF81F_0FFE)  # str x30, [sp, #-16]!
    arm.call("further")
    arm.word(0xF841_07FE)  # ldr x30, [sp], #16
    arm.ret()
    arm.label("further")
    sets_the_register(arm)


def loads_the_register(arm: Arm) -> None:
    arm.word(0xF940_0033)  # ldr x19, [x1]
    arm.ret()


def stores(arm: Arm) -> None:
    arm.mov(0, 173)
    arm.word(STORE)
    arm.ret()


def hands_the_address_on(arm: Arm) -> None:
    arm.word(0x9100_23E0)  # add x0, sp, #8
    arm.jump("further")
    arm.label("further")
    arm.mov(1, 173)
    arm.word(0xB900_0001)  # str w1, [x0]
    arm.ret()


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (in_register, sets_the_register),
        (in_register, goes_on_to_what_sets_it),
        (in_register, calls_what_sets_it),
        (in_register, loads_the_register),
        (on_the_stack, stores),
        (on_the_stack, hands_the_address_on),
    ],
)
def test_what_a_part_writes_is_not_known(call: Callable[[Arm], None], part: Callable[[Arm], None]):
    found = analyse(program(_assembled(call, part), functions=("start", "part", "further")))
    assert found is not None
    assert not found.complete or "getppid" in found.required


def keeps(arm: Arm) -> None:
    arm.word(0xF81F_0FF3)  # str x19, [sp, #-16]!
    arm.mov(19, 173)
    arm.word(0xF841_07F3)  # ldr x19, [sp], #16
    arm.ret()


def counts_in_a_loop_that_keeps(arm: Arm) -> None:
    arm.word(0xA9BF_4FFE)  # stp x30, x19, [sp, #-16]!
    arm.mov(19, 3)
    arm.label("further")
    arm.word(0xF100_0673)  # subs x19, x19, #1
    arm.word(0x54FF_FFE1)  # b.ne to it
    arm.word(0xA8C1_4FFE)  # ldp x30, x19, [sp], #16
    arm.ret()


@pytest.mark.parametrize("part", [keeps, counts_in_a_loop_that_keeps])
def test_short_functions_hand_registers_back(part: Callable[[Arm], None]):
    found = analyse(program(_assembled(in_register, part), functions=("start", "part")))
    assert found is not None
    assert found.complete
    assert set(found.sites) == {"getpid", "exit"}


@pytest.mark.parametrize(("keep", "complete"), [((), False), ((b"\x53", b"\x5b"), True)], ids=["set", "kept"])
def test_parts_for_x86_64(keep: tuple[bytes, ...], *, complete: bool):
    assembler = X86()
    assembler.mov("rbx", 39)
    assembler.call("part")
    assembler.copy("rax", "rbx")
    assembler.syscall()
    assembler.ret()
    assembler.label("part")
    assembler.put(b"".join(keep[:1]))  # push rbx
    assembler.mov("rbx", 110)
    assembler.put(b"".join(keep[1:]))  # pop rbx
    assembler.ret()
    assert analyse(program(assembler, functions=("start", "part"))).complete == complete


def holds_an_address(arm: Arm) -> None:
    arm.adr(19, "wrapper")
    arm.call("part")


def gets_an_address(arm: Arm) -> None:
    arm.call("part")
    arm.copy(0, 9)


def hands_it_on(arm: Arm) -> None:
    arm.copy(0, 19)
    arm.jump("further")
    arm.label("further")
    arm.ret()


def goes_on_to_what_stores_it(arm: Arm) -> None:
    arm.jump("further")
    arm.label("further")
    arm.word(0xF900_0033)  # str x19, [x1]
    arm.ret()


def stores_it_for_its_caller(arm: Arm) -> None:
    arm.word(0xF900_07F3)  # str x19, [sp, #8]
    arm.ret()


def stores_it_for_its_caller_above_its_own_frame(arm: Arm) -> None:
    arm.word(0xF81F_0FFE)  # str x30, [sp, #-16]!
    arm.word(0xA901_4FE1)  # stp x1, x19, [sp, #16]
    arm.word(0xF841_07FE)  # ldr x30, [sp], #16
    arm.ret()


def saves_it_in_its_own_frame(arm: Arm) -> None:
    arm.word(0xD100_83FF)  # sub sp, sp, #32
    arm.word(0xA901_4FFE)  # stp x30, x19, [sp, #16]
    arm.mov(19, 173)
    arm.word(0xA941_4FFE)  # ldp x30, x19, [sp, #16]
    arm.word(0x9100_83FF)  # add sp, sp, #32
    arm.ret()


def calls_it(arm: Arm) -> None:
    arm.word(0xD61F_0260)  # br x19


def takes_the_address(arm: Arm) -> None:
    arm.adr(9, "wrapper")
    arm.ret()


def compares_it(arm: Arm) -> None:
    arm.word(0xEB13_003F)  # cmp x1, x19
    arm.ret()


@pytest.mark.parametrize(
    ("call", "part", "complete"),
    [
        (holds_an_address, hands_it_on, False),
        (holds_an_address, goes_on_to_what_stores_it, False),
        (holds_an_address, stores_it_for_its_caller, False),
        (holds_an_address, stores_it_for_its_caller_above_its_own_frame, False),
        (holds_an_address, saves_it_in_its_own_frame, True),
        (holds_an_address, calls_it, False),
        (holds_an_address, keeps, True),
        (holds_an_address, compares_it, True),
        (gets_an_address, takes_the_address, False),
    ],
)
def test_an_address_in_any_register_is_part_of_what_a_part_works_with(
    call: Callable[[Arm], None], part: Callable[[Arm], None], *, complete: bool
):
    arm = Arm()
    call(arm)
    arm.mov(0, 172)
    arm.call("wrapper")
    arm.mov(0, 93)
    arm.call("wrapper")
    arm.word(0)
    arm.label("part")
    part(arm)
    arm.wrapper()
    found = analyse(program(arm, functions=("start", "part", "further", "wrapper")))
    assert found is not None
    assert set(found.sites) == {"getpid", "exit"}
    assert found.complete == complete


def _assembled(call: Callable[[Arm], None], part: Callable[[Arm], None]) -> Arm:
    arm = Arm()
    call(arm)
    arm.syscall()
    arm.mov(8, 93)
    arm.syscall()
    arm.word(0)
    arm.label("part")
    part(arm)
    return arm
