"""What is said at the end of a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.cli.denials import Teller

FULL = """
import resource, sys
from pathlib import Path
from binsafe.cli.denials import Teller
from binsafe.model import Violation
teller = Teller(Path(sys.argv[1]))
sys.dont_write_bytecode = True  # Python keeps what the limit leaves of a file, for all tests after this one
resource.setrlimit(resource.RLIMIT_FSIZE, (50, resource.RLIM_INFINITY))
teller.tell(Violation(time=0, pid=1, operation="read", object="/x", syscall="open", result="EACCES"))
teller.sum_up(0)
"""


def test_denials_that_could_not_be_seen_are_no_silence(capfd: pytest.CaptureFixture[str]):
    Teller(None).sum_up(0)
    assert capfd.readouterr().err == ""
    Teller(None).sum_up(0, untold="log: Must be admin to run 'stream' command\x1b[2J")
    assert capfd.readouterr().err == (
        "more may have been denied than is told: log: Must be admin to run 'stream' command\\x1b[2J\n"
    )


def test_a_report_of_which_a_part_was_written_is_not_complete(tmp_path: Path):
    """As where a disk has room for half a line: that much is written, and only the next line would be refused."""
    told = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "report")], capture_output=True, text=True, check=True
    )
    assert (tmp_path / "report").stat().st_size == 50
    assert "the report is not complete" in told.stderr
