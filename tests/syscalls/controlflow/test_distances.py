"""Functions that constant memory names by their distance from an address that code computes."""

import shutil
import subprocess
from pathlib import Path

import pytest
from compiled import build, calls, library, needs_compiler

pytestmark = needs_compiler

_TABLE = r"""
#include <unistd.h>
void acts(void) __attribute__((visibility("hidden")));
void acts(void) { acct(0); }
extern const int table[] __attribute__((visibility("hidden")));
__asm__(".section .rodata; .p2align 2; table: .long 0, acts - table; .text");
void entry(void) { volatile int at = 1; ((void (*)(void)) ((const char *) table + table[at]))(); }
"""
_WRAPPERS = r"""
long first(long, long), second(long, long);
extern const int table[] __attribute__((visibility("hidden")));
__asm__(".section .rodata; .p2align 2; table: .long first - table, second - table; .text");
long first(long number, long argument) { long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(number), "D"(argument) : "rcx", "r11", "memory"); return r; }
long second(long number, long argument) { return first(number + 1, argument); }
int main(int count, char **all) {
  (void)all;
  first(39, 0);
  return ((long (*)(long, long)) ((const char *) table + table[count & 1]))(163, 0);
}
"""
_VIRTUAL = r"""
extern "C" int acct(const char *);
struct One { virtual void act() {} };
struct Other : One { void act() override { acct(0); } };
__attribute__((noinline)) One *made(int n) { return n < 5 ? new Other : new One; }
int main(int n, char **) { made(n)->act(); }
"""


def test_a_table_of_distances_leads_to_its_functions(tmp_path: Path):
    used = library(tmp_path, "used", _TABLE)
    program = build(tmp_path, "program", "void entry(void); int main(void) { entry(); return 0; }", "-lused")
    assert used.exists()
    assert "acct" in calls(program).required


@pytest.mark.parametrize(
    ("first", "found"), [("0", True), ("other - .", True), ("other + 1 - .", False)], ids=["", "function", "jumps"]
)
def test_distances_may_count_from_the_entries_themselves(first: str, found: bool, tmp_path: Path):
    table = f"{first}, acts - ."
    other = "__attribute__((used)) static int other(void) { return 1; }"
    source = other + _TABLE.replace("0, acts - table", table).replace("table + table[at]", "&table[at] + table[at]")
    library(tmp_path, "used", source)
    program = build(tmp_path, "program", "void entry(void); int main(void) { entry(); return 0; }", "-lused")
    assert ("acct" in calls(program).required) == found  # what begins with a jump's entry is a table of jumps


@pytest.mark.parametrize("linking", ["-static-pie", "-pie"])
def test_a_number_may_come_from_whoever_calls_a_wrapper_by_its_distance(linking: str, tmp_path: Path):
    found = calls(build(tmp_path, "program", _WRAPPERS, "-O1", "-fPIE", linking))
    assert "acct" in found.required or not found.complete


@pytest.mark.skipif(shutil.which("clang++") is None, reason="no clang here")
def test_virtual_functions_that_are_named_by_distances_are_called(tmp_path: Path):
    source = tmp_path / "virtual.cc"
    source.write_text(_VIRTUAL)
    program = tmp_path / "virtual"
    flags = ("-O1", "-fPIE", "-pie", "-fno-rtti", "-fexperimental-relative-c++-abi-vtables")
    subprocess.run(["clang++", *flags, "-o", program, source], check=True)
    assert "acct" in calls(program).required
