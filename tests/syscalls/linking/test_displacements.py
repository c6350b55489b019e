"""Tables that code reaches from another entry, another table, or for arm64 another variable (GCC's section anchors)."""

import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from assembled import DATA, Arm, program
from compiled import build, calls, library, needs_compiler
from msgspec import structs

from binsafe.formats.elf_linking import Linking, Relocations
from binsafe.formats.elf_symbols import RECORD, DynamicSymbols
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.decoding.decode import Decoder, OutOfInstructions
from binsafe.syscalls.engine import MACHINES
from binsafe.syscalls.linking import graph
from binsafe.syscalls.machines import arm64_displacements, x86_64_displacements
from binsafe.syscalls.machines.edges import Edges

_APART = 64
"""Bytes from the first table to the second one."""
_RELATIVE = 1027
_NOTHING = np.array([], np.int64)


def reached(named: str, words: tuple[int, ...], page: int = 21) -> set[str]:
    """The functions to which the first one leads that has the address of a table in x21, and these words."""
    arm = Arm()
    arm.labels |= {"first table": DATA, "second table": DATA + _APART}
    arm.page(page, named)
    arm.add_in_page(21, page, named)
    for word in words:
        arm.word(word)
    arm.ret()
    for name in ("first", "second"):
        arm.label(name)
        arm.ret()
    names = ("start", "first", "second", "first table", "second table")
    slice_ = structs.replace(program(arm, functions=names, data=bytes(2 * _APART)), traits={"pie": True})
    slots, targets = np.array([DATA, DATA + _APART]), np.array([arm.labels["first"], arm.labels["second"]])
    linking = Linking(
        symbols=DynamicSymbols(np.zeros(0, RECORD), memoryview(b""), np.zeros(0, np.uint16), {}),
        relocations=Relocations(slots, np.full(2, _RELATIVE), np.zeros(2, np.int64), targets),
        packed=_NOTHING,
        started=(),
        arrays=(),
        copied=_NOTHING,
        unwind=None,
    )
    whole = Program(slice_, MACHINES["arm64"], Decoder("arm64", 10_000), linking)
    made = graph.build(whole, linking)
    found, before = {0}, set[int]()
    while found != before:
        before = found
        found = found | set(made.targets[np.isin(made.sources, list(found))].tolist())
    numbers = {name: int(whole.layout.exact(np.array([arm.labels[name]]))[0]) for name in ("first", "second")}
    return {name for name, number in numbers.items() if number in found}


_CALL = 0xD63F_0020  # blr x1


@pytest.mark.parametrize(
    "words",
    [
        (0x9101_02B5, 0xF940_02A1),  # add x21, x21, #64; ldr x1, [x21]
        (0xF940_22A1,),  # ldr x1, [x21, #64]
        (0xF844_02A1,),  # ldur x1, [x21, #64]
        (0xF844_0EA1,),  # ldr x1, [x21, #64]!
        (0xA944_0AA1,),  # ldp x1, x2, [x21, #64]
        (0x3DC0_12A0,),  # ldr q0, [x21, #64]
        (0x3CC4_02A0,),  # ldur q0, [x21, #64]
        (0xAD42_06A0,),  # ldp q0, q1, [x21, #64]
        (0x8B18_0EA0, 0xF940_2001),  # add x0, x21, x24, lsl #3; ldr x1, [x0, #64]
        (0x8B15_0300, 0xF940_2001),  # add x0, x24, x21; ldr x1, [x0, #64]
        (0x8B28_4EA0, 0xF940_2001),  # add x0, x21, w8, uxtw #3; ldr x1, [x0, #64]
        (0xAA15_03E3, 0x8B18_0C60, 0xF940_2001),  # mov x3, x21; add x0, x3, x24, lsl #3; ldr x1, [x0, #64]
    ],
)
def test_a_number_leads_from_one_table_to_another(words: tuple[int, ...]):
    assert reached("first table", (*words, _CALL)) == {"first", "second"}


def test_a_number_is_subtracted():
    assert reached("second table", (0xD101_02B5, 0xF940_02A1, _CALL)) == {"first", "second"}  # sub x21, x21, #64


def test_a_number_that_is_said_with_another_register_leads_nowhere():
    assert reached("first table", (0xF940_22C1, _CALL)) == {"first"}  # ldr x1, [x22, #64]


