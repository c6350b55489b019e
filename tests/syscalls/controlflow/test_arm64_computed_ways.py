"""The ways of `test_computed_ways` on arm64: addresses that are sums, labels that are taken, returns that are changed.

Each was run as well, under qemu-aarch64: the call is made. ``acct`` tells that its way was seen.
"""

import struct
from collections.abc import Callable

import pytest
from assembled import Arm, program, reasons

from binsafe.syscalls import analyse

ACCT, GETPID = 89, 172
Making = Callable[[Arm], None]


def constant(code: Arm, to: int, source: int, label: str, base: str) -> None:
    """``add`` of the distance from one label to another."""
    code.to(
        label,
        4,
        lambda _, there: struct.pack("<I", 0x9100_0000 | (there - code.labels[base]) << 10 | source << 5 | to),
    )


def register(code: Arm, to: int, source: int, added: int, *, subtract: bool = False) -> None:
    code.word((0xCB00_0000 if subtract else 0x8B00_0000) | added << 16 | source << 5 | to)


def jump(code: Arm, register: int, *, call: bool = False) -> None:
    code.word((0xD63F_0000 if call else 0xD61F_0000) | register << 5)


def near(code: Arm, base: str, there: str) -> None:
    code.adr(1, base)
    constant(code, 2, 1, there, base)


def in_a_page(code: Arm, base: str, there: str) -> None:
    code.page(3, base)
    code.add_in_page(3, 3, base)
    constant(code, 2, 3, there, base)


def far(code: Arm, base: str, there: str) -> None:
    code.adr(1, base)
    code.nop(40)
    constant(code, 2, 1, there, base)


def copied(code: Arm, base: str, there: str) -> None:
    code.adr(1, base)
    code.copy(5, 1)
    constant(code, 2, 5, there, base)


def over_the_stack(code: Arm, base: str, there: str) -> None:
    code.adr(1, base)
    code.word(0xF81F_0FE1)  # str x1, [sp, #-16]!
    code.word(0xF841_07E4)  # ldr x4, [sp], #16
    constant(code, 2, 4, there, base)


def unknown(code: Arm, base: str, there: str) -> None:  # noqa: ARG001 - it is added what nobody knows
    code.adr(1, base)
    register(code, 2, 1, 3)


def unknown_first(code: Arm, base: str, there: str) -> None:  # noqa: ARG001 - as above
    code.adr(1, base)
    register(code, 2, 3, 1)


def subtracted(code: Arm, base: str, there: str) -> None:  # noqa: ARG001 - as above
    code.adr(1, base)
    register(code, 2, 1, 3, subtract=True)


def unknown_in_a_page(code: Arm, base: str, there: str) -> None:  # noqa: ARG001 - as above
    code.page(1, base)
    code.add_in_page(1, 1, base)
    register(code, 2, 1, 3)


SUMS = [
    near,
    in_a_page,
    far,
    copied,
    over_the_stack,
    unknown,
    unknown_first,
    subtracted,
    unknown_in_a_page,
]


@pytest.mark.parametrize("making", SUMS)
def test_a_wrapper_at_a_distance_from_another_function_is_called_by_who_knows(making: Callable[[Arm, str, str], None]):
    code = Arm()
    code.mov(0, GETPID)
    code.call("wrapper")
    making(code, "base", "wrapper")
    code.mov(0, ACCT)
    jump(code, 2, call=True)
    code.ret()
    code.label("base")
    code.ret()
    code.wrapper()
    found = analyse(program(code, functions=("start", "base", "wrapper")))
    assert "acct" in found.sites or not found.complete


@pytest.mark.parametrize("making", SUMS)
def test_a_label_at_a_distance_from_another_one(making: Callable[[Arm, str, str], None]):
    code = Arm()
    code.mov(8, ACCT)
    making(code, "base", "there")
    jump(code, 2)
    code.label("base")
    code.mov(8, GETPID)
    code.label("there")
    code.syscall()
    code.ret()
    found = analyse(program(code))
    assert "acct" in found.sites or not found.complete


