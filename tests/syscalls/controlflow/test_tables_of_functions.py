"""Functions of a library that only a table leads to, in the ways in which compilers have code refer to tables.

Nothing but relocations and addresses in code is left of the tables when a library is stripped.
"""

import struct
from pathlib import Path

import pytest
from compiled import build, calls, freestanding, library, needs_compiler

from binsafe.formats import parse

pytestmark = needs_compiler

FUNCTIONS = """
#define HIDDEN __attribute__((noinline, noclone)) static void
#define MAKES(name, number) HIDDEN name(void) { \
    __asm__ volatile("syscall" : : "a"((long)number), "D"(0) : "rcx", "r11", "memory"); }
MAKES(first, 167) MAKES(second, 168) MAKES(third, 163) MAKES(fourth, 169)
typedef void (*Function)(void);
#define ENTRY __attribute__((visibility("default"))) void
__attribute__((noinline, noclone)) void walk(const Function *table, int n) { while (n--) table[n](); }
"""
ALL = {"swapon", "swapoff", "acct", "reboot"}

FROM_THE_MIDDLE = """
static const Function table[] = {first, second, third, fourth, first, second};
ENTRY entry(int n) { walk(table, n); }
ENTRY other(int n) { walk(table + 2, n); walk(table + 4, n); }
"""
NAMED_ENTRIES = """
static const struct { const char *name; Function function; long flags; } table[] = {
    {"a", first, 1}, {"b", second, 2}, {"c", first, 3}, {"d", third, 4}, {"e", fourth, 5}, {"f", first, 6}};
__attribute__((noinline, noclone)) void walk_named(const void *all, int n) { while (n--) ((Function *) all)[3*n+1](); }
ENTRY entry(int n) { walk_named(table, n); }
ENTRY other(int n) { walk_named(table + 2, n); }
"""
COUNTED_FROM_ONE = """
static const Function table[] __attribute__((section("counted"), aligned(32))) = {first, second, third, fourth};
ENTRY entry(long n) { Function *all; __asm__ ("lea %c1-8(%%rip),%0" : "=r"(all) : "i"(table)); all[n](); }
ENTRY other(int n) { walk(table, n); }
"""
MEMBERS = """
static const struct { Function function; const char *name; Function other; long flags; } one = {first, "a", second, 1};
__attribute__((noinline, noclone)) void call_other(const void *all) { ((Function *) all)[2](); }
ENTRY entry(int n) { call_other(&one); }
ENTRY other(int n) { walk(&one.other, n); }
"""
COPIED = """
static const struct { Function all[8]; } table = {{first, first, first, first, second, third, fourth, first}};
ENTRY entry(int n) {
    Function here[8];
    __asm__ volatile("{load} %1,%%{register}; {load} %%{register},%0" : "=m"(here) : "m"(table));
    walk(here, n);
}
__attribute__((used)) static void never(void) { walk(table.all, 8); }
"""
"""Of 64 bytes at once, as with AVX-512; a table that no code names would count by itself."""


def found(folder: Path, source: str, *options: str) -> set[str]:
    library(folder, "tables", FUNCTIONS + source, "-s", "-fvisibility=hidden", *options)
    return set(calls(build(folder, "program", "void entry(int); int main(int n) { entry(n); }", "-ltables")).required)


@pytest.mark.parametrize("source", [FROM_THE_MIDDLE, NAMED_ENTRIES], ids=["functions", "names and functions"])
def test_a_table_goes_on_behind_an_entry_whose_address_is_computed(source: str, tmp_path: Path):
    assert found(tmp_path, source) >= ALL


def test_a_table_that_is_counted_from_one_begins_behind_the_address_that_is_computed(tmp_path: Path):
    assert found(tmp_path, COUNTED_FROM_ONE) >= ALL


def test_an_object_goes_on_behind_a_member_whose_address_is_computed(tmp_path: Path):
    """By code that never runs, at a multiple of 16 bytes, and what stands there is not like what stands before it."""
    assert found(tmp_path, MEMBERS) & ALL == {"swapon", "swapoff"}


def test_all_that_one_wide_register_holds_is_loaded(tmp_path: Path):
    wide = COPIED.replace("{load}", "vmovdqu64").replace("{register}", "zmm16")
    assert found(tmp_path, wide) >= ALL
    narrow = COPIED.replace("{load}", "vmovdqu").replace("{register}", "ymm0")
    assert found(tmp_path, narrow) & ALL == {"swapon"}


@pytest.mark.parametrize("options", [(), ("-fno-plt", "-Wl,-z,now")], ids="".join)
def test_the_large_model_counts_from_the_global_offset_table(options: tuple[str, ...], tmp_path: Path):
    assert found(tmp_path, FROM_THE_MIDDLE, "-mcmodel=large", *options) >= ALL


def test_the_medium_model_counts_so_where_data_are_large(tmp_path: Path):
    source = """
    const Function table[] __attribute__((visibility("hidden"))) = {first, second, third, fourth};
    __asm__(".globl entry\\nentry: lea _GLOBAL_OFFSET_TABLE_(%rip), %r9; movabs $table@GOTOFF, %rax\\n"
            "add %r9, %rax; movslq %edi, %rdi; jmp *(%rax, %rdi, 8)"); """
    assert found(tmp_path, source) >= ALL


def test_a_pointer_that_is_relocated_by_the_symbol_of_no_name(tmp_path: Path):
    """What the loader adds there is the file's own base: ``R_X86_64_64`` and symbol 0 are ``R_X86_64_RELATIVE``."""
    library(tmp_path, "tables", FUNCTIONS + FROM_THE_MIDDLE, "-s", "-fvisibility=hidden")
    path = tmp_path / "libtables.so"
    relative, absolute = struct.pack("<Q", 8), struct.pack("<Q", 1)
    data = path.read_bytes()
    section = parse(memoryview(data)).slices[0].section(".rela.dyn")
    assert section is not None
    entries = bytearray(data[section.offset : section.offset + section.size])
    for at in range(8, len(entries), 24):
        if entries[at : at + 8] == relative:
            entries[at : at + 8] = absolute
    path.write_bytes(data[: section.offset] + entries + data[section.offset + section.size :])
    program = build(tmp_path, "program", "void entry(int); int main(int n) { entry(n); }", "-ltables")
    assert set(calls(program).required) >= ALL


_PACKED = """
OUTLINE static void made(long number) { call(number, 0, 0, 0); }
struct __attribute__((packed)) { char kind; void (*function)(long); } volatile entry = {1, made};
OUTLINE static long run(long n) { made(39); entry.function(163); return n; }"""


@pytest.mark.parametrize("options", [(), ("-s", "-fno-asynchronous-unwind-tables")], ids=["symbols", "stripped"])
def test_a_function_whose_address_is_in_a_packed_structure_is_called_by_who_knows(
    options: tuple[str, ...], tmp_path: Path
):
    """In a program at fixed addresses no relocation tells of it, and it is at no multiple of eight bytes."""
    result = freestanding(tmp_path, _PACKED, "-no-pie", "-fno-pie", *options)
    assert "getpid" in result.sites
    assert not result.complete