def test_the_page_is_in_another_register():
    assert reached("first table", (0xF940_22A1, _CALL), page=9) == {"first", "second"}


def test_a_large_number_is_none_of_another_register():
    assert reached("first table", (0xF950_2281, _CALL)) == {"first"}  # ldr x1, [x20, #8256]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ((), {"first"}),
        ((0xAA04_03E3,), {"first"}),  # mov x3, x4
        ((0x8B02_0035,), {"first", "second"}),  # add x21, x1, x2
        ((0xA940_5402,), {"first", "second"}),  # ldp x2, x21, [x0]
        ((0x1400_0001,), {"first", "second"}),  # b, to the next instruction
        ((0xD63F_0060,), {"first", "second"}),  # blr x3
    ],
)
def test_the_lower_half_of_an_address_is_no_number(between: tuple[int, ...], expected: set[str]):
    adrp, load = 0x9000_0015, 0xF940_22A1  # adrp x21, 0; ldr x1, [x21, #64]
    assert reached("first table", (adrp, *between, load, _CALL)) == expected


def test_a_number_that_leads_into_the_middle_of_a_pointer_is_none():
    assert reached("first table", (0x9101_06B5, 0xF940_02A1, _CALL)) == {"first"}  # add x21, x21, #65


@pytest.mark.parametrize(("apart", "expected"), [(16, {0x8020, 0x8030}), (12, set())])
def test_of_a_page_counts_what_the_same_function_adds_to_it(apart: int, expected: set[int]):
    words = (
        0x9000_0015,
        0x1400_0001,
        0xF940_12A1,
        0x9100_42B4,
    )  # adrp x21, 0; b; ldr x1, [x21, #32]; add x20, x21, #16
    code = CodeRange(0x1000, memoryview(struct.pack("<4I", *words)))
    named = Edges(np.array([0x1000]), np.array([0x8010]))
    found = arm64_displacements.reached(code, lambda at: (at - 0x1000) // apart, named, Decoder("arm64", 100).spend)
    assert set(found.targets.tolist()) == expected


@pytest.mark.parametrize("machine", [arm64_displacements, x86_64_displacements])
def test_pairs_of_addresses_and_numbers_are_counted_before_they_are_made(machine: ModuleType):
    arm = (struct.pack("<I", 0xF940_0021 | number << 10) for number in range(1, 500))  # ldr x1, [x1, ...]
    x86 = (b"\x48\x81\xeb" + struct.pack("<I", number) for number in range(1, 500))
    code = b"".join(x86 if machine is x86_64_displacements else (struct.pack("<I", 0x1000_0001), *arm)) + bytes(32)
    named = Edges(np.full(1000, 0x1000), 0x8000 + 8 * np.arange(1000))
    with pytest.raises(OutOfInstructions):
        machine.reached(CodeRange(0x1000, memoryview(code)), np.zeros_like, named, Decoder("x86_64", 100_000).spend)


@needs_compiler
@pytest.mark.parametrize("step", ["sub $120,%0", "add $-120,%0", "sub $1200,%0"])
def test_a_loop_runs_through_an_array_from_its_last_entry(step: str, tmp_path: Path):
    source = f"""
    #include <unistd.h>
    static void called(void) {{ acct("accounts"); }}
    static void other(void) {{ }}
    static struct {{ long number, more[13]; void (*handler)(void); }} *entry,
        entries[11] = {{[0] = {{.handler = called}}, [9] = {{.handler = called}}, [10] = {{.handler = other}}}};
    int main(void) {{
        __asm__("lea %c1(%%rip),%0; {step}" : "=r"(entry) : "i"(&entries[10]));
        entry->handler();
    }}
    """
    assert "acct" in calls(build(tmp_path, "backwards", source, "-D_DEFAULT_SOURCE")).required


_TABLES = """
#include <unistd.h>
static void called(void) { acct("accounts"); }
static void other(void) { }
struct { long before[2]; void (*handlers[148])(void); } tables[2] __attribute__((aligned(16), visibility("hidden"))) =
    {{.handlers = {FIRST}}, {.handlers = {SECOND}}}, *table;
__attribute__((used)) static void *nobody_asks(void) { return &tables[1]; }
int main(void) {
    __asm__("lea %c1(%%rip),%0; lea NUMBER(%0),%0" : "=r"(table) : "i"(&tables[NAMED]));
    table->handlers[0]();
}
"""


@needs_compiler
@pytest.mark.parametrize(("named", "number"), [(0, 1200), (1, -1200)])
def test_the_address_of_one_table_is_computed_from_that_of_another(named: int, number: int, tmp_path: Path):
    """GCC does so where the tables are those of a class with several bases."""
    source = _TABLES.replace("NAMED", str(named)).replace("NUMBER", str(number))
    source = source.replace("FIRST", "called" if named else "other").replace("SECOND", "other" if named else "called")
    assert "acct" in calls(build(tmp_path, "tables", source, "-D_DEFAULT_SOURCE")).required


_LEA_RDX, _LEA_R12 = bytes.fromhex("488d1500000000"), bytes.fromhex("4c8d2500000000")  # lea ..., [rip]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (_LEA_RDX + bytes.fromhex("488d4ad0"), {0x7FD0}),  # lea rcx, [rdx - 48]
        (_LEA_RDX + bytes.fromhex("488d8a00010000"), {0x8100}),  # lea rcx, [rdx + 256]
        (_LEA_R12 + bytes.fromhex("498d4c24d0"), {0x7FD0}),  # lea rcx, [r12 - 48]
        (_LEA_R12 + bytes.fromhex("498d8c2400010000"), {0x8100}),  # lea rcx, [r12 + 256]
        (_LEA_RDX + bytes.fromhex("4989d5 498d4dd0"), {0x7FD0}),  # mov r13, rdx; lea rcx, [r13 - 48]
        (_LEA_RDX + bytes.fromhex("4c8bea 498d4dd0"), {0x7FD0}),  # the other encoding
        (_LEA_RDX + bytes.fromhex("488d4bd0"), set()),  # lea rcx, [rbx - 48]
        (_LEA_RDX + bytes.fromhex("4889d9 488d49d0"), set()),  # mov rcx, rbx; lea rcx, [rcx - 48]
        (_LEA_R12 + bytes.fromhex("488d4c24d0"), set()),  # lea rcx, [rsp - 48]
        (_LEA_R12 + bytes.fromhex("4b8d4c24d0"), {0x7FD0}),  # lea rcx, [r12 + r12 - 48]
        (_LEA_RDX + bytes.fromhex("488b42f8"), {0x7FF8}),  # mov rax, [rdx - 8]
        (_LEA_RDX + bytes.fromhex("8b42f8"), set()),  # mov eax, [rdx - 8]: that is no pointer
        (_LEA_RDX + bytes.fromhex("ff52f8"), {0x7FF8}),  # call [rdx - 8]
        (_LEA_RDX + bytes.fromhex("ff4af8"), set()),  # dec [rdx - 8]
        (_LEA_R12 + bytes.fromhex("41ff6424f8"), {0x7FF8}),  # jmp [r12 - 8]
        (_LEA_RDX + bytes.fromhex("ff72f8"), {0x7FF8}),  # push [rdx - 8]
        (_LEA_RDX + bytes.fromhex("0f1042f8"), {0x7FF8}),  # movups xmm0, [rdx - 8]
        (_LEA_R12 + bytes.fromhex("66410f6f4424f8"), {0x7FF8}),  # movdqa xmm0, [r12 - 8]
        (_LEA_RDX + bytes.fromhex("488d4ad1"), set()),  # lea rcx, [rdx - 47]: no pointer stands there
        (_LEA_RDX + bytes.fromhex("488d8a00100000"), set()),  # lea rcx, [rdx + 4096]: that is far
        (bytes.fromhex("488b1500000000 488d4ad0"), set()),  # mov rdx, [rip]; lea rcx, [rdx - 48]
    ],
)
def test_a_number_counts_that_is_added_to_the_register_of_an_address(code: bytes, expected: set[int]):
    named = Edges(np.array([0x1000]), np.array([0x8000]))
    memory = CodeRange(0x1000, memoryview(code + bytes(16)))
    found = x86_64_displacements.reached(memory, np.zeros_like, named, Decoder("x86_64", 100).spend)
    assert set(found.targets.tolist()) == expected