def own_address(code: Arm) -> None:
    code.call("next")
    code.label("next")
    register(code, 2, 30, 3)
    jump(code, 2)


def returned_to(code: Arm) -> None:
    code.adr(30, "there")
    code.ret()


def signed_and_returned_to(code: Arm) -> None:
    code.adr(30, "there")
    code.word(0xD503_233F)  # paciasp
    code.word(0xD65F_0BFF)  # retaa


@pytest.mark.parametrize("leading", [own_address, returned_to, signed_and_returned_to])
def test_a_label_to_which_the_link_register_leads(leading: Making):
    code = Arm()
    code.mov(8, ACCT)
    leading(code)
    code.mov(8, GETPID)
    code.label("there")
    code.syscall()
    code.ret()
    assert not analyse(program(code)).complete


@pytest.mark.parametrize(
    "text",
    [
        (0x9100_13DE, 0xD65F_03C0),  # add x30, x30, #4; ret
        (0x9100_13D0, 0xD65F_0200),  # add x16, x30, #4; ret x16
        (0xAA1E_03E1, 0x9100_1021, 0xD61F_0020),  # mov x1, x30; add x1, x1, #4; br x1
        (
            0xAA1E_03E2,
            0xD503_201F,
            0x8B03_0043,
            0xD503_201F,
            0xD61F_0060,
        ),  # mov x2, x30; add x3, x2, x3; br x3
    ],
)
def test_who_changes_a_return_address_is_reported(text: tuple[int, ...]):
    code = Arm()
    code.mov(19, ACCT)
    code.call("callee")
    code.mov(19, GETPID)
    code.copy(8, 19)
    code.syscall()
    code.ret()
    code.label("callee")
    for word in text:
        code.word(word)
    assert reasons(program(code, functions=("start", "callee"))) == ["it changes the address to which it returns"]


def something_else(code: Arm) -> None:
    code.adr(1, "base")
    code.word(0x9100_2042)  # add x2, x2, #8
    register(code, 4, 5, 3)


def shifted(code: Arm) -> None:
    """Rust has an address and a number in one register by turns: what is shifted was the number."""
    code.adr(1, "base")
    code.word(0x8B01_2062)  # add x2, x3, x1, lsl #8


def added_to_itself(code: Arm) -> None:
    code.adr(1, "base")
    code.word(0x8B01_0C22)  # add x2, x1, x1, lsl #3


def in_a_slot_that_holds_something_else_later(code: Arm) -> None:
    """Rust formats so: the slot is written through a pointer before what was left there is added to."""
    code.adr(1, "base")
    code.word(0xF900_07E1)  # str x1, [sp, #8]
    code.word(0xF940_0BE2)  # ldr x2, [sp, #16]
    register(code, 4, 2, 3)
    code.nop(300)
    code.word(0xF940_07E2)  # ldr x2, [sp, #8]
    register(code, 4, 2, 3)


def behind_a_call_that_never_returns(code: Arm) -> None:
    """C++ passes the destructor of what it throws, in a register that other code uses behind the call."""
    code.jump_if_zero(6, "other")
    code.adr(2, "base")
    code.call("never")
    code.label("other")
    register(code, 2, 2, 3)


def stored_over(code: Arm) -> None:
    code.adr(1, "base")
    code.word(0xF900_07E1)  # str x1, [sp, #8]
    code.word(0xF900_07E5)  # str x5, [sp, #8]
    code.word(0xF940_07E2)  # ldr x2, [sp, #8]
    register(code, 4, 2, 3)


def stored_over_by_a_pair(code: Arm) -> None:
    code.adr(1, "base")
    code.word(0xF900_07E1)  # str x1, [sp, #8]
    code.word(0xA900_1BE5)  # stp x5, x6, [sp]
    code.word(0xF940_07E2)  # ldr x2, [sp, #8]
    register(code, 4, 2, 3)


def stored_over_by_a_vector(code: Arm) -> None:
    code.adr(1, "base")
    code.word(0xF900_07E1)  # str x1, [sp, #8]
    code.word(0x3D80_03E0)  # str q0, [sp]
    code.word(0xF940_07E2)  # ldr x2, [sp, #8]
    register(code, 4, 2, 3)


