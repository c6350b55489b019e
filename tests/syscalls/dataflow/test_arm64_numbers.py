"""arm64: numbers that come on ways which are easily overlooked.

Each of the programs makes ``getppid`` (173), by way of what looks as if it could only be ``getpid`` (172), or ``exit``.
"""

import pytest
from assembled import Arm, program

from binsafe.syscalls import analyse

# sub sp, sp, #64; mov w1, #172; str w1, [sp, #32]; mov w0, #173
SLOT = (0xD101_03FF, 0x5280_1581, 0xB900_23E1, 0x5280_15A0)
LOAD = 0xB940_23E8  # ldr w8, [sp, #32]
AGAIN = (0x7100_0442, 0x54FF_FFC1)  # subs w2, w2, #1; b.ne to the one before
WAYS = {
    # add x3, sp, #16; str w0, [x3], #4
    "an array is filled through a pointer that moves": (*SLOT, 0x9100_43E3, 0xB800_4460, *AGAIN, LOAD),
    # add x3, sp, #16; str w0, [x3]; add x3, x3, #4; subs w2, w2, #1; b.ne
    "a pointer is added to": (*SLOT, 0x9100_43E3, 0xB900_0060, 0x9100_1063, 0x7100_0442, 0x54FF_FFA1, LOAD),
    # str w0, [sp, #36]; add x3, sp, #32; ldr w8, [x3], #4
    "an array is read through a pointer that moves": (*SLOT, 0xB900_27E0, 0x9100_83E3, 0xB840_4468, *AGAIN),
    # add x3, sp, #32; cbz x2, store; add x3, sp, #16; store: str w0, [x3]
    "a pointer to one of two": (*SLOT, 0x9100_83E3, 0xB400_0042, 0x9100_43E3, 0xB900_0060, LOAD),
    # add x29, sp, #16; str w0, [x29], #4
    "x29 moves": (*SLOT, 0x9100_43FD, 0xB800_47A0, *AGAIN, LOAD),
    # add x29, sp, #16; add x29, x29, x2; str w0, [x29]
    "x29 is added to": (*SLOT, 0x9100_43FD, 0x8B02_03BD, 0xB900_03A0, LOAD),
    # add x29, sp, #32; cbz x2, store; add x29, sp, #16; store: str w0, [x29]
    "x29 points to one of two": (*SLOT, 0x9100_83FD, 0xB400_0042, 0x9100_43FD, 0xB900_03A0, LOAD),
    # add x29, sp, #32; cbz x2, store; ldr x29, [x4]; store: str w0, [x29]
    "x29 points to the stack, or elsewhere": (*SLOT, 0x9100_83FD, 0xB400_0042, 0xF940_009D, 0xB900_03A0, LOAD),
    # str w0, [sp, #36]; ldr x8, [sp, #32]; lsr x8, x8, #32
    "the upper half of what two stores made": (*SLOT, 0xB900_27E0, 0xF940_13E8, 0xD360_FD08),
    # ldr d0, [sp, #32]; movi v0.2s, #173; str d0, [sp, #16]; ldr w8, [sp, #16]
    "a vector of two": (*SLOT, 0xFD40_13E0, 0x0F05_05A0, 0xFD00_0BE0, 0xB940_13E8),
    # mov z0.s, #42; str z0, [sp, #1, mul vl]
    "a vector of any size": (*SLOT, 0x25B8_C540, 0xE580_47E0, LOAD),
    # add x0, sp, #32; cpyfp [x0]!, [x1]!, x2!
    "copied by an instruction": (*SLOT, 0x9100_83E0, 0x1901_0440, LOAD),
    # movn x8, #0, lsl #16; movk x8, #0, lsl #16; and x8, x8, #0xff; sub x8, x8, #82
    "all bits are set, and some cleared": (0x92A0_0008, 0xF2A0_0008, 0x9240_1D08, 0xD101_4908),
    # mov w8, #0x57; cnt x8, x8, which not every decoder knows; add x8, x8, #168
    "computed by an instruction that is not known": (0x5280_0AE8, 0xDAC0_1D08, 0x9102_A108),
    # mov w8, #173; cnt x9, x9
    "behind an instruction that is not known": (0x5280_15A8, 0xDAC0_1D29),
    # mov w8, #173; bc.eq behind; mov w8, #172
    "over a consistent branch": (0x5280_15A8, 0x5400_0050, 0x5280_1588),
}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_the_number_is_found_or_said_not_to_be(words: tuple[int, ...]):
    found = analyse(program(_calling(*words)))
    assert found is not None
    assert not found.complete or "getppid" in found.required


@pytest.mark.parametrize("word", [0xD400_0021, 0xD41F_FFE1], ids=["svc #1", "svc #0xffff"])
def test_the_kernel_does_not_look_at_the_immediate(word: int):
    assembler = Arm()
    assembler.mov(8, 173)
    assembler.word(word)
    assembler.mov(8, 93)
    assembler.syscall()
    found = analyse(program(assembler))
    assert found is not None
    assert {"exit", "getppid"} <= set(found.required)


def _calling(*words: int) -> Arm:
    assembler = Arm()
    for word in words:
        assembler.word(word)
    assembler.syscall()
    assembler.mov(8, 93)
    assembler.syscall()
    assembler.word(0)
    return assembler