_ARRAY = """
#include <unistd.h>
static void called(void) { acct("accounts"); }
static void other(void) { }
static struct entry { long number; void (*handler)(void); long more[MORE]; } *entry;
static struct { void (*before[4])(void); struct entry entries[12]; } array __attribute__((aligned(16))) =
    {{other, other, other, other}, {[0] = {.handler = FIRST}, [8] = {.handler = LAST}}};
#define entries array.entries
__attribute__((used)) static void *nobody_asks(void) { return (char *)entries + MEMBER; }
int main(int count, char **all) {
    __asm__("lea %c1(%%rip),%0" : "=r"(entry) : "i"((char *)entries + NAMED));
    __asm__ volatile("call *%c1(%0)" : : "r"(entry), "i"(CALLED - NAMED) : "memory");
}
"""


def _called_from_array(folder: Path, **words: object) -> bool:
    source = _ARRAY
    for name, value in words.items():
        source = source.replace(name, str(value))
    return "acct" in calls(build(folder, "array", source, "-D_DEFAULT_SOURCE")).required


@needs_compiler
@pytest.mark.parametrize("member", [16, 80])
def test_a_pointer_is_reached_from_another_member_of_the_first_entry(member: int, tmp_path: Path):
    """GCC's loops have the address of one of the members that they use, and name the others from there."""
    words = {"FIRST": "called", "LAST": "other", "NAMED": member, "CALLED": 8}
    assert _called_from_array(tmp_path, MORE=member // 8 - 1, MEMBER=0, **words)


@needs_compiler
def test_a_member_that_a_loop_elsewhere_begins_with_does_not_begin_a_table(tmp_path: Path):
    words = {"FIRST": "other", "LAST": "called", "NAMED": 0, "CALLED": "8 + 8 * (int)sizeof *entry"}
    assert _called_from_array(tmp_path, MORE=3, MEMBER=16, **words)


_LISTED = """
#include <stddef.h>
#include <unistd.h>
struct link { struct link *next; };
static struct device { int (*probe)(void); long more[9]; struct link link; REMOVE } device =
    {.probe = (int (*)(void))acct REMOVED};
static struct link *first;
__attribute__((noipa)) static void enlist(struct link *link) { link->next = first, first = link; }
__attribute__((noipa)) static int probe(struct link *link) {
    return ((struct device *)((char *)link - offsetof(struct device, link)))->probe();
}
int main(void) { enlist(&device.link); return probe(first); }
"""


@needs_compiler
@pytest.mark.parametrize(
    ("more", "filled"), [("int (*remove)(void);", ", .remove = (int (*)(void))getpid"), ("long last[20];", "")]
)
def test_an_object_is_reached_from_its_member_in_a_list(more: str, filled: str, tmp_path: Path):
    source = _LISTED.replace("REMOVED", filled).replace("REMOVE", more)
    assert "acct" in calls(build(tmp_path, "listed", source, "-D_DEFAULT_SOURCE")).required


@needs_compiler
def test_a_table_with_a_name_is_not_the_beginning_of_the_next(tmp_path: Path):
    tables = "int acct(const char *), chroot(const char *); int (*a[16])() = {acct}, (*b[16])() = {chroot};"
    used = library(tmp_path, "used", tables, "-fno-toplevel-reorder", "-Wl,-z,norelro")
    program = build(tmp_path, "program", "extern int (*b[16])(); int main(void) { return b[0](0); }", "-lused", "-fPIE")
    found = calls(program, (used,)).required
    assert "chroot" in found
    assert "acct" not in found


_FAR = """
#include <unistd.h>
static void called(void) { acct("accounts"); }
static const struct { char *name; long number; void (*handler)(void); } *entry,
    table[2] = {{"a", 1, called}, {"b", 2, called}};
int main(int count, char **all) {
    __asm__("lea %c1-BEFORE*24(%%rip),%0" : "=r"(entry) : "i"(table));
    entry[BEFORE + count].handler();
}
"""


@needs_compiler
@pytest.mark.parametrize("before", [3, 97, 5000])
def test_a_table_that_is_named_from_far_before_it_is_reached(before: int, tmp_path: Path):
    """GCC does so with -Os for the entry of a letter; nothing else leads to the table."""
    source = _FAR.replace("BEFORE", str(before))
    assert "acct" in calls(build(tmp_path, "far", source, "-D_DEFAULT_SOURCE")).required
