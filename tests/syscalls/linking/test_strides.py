"""Arrays that code which never runs names in the middle, for a loop of its own: they are not cut there."""

from pathlib import Path

import pytest
from compiled import build, calls, needs_compiler

pytestmark = needs_compiler

_ARRAY = """
#include <unistd.h>
static void called(void) { acct("accounts"); }
static void other(void) { }
static struct entry { char *name; void (*handler)(void); long more[14]; } entries[4] __attribute__((aligned(16))) =
    {{"a", other}, {"b", other}, {"c", other}, {"d", called}};
__attribute__((used)) static void never(void) {
    __asm__ volatile("lea %c0(%%rip),%%rcx; 1: cmpq $0,(%%rcx); LOOP; jnz 1b" : : "i"((char *)entries + NAMED));
}
int main(int count, char **all) { entries[count].handler(); }
"""


def _is_called(folder: Path, loop: str, named: int) -> bool:
    source = _ARRAY.replace("LOOP", loop).replace("NAMED", str(named))
    return "acct" in calls(build(folder, "array", source, "-D_DEFAULT_SOURCE")).required


@pytest.mark.parametrize(
    ("named", "loop"),
    [
        (3 * 128, "sub $128,%%rcx"),
        (3 * 128, "add $-128,%%rcx"),
        (64, "sub $-128,%%rcx"),
        (64, "lea 128(%%rcx),%%rdx; cmp %%rax,(%%rcx); mov %%rdx,%%rcx"),
        (64, "mov %%rcx,%%rdx; add $128,%%rdx"),
        (64, "mov (%%rcx,%%rax),%%rdx; add $128,%%rax"),
        (64, "mov 8(%%rax,%%rcx),%%rdx; add $128,%%rax"),
        (64, "push %%rbx; mov %%rcx,%%rbx; call other; add $128,%%rbx"),
    ],
)
def test_a_loop_goes_on_from_a_member_or_the_last_entry(named: int, loop: str, tmp_path: Path):
    assert _is_called(tmp_path, loop, named)


@pytest.mark.parametrize(
    ("named", "loop"),
    [
        (3 * 128, "sub $120,%%rcx"),
        (3 * 128, "mov %%rax,%%rcx; sub $128,%%rcx"),
        (3 * 128, "call other; sub $128,%%rcx"),
        (3 * 128, "add %%rax,%%rcx"),
        (3 * 128, "lea (%%rcx,%%rcx),%%rcx"),
    ],
)
def test_what_does_not_step_over_entries_begins_a_table_of_its_own(named: int, loop: str, tmp_path: Path):
    """Where the steps would be from a function to a text, or something else has been put into the register."""
    assert not _is_called(tmp_path, loop, named)


def test_what_many_places_name_begins_there(tmp_path: Path):
    users = "".join(f"__attribute__((used)) static void *user{i}(void) {{ return &entries[3]; }}\n" for i in range(8))
    source = _ARRAY.replace("LOOP", "sub $128,%%rcx").replace("NAMED", "3 * 128") + users
    assert "acct" not in calls(build(tmp_path, "array", source, "-D_DEFAULT_SOURCE")).required


@pytest.mark.parametrize(("named", "other", "loop"), [(32, 128, "sub $-128,%%rcx"), (40, 44, "nop")])
def test_a_member_that_no_pointers_stand_behind_does_not_end_an_array(
    named: int, other: int, loop: str, tmp_path: Path
):
    """Behind the member that one loop begins with stand numbers alone, up to the member of another loop."""
    more = f"""__attribute__((used)) static void neither(void) {{
        __asm__ volatile("lea %c0(%%rip),%%rcx; {loop}" : : "i"((char *)entries + {other}));
    }}"""
    source = _ARRAY.replace("LOOP", loop).replace("NAMED", str(named)) + more.replace("%%%%", "%%")
    assert "acct" in calls(build(tmp_path, "array", source, "-D_DEFAULT_SOURCE")).required
