"""What is passed to the kernel where an exception is caught: tables of the unwinder lead there, and no branch."""

import struct
from pathlib import Path

import pytest
from compiled import FREESTANDING, build, calls, freestanding, needs_compiler

from binsafe.model import Syscalls

pytestmark = needs_compiler

_PRELUDE = """
void never(void); void perhaps(void); void personality(void); void given(long); void opened(long);
OUTLINE void never(void) { __builtin_trap(); }
OUTLINE void perhaps(void) { __asm__ volatile(""); }
OUTLINE void personality(void) { __asm__ volatile(""); }
OUTLINE void given(long number) { call(number, 0, 0, 0); }
OUTLINE void opened(long family) { open_socket(family); }
"""
"""Nothing is thrown here: how it would go is in the tables. An exception out of `perhaps` comes to the label 6."""
_FORMS = {".uleb128": 1, ".2byte": 2, ".4byte": 3, ".8byte": 4, ".sleb128": 9}


_DYNAMIC = """
void never(void); void personality(void);
__attribute__((noipa)) void never(void) { __builtin_trap(); }
__attribute__((noipa)) void personality(void) { __asm__ volatile(""); }
"""


def catching(
    name: str, body: str, *sites: str, form: str = ".uleb128", first: str = "0xff", base: str = "", told: str = ""
) -> str:
    """A function and its table; a site is "start end pad", in labels, and ``told`` stands in the function's entry."""
    rows = "".join(
        f"{form} {start} - {name}, {end} - {start}, {pad} - {base or name}\n.byte 0\n"
        for start, end, pad in map(str.split, sites)
    )
    text = (
        f".section .rodata\n.balign 4\ntable_{name}: .byte {first}\n.byte 0xff, {_FORMS[form]}\n.uleb128 19f - 18f\n"
        f"18: {rows}19: .byte 0\n.text\n.globl {name}\n.type {name}, @function\n{name}: .cfi_startproc\n"
        f".cfi_personality 0x1b, personality\n.cfi_lsda 0x1b, table_{name}\n{told}\n{body}\n"
        f".cfi_endproc\n.size {name}, . - {name}\n"
    )
    return f'void {name}(void);\n__asm__("{text}");\n'.replace("\n", "\\n").replace(";\\n", ";\n")


def of(*functions: str) -> str:
    names = "".join(f"{text.split('void ')[1].split('(')[0]}(); " for text in functions)
    return _PRELUDE + "".join(functions) + f"OUTLINE static long run(long n) {{ {names}return 0; }}"


TWICE = "2: mov ${}, %ebx\n4: call perhaps\n5: mov ${}, %ebx\n14: call perhaps\n15:"
"""A number that is changed between two calls."""
MADE = "6: mov %ebx, %eax\nsyscall\npop %rbx\nret"
BOTH = ("4f 5f 6f", "14f 15f 6f")

REGISTER = catching("in_register", f"push %rbx\n{TWICE.format(100, 102)}\n{MADE}", "4f 15f 6f")
SLOT = catching(
    "in_slot",
    "sub $24, %rsp\n.cfi_adjust_cfa_offset 24\nmovl $104, 8(%rsp)\n4: call perhaps\n5: movl $107, 8(%rsp)\n"
    "14: call perhaps\n15: jmp 7f\nnop\n6: mov 8(%rsp), %eax\nsyscall\n7: add $24, %rsp\nret",
    *BOTH,
    form=".4byte",
)
BEHIND_TRAP = catching("behind_trap", f"push %rbx\n{TWICE.format(108, 110)} pop %rbx\nret\nud2\n{MADE}", *BOTH)
POINTER = catching(
    "through_pointer",
    "push %rbx\nlea given(%rip), %rbx\nmov $115, %edi\ncall *%rbx\n4: call perhaps\n5: pop %rbx\nret\n"
    "6: mov $118, %edi\ncall *%rbx\npop %rbx\nret",
    "4f 5f 6f",
    form=".2byte",
)
ARGUMENT = catching(
    "with_argument",
    f"push %rbx\n{TWICE.format(1, 2)}\n6: mov %ebx, %edi\ncall opened\npop %rbx\nret",
    *BOTH,
    form=".sleb128",
)
SPLIT = catching(
    "split",
    f"push %rbx\n{TWICE.format(120, 121)} pop %rbx\nret",
    "4f 5f landing",
    "14f 15f landing",
    first="0x1b\\n.4byte cold - .",
    base="cold",
) + catching("cold", "nop\nlanding: mov %ebx, %eax\nsyscall\npop %rbx\nret")
NUMBERS = {
    "times", "getuid", "getgid", "geteuid", "getegid", "getppid", "getgroups", "getresuid", "getresgid",
    "getpgid",
}  # fmt: skip


