"""Code that a program maps while it runs: what is refused is named, and memory is never both written and executed."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from binsafe import baselines
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Violation
from binsafe.policy import Request, default_baseline, derive
from binsafe.sandbox import Order, launch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

LOADING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

static int make_code(int file) {
    void *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    if (code == MAP_FAILED) return 4;
    void *data = mremap(code, 0, 4096, MREMAP_MAYMOVE);  /* the same memory once more */
    if (data == MAP_FAILED || mprotect(data, 4096, PROT_READ | PROT_WRITE)) return 5;
    return 6;
}

int main(int count, char **arguments) {
    const char *path = arguments[1];
    if (!strcmp(path, "/dev/zero")) return make_code(open(path, O_RDWR));
    if (count > 2) {
        sendfile(open(arguments[2], O_CREAT | O_WRONLY, 0700), open(path, O_RDONLY), 0, 1 << 20);
        path = arguments[2];
    }
    void *library = dlopen(path, RTLD_NOW);
    return library ? ((int (*)(void))dlsym(library, "extra"))() : 3;
}
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A program that loads what it is told to, and a library, where anybody may read them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "plugins").mkdir()
        (path / "loading.c").write_text(LOADING)
        (path / "extra.c").write_text("int extra(void) { return 7; }")
        for options in (
            ("-shared", "-fPIC", "-o", path / "plugins" / "extra.so", path / "extra.c"),
            ("-w", "-o", path / "loading", path / "loading.c"),
        ):
            subprocess.run(["gcc", *options], check=True)
        yield path


def run(folder: Path, *arguments: str, **granted: tuple[str, ...]) -> tuple[int, list[Violation]]:
    """The program's status, and what was denied."""
    denied: list[Violation] = []
    with Snapshot.take(Found("loading", folder / "loading")) as snapshot:
        report = inspect(snapshot, syscalls=False)
        order = Order(
            policy=derive(report, baselines.load(default_baseline(report)), Request(**granted)),
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            on_violation=denied.append,
        )
        process = launch(order)
        try:
            status = process.wait(20)
        finally:
            process.stop(grace=0)
    return status, [each for each in denied if each.operation == "load"]


@pytest.mark.parametrize("granted", ["the file", "its folder"])
def test_a_library_that_is_only_granted_to_be_read_is_named(folder: Path, granted: str):
    library = folder / "plugins" / "extra.so"
    status, (denied,) = run(folder, str(library), read=(str(library if granted == "the file" else library.parent),))
    assert (status, denied.object, denied.grant) == (3, str(library), f"--exec {library}")


def test_the_grant_that_is_named_lets_it_be_loaded(folder: Path):
    library = str(folder / "plugins" / "extra.so")
    options = ["--read", str(folder / "plugins"), "--exec", library]
    command = [sys.executable, "-m", "binsafe", "run", *options, str(folder / "loading"), library]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (7, "")


def test_code_that_a_program_has_brought_with_it_stays_data(folder: Path):
    library = str(folder / "plugins" / "extra.so")
    status, (denied,) = run(folder, library, "/tmp/made.so", read=(library,))
    assert (status, denied.object, denied.grant[:6]) == (3, "/tmp/made.so", "none: ")


def test_memory_of_a_device_is_not_written_here_and_executed_there(folder: Path):
    assert run(folder, "/dev/zero", write=("/dev/zero",))[0] == 4


def test_the_module_for_a_character_set_is_named_where_the_c_library_has_none_itself(folder: Path):
    """Some go on without a word and write nothing (html2text)."""
    (folder / "converting.c").write_text(
        "#include <iconv.h>\n"
        'int main(int count, char **names) { return iconv_open("UTF-8", names[1]) == (iconv_t)-1 ? 3 : 7; }'
    )
    subprocess.run(["gcc", "-o", folder / "converting", folder / "converting.c"], check=True)
    command = [sys.executable, "-m", "binsafe", "run", folder / "converting"]
    builtin, missed = (
        subprocess.run([*command, name], capture_output=True, text=True, timeout=60, check=False)
        for name in ("ASCII", "ISO-8859-1")
    )
    if not any(Path("/usr").glob("lib*/**/gconv/ISO8859-1.so")):
        pytest.skip("the C library's modules for character sets are not installed")
    assert (builtin.returncode, builtin.stderr) == (7, "")
    assert missed.returncode == 3
    assert "gconv/ISO8859-1.so denied" in missed.stderr
    assert "--pack gconv grants what such programs read together" in missed.stderr
