"""Functions whose addresses code loads from the global offset table, to call them from registers."""

from itertools import pairwise
from pathlib import Path

import pytest
from compiled import bare, build, calls, needs_compiler

from binsafe.formats import elf

pytestmark = needs_compiler

_MANY = 200
"""More functions than can be looked at each inside of the last one's question."""

_PROGRAM = (
    "mov entry(%rip),%rbx; mov $39,%edi; call *%rbx; mov $163,%edi; {use}; mov $60,%eax; syscall; hlt; "
    ".p2align 4; .type made,@function; made: mov %edi,%eax; syscall; ret; .size made,.-made; "
    r".section .got,\"aw\"; entry: .quad made; .text"
)


@pytest.mark.parametrize("use", ["call *%rbx", "call *entry(%rip)"], ids=["register", "slot"])
def test_who_calls_a_function_that_was_loaded_passes_its_number(use: str, tmp_path: Path):
    found = calls(bare(tmp_path, _PROGRAM.format(use=use)))
    assert set(found.sites) == {"getpid", "acct", "exit"}
    assert found.complete


def test_a_function_that_was_loaded_and_is_kept_may_be_called_by_anybody(tmp_path: Path):
    found = calls(bare(tmp_path, _PROGRAM.format(use="mov %rbx,(%rdi)")))
    assert "getpid" in found.sites
    assert any("whose address is taken" in gap.reason for gap in found.unresolved)


@pytest.mark.parametrize(("end", "complete"), [("hlt", True), ("ret", False)], ids=["never returns", "returns"])
def test_what_stands_behind_a_call_that_never_returns_keeps_no_function(end: str, complete: bool, tmp_path: Path):
    """LLVM lays other code there, in which the register has another value."""
    use = f"call 1f; mov %rbx,(%rdi); .p2align 4; .type last,@function; last: 1: mov $39,%edi; {end}; .size last,.-last"
    assert calls(bare(tmp_path, _PROGRAM.format(use=use))).complete is complete


@pytest.mark.parametrize("compares", [True, False])
def test_a_slot_that_is_compared_lets_nobody_call_its_function(compares: bool, tmp_path: Path):
    """As glibc's handler of cancellation does from 2.41 on: it asks whether a call of the kernel was interrupted."""
    does = "cmp" if compares else "or"
    other = f".text 1; .type see,@function; see: {does} entry(%rip),%rax; ret; .size see,.-see; .text 0"
    use = f"call made; call see; {other}"
    assert calls(bare(tmp_path, _PROGRAM.format(use=use))).complete is compares


_LOOP = """
    mov entry(%rip),%{register}; mov $39,%edi; {use}
    .p2align 4; .type other,@function; other: push %rbx; mov %rax,%rbx; pop %rbx; ret; .size other,.-other
    .type reads,@function; reads: mov %r9,(%rdi); mov %rsi,8(%rdi); mov %r11,16(%rdi); ret; .size reads,.-reads
    .type nested,@function; nested: call other; jmp 1f; 1: call reads; ret; .size nested,.-nested
    .type fills,@function; fills: xor %r9d,%r9d; call reads; ret; .size fills,.-fills
    .type splits,@function; splits: test %eax,%eax; je reads; ret; .size splits,.-splits
    .type points,@function; points: push %rdx; call *(%rdi); pop %rdx; ret; .size points,.-points
    .type circles,@function; circles: test %eax,%eax; je 1f; call circles; 1: ret; .size circles,.-circles
    {made}
    .section .got,"aw"; entry: .quad made; .text
"""
_MADE = ".type made,@function; made: mov %edi,%eax; syscall; ret; .size made,.-made"


def _lines(text: str) -> str:
    return "; ".join(map(str.strip, text.strip().splitlines())).replace('"', r"\"")


def _looping(tmp_path: Path, register: str, use: str) -> Path:
    return bare(tmp_path, _lines(_LOOP.format(register=register, use=use, made=_MADE)))


