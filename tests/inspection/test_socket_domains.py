"""Sockets that never leave the machine, told from others by what the calls are given."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.inspection import inspect
from binsafe.model import Artifact, Network

SOURCE = """
int socket(int, int, int), BIO_socket(int, int, int, int), printf(const char *, ...);
int main(int argc, char **argv) {
    int made = %s;
    return printf("%%d", made);
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something with a function of that name to link against."""
    path = tmp_path_factory.mktemp("library") / "libother.so"
    build(path, "int BIO_socket(int domain) { return domain; }", "-shared", "-fPIC")
    return path


def build(path: Path, source: str, *options: str | Path) -> None:
    command = ["gcc", "-O1", "-x", "c", "-", "-o", path, *options]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)


def network_of(program: Path) -> Network:
    data = program.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    artifact = Artifact(name="program", path=str(program), size=len(data), sha256=sha256)
    return inspect(artifact, memoryview(data), syscalls=False).slices[0].network


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="no gcc for Linux here")
@pytest.mark.parametrize(
    ("calls", "verdict"),
    [
        ("socket(1, 1, 0)", "unknown"),
        ("socket(16, 3, 0)", "unknown"),
        ("socket(2, 1, 0)", "yes"),
        ("socket(1, 1, 0) + socket(10, 1, 0)", "yes"),
        ("socket(argc, 1, 0)", "yes"),
        ("BIO_socket(1, 1, 0, 0)", "yes"),
    ],
)
def test_only_sockets_that_all_stay_on_the_machine_are_no_proof(
    library: Path, tmp_path: Path, calls: str, verdict: str
):
    build(tmp_path / "program", SOURCE % calls, "-x", "none", library)
    network = network_of(tmp_path / "program")
    assert network.verdict == verdict
    assert "socket" in {operation.name for operation in network.operations}
