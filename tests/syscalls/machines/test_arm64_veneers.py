"""Loads that a linker moved behind the code, for an erratum of Cortex-A53."""

import pytest
from assembled import CODE, DATA, Arm, program

from binsafe.syscalls.controlflow import index
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import Code
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.edges import LOADED

_FAR = 3000
"""Instructions: more than those in which a page that is kept may be used."""


def _moved(*, before: int = 1022, back: str = "back") -> Arm:
    """``adrp x9`` behind some instructions, a store, and a branch to the load that goes on with the page."""
    assembler = Arm()
    assembler.nop(before)
    assembler.labels["pointer"] = DATA
    assembler.page(9, "pointer")
    assembler.word(0xF900_07E1)  # str x1, [sp, #8]
    assembler.jump("veneer")
    assembler.label("back")
    assembler.word(0xD63F_0120)  # blr x9
    assembler.label("further")
    assembler.ret()
    assembler.nop(_FAR)
    assembler.label("veneer")
    assembler.word(0xF940_0929)  # ldr x9, [x9, #16]
    assembler.jump(back)
    assembler.ret()
    return assembler


def _loads(assembler: Arm) -> list[tuple[int, int, int]]:
    seen = Program(program(assembler, data=bytes(64)), Arm64(), Decoder("arm64", 100_000))
    return list(seen.references.into(DATA + 16, DATA + 17))


def test_a_load_that_was_moved_behind_the_code_counts_where_it_was():
    """Debian's GCC has the linker do so: of a table of functions nothing was seen but the page that it lies in."""
    assert _loads(_moved()) == [(CODE + 4 * 1022, DATA + 16, LOADED)]


def test_a_load_that_was_moved_out_of_the_piece_that_is_scanned_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index, "_PIECE", 1 << 13)
    monkeypatch.setattr(index, "_OVERLAP", 1 << 4)
    assert _loads(_moved()) == [(CODE + 4 * 1022, DATA + 16, LOADED)]


@pytest.mark.parametrize("other", [_moved(back="further"), _moved(before=1021)], ids=["elsewhere", "another place"])
def test_other_branches_stay_as_they_are(other: Arm):
    whole = Code(program(other)).ranges[0]
    assert Arm64().restored(whole, whole) is whole