@pytest.mark.parametrize(
    ("register", "use", "complete"),
    [
        ("r8", "1: mov $39,%edi; mov %r8,%r12; call *%r8; mov %r12,%r8; jne 1b; hlt", True),
        ("r9", "call *%r9; call other; hlt", True),
        ("rbx", "mov %rbx,%r12; call *%rbx; mov $163,%edi; call *%r12; hlt", True),
        ("rbx", "mov %rbx,%r12; mov %r12,(%rdi); call *%rbx; hlt", False),
        ("rbx", "mov %rbx,%rsi; call *%rbx; mov %rbx,%rsi; call reads; hlt", False),
        ("rbx", "call *%rbx; mov %rbx,%rax; ret", False),
        ("rbx", "call *%rbx; mov %rbx,%rsi; ret", True),
        ("rbx", "call *%rbx; mov %rbx,%rsi; push other(%rip); ret", False),
        ("rbx", "call *%rbx; mov %rbx,%r11; call *(%rax); hlt", True),
        ("rbx", "call *%rbx; mov %rbx,%r11; call reads; hlt", False),
        ("rbx", "call *%rbx; mov %rbx,%rsi; call *(%rax); hlt", False),
        ("r9", "call other; mov $39,%edi; call *%r9; hlt", True),
        ("r9", "call reads; mov $39,%edi; call *%r9; hlt", False),
        ("r9", "call nested; mov $39,%edi; call *%r9; hlt", False),
        ("r9", "call fills; mov $39,%edi; call *%r9; hlt", True),
        ("r9", "call splits; mov $39,%edi; call *%r9; hlt", False),
        ("r9", "call circles; mov $39,%edi; call *%r9; hlt", True),
        ("r11", "call *%r11; call other; call reads; hlt", True),
        ("r11", "call *(%rax); call reads; mov $39,%edi; call made; hlt", False),
    ],
    ids=[
        "through an argument's register",
        "behind a call through it",
        "from a copy",
        "a copy is stored",
        "a copy is an argument",
        "a copy is returned",
        "a copy is left behind",
        "a copy is left to where a return is made to lead",
        "a copy is no argument",
        "a copy for what may be a part of the function",
        "a copy is an argument of whatever is called",
        "over a call that does not read it",
        "over a call that reads it",
        "over a call of what reads it",
        "over a call that has another value there",
        "over a call that goes on elsewhere",
        "over a call of what calls itself",
        "some way behind a call through it",
        "over a call of what finds thread-local variables",
    ],
)
def test_registers_between_which_the_address_of_a_function_is_copied(
    register: str, use: str, *, complete: bool, tmp_path: Path
):
    """Rust holds that of ``syscall`` in r8 or r9 for a loop, and in another one while it is called."""
    found = calls(_looping(tmp_path, register, use))
    assert "getpid" in found.sites
    assert found.complete is complete
    assert ("acct" in found.sites) == ("$163" in use)


@pytest.mark.parametrize(("last", "complete"), [("ret", True), ("call reads; ret", False)])
@pytest.mark.parametrize("functions", [3, 20])
def test_a_register_is_followed_into_so_many_functions(last: str, functions: int, *, complete: bool, tmp_path: Path):
    """Of what lies behind them nobody knows whether it reads the address."""
    names = [f"f{i}" for i in range(functions)]
    chain = (f".type {name},@function; {name}: call {after}" for name, after in pairwise(names))
    code = "; ret; ".join([*chain, f".type {names[-1]},@function; {names[-1]}: {last}"])
    found = calls(_looping(tmp_path, "r9", f"call f0; mov $39,%edi; call *%r9; hlt; .p2align 4; {code}"))
    assert "getpid" in found.sites
    assert found.complete is (complete and functions < 12)


def test_no_function_is_called_with_its_own_address_by_what_another_has_left_there(tmp_path: Path):
    """musl's ``syscall`` keeps all registers of arguments, however many of these it is given."""
    text = (
        "lea made(%rip),%r9; call again; mov $39,%edi; call *%r9; hlt; .p2align 4; "
        ".type again,@function; again: mov $163,%edi; call made; ret; .size again,.-again; "
        ".type made,@function; made: mov %edi,%eax; mov %r9,-8(%rsp); syscall; ret; .size made,.-made"
    )
    found = calls(bare(tmp_path, text))
    assert {"getpid", "acct"} <= set(found.sites)
    assert found.complete


