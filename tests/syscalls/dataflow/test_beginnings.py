"""Where a function begins that no table names: behind a call that never returns nothing goes on, and one may."""

from pathlib import Path

import pytest
from compiled import bare, build, calls, needs_compiler

pytestmark = needs_compiler

_NEVER = ".p2align 4; never: hlt"


@pytest.mark.parametrize("padding", ["", ".p2align 4;"], ids=["behind-it", "aligned"])
def test_a_block_to_which_a_branch_leads_is_no_beginning(tmp_path: Path, padding: str):
    text = f"mov $39,%eax; cmpq $1,(%rsp); je 1f; call never; {padding} 1: syscall; hlt; {_NEVER}"
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"getpid"}


@pytest.mark.parametrize("options", [("-O1",), ("-O2",), ("-Os",)], ids="".join)
def test_main_itself_asks_for_what_it_is_started_with(tmp_path: Path, options: tuple[str, ...]):
    """``gcc`` puts it behind the calls of ``abort`` that are never made."""
    source = "long syscall(long, ...);\nint main(int n, char **all) { return syscall(n, all); }"
    assert not calls(build(tmp_path, "program", source, "-static", "-s", *options)).complete


@pytest.mark.parametrize("padding", ["", ".p2align 4;"], ids=["behind-it", "aligned"])
def test_what_a_register_holds_does_not_come_over_a_call_that_does_not_return(tmp_path: Path, padding: str):
    """A loop in ``child`` of musl's ``posix_spawn`` keeps a number in a register; before it stands such a call.

    In glibc before 2.36 one stands right before what a branch of such a loop leads to (``pthread_cond_signal``).
    """
    text = (
        "mov $2,%r15d; jmp 2f; 1: mov %r15d,%eax; syscall; dec %ebx; jnz 3f; hlt; 4: mov (%rsp),%r15; call never;"
        f"{padding} 3: dec %ebx; 2: cmpq $1,(%rsp); jne 1b; jmp 4b; .p2align 4; never: hlt"
    )
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"open"}
