"""How a number gets into its register on arm64: one test per way that real programs have shown."""

import pytest
from assembled import Arm, called, program, reasons

from binsafe.syscalls import analyse


def test_ways_to_set_the_number():
    ways = {
        "movz, movk": ([0xD280_0008, 0xF280_0BA8], {"exit"}),  # movk x8, #93
        "mov w8, w0": ([0x5280_0BA0, 0x2A00_03E8], {"exit"}),
        "mov x8, xzr": ([0xAA1F_03E8], {"io_setup"}),
        "csel": ([0xD280_0BA0, 0xD280_0801, 0x9A81_0008], {"exit", "write"}),
        "cset": ([0x1A9F_17E8], {"io_setup", "io_destroy"}),
        "csinc": ([0xD280_07E0, 0x9A80_0408], {"read", "write"}),  # x8 = eq ? 63 : 63 + 1
        "str, ldr": ([0xD280_0BA0, 0xF900_0BE0, 0xF940_0BE8], {"exit"}),
        "stp with writeback, ldp": ([0xD280_0BA0, 0xA9BF_03FF, 0xA8C1_23FF], {"exit"}),
        "a large frame through x20": ([0xD280_0BA0, 0xD107_83F4, 0x9100_029F, 0xF900_03E0, 0xF940_03E8], {"exit"}),
        "add, and": ([0xD280_0B80, 0x9100_0408, 0x9240_1D08], {"exit"}),  # 92 + 1, & 0xff
    }
    for name, (words, expected) in ways.items():
        assembler = Arm()
        for word in words:
            assembler.word(word)
        assembler.syscall()
        assembler.ret()
        assert called(program(assembler)) == expected, name


def test_branches_on_zero_say_what_the_register_holds():
    code = Arm()
    code.word(0xF940_0008)  # ldr x8, [x0]
    code.jump_if_zero(8, "zero")
    code.ret()
    code.label("zero")
    code.syscall()
    code.ret()
    assert called(program(code)) == {"io_setup"}


def test_a_store_that_says_whether_it_was_made_sets_a_register():
    code = Arm()
    code.mov(8, 93)
    code.word(0xC808_7C41)  # stxr w8, x1, [x2]
    code.syscall()
    code.word(0xD420_0000)  # brk
    assert not analyse(program(code)).complete


@pytest.mark.parametrize(
    "word",
    [0xB820_03E1, 0xB821_83E1, 0x4C00_23E0, 0x3900_03E1, 0x0D9F_83E0],
    ids=["ldadd", "swp", "st1 of 64 bytes", "strb", "st1 of 4 bytes, and sp moved"],
)
def test_slots_that_are_written_in_other_ways_are_not_known(word: int):
    """``str x0, [sp]``, then what writes there, too, or moves it, then ``ldr x8, [sp]``."""
    assembler = Arm()
    assembler.word(0xD101_03FF)  # sub sp, sp, #64
    assembler.mov(0, 93)
    assembler.word(0xF900_03E0)
    assembler.word(word)
    assembler.word(0xF940_03E8)
    assembler.syscall()
    assembler.word(0xD420_0000)  # brk
    assert not analyse(program(assembler)).complete


def test_a_frame_pointer_that_is_loaded_again_says_nothing_of_the_frame():
    """Go's functions end so: what ``syscall.Syscall`` keeps on its stack over a call was not known in Go 1.21."""
    assembler = Arm()
    assembler.word(0xF81D_0FFE)  # str x30, [sp, #-48]!
    assembler.word(0xF81F_83FD)  # stur x29, [sp, #-8]
    assembler.word(0xD100_23FD)  # sub x29, sp, #8
    assembler.mov(0, 93)
    assembler.word(0xF900_0FE0)  # str x0, [sp, #24]
    assembler.call("other")
    assembler.word(0xF940_0FE8)  # ldr x8, [sp, #24]
    assembler.syscall()
    assembler.word(0xA97F_FBFD)  # ldp x29, x30, [sp, #-8]
    assembler.word(0x9100_C3FF)  # add sp, sp, #48
    assembler.label("other")
    assembler.ret()
    assert called(program(assembler, functions=("start", "other"))) == {"exit"}


