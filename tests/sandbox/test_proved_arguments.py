"""A program that was taken over still has only the sockets that it was found to make: the kernel refuses the others."""

import ctypes
import errno
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from binsafe import baselines
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Policy, Violation
from binsafe.policy import Request, derive
from binsafe.sandbox import Order, launch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs Linux and gcc"),
]

_SOURCE = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* What it does is in the first line. The rest stands for an attacker who has found a way to call what he likes: it
   jumps to an address that is computed from another function's, and which no analysis can see. */
int main(int count, char **words) {
    if (count < 4) return socket(%s, SOCK_STREAM, 0) < 0 ? errno : 0;
    int (*taken_over)(int, int, int) = (void *) ((char *) &getppid + atol(words[1]));
    return taken_over(atoi(words[2]), atoi(words[3]), 0) < 0 ? errno : 0;
}
"""
INET, INET6, UNIX, NETLINK, STREAM, DGRAM = 2, 10, 1, 16, 1, 2
REFUSED = errno.EPERM


def distance() -> int:
    """How far ``socket`` is from ``getppid`` in the C library."""
    library = ctypes.CDLL(None)
    addresses = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in ("socket", "getppid"))
    return next(addresses, 0) - next(addresses, 0)


class Taken:
    """A program that makes sockets of one family, and its policy."""

    def __init__(self, folder: Path, family: str) -> None:
        self.path = folder / "program"
        command = ["gcc", "-O2", "-x", "c", "-", "-o", str(self.path)]
        subprocess.run(command, input=_SOURCE % family, text=True, check=True)
        with Snapshot.take(Found("program", self.path)) as snapshot:
            report = inspect(snapshot)
        calls = report.slices[0].syscalls
        assert calls is not None
        assert calls.complete
        self.policy: Policy = derive(report, baselines.load("cli_tool"), Request(connect=("127.0.0.1:9",)))

    def run(self, *words: str) -> tuple[int, list[Violation]]:
        violations: list[Violation] = []
        with Snapshot.take(Found("program", self.path)) as snapshot, tempfile.TemporaryFile() as errors:
            order = Order(
                policy=self.policy,
                program=snapshot.descriptor,
                arguments=words,
                stdin=subprocess.DEVNULL,
                stderr=errors.fileno(),
                on_violation=violations.append,
            )
            process = launch(order)
            try:
                return process.wait(20), violations
            finally:
                process.stop(grace=0)

    def makes(self, family: int, kind: int) -> int:
        return self.run(str(distance()), str(family), str(kind))[0]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_program_of_one_family_is_refused_the_others(folder: Path):
    taken = Taken(folder, "AF_INET")
    assert taken.run("its own")[0] == 0
    assert taken.makes(INET, STREAM) == 0  # the way in works
    assert [taken.makes(*other) for other in ((INET6, STREAM), (UNIX, STREAM), (NETLINK, DGRAM), (INET, DGRAM))] == (
        [REFUSED] * 4
    )
    _, violations = taken.run(str(distance()), str(UNIX), str(STREAM))
    assert ("socket", "AF_UNIX SOCK_STREAM") in {(each.operation, each.object) for each in violations}
    (grant,) = [grant for grant in taken.policy.of("syscall") if grant.object == "socket"]
    assert grant.access == "arg0 == AF_INET and arg1 == SOCK_STREAM and arg2 == 0"


def test_one_whose_family_nobody_knows_keeps_what_the_baseline_grants(folder: Path):
    taken = Taken(folder, "count + errno")
    assert taken.makes(INET6, STREAM) == 0
    assert taken.makes(UNIX, STREAM) == REFUSED
