"""Numbers on the stack: who can change them there, and where they lie when the stack pointer moves in unusual ways.

Each program makes ``acct`` (163), by way of what looks as if it could only be ``getpid`` (39).
"""

from pathlib import Path

import pytest
from compiled import bare, build, calls, freestanding, needs_compiler

pytestmark = needs_compiler

_FILL = "OUTLINE static void fill(long *p) { p[1] = 163; } "
_STORE = '__asm__ volatile("rep stosq" :: "D"(a), "a"(163L), "c"(4) : "memory");'


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2"])
@pytest.mark.parametrize(
    "source",
    [
        "long a = 39, b = 39; volatile long *p = n > 5 ? &a : &b; *p = 163; call(a, 0, 0, 0);",
        "long a[4] = {39, 39, 39, 39}; ((volatile long *)a)[n & 3] = 163; call(a[2], 0, 0, 0);",
        "struct { long k, number; } s = {1, 39}; fill(&s); call(s.number, 0, 0, 0);",
        f"long a[4] = {{39, 39, 39, 39}}; {_STORE} call(a[2], 0, 0, 0);",
    ],
    ids=["pointer", "index", "field", "string store"],
)
def test_what_a_pointer_may_reach_is_not_known(source: str, level: str, tmp_path: Path):
    fill = _FILL if "fill" in source else ""
    found = freestanding(tmp_path, f"{fill}static void run(long n) {{ {source} }}", level)
    assert not found.complete or "acct" in found.required


@pytest.mark.parametrize(
    "text",
    [
        "mov %rsp,%rbp; movq $39,8(%rsp); xchg %rax,%rbp; movq $163,8(%rax); mov 8(%rsp),%rax",
        "mov %rsp,%rbp; movq $39,8(%rsp); xor %eax,%eax; xadd %rax,%rbp; movq $163,8(%rax); mov 8(%rsp),%rax",
        "movq $39,8(%rsp); xor %ecx,%ecx; lea (%rsp,%rcx,8),%rbp; movq $163,8(%rbp); mov 8(%rsp),%rax",
        "mov %rsp,%rbp; movq $39,8(%rsp); xor %ecx,%ecx; add %rcx,%rbp; movq $163,8(%rbp); mov 8(%rsp),%rax",
        "push $39; push $163; push $1; push $1; pushw $1; pushw $1; pushw $1; pushw $1; add $24,%rsp; pop %rax",
        "push $39; push $163; pushfw; pushfw; pushfw; pushfw; add $8,%rsp; pop %rax",
        "push $39; push $163; enter $0,$0; add $8,%rsp; pop %rax",
        "movq $39,(%rsp); push $163; popq (%rsp); mov (%rsp),%rax",
        "mov $numbers,%ebx; xor %eax,%eax; xlatb",
        "movq $35,8(%rsp); mov $71,%esi; btsq %rsi,(%rsp); mov 8(%rsp),%rax",
        "movq $35,8(%rsp); mov $-57,%rsi; lock btsq %rsi,16(%rsp); mov 8(%rsp),%rax",
        "movq $39,8(%rsp); lea 8(%rsp),%rdi; maskmovdqu %xmm1,%xmm0; mov 8(%rsp),%rax",
        "movq $39,8(%rsp); lea 8(%rsp),%rdi; maskmovq %mm1,%mm0; mov 8(%rsp),%rax",
        "movq $39,8(%rsp); mov %rsp,%rdi; movdir64b numbers,%rdi; mov 8(%rsp),%rax",
        "movq $39,28(%rsp); fnsave (%rsp); mov 28(%rsp),%rax",
        "movq $39,-16(%rsp); call one; jmp two; one: push $163; pop %rcx; ret; two: mov -16(%rsp),%rax",
        "push $163; push $39; call one; pop %rax; jmp two; one: ret $8; two: nop",
        "movq $39,(%rsp); movq $163,8(%rsp); mov %rsp,%rbp; lea 8(%rsp),%rcx; push %cx; pop %bp; mov (%rbp),%rax",
    ],
    ids=[
        "exchanged", "exchanged and added", "indexed", "moved by a register", "pushes of two bytes",
        "flags of two bytes", "enter", "popped into memory", "looked up by xlat",
        "a bit above", "a bit below", "chosen bytes", "chosen bytes of mmx", "64 bytes", "the state of x87",
        "below its end over a call", "a callee takes its arguments off", "a pop of two bytes",
    ],
)  # fmt: skip
def test_the_stack_pointer_moves_in_unusual_ways(text: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"sub $64,%rsp; {text}; syscall; hlt; numbers: .byte 163"))
    assert not found.complete or "acct" in found.required


