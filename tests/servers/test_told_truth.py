"""What hostile servers print first is no truth, and no trouble."""

import os
from typing import Any, cast

import pytest

from bandit_runner.servers import Servers
from bandit_runner.servers.output import Output

TRUTH = b'{"schema": "flakyservers.truth/1", "x": %b}'


def told(line: bytes) -> dict[str, Any] | None:
    """What servers that print this are taken to say of themselves."""
    output = Output()
    os.write(output.write_end, line + b"\n")
    output.start()
    output.last_lines()  # waits until all is read
    return Servers(cast(Any, None), output, cast(Any, None), cast(Any, None)).truth()


def test_what_is_one_is_read():
    assert told(TRUTH % b"1") == {"schema": "flakyservers.truth/1", "x": 1}


@pytest.mark.parametrize(
    "line", [b"", b"{", b"\xff", b"[1]", b'{"schema": 1}', TRUTH % b"1e999", b"[" * 9_000, TRUTH % (b"[" * 9_000)]
)
def test_what_is_none_is_none(line: bytes):
    """Lists in lists ended `start` with a traceback."""
    assert told(line) is None
