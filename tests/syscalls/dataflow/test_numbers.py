"""How a number gets into its register on x86-64: one test per way that real programs have shown."""

from collections.abc import Callable

import pytest
from assembled import DATA, X86, Arm, called, program, reasons

from binsafe.syscalls import analyse
from binsafe.syscalls.conventions import CONVENTIONS

NEVER_IN_THE_CODE = CONVENTIONS["x86_64"].implied()


def x86(code: Callable[[X86], None]) -> X86:
    """A program that runs ``code`` and then enters the kernel."""
    assembler = X86()
    code(assembler)
    assembler.syscall()
    assembler.ret()
    return assembler


LOADED = b"\x48\x8b\x07"
"""``mov rax, qword ptr [rdi]``: not known."""
X86_WAYS = {
    "mov eax, 60": (b"\xb8\x3c\0\0\0", {"exit"}),
    "mov rax, 60": (b"\x48\xc7\xc0\x3c\0\0\0", {"exit"}),
    "xor eax, eax": (b"\x31\xc0", {"read"}),
    "push 3; pop rax": (b"\x6a\x03\x58", {"close"}),
    "push 1; push 60; pop qword [rsp]; pop rax": (b"\x6a\x01\x6a\x3c\x8f\x04\x24\x58", {"exit"}),
    "push 60; push 1; pop rcx; pop rax": (b"\x6a\x3c\x6a\x01\x59\x58", {"exit"}),
    "mov ecx, 1; lea eax, [rcx + 2]": (b"\xb9\x01\0\0\0\x8d\x41\x02", {"close"}),
    "mov eax, 2; or al, 1": (b"\xb8\x02\0\0\0\x0c\x01", {"close"}),
    "mov eax, 0x100; mov al, 1": (b"\xb8\0\x01\0\0\xb0\x01", {"openat"}),
    "xor eax, eax; test edi, edi; sete al": (b"\x31\xc0\x85\xff\x0f\x94\xc0", {"read", "write"}),
    "mov eax, 3; mov ecx, 39; cmove eax, ecx": (b"\xb8\x03\0\0\0\xb9\x27\0\0\0\x0f\x44\xc1", {"close", "getpid"}),
    "sbb eax, eax; and eax, 3": (b"\x19\xc0\x83\xe0\x03", {"read", "close"}),
    "mov eax, 2; sbb eax, -1": (b"\xb8\x02\x00\x00\x00\x83\xd8\xff", {"open", "close"}),
    "test edi, edi; sete dl; movzx eax, dl; add eax, 2": (
        b"\x85\xff\x0f\x94\xc2\x0f\xb6\xc2\x83\xc0\x02",
        {"open", "close"},
    ),
    "mov eax, 3; cdqe": (b"\xb8\x03\0\0\0\x48\x98", {"close"}),
    "mov eax, 2; adc eax, 0": (b"\xb8\x02\x00\x00\x00\x83\xd0\x00", {"open", "close"}),
    "mov eax, 4; sub eax, 1; add eax, -1; inc eax; dec eax; inc eax": (
        b"\xb8\x04\0\0\0\x83\xe8\x01\x83\xc0\xff\xff\xc0\xff\xc8\xff\xc0",
        {"close"},
    ),
    "mov eax, 6; shr eax, 1": (b"\xb8\x06\0\0\0\xd1\xe8", {"close"}),
    "mov edx, 60; xchg rax, rdx": (b"\xba\x3c\0\0\0\x48\x92", {"exit"}),
    "mov dword [rsp + 8], 60; mov eax, [rsp + 8]": (b"\xc7\x44\x24\x08\x3c\0\0\0\x8b\x44\x24\x08", {"exit"}),
    "push rbp; mov rbp, rsp; mov qword [rbp - 8], 60; sub rsp, 32; mov rax, [rsp + 24]": (
        b"\x55\x48\x89\xe5\x48\xc7\x45\xf8\x3c\0\0\0\x48\x83\xec\x20\x48\x8b\x44\x24\x18",
        {"exit"},
    ),
    "movsx eax, byte of a register: mov ecx, 60; movsx eax, cl": (b"\xb9\x3c\0\0\0\x0f\xbe\xc1", {"exit"}),
    "mov eax, 257; or al, al": (b"\xb8\x01\x01\0\0\x08\xc0", {"openat"}),
    "mov eax, 257; or ah, ah": (b"\xb8\x01\x01\0\0\x08\xe4", {"openat"}),
    "mov eax, 120; shr eax, 33": (b"\xb8\x78\0\0\0\xc1\xe8\x21", {"exit"}),
    "mov eax, 30; shl eax, 33": (b"\xb8\x1e\0\0\0\xc1\xe0\x21", {"exit"}),
    "mov eax, 9999 (no such call)": (b"\xb8\x0f\x27\0\0", set()),
}


