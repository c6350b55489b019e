import pytest
from assembled import CODE, DATA, X86, Arm, program

from binsafe.syscalls import listing


def two_calls(assembler: X86 | Arm) -> X86 | Arm:
    assembler.mov("rax" if isinstance(assembler, X86) else 8, 60)
    assembler.syscall()
    assembler.mov("rdi" if isinstance(assembler, X86) else 0, 1)
    assembler.syscall()
    assembler.ret()
    return assembler


@pytest.mark.parametrize(
    ("assembler", "site", "expected"),
    [
        (X86(), CODE + 12, ("0x401007: mov edi, 1", "0x40100c: syscall", "0x40100e: ret")),
        (Arm(), CODE + 12, ("0x401008: mov x0, #1", "0x40100c: svc #0", "0x401010: ret")),
    ],
    ids=["x86_64", "arm64"],
)
def test_the_instructions_before_and_after_an_address(assembler: X86 | Arm, site: int, expected: tuple[str, ...]):
    assert listing(program(two_calls(assembler)), site, before=1, after=1) == expected


@pytest.mark.parametrize("assembler", [X86(), Arm()], ids=["x86_64", "arm64"])
def test_it_begins_and_ends_where_the_code_does(assembler: X86 | Arm):
    slice_ = program(two_calls(assembler))
    shown = listing(slice_, CODE, before=9, after=99)
    assert shown[0].startswith("0x401000: mov")
    assert shown[-1].endswith(": ret")
    assert len(shown) == 5


def test_a_prefix_that_swallows_the_address_is_not_shown():
    """x86 read from the wrong place: the byte before looks like the beginning of a longer instruction."""
    assembler = X86()
    assembler.ret()
    assembler.put(b"\xb8")  # would take the next four bytes as its constant
    start = assembler.here
    assembler.syscall()
    assembler.put(b"\x90" * 8)
    shown = listing(program(assembler), start, before=2, after=0)
    assert shown[-1] == f"{start:#x}: syscall"


@pytest.mark.parametrize("address", [0, DATA, CODE - 1, -1, 1 << 64])
def test_there_is_nothing_where_there_is_no_code(address: int):
    assert listing(program(two_calls(X86()), data=bytes(16)), address) == ()
