"""The truth set's workloads come to the same end under ``binsafe run``, with the filter made from each program's list.

A few of them; all: ``python tests/benchmarks/syscalls/run.py --enforce``.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "benchmarks" / "syscalls" / "run.py"

pytestmark = [
    pytest.mark.programs,
    pytest.mark.sandbox,
    pytest.mark.timeout(500),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(
        sys.platform == "linux" and os.geteuid() != 0, reason="each workload has a network of its own: needs root"
    ),
]


@pytest.mark.parametrize(
    ("name", "command"),
    [("find", "find"), ("sed", "sed"), ("mawk", "mawk"), ("redis", "redis-server"), ("nginx", "nginx")],
)
def test_nothing_is_missing_and_every_outcome_is_the_same(name: str, command: str):
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    done = subprocess.run(
        [sys.executable, str(RUN), "--enforce", "--only", name],
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 pass as root" in done.stdout