def whole() -> str:
    return of(REGISTER, SLOT, BEHIND_TRAP, POINTER, ARGUMENT, SPLIT)


@pytest.mark.parametrize(
    "options",
    [(), ("-Wl,--eh-frame-hdr", "-s"), ("-static-pie", "-fPIE")],
    ids=["entries-alone", "index", "static-pie"],
)
def test_what_is_caught_has_what_was_held_at_each_call(tmp_path: Path, options: tuple[str, ...]):
    assert_all(freestanding(tmp_path, whole(), *options))


def test_a_call_that_is_itself_where_an_exception_is_caught(tmp_path: Path):
    """The register of its number holds the exception then, whatever the instruction before would put there."""
    body = "push %rbx\n4: call perhaps\n5: mov $39, %eax\n6: syscall\npop %rbx\nret"
    assert not freestanding(tmp_path, of(catching("at_a_call", body, "4f 5f 6f"))).complete


def test_the_unwinder_needs_no_section_table(tmp_path: Path):
    path = build(tmp_path, "bare", FREESTANDING % whole(), "-nostdlib", "-static", "-w", "-Wl,--eh-frame-hdr")
    without_sections(path)
    assert_all(calls(path))


def test_without_tables_and_sections_it_is_not_known_what_is_caught(tmp_path: Path):
    path = build(tmp_path, "bare", FREESTANDING % whole(), "-nostdlib", "-static", "-w")
    without_sections(path)
    assert not calls(path).complete


def without_sections(path: Path) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    struct.pack_into("<HH", data, 60, 0, 0)  # e_shnum, e_shstrndx
    path.write_bytes(data)


def assert_all(found: Syscalls) -> None:
    assert found.unresolved == ()
    assert set(found.required) >= NUMBERS
    assert {v for fact in found.arguments["socket"] if fact.argument == 0 for v in fact.values} == {1, 2}


SPLIT_RETURNS = catching("split", "4: call never\n5: ud2", "4f 5f landing", first="0x1b\\n.4byte cold - .", base="cold")
UNKNOWN = {
    "pushed": catching(
        "pushing",
        "sub $24, %rsp\nmovl $39, 8(%rsp)\npush $102\npush $102\n4: call perhaps\n5: add $40, %rsp\nret\n"
        "6: mov 8(%rsp), %eax\nsyscall\nadd $24, %rsp\nret",
        "4f 5f 6f",
        told=".cfi_escape 0x2e, 0x10",
    ),
    "lost": catching("lost", "mov $39, %r8d\n4: call perhaps\n5: ret\n6: mov %r8d, %eax\nsyscall\nret", "4f 5f 6f"),
    "returned": catching("returning", "4: call never\n5: ud2\n6: mov $39, %eax\nret", "4f 5f 6f", form=".8byte")
    + catching("returned_to", "call returning\nsyscall\nret"),
    "returned-from-elsewhere": SPLIT_RETURNS
    + catching("cold", "nop\nlanding: mov $39, %eax\nret")
    + catching("returned_to", "call split\nsyscall\nret"),
    "inside-an-instruction": catching("inside", "4: call perhaps\n5: ret\n6: mov $0xc3050f90, %eax\nret", "4f 5f 6f+1"),
    "number-without-end": catching(
        "endless", f"push %rbx\n{TWICE.format(100, 102)}\n{MADE}", first="0xff\\n.byte 0xff, 1\\n.fill 40, 1, 0x80"
    ),
    "read-from-elsewhere": catching(
        "indirect", f"push %rbx\n{TWICE.format(100, 102)}\n{MADE}", *BOTH, first="0x9b\\n.4byte 0"
    ),
    "megabytes": catching(
        "huge", f"push %rbx\n{TWICE.format(100, 102)}\n{MADE}", first="0xff\\n.byte 0xff, 1, 255, 255, 255, 127"
    ),
    "called-from-elsewhere": catching(
        "split",
        "push %rbx\nlea given(%rip), %rbx\nmov $115, %edi\ncall *%rbx\n4: call perhaps\n5: pop %rbx\nret",
        "4f 5f landing",
        first="0x1b\\n.4byte cold - .",
        base="cold",
    )
    + catching("cold", "nop\nlanding: mov $118, %edi\ncall *%rbx\npop %rbx\nret"),
    "nowhere": REGISTER.replace("0x1b, table_", "0x03, 16 #"),
}