@pytest.mark.parametrize(("code", "expected"), X86_WAYS.values(), ids=X86_WAYS)
def test_x86_ways_to_set_the_number(code: bytes, expected: set[str]):
    assert called(program(x86(lambda a: a.put(code)))) == expected


X86_UNKNOWN = {
    "mov rax, [rdi]": (b"\x48\x8b\x07", "read from memory through a pointer"),
    "mov eax, edi at the entry point": (b"\x89\xf8", "what the kernel starts the program with"),
    "mov ecx, 1; mov edx, 2; lea eax, [rcx + rdx]": (b"\xb9\x01\0\0\0\xba\x02\0\0\0\x8d\x04\x11", "two values"),
    "mov eax, 1; mul ecx": (b"\xb8\x01\0\0\0\xf7\xe1", "mul"),
    "mov eax, 1; lock cmpxchg [rdi], ecx": (b"\xb8\x01\0\0\0\xf0\x0f\xb1\x0f", "cmpxchg"),
    "mov eax, 1; mov al, cl": (b"\xb8\x01\0\0\0\x88\xc8", "parts of the register"),
    "mov ebx, 0x127; xchg al, bl; mov eax, ebx": (b"\xbb\x27\x01\0\0\x86\xd8\x89\xd8", "xchg"),
    "mov eax, 1; movd eax, xmm0": (b"\xb8\x01\0\0\0\x66\x0f\x7e\xc0", "movd"),
    "mov eax, 1; cvttsd2si eax, xmm0": (b"\xb8\x01\0\0\0\xf2\x0f\x2c\xc0", "cvttsd2si"),
    "mov eax, 1; call rdx": (b"\xb8\x01\0\0\0\xff\xd2", "what a function returned"),
    "mov qword [rsp + 8], 1; movups [rsp], xmm0; mov rax, [rsp + 8]": (
        b"\x48\xc7\x44\x24\x08\x01\0\0\0\x0f\x11\x04\x24\x48\x8b\x44\x24\x08",
        "parts of the stack slot",
    ),
    "push 60; mov eax, 0x10000; pop ax": (b"\x6a\x3c\xb8\0\0\1\0\x66\x58", "parts of the register"),
    "xor ecx, ecx; mov eax, 0x10000; lea ax, [rcx + 60]": (
        b"\x31\xc9\xb8\0\0\1\0\x66\x8d\x41\x3c",
        "parts of the register",
    ),
    "mov ecx, 60; mov eax, 0x1003c; cmove ax, cx; sub eax, 0x10000": (
        b"\xb9\x3c\0\0\0\xb8\x3c\0\1\0\x66\x0f\x44\xc1\x2d\0\0\1\0",
        "parts of the register",
    ),
    "push 60; pop rcx; pushfq; pop rax": (b"\x6a\x3c\x59\x9c\x58", "the flags"),
    "mov dword [rsp - 4], 60; push rcx; mov eax, [rsp + 4]": (
        b"\xc7\x44\x24\xfc\x3c\0\0\0\x51\x8b\x44\x24\x04",
        "parts of the stack slot",
    ),
    "mov rbp, rsp; push 60; pop rcx; push cx; mov eax, [rbp - 8]": (
        b"\x48\x89\xe5\x6a\x3c\x59\x66\x51\x8b\x45\xf8",
        "parts of the stack slot",
    ),
    "mov eax, 60; rdpkru": (b"\xb8\x3c\0\0\0\x0f\x01\xee", "rdpkru"),
    "mov ebp, 60; enter 0, 0; mov eax, ebp": (b"\xbd\x3c\0\0\0\xc8\0\0\0\x89\xe8", "enter"),
}


@pytest.mark.parametrize(("code", "reason"), X86_UNKNOWN.values(), ids=X86_UNKNOWN)
def test_x86_numbers_that_cannot_be_told_are_reported(code: bytes, reason: str):
    found = reasons(program(x86(lambda a: a.put(code))))
    assert len(found) == 1
    assert reason in found[0]


def test_a_number_that_is_counted_up_in_a_loop_ends_the_walk():
    assembler = X86()
    assembler.mov("rax", 1)
    assembler.label("again")
    assembler.put(b"\xff\xc0\x39\xf8")  # inc eax; cmp eax, edi
    assembler.jump_if_zero("again")
    assembler.syscall()
    assert any("too many steps" in reason for reason in reasons(program(assembler)))


