"""A path is the same path wherever it lies in the program's memory."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from started import BINSAFE

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs Linux and gcc"),
]

_SOURCE = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* Executes words[2], so many bytes of which lie before the end of a page as words[1] says. */
int main(int count, char **words) {
    char *pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *path = strcpy(pages + 2 * 4096 - atoi(words[1]), words[2]);
    mprotect(pages + 2 * 4096, strlen(words[2]) < atoi(words[1]) ? 4096 : 0, PROT_NONE);
    char *arguments[] = {path, 0};
    execv(path, arguments);
    return 1;
}
"""
GRANTED = "/usr/bin/true"


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name, "program")
        subprocess.run(["gcc", "-O2", "-x", "c", "-", "-o", str(path)], input=_SOURCE, text=True, check=True)
        yield path


@pytest.mark.parametrize("before", [1, len(GRANTED) - 1, len(GRANTED)])
def test_a_granted_program_starts_though_its_path_goes_on_in_another_page(program: Path, before: int):
    command = [*BINSAFE, "run", "--exec", GRANTED, str(program), str(before), GRANTED]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
