"""What binsafe syscalls says of a list."""

import msgspec
import pytest

from binsafe.cli.calls import _explain
from binsafe.errors import UsageError
from binsafe.model import Syscalls


def test_of_what_an_incomplete_list_lacks_it_is_not_said_that_it_is_never_made(capsys: pytest.CaptureFixture[str]):
    partial = Syscalls(abi="linux-x86_64", complete=False, required=("read",), likely=())
    with pytest.raises(UsageError, match="cannot be told"):
        _explain("reboot", partial)
    with pytest.raises(UsageError, match="never makes"):
        _explain("reboot", msgspec.structs.replace(partial, complete=True))
    _explain("read", partial)
    assert "on the program's behalf" in capsys.readouterr().out
