"""What an analysis leaves behind: nothing that only the search for cycles would find."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from assembled import X86, program

from binsafe.syscalls import analyse, summarise_library
from binsafe.syscalls.controlflow.program import Program

LIBRARY = Path("/lib/x86_64-linux-gnu/libc.so.6")


def library() -> object:
    return summarise_library(memoryview(LIBRARY.read_bytes()))


def static() -> object:
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.ret()
    assembler.label("wrapper")
    assembler.copy("rax", "rdi")
    assembler.syscall()
    assembler.ret()
    return analyse(program(assembler))


@pytest.mark.parametrize(
    "analysis",
    [pytest.param(library, marks=pytest.mark.skipif(not LIBRARY.exists(), reason="no such glibc here")), static],
)
def test_a_program_is_given_back_as_soon_as_it_is_analysed(
    analysis: Callable[[], object], monkeypatch: pytest.MonkeyPatch
):
    made: list[weakref.ref[Program]] = []
    initialise = Program.__init__

    def noted(self: Program, *given: object, **named: object) -> None:
        made.append(weakref.ref(self))
        initialise(self, *given, **named)

    monkeypatch.setattr(Program, "__init__", noted)
    gc.disable()
    try:
        analysis()
        assert [each() for each in made] == [None]
    finally:
        gc.enable()