@pytest.mark.parametrize("copy", ["mov %rsp,%rcx", "push %rsp; pop %rcx", "xor %ecx,%ecx; add %rsp,%rcx"])
def test_what_lies_below_the_end_of_the_stack_is_written_through_a_copy_of_its_pointer(copy: str, tmp_path: Path):
    """As a function may that calls nothing."""
    text = f"movq $39,-16(%rsp); {copy}; movq $163,-16(%rcx); mov -16(%rsp),%rax; syscall; hlt"
    assert not calls(bare(tmp_path, text)).complete


_ALLOCATED = (
    "push $163; call one; hlt; .p2align 4; .type one,@function; one: {begin},%rsp; {use}; {end},%rsp; jmp two; "
    ".size one,.-one; .type two,@function; two: mov 8(%rsp),%rax; syscall; ret; .size two,.-two; "
    ".type set,@function; set: movq $39,(%rdi); ret; .size set,.-set"
)


@pytest.mark.parametrize(("begin", "end"), [("add $-128", "sub $-128"), ("sub $128", "add $128")])
@pytest.mark.parametrize(
    ("use", "complete"), [("mov 136(%rsp),%rax; syscall", True), ("lea 136(%rsp),%rdi; call set", False)]
)
def test_a_frame_of_128_bytes(begin: str, end: str, use: str, *, complete: bool, tmp_path: Path):
    """GCC adds -128, which is shorter than to subtract 128; behind the frame lies what the caller passes."""
    found = calls(bare(tmp_path, _ALLOCATED.format(begin=begin, use=use, end=end)))
    assert found.complete is complete
    assert set(found.sites) == ({"acct"} if complete else set())


_TWICE = """
#include <setjmp.h>
#include <unistd.h>
static inline long call(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(0) : "rcx", "r11", "memory");
    return result;
}
__attribute__((noipa)) int jumps(void) {
    jmp_buf place;
    volatile long number = 39;
    if (!setjmp(place)) { number = 163; longjmp(place, 1); }
    return call(number);
}
__attribute__((noipa)) int splits(void) {
    volatile long number = 39;
    if (!vfork()) { number = 163; _exit(0); }
    return call(number);
}
int main(void) { return jumps() + splits(); }
"""


_SLOTS = ("-static-pie", "-fno-plt", "-Wl,--no-relax", "-s")


@pytest.mark.parametrize(
    "options",
    [(), ("-static", "-s"), ("-fno-plt", "-O1"), _SLOTS],
    ids=["linked", "static", "no stubs", "static, through slots"],
)
def test_what_is_written_between_two_returns_is_not_known(options: tuple[str, ...], tmp_path: Path):
    found = calls(build(tmp_path, "twice", _TWICE, *options))
    assert sum("on the stack" in gap.reason for gap in found.unresolved) == 2


@pytest.mark.parametrize(
    "callee",
    [
        "movq $163,8(%rsp); ret",
        "push %rbp; mov %rsp,%rbp; movl $163,16(%rbp); leave; ret",
        "jmp two; two: popq %rcx; popq %rdx; push $163; jmp *%rcx",
    ],
)
def test_a_function_that_writes_to_the_frame_of_its_caller(callee: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"push $39; call one; pop %rax; syscall; hlt; one: {callee}"))
    assert not found.complete
