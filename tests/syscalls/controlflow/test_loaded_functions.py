"""Functions whose addresses code loads from the global offset table, to call them from registers."""

from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = needs_compiler

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