def test_the_result_of_a_call_is_no_number_but_other_registers_live_on():
    def two(assembler: X86) -> None:
        assembler.mov("r8", 39)
        assembler.mov("rax", 1)
        assembler.syscall()
        assembler.copy("rax", "r8")

    assert called(program(x86(two))) == {"write", "getpid"}
    lost = X86()
    lost.mov("rcx", 39)
    lost.mov("rax", 1)
    lost.syscall()
    lost.copy("rax", "rcx")  # rcx holds the return address of the first call
    lost.syscall()
    assert len(reasons(program(lost))) == 1


def test_branches_give_both_numbers():
    def choose(assembler: X86) -> None:
        assembler.mov("rax", 1)
        assembler.jump_if_zero("go")
        assembler.mov("rax", 39)
        assembler.label("go")

    assert called(program(x86(choose))) == {"write", "getpid"}


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        (b"\x48\x85\xc0\x74\x01\xc3", "read"),  # test rax, rax; je 1f; ret; 1:
        (b"\x48\x83\xf8\x27\x74\x01\xc3", "getpid"),  # cmp rax, 39; je 1f; ret; 1:
        (b"\x48\x29\xc8\x74\x01\xc3", "read"),  # sub rax, rcx; je 1f; ret; 1:
        (b"\x21\xc8\x89\x06\x74\x01\xc3", "read"),  # and eax, ecx; mov [rsi], eax; je 1f; ret; 1:
        (b"\x48\x85\xc0\xb9\1\0\0\0\x74\x01\xc3", "read"),  # test rax, rax; mov ecx, 1; je 1f; ret; 1:
        (b"\x48\x85\xc0\x75\x02", "read"),  # test rax, rax; jne behind the system call
        (b"\x8b\x06\x85\xc0\x75\x02", "read"),  # mov eax, [rsi]; test eax, eax; jne behind it
        (b"\x8b\x06\x83\xf8\x27\x90\x74\x01\xc3", "getpid"),  # mov eax, [rsi]; cmp eax, 39; nop; je 1f; ret; 1:
        (b"\x48\x29\xd1\x48\x89\xc8\x74\x01\xc3", "read"),  # sub rcx, rdx; mov rax, rcx; je 1f
    ],
)
def test_a_register_that_was_found_to_be_a_number_is_that_number(compared: bytes, expected: str):
    assert called(program(x86(lambda code: code.put(LOADED + compared)))) == {expected}


@pytest.mark.parametrize(
    "compared",
    [
        b"\x48\x85\xc0\x75\x01\xc3",  # test rax, rax; jne 1f; ret; 1:
        b"\x48\x85\xc8\x74\x01\xc3",  # test rax, rcx; je 1f; ret; 1:
        b"\x28\xc8\x74\x01\xc3",  # sub al, cl; je 1f; ret; 1:
        b"\x39\xc8\x74\x01\xc3",  # cmp eax, ecx; je 1f; ret; 1:
        b"\x66\x85\xc0\x74\x01\xc3",  # test ax, ax; je 1f; ret; 1:
        b"\x48\x85\xc0\x48\x8b\x06\x74\x01\xc3",  # test rax, rax; mov rax, [rsi]; je 1f; ret; 1:
        b"\x85\xc9\x74\x03\x48\x85\xc0\x74\x01\xc3",  # test ecx, ecx; je 2f; test rax, rax; 2: je 1f; ret; 1:
        b"\x48\x29\xd1\x48\x8d\x41\x01\x74\x01\xc3",  # sub rcx, rdx; lea rax, [rcx + 1]; je 1f; ret; 1:
        b"\x48\x29\xd1\x0f\x44\x06\x74\x01\xc3",  # sub rcx, rdx; cmove eax, [rsi]; je 1f; ret; 1:
        b"\x48\x85\xc0\x74\x00",  # test rax, rax; je 1f; 1:
        b"\x48\x85\xc0\x75\x00",  # test rax, rax; jne 1f; 1:
        b"\x48\x85\xc0\x74\x02",  # test rax, rax; je behind the system call
        b"\x85\xc0\x75\x02",  # test eax, eax; jne behind it
        b"\x85\xc9\x74\x02\x8b\x06\x85\xc0\x75\x02",  # the same with a mov eax, [rsi] that is jumped over
    ],
)
def test_a_register_that_may_have_been_found_to_be_another_number_is_not(compared: bytes):
    found = reasons(program(x86(lambda code: code.put(LOADED + compared))))
    assert found[0] in {"the number is read from memory through a pointer", "the number is computed by sub"}