@pytest.mark.parametrize(
    "making",
    [
        something_else,
        shifted,
        added_to_itself,
        in_a_slot_that_holds_something_else_later,
        behind_a_call_that_never_returns,
        stored_over,
        stored_over_by_a_pair,
        stored_over_by_a_vector,
    ],
)
def test_what_is_added_to_something_else_leads_nowhere(making: Making):
    code = Arm()
    making(code)
    code.mov(8, GETPID)
    code.syscall()
    code.ret()
    code.label("never")
    code.word(0xD420_0000)  # brk
    code.label("base")
    code.ret()
    code.wrapper()
    code.label("user")
    code.mov(0, ACCT)
    code.jump("wrapper")
    found = analyse(program(code, functions=("start", "never", "base", "wrapper", "user")))
    assert found.complete
    assert set(found.sites) == {"acct", "getpid"}


@pytest.mark.parametrize("offset", [0, 8, 0x64])
def test_what_clears_a_block_of_memory_leaves_no_number_on_the_stack(offset: int):
    """``dc zva`` clears as many bytes as the processor says, around the address: io_setup, where getpid was stored."""
    code = Arm()
    code.word(0xD104_03FF)  # sub sp, sp, #256
    code.mov(1, GETPID)
    code.word(0xF900_43E1)  # str x1, [sp, #128]
    code.word(0x9100_03E0 | (128 + offset) << 10)  # add x0, sp, #...
    code.word(0xD50B_7420)  # dc zva, x0
    code.word(0xF940_43E8)  # ldr x8, [sp, #128]
    code.syscall()
    code.ret()
    assert reasons(program(code)) == ["the number is on the stack, where a store through a pointer may reach"]


def test_what_a_function_returns_is_not_made_of_the_address_that_it_was_handed():
    """``adr x0, base; bl other``: so LLD shortens what hands ``base`` on, as in musl's ``setuid``."""
    code = Arm()
    code.mov(8, GETPID)
    code.nop()
    code.syscall()
    code.adr(0, "base")
    code.call("other")
    code.ret()
    code.label("base")
    code.ret()
    code.label("other")
    code.ret()
    found = analyse(program(code, functions=("start", "other")))
    assert found.complete
    assert set(found.sites) == {"getpid"}


@pytest.mark.parametrize(
    ("word", "complete"),
    [(0x9B03_7C41, True), (0x9B03_0441, False), (0x8B03_0041, False), (0xAA02_03E1, False), (0xD503_201F, False)],
    ids=["mul x1, x2, x3", "madd x1, x2, x3, x1", "add x1, x2, x3", "mov x1, x2", "nop"],
)
def test_a_product_that_is_added_to_is_no_address_that_was_in_its_register_before(word: int, *, complete: bool):
    """As behind jumps through tables, which count from an address in the same register."""
    code = Arm()
    code.label("here")
    code.mov(8, GETPID)
    code.adr(1, "here")
    code.word(word)
    code.label("loop")
    code.word(0x9100_2021)  # add x1, x1, #8
    code.jump_if_zero(4, "loop")
    code.syscall()
    code.ret()
    found = analyse(program(code))
    assert found.complete is complete
    assert not complete or set(found.sites) == {"getpid"}


@pytest.mark.parametrize("way", ["call", "other function"])
def test_a_product_is_none_behind_a_call_or_where_another_function_goes_on(way: str):
    code = Arm()
    code.label("here")
    code.mov(8, GETPID)
    code.adr(1, "here")
    if way == "other function":
        code.jump_if_zero(4, "other")
    code.word(0x9B03_7C41)  # mul x1, x2, x3
    if way == "call":
        code.call("other")
    code.label("loop")
    code.word(0x9100_2021)  # add x1, x1, #8
    code.jump_if_zero(5, "loop")
    code.syscall()
    code.ret()
    code.label("other")
    if way == "other function":
        code.jump("loop")
    code.ret()
    assert not analyse(program(code, functions=("here", "other"))).complete