def test_what_was_not_known_while_a_jump_was_asked_of_is_known_behind_it(tmp_path: Path):
    text = (
        "lea other(%rip),%rbx; lea made(%rip),%rdi; 1: call *%rbx; lea 1b(%rip),%rsi; call leads; hlt; "
        "lea made(%rip),%rsi; call leads; mov $39,%edi; call made; hlt; .p2align 4; "
        f".type other,@function; other: ret; .size other,.-other; {_MADE}; "
        ".type leads,@function; leads: lea other(%rip),%rax; call *%rax; ret; .size leads,.-leads"
    )
    assert calls(bare(tmp_path, text)).complete


@pytest.mark.parametrize("jump", ["call", "jmp"])
def test_a_jump_behind_a_label_whose_address_it_is_given(jump: str, tmp_path: Path):
    """To ask where it leads is to ask who comes to the label by its address, and so where it leads: that had no end."""
    text = f"mov %rsp,%rbx; lea 1f(%rip),%rdi; 1: mov $1,%ecx; {jump} *%rbx; hlt; .p2align 4; {_MADE}; call made"
    assert not calls(bare(tmp_path, text)).unresolved


@pytest.mark.parametrize(
    ("use", "elsewhere", "complete"),
    [
        ("call points", "", False),
        ("call points", "call *(%rsi); call points; ret", True),
        ("call points", "call *(%rsi); test %eax,%eax; je 1f; call other; call points; 1: ret", True),
        ("call points", "call points; call points; ret", True),
        ("call points; call reads", "call *(%rsi); call points; ret", True),
        ("call reads; call points", "call *(%rsi); call points; call *(%rsi); call reads; ret", False),
        ("call points", "call *(%rax); call points; ret", False),
        ("call points", "call *entry(%rip); call points; ret", False),
        ("call points", "call *(%rsi); mov $1,%r9d; call points; ret", False),
        ("call points", "call *(%rsi); ret; call points; ret", False),
        ("call points", "call *(%rsi); jmp points", True),
    ],
    ids=[
        "nowhere else",
        "behind a call through a pointer",
        "some way behind one",
        "behind a function that makes one",
        "and read behind that",
        "and read before that",
        "behind what finds thread-local variables",
        "behind a call by a slot of an own function",
        "with a new value",
        "behind another function",
        "by a jump",
    ],
)
def test_what_is_called_with_a_register_that_nobody_knows_elsewhere_hands_nothing_on(
    use: str, elsewhere: str, *, complete: bool, tmp_path: Path
):
    """parking_lot's lock keeps the address of ``syscall`` in r9 while it asks for the time and for memory."""
    text = f"{use}; mov $39,%edi; call *%r9; hlt; .p2align 4; {elsewhere}"
    found = calls(_looping(tmp_path, "r9", text))
    assert "getpid" in found.sites
    assert found.complete is complete


@pytest.mark.parametrize(
    ("calling", "told"),
    [
        ("call *sched_yield@GOTPCREL(%rip)", True),
        ("mov sched_yield@GOTPCREL(%rip),%rbx; call *%rbx", True),
        ("call yields", True),
        ("call *qsort@GOTPCREL(%rip)", False),
        (
            "mov qsort@GOTPCREL(%rip),%rbx; test %eax,%eax; je 1f; mov sched_yield@GOTPCREL(%rip),%rbx; 1: call *%rbx",
            False,
        ),
    ],
    ids=["by its slot", "from a register", "by another function", "what calls it", "one of two"],
)
def test_a_function_of_the_c_library_that_calls_nothing_is_handed_none(calling: str, told: bool, tmp_path: Path):
    text = (
        f"main: push %rbx; mov syscall@GOTPCREL(%rip),%r9; {calling}; mov $163,%edi; call *%r9; pop %rbx; ret; "
        ".p2align 4; .type yields,@function; yields: jmp *sched_yield@GOTPCREL(%rip); .size yields,.-yields"
    )
    source = f'__asm__(".globl main\\n.type main,@function\\n{text}");'
    found = calls(build(tmp_path, "handing", source, "-fno-plt"))
    assert "acct" in found.required
    assert ("the number that is passed to syscall is not known" not in {gap.reason for gap in found.unresolved}) is told


