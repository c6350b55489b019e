"""What is said at the end of a run."""

import pytest

from binsafe.cli.denials import Teller


def test_denials_that_could_not_be_seen_are_no_silence(capfd: pytest.CaptureFixture[str]):
    Teller(None).sum_up(0)
    assert capfd.readouterr().err == ""
    Teller(None).sum_up(0, untold="log: Must be admin to run 'stream' command\x1b[2J")
    assert capfd.readouterr().err == (
        "more may have been denied than is told: log: Must be admin to run 'stream' command\\x1b[2J\n"
    )