def test_what_a_load_of_a_pair_moves_is_not_what_it_loads():
    """``str x0, [sp]; mov x29, sp; ldp x0, x1, [x29], #16; mov x8, x29``."""
    assembler = Arm()
    assembler.mov(0, 93)
    for word in (0xF900_03E0, 0x9100_03FD, 0xA8C1_07A0, 0xAA1D_03E8):
        assembler.word(word)
    assembler.syscall()
    assembler.word(0xD420_0000)  # brk
    assert reasons(program(assembler)) == ["the number is moved by ldp"]


@pytest.mark.parametrize(
    ("word", "complete"),
    [(0x0CC1_73E0, False), (0x4E08_3C14, False), (0xC814_7C20, False), (0x4E08_3C13, True)],
    ids=["ld1 moves sp by x1", "umov x20", "stxr w20", "umov x19"],
)
def test_copies_of_the_stack_pointer_are_forgotten_where_they_are_overwritten(word: int, *, complete: bool):
    """``mov x20, sp; str x0, [sp]``, then what writes to sp or x20, then ``ldr x8`` from there."""
    assembler = Arm()
    assembler.word(0xD101_03FF)  # sub sp, sp, #64
    assembler.word(0x9100_03F4)  # mov x20, sp
    assembler.mov(0, 93)
    assembler.word(0xF900_03E0)
    assembler.word(word)
    assembler.word(0xF940_03E8 if word == 0x0CC1_73E0 else 0xF940_0288)
    assembler.syscall()
    assembler.word(0xD420_0000)  # brk
    assert analyse(program(assembler)).complete == complete


@pytest.mark.parametrize(
    "word",
    [0x0CC1_7108, 0x0DDF_8108, 0xD503_233F, 0xDAC1_0028, 0xB829_0108, 0xC85F_7D08, 0x3840_1501],
    ids=["ld1, x1 behind", "ld1 of one lane", "paciasp", "pacia", "ldadd", "ldxr", "ldrb, 1 behind"],
)
def test_registers_that_are_written_on_the_side_are_not_known(word: int):
    """What moves x8 behind an access, and what writes to it: all but the stamp of a return address."""
    assembler = Arm()
    assembler.mov(8, 93)
    assembler.word(word)
    assembler.syscall()
    assembler.word(0xD420_0000)  # brk
    assert analyse(program(assembler)).complete == (word == 0xD503_233F)


def test_literal_pools_count_and_pointers_do_not():
    literal = Arm()
    literal.word(0x5800_0068)  # ldr x8, literal three words on
    literal.syscall()
    literal.ret()
    literal.put((93).to_bytes(8, "little"))
    assert called(program(literal)) == {"exit"}
    pointer = Arm()
    pointer.word(0xF940_0008)  # ldr x8, [x0]
    pointer.syscall()
    assert "through a pointer" in reasons(program(pointer))[0]


@pytest.mark.parametrize(("offset", "complete"), [(7, True), (8, False), (11, False), (12, True)])
def test_a_byte_that_is_stored_beside_a_number_on_the_stack_leaves_it_alone(offset: int, complete: bool):
    assembler = Arm()
    assembler.word(0xD100_83FF)  # sub sp, sp, #32
    assembler.mov(1, 172)
    assembler.word(0xF900_07E1)  # str x1, [sp, #8]
    assembler.word(0x3900_03E2 | offset << 10)  # strb w2, [sp, #offset]
    assembler.word(0xF940_07E8)  # ldr x8, [sp, #8]
    assembler.syscall()
    assembler.ret()
    found = analyse(program(assembler))
    assert found is not None
    assert found.complete is complete