@pytest.mark.parametrize(("last", "complete"), [("_Unwind_Resume", True), ("rand", False)])
def test_what_stands_behind_the_end_of_a_landing_pad_keeps_no_function(last: str, *, complete: bool, tmp_path: Path):
    text = (
        "mov syscall@GOTPCREL(%rip),%rbx; mov $39,%edi; call *%rbx; mov $60,%edi; call *%rbx; test %eax,%eax; je 1f; "
        f"call {last}@PLT; mov %rbx,(%rsp); 1: hlt; .size main,.-main"
    )
    source = f'__asm__(".globl main; .type main,@function; main: {text}");'
    found = calls(build(tmp_path, "resuming", source, "-lgcc_s", "-Wl,--no-as-needed"))
    assert "getpid" in found.required
    assert any("passed to syscall" in gap.reason for gap in found.unresolved) is not complete


_THROUGH = """
    mov $39,%edi; {use}; .size main,.-main
    .type stops,@function; stops: hlt; .size stops,.-stops
    .type resumes,@function; resumes: call _Unwind_Resume@PLT; .size resumes,.-resumes
    .type draws,@function; draws: call rand@PLT; .size draws,.-draws
    .type leaves,@function; leaves: ret; .size leaves,.-leaves
    .type reads,@function; reads: mov %r9,(%rdi); ret; .size reads,.-reads
    .type finds,@function; finds: hlt; .size finds,.-finds
    .type found,@gnu_indirect_function; .set found,finds
    .data; kept: .quad stops; .text
"""
_BEHIND = "mov syscall@GOTPCREL(%rip),%rbx; call *%rbx; test %eax,%eax; je 1f; call *{}(%rip); mov %rbx,(%rsp); 1: hlt"
_BEFORE = "mov syscall@GOTPCREL(%rip),%r9; call *{}(%rip); mov $39,%edi; call *%r9; hlt"


@pytest.mark.parametrize(
    ("use", "complete"),
    [
        (_BEHIND.format("stops@GOTPCREL"), True),
        (_BEHIND.format("resumes@GOTPCREL"), True),
        (_BEHIND.format("draws@GOTPCREL"), False),
        (_BEHIND.format("leaves@GOTPCREL"), False),
        (_BEHIND.format("found@GOTPCREL"), False),
        (_BEHIND.format("kept"), False),
        (_BEFORE.format("leaves@GOTPCREL"), True),
        (_BEFORE.format("reads@GOTPCREL"), False),
        (_BEFORE.format("found@GOTPCREL"), False),
        (_BEFORE.format("kept"), False),
    ],
)
def test_calls_through_slots_of_the_files_own_functions(use: str, *, complete: bool, tmp_path: Path):
    """As in Rust's programs for old systems. A slot of data may be written; one of an ``ifunc`` is asked for."""
    text = _lines(_THROUGH.format(use=use))
    source = f'__asm__(".globl main; .type main,@function; main: {text}");'
    found = calls(build(tmp_path, "through", source, "-lgcc_s", "-Wl,--no-as-needed,--no-relax"))
    assert "getpid" in found.required
    assert any("passed to syscall" in gap.reason for gap in found.unresolved) is not complete


def test_only_where_a_function_goes_elsewhere_its_numbers_are_not_known(tmp_path: Path):
    text = (
        "mov syscall@GOTPCREL(%rip),%rbx; mov $39,%edi; call *%rbx; kept: mov syscall@GOTPCREL(%rip),%rbx; "
        "mov $60,%edi; call *%rbx; mov %rbx,(%rsp); hlt; .size main,.-main"
    )
    source = f'__asm__(".globl main; .globl kept; .type main,@function; main: {text}");'
    program = build(tmp_path, "elsewhere", source, "-no-pie", "-Wl,--no-relax", "-rdynamic")
    found = [gap.address for gap in calls(program).unresolved if "passed to syscall" in gap.reason]
    symbols = {symbol.name: symbol.address for symbol in elf.read(memoryview(program.read_bytes())).slices[0].symbols}
    assert [int(address, 16) - symbols["kept"] for address in found] == [1]


