"""What binsafe syscalls says of a list."""

import msgspec
import pytest

from binsafe.cli.calls import _explain, _reasons
from binsafe.errors import UsageError
from binsafe.model import Syscalls, Unresolved


def test_of_what_an_incomplete_list_lacks_it_is_not_said_that_it_is_never_made(capsys: pytest.CaptureFixture[str]):
    partial = Syscalls(abi="linux-x86_64", complete=False, required=("read",), likely=())
    with pytest.raises(UsageError, match="cannot be told"):
        _explain("reboot", partial)
    with pytest.raises(UsageError, match="never makes"):
        _explain("reboot", msgspec.structs.replace(partial, complete=True))
    _explain("read", partial)
    assert "on the program's behalf" in capsys.readouterr().out


def test_of_a_program_whose_ways_are_not_followed_the_places_that_make_a_call_are_shown(
    capsys: pytest.CaptureFixture[str],
):
    static = Syscalls(
        abi="linux-x86_64",
        complete=True,
        required=("read", "restart_syscall"),
        likely=(),
        sites={"read": ("0x401000", "0x402000")},
    )
    _explain("read", static)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [f"program: a place that makes it at {address}" for address in ("0x401000", "0x402000")]
    _explain("restart_syscall", static)
    assert "on the program's behalf" in capsys.readouterr().out


def test_why_a_list_is_not_complete_is_said_in_a_few_lines_that_name_places():
    gaps = tuple(Unresolved(address=hex(place), reason="the number is read from memory") for place in (0x10, 0x20))
    partial = Syscalls(abi="linux-x86_64", complete=False, required=(), likely=(), unresolved=gaps)
    assert _reasons(partial) == [f"at {place}: the number is read from memory" for place in ("0x10", "0x20")]
    open_set = tuple(f"dlopen: a name that is computed, at {place:#x}" for place in range(30))
    reasons = _reasons(msgspec.structs.replace(partial, open_set=open_set))
    assert reasons[2] == open_set[0]
    assert reasons[-1] == f"and {len(gaps) + len(open_set) - (len(reasons) - 1)} more: --json lists them all"
    assert len(reasons) < 12
