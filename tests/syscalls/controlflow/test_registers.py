"""A wrapper whose address is put into a register and called from there: its callers are known all the same."""

import struct
from pathlib import Path

import pytest
from assembled import CODE, X86, Arm, program
from compiled import bare, calls, needs_compiler
from msgspec import structs

from binsafe.model import Symbol
from binsafe.syscalls import analyse


def lea_rbx(assembler: X86, label: str) -> None:
    assembler.to(label, 7, lambda here, there: b"\x48\x8d\x1d" + struct.pack("<i", there - here - 7))


def wrapper(assembler: X86) -> None:
    assembler.ret()
    assembler.label("wrapper")
    assembler.copy("rax", "rdi")
    assembler.syscall()
    assembler.ret()


def test_each_call_through_the_register_gives_its_number():
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    for number in (39, 1):
        assembler.mov("rdi", number)
        assembler.put(b"\xff\xd3")  # call rbx
    wrapper(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert result.complete
    assert set(result.sites) == {"getpid", "write"}


@pytest.mark.parametrize(
    "use",
    [b"\x48\x89\x1f", b"\x48\x89\xd8", b"\x53", b"\xf0\x48\x0f\xc7\x0f", b"\x0f\xc7\x0f"],
    ids=["stored", "returned", "pushed", "lock cmpxchg16b", "cmpxchg8b"],
)
def test_an_address_that_is_kept_elsewhere_too_leaves_a_gap_and_the_numbers_that_are_seen(use: bytes):
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.mov("rdi", 39)
    assembler.put(b"\xff\xd3" + use)
    wrapper(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert not result.complete
    assert set(result.sites) == {"getpid"}


def test_the_register_is_followed_no_further_than_to_its_next_value():
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.mov("rdi", 39)
    assembler.put(b"\xff\xd3")
    assembler.put(b"\x31\xdb\x48\x89\x1f")  # xor ebx, ebx; mov [rdi], rbx
    wrapper(assembler)
    assert analyse(program(assembler, functions=("start", "wrapper"))).complete


@pytest.mark.parametrize("compare", [b"\x48\x39\xdf", b"\x48\x85\xdb"], ids=["cmp", "test"])
def test_an_address_that_is_only_compared_is_called_by_nobody_for_it(compare: bytes):
    """musl asks whether a thread was interrupted between two labels around a system call (``pthread_cancel.c``)."""
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.put(compare)
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    wrapper(assembler)
    assert analyse(program(assembler, functions=("start", "wrapper"))).complete


@pytest.mark.parametrize(("lea", "complete"), [(b"\x48\x8d\x0d", True), (b"\x48\x8d\x15", False)], ids=["rcx", "rdx"])
def test_a_system_call_leaves_no_address_in_rcx_of_which_a_caller_may_know(lea: bytes, *, complete: bool):
    """musl's handler of a signal compares an address, makes a call and returns (``pthread_cancel.c``)."""
    assembler = X86()
    assembler.to("wrapper", 7, lambda here, there: lea + struct.pack("<i", there - here - 7))
    assembler.mov("rax", 39)
    assembler.syscall()
    assembler.ret()
    assembler.label("caller")
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    wrapper(assembler)
    assert analyse(program(assembler, functions=("start", "caller", "wrapper"))).complete == complete


@pytest.mark.parametrize(("code", "complete"), [(b"\x49\x81\xff", True), (b"\x49\xc7\xc7", False)], ids=["cmp", "mov"])
def test_an_address_in_a_comparison_is_not_taken(code: bytes, *, complete: bool):
    """``cmp r15, wrapper`` and ``mov r15, wrapper``, in a program that is linked at low addresses."""
    assembler = X86()
    assembler.to("wrapper", 7, lambda _, there: code + struct.pack("<i", there))
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    wrapper(assembler)
    known = (Symbol(name="start", address=CODE, size=17), Symbol(name="wrapper", address=assembler.labels["wrapper"]))
    assert analyse(structs.replace(program(assembler), symbols=known)).complete == complete


def test_an_argument_is_handed_on_in_calls():
    """``lea rsi, wrapper; mov edi, getpid; call wrapper``: whoever is called has the address, too."""
    assembler = X86()
    assembler.to("wrapper", 7, lambda here, there: b"\x48\x8d\x35" + struct.pack("<i", there - here - 7))
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.ret()
    assembler.label("wrapper")
    assembler.put(b"\x48\x89\x77\x08")  # mov [rdi + 8], rsi
    assembler.copy("rax", "rdi")
    assembler.syscall()
    assembler.ret()
    assert not analyse(program(assembler, functions=("start", "wrapper"))).complete


CALLED = (0xD63F_0260, {"getpid"}, True)  # blr x19
COMPARED = (0xEB13_003F, set(), True)  # cmp x1, x19
STORED = (0xF900_0033, set(), False)  # str x19, [x1]
COPIED = (0xAA13_03E1, set(), False)  # mov x1, x19
FILLED = (0xD280_0013, set(), True)  # mov x19, #0
WITH_KEY = (0xD73F_0A61, {"getpid"}, True)  # blraa x19, x1
SIGNED = (0xDAC1_0033, set(), False)  # pacia x19, x1
TAGGED = (0xF2E0_2013, set(), False)  # movk x19, #256, lsl #48


@pytest.mark.parametrize(
    ("word", "seen", "complete"),
    [CALLED, COMPARED, STORED, COPIED, FILLED, WITH_KEY, SIGNED, TAGGED],
    ids=["called", "compared", "stored", "copied", "filled", "called with a key", "signed", "tagged"],
)
def test_arm64_keeps_an_address_in_a_register(word: int, seen: set[str], *, complete: bool):
    assembler = Arm()
    assembler.mov(0, 64)
    assembler.call("wrapper")
    assembler.page(19, "wrapper")
    assembler.nop()
    assembler.add_in_page(19, 19, "wrapper")
    assembler.mov(0, 172)
    assembler.word(word)
    assembler.mov(19, 0)
    assembler.ret()
    assembler.wrapper()
    found = analyse(program(assembler, functions=("start", "wrapper")))
    assert set(found.sites) == {"write", *seen}
    assert found.complete == complete


@pytest.mark.parametrize(("register", "complete"), [(0, False), (1, False), (9, False), (19, True)])
def test_arm64_hands_registers_on_in_calls_but_for_those_that_are_kept(register: int, complete: bool):
    assembler = Arm()
    assembler.to("wrapper", 4, lambda here, there: struct.pack("<I", 0x1000_0000 | (there - here) // 4 << 5 | register))
    assembler.call("other")
    assembler.mov(0, 172)
    assembler.call("wrapper")
    assembler.word(0)
    assembler.label("other")
    if register != 19:  # which is followed into short functions only that restore it
        assembler.word(0xF900_0000 | register)  # str xN, [x0]
    assembler.ret()
    assembler.wrapper()
    found = analyse(program(assembler, functions=("start", "other", "wrapper")))
    assert found.complete == complete


def test_an_address_is_kept_in_any_register_over_the_call_of_a_function_that_does_not_use_it():
    """GCC knows that of functions which it has seen (``-fipa-ra``)."""
    x86, arm = X86(), Arm()
    x86.to("wrapper", 7, lambda here, there: b"\x4c\x8d\x15" + struct.pack("<i", there - here - 7))  # lea r10, wrapper
    x86.call("other")
    x86.mov("rdi", 39)
    x86.put(b"\x41\xff\xd2")  # call r10
    x86.label("other")
    wrapper(x86)
    arm.adr(9, "wrapper")
    arm.call("other")
    arm.mov(0, 172)
    arm.word(0xD63F_0120)  # blr x9
    arm.label("other")
    arm.ret()
    arm.wrapper()
    for assembler in (x86, arm):
        found = analyse(program(assembler, functions=("start", "other", "wrapper")))
        assert set(found.sites) == {"getpid"}


def test_a_case_of_a_jump_table_may_go_on_into_the_one_that_calls_through_the_register():
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.put(b"\xff\xe0")  # jmp rax
    assembler.put(b"\x31\xdb")  # first: xor ebx, ebx
    assembler.mov("rdi", 39)  # second, to which the first one goes on
    assembler.put(b"\xff\xd3")  # call rbx
    wrapper(assembler)
    found = analyse(program(assembler, functions=("start", "wrapper")))
    assert not found.complete or "getpid" in found.required


_CASES = """
    lea wrapper(%rip), %rbx; mov (%rsp), %rax; cmp $2, %rax; ja 9f
    lea table(%rip), %rdx; movslq (%rdx,%rax,4), %rax; add %rdx, %rax; jmp *%rax
1:  mov $39, %edi; call *%rbx
2:  {second}
3:  mov $163, %edi; call *%rbx
9:  xor %ebx, %ebx; mov $60, %eax; syscall; hlt
    .globl wrapper; .type wrapper, @function; wrapper: mov %rdi, %rax; syscall; ret; .size wrapper, . - wrapper
    .globl cold; .type cold, @function; cold: mov $166, %edi; call *%rbx; hlt; .size cold, . - cold
    .section .rodata; .p2align 2; table: .long 1b - table, 2b - table, {third} - table; .text
"""


@needs_compiler
@pytest.mark.parametrize(
    ("second", "third", "complete"),
    [
        ("mov $1, %edi; call *%rbx", "3b", True),
        ("mov %rbx, (%rsp)", "3b", False),
        ("mov $1, %edi; call *%rbx", "cold", False),
        ("jmp cold", "3b", False),
        ("test %rcx, %rcx; jne cold", "3b", False),
    ],
    ids=["read", "kept in a case", "a case elsewhere", "a jump elsewhere", "a branch elsewhere"],
)
def test_an_address_is_followed_through_a_table_that_is_read_whole(
    second: str, third: str, *, complete: bool, tmp_path: Path
):
    code = "; ".join(_CASES.format(second=second, third=third).strip().splitlines())
    result = calls(bare(tmp_path, code))
    assert {"getpid", "acct"} <= set(result.required)
    assert result.complete == complete


@needs_compiler
@pytest.mark.parametrize("register", ["rax", "rdi", "r11", "rbx"])
@pytest.mark.parametrize(
    "going_on",
    ["", "jmp user;", "test %rsp,%rsp; jne user; hlt;", "call user; hlt;"],
    ids=["falls", "jumps", "branches", "calls"],
)
def test_a_register_that_holds_an_address_where_another_function_begins(going_on: str, register: str, tmp_path: Path):
    """A label with a symbol parts a function in two; split-off parts and retpolines take any register.

    What is called on x86-64 reads no register that is kept for its caller, but to save it (setjmp, unwinders).
    """
    text = (
        f"mov $39,%edi; call wrapper; lea wrapper(%rip),%{register}; {going_on} .globl user; .type user,@function; "
        f"user: mov %{register},%rdx; mov $163,%edi; call *%rdx; hlt; .p2align 4; "
        ".globl wrapper; wrapper: mov %rdi,%rax; syscall; ret"
    )
    handed_on = register != "rbx" or "call" not in going_on
    assert calls(bare(tmp_path, text)).complete != handed_on


@needs_compiler
def test_a_label_to_which_code_behind_another_label_jumps(tmp_path: Path):
    text = (
        "mov $163,%eax; lea 2f(%rip),%r11; .globl inner; .type inner,@function; "
        "inner: jmp *%r11; mov $39,%eax; 2: syscall; hlt"
    )
    found = calls(bare(tmp_path, text))
    assert not found.complete or "acct" in found.required


@needs_compiler
def test_a_function_that_aligns_its_stack_returns_an_address(tmp_path: Path):
    """GCC finds the return address again through r10, which it keeps on the stack in between."""
    aligned = "lea 8(%rsp),%r10; and $-64,%rsp; push -8(%r10); push %r10; pop %r10; lea -8(%r10),%rsp; ret"
    taking = f"pick: lea wrapper(%rip),%rax; {aligned}"
    calling = "call pick; mov $163,%edi; call *%rax; mov $60,%edi; call wrapper; hlt"
    assert not calls(bare(tmp_path, f"{calling}; {taking}; wrapper: mov %rdi,%rax; syscall; ret")).complete


@needs_compiler
@pytest.mark.parametrize(
    ("changed", "used", "complete"),
    [("nop", "(%rbx)", False), ("mov %sil,%bl", "(%rbx)", True), ("mov %sil,%bl", "%rbx", False)],
    ids=["access", "access-to-what-was-changed", "call-of-what-was-changed"],
)
def test_where_a_register_was_changed_in_part_it_may_be_a_pointer(
    changed: str, used: str, *, complete: bool, tmp_path: Path
):
    """Nobody reads or writes the memory of a function, and none of which the last bytes are another's is called."""
    use = f"mov %rdi,{used}" if "(" in used else f"mov $163,%edi; call *{used}"
    text = (
        f"lea wrapper(%rip),%rbx; mov $39,%edi; call *%rbx; test %rsi,%rsi; je 1f; {changed}; {use}; hlt; "
        "1: mov $102,%edi; call *%rbx; hlt; .p2align 4; wrapper: mov %rdi,%rax; syscall; ret"
    )
    assert calls(bare(tmp_path, text)).complete is complete