def test_what_ends_landing_pads_is_itself_called_from_a_register(tmp_path: Path):
    """Who calls ``_Unwind_Resume`` is asked by what asks who calls it: that had no end."""
    text = (
        "mov syscall@GOTPCREL(%rip),%r12; mov $39,%edi; call *%r12; call other; test %eax,%eax; je 1f; "
        "mov %r12,(%rsp); 1: mov _Unwind_Resume@GOTPCREL(%rip),%rbx; call other; test %eax,%eax; je 2f; call *%rbx; "
        "call other; mov %rbx,(%rsp); 2: hlt; .size main,.-main; .type other,@function; other: ret; .size other,.-other"
    )
    source = f'__asm__(".globl main; .type main,@function; main: {text}");'
    found = calls(build(tmp_path, "resuming", source, "-lgcc_s", "-Wl,--no-as-needed,--no-relax"))
    assert "getpid" in found.required


@pytest.mark.parametrize(
    ("use", "wide", "narrow"),
    [
        ("mov %ebx,(%rdi)", True, False),
        ("shl $16,%ebx; mov %rbx,(%rdi)", True, False),
        ("sub $16,%ebx; mov %rbx,(%rdi)", True, False),
        ("sub %ecx,%ebx; mov %ebx,(%rdi)", False, False),
        ("sub %ebx,%ecx; mov %ecx,(%rdi)", False, False),
        ("neg %ebx; mov %ebx,(%rdi)", False, False),
        ("mul %ebx; mov %rbx,(%rdi)", False, False),
        ("mov %ebx,%ebx; mov %rbx,(%rdi)", False, False),
        ("mov $1,%bl; mov %ebx,(%rdi)", True, False),
        ("mov $1,%bl; mov %rbx,(%rdi)", False, False),
        ("sete %bl; mov %rbx,(%rdi)", False, False),
        ("mov $1,%bl; mov (%rbx),%rax", True, True),
        ("mov $1,%bl; mov $163,%edi; call *%rbx", False, False),
        ("or $1,%bl; call *%rbx", False, False),
        ("mov $1,%bl; mov %rbx,%rax; call *%rax", False, False),
        ("mov (%rbx),%rax", False, False),
        ("mov $1,%bl; mov %rax,8(%rbx)", True, True),
        ("lea 8(%rbx),%rax; call *%rax", False, False),
        ("mov %rbx,(%rbx)", False, False),
        ("call *(%rbx)", False, False),
        ("mov %rbx,(%rdi)", False, False),
    ],
)
def test_half_of_an_address_is_none_in_a_program_that_may_lie_anywhere(
    use: str, *, wide: bool, narrow: bool, tmp_path: Path
):
    """LLVM has the register for a number on another way, to which a path of landing pads and loops seems to lead.

    But for a distance, which becomes an address again when it is added to the other one.
    """
    text = _lines(f"lea made(%rip),%rbx; mov $39,%edi; call *%rbx; test %eax,%eax; je 1f; {use}; 1: hlt; {_MADE}")
    assert calls(bare(tmp_path, text, "-static-pie")).complete is wide
    assert calls(bare(tmp_path, text, "-no-pie")).complete is narrow


def test_functions_that_load_each_others_addresses_before_they_call_something(tmp_path: Path):
    """Who calls the last is asked of the one before, and of that its own call's, and so on: lychee had no list."""
    loading = (
        "f%d: sub $8,%%rsp; mov f%d@GOTPCREL(%%rip),%%r10; call *getppid@GOTPCREL(%%rip); mov $163,%%edi; call *%%r10; "
    )
    text = "".join(
        f".hidden f{n}; .type f{n},@function; " + loading % (n, n + 1) + f"add $8,%rsp; ret; .size f{n},.-f{n}; "
        for n in range(_MANY)
    )
    text += f".hidden f{_MANY}; .type f{_MANY},@function; f{_MANY}: "
    text += f"mov %edi,%eax; syscall; ret; .size f{_MANY},.-f{_MANY};"
    source = f'__asm__("{text}"); int f0(void); int main(void) {{ return f0(); }}'
    assert "acct" in calls(build(tmp_path, "chain", source, "-Wl,--no-relax")).required