def test_a_preserved_register_keeps_the_number_over_a_function_call():
    def over(assembler: X86) -> None:
        assembler.mov("rbx", 39)
        assembler.put(b"\xff\xd2")  # call rdx
        assembler.copy("rax", "rbx")

    assert called(program(x86(over))) == {"getpid"}


@pytest.mark.parametrize(("writable", "complete"), [(False, True), (True, False)])
def test_memory_counts_only_where_the_program_cannot_write(*, writable: bool, complete: bool):
    code = b"\x8b\x04\x25" + DATA.to_bytes(4, "little")  # mov eax, [DATA]
    result = analyse(program(x86(lambda a: a.put(code)), data=b"\x27\0\0\0", writable=writable))
    assert result.complete is complete
    assert ("getpid" in result.required) is complete


def test_jump_table_targets_take_their_registers_from_the_jump():
    assembler = X86()
    assembler.mov("rbx", 39)
    assembler.put(b"\xff\xe2")  # jmp rdx
    assembler.copy("rax", "rbx")
    assembler.syscall()
    assert called(program(assembler)) == {"getpid"}


def test_padding_behind_a_tail_call_says_nothing_of_the_stack_of_what_follows():
    assembler = X86()
    assembler.put(b"\x48\x83\xec\x18")  # sub rsp, 0x18
    assembler.put(b"\x48\xc7\x44\x24\x08\x27\0\0\0")  # mov qword ptr [rsp + 8], 39
    assembler.jump_if_zero("more")
    assembler.put(b"\x48\x83\xc4\x18")  # add rsp, 0x18
    assembler.put(b"\xff\x25\0\x10\0\0")  # jmp [rip + 0x1000]
    assembler.put(b"\x66\x90")  # a nop of two bytes
    assembler.label("more")
    assembler.put(b"\x48\x8b\x44\x24\x08")  # mov rax, [rsp + 8]
    assembler.syscall()
    assert called(program(assembler)) == {"getpid"}


def test_padding_and_code_behind_a_trap_lead_nowhere():
    assembler = X86()
    assembler.mov("rax", 1)
    assembler.jump("go")
    assembler.put(b"\x0f\x1f\x40\x00")  # nop
    assembler.label("go")
    assembler.syscall()
    assembler.put(b"\xf4")  # hlt: how musl crashes
    assembler.jump("go")
    assert called(program(assembler)) == {"write"}


def test_calls_made_by_the_kernel_and_the_vdso_are_always_there():
    result = analyse(program(x86(lambda a: a.mov("rax", 60))))
    assert set(result.required) == {"exit", *NEVER_IN_THE_CODE}
    assert set(result.sites) == {"exit"}
    arm = Arm()
    arm.mov(8, 93)
    arm.syscall()
    assert set(analyse(program(arm)).required) == {"exit", *NEVER_IN_THE_CODE}


def test_a_vdso_function_counts_where_its_name_is():
    assert "getrandom" in analyse(program(x86(lambda a: a.mov("rax", 60)), data=b"\0__vdso_getrandom\0")).required


def test_padding_in_front_of_a_jumps_target_is_no_way_there_from_a_jump_through_a_pointer():
    code = X86()
    code.mov("rax", 60)
    code.jump_if_zero("there")
    code.ret()
    code.put(b"\x90\x90\x90")
    code.label("there")
    code.syscall()
    code.ret()
    code.put(b"\x48\x8b\x07\xff\xe0")  # mov rax, [rdi]; jmp rax: another function, of which no table tells
    assert called(program(code)) == {"exit"}


def test_a_number_that_is_put_together_from_two_bytes_is_found():
    """dietlibc: the callers set ``al``, and the one place that enters the kernel clears the rest (``unified.S``)."""
    code = X86()
    code.put(b"\xb0\x27")  # mov al, 39
    code.jump("unified")
    code.put(b"\xb0\x3c")  # mov al, 60
    code.label("unified")
    code.put(b"\xb4\x00\x0f\xb7\xc0")  # mov ah, 0; movzx eax, ax
    code.syscall()
    code.ret()
    assert called(program(code)) == {"getpid", "exit"}


def test_a_number_of_which_a_byte_is_not_set_is_reported():
    code = X86()
    code.put(b"\xb0\x27\x0f\xb7\xc0")  # mov al, 39; movzx eax, ax
    code.syscall()
    code.ret()
    assert reasons(program(code))