@pytest.mark.parametrize("text", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_not_known_is_said(tmp_path: Path, text: str):
    functions = ["void " + each for each in text.split("void ")[1:]]
    assert not freestanding(tmp_path, of(*functions)).complete


def test_where_it_is_not_known_no_call_is_sure_though_its_number_is_set_just_before(tmp_path: Path):
    found = freestanding(tmp_path, of(UNKNOWN["read-from-elsewhere"]))
    assert {*found.sites["socket"], *found.sites["exit"]} <= {gap.address for gap in found.unresolved}


def test_of_an_argument_nothing_is_said_where_it_is_not_understood_what_is_caught(tmp_path: Path):
    unread = ARGUMENT.replace(".byte 0xff, 9", ".byte 0xff, 5")
    assert unread != ARGUMENT
    found = freestanding(tmp_path, of(unread))
    assert found.complete
    assert not [fact for fact in found.arguments["socket"] if fact.argument == 0]


_CALLS = catching(
    "recovering",
    "push %rbx\nmov $100, %ebx\ntest %edi, %edi\nje 7f\nmov $102, %ebx\ncall recovers\n7: mov %ebx, %eax\nsyscall\n"
    "pop %rbx\nret",
)
_RETURNS = catching("recovers", "4: call never\n5: ud2\n6: ret", "4f 5f 6f")
_ENDS = catching("recovers", "4: call never\n5: ud2\n6: ud2", "4f 5f 6f")
_ELSEWHERE = catching("recovers", "4: call never\n5: ud2", "4f 5f elsewhere", form=".4byte")
_COLD = catching("cold", "xor %eax, %eax\nud2\nelsewhere: ret")


@pytest.mark.parametrize(
    ("functions", "comes_back"),
    [((_RETURNS,), True), ((_ELSEWHERE, _COLD), True), ((_ENDS,), False)],
    ids=["returns", "returns in another part", "ends"],
)
def test_a_function_may_return_from_where_it_catches_an_exception_alone(
    functions: tuple[str, ...], *, comes_back: bool, tmp_path: Path
):
    found = freestanding(tmp_path, of(_CALLS, *functions))
    assert found.complete
    assert ({"times", "getuid"} & {*found.required}) == ({"times", "getuid"} if comes_back else {"times"})


def test_a_part_to_which_exceptions_alone_lead_is_code_of_the_program(tmp_path: Path):
    cold = catching("cold", "nop\nlanding: mov $104, %eax\nsyscall\nret").replace(".globl cold", "")
    source = f"{_DYNAMIC}{SPLIT_RETURNS}{cold.replace('void cold(void);', '')}int main(void) {{ split(); return 0; }}"
    found = calls(build(tmp_path, "program", source, "-w"))
    assert found.complete
    assert "getgid" in found.required


@pytest.mark.parametrize(
    ("memory", "complete"), [("8(%rsp)", True), ("(%rdi)", False), ("(%rsp,%rdi)", False)], ids=["frame", "any", "both"]
)
def test_no_exception_comes_out_of_an_access_to_the_frame(memory: str, complete: bool, tmp_path: Path):
    """So what a register held before it was loaded from there is not in it at the landing pad."""
    function = catching(
        "loading",
        f"push %rbx\nlea given(%rip), %rbx\nmov $115, %edi\ncall *%rbx\n4: mov {memory}, %rbx\ncall perhaps\n"
        "5: pop %rbx\nret\n6: mov %rbx, (%rsi)\npop %rbx\nret",
        "4f 5f 6f",
    )
    found = freestanding(tmp_path, of(function))
    assert found.complete is complete
