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
