"""What a program asks of /proc about itself: its own file, and where its stack is. There is no /proc to tell it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binsafe import baselines
from binsafe.errors import NotEnforceable
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Violation
from binsafe.policy import Request, default_baseline, derive
from binsafe.sandbox import Order, launch
from binsafe.sandbox.linux.layout import check_present
from binsafe.sandbox.linux.lookups import MAX_OF_A_WALKER

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

ASKING = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char constant[64] = "not to be written";

static void link_of(const char *path, char *buffer, size_t size) {
    ssize_t length = readlink(path, buffer, size);
    int error = length < 0 ? errno : 0;
    if (error) printf("%s\\n", strerrorname_np(error));
    else printf("%.*s\\n", (int)length, buffer);
}

int main(int count, char **arguments) {
    char text[4096], own[64];
    pthread_attr_t attributes;
    struct stat found;
    for (int i = count > 1 ? atoi(arguments[1]) : 0; i > 0; i--) close(open("/nothing", O_RDONLY));
    link_of("/proc/self/exe", text, sizeof text);
    if (count > 1) return 0;
    link_of("/proc/self/exe", text, 3);
    link_of("/proc/self/exe", text, 0);
    link_of("/proc/self/exe", (char *)constant, sizeof constant);
    link_of("/proc/self/exe", (char *)-4096L, 4096);
    snprintf(own, sizeof own, "/proc/%d/exe", getpid());
    link_of(own, text, sizeof text);
    link_of("/proc/1/exe", text, sizeof text);
    int file = open("/proc/thread-self/exe", O_RDONLY);
    fstat(file, &found);
    printf("%ld\\n", (long)found.st_size);
    printf("%d\\n", open("/proc/self/exe", O_RDWR) >= 0);
    printf("%d\\n", pthread_getattr_np(pthread_self(), &attributes));
}
"""

Start = Callable[..., list[str]]


@pytest.fixture(scope="module")
def asking() -> Iterator[Path]:
    """A program that asks for itself, linked both ways, in a folder that anybody may read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "asking.c").write_text(ASKING)
        for linked in ("static", "dynamic"):
            options = ["-static"] if linked == "static" else []
            command = ["gcc", "-w", "-pthread", *options, "-o", folder / linked, folder / "asking.c"]
            subprocess.run(command, check=True)
        yield folder


def start(path: Path, *arguments: str, backend: str | None = None, **granted: tuple[str, ...]) -> list[str]:
    """The lines that it prints, and those that tell what was denied and not expected."""
    denied: list[Violation] = []
    with Snapshot.take(Found(str(path), path)) as snapshot, tempfile.TemporaryFile("w+") as out:
        report = inspect(snapshot, syscalls=False)
        order = Order(
            policy=derive(report, baselines.load(default_baseline(report)), Request(**granted)),
            program=snapshot.descriptor,
            path=str(path),
            arguments=arguments,
            stdin=subprocess.DEVNULL,
            stdout=out.fileno(),
            accept_gap=lambda _: None,
            on_violation=denied.append,
        )
        process = launch(order, backend=backend)
        try:
            process.wait(20)
        finally:
            process.stop(grace=0)
        out.seek(0)
        return [*out.read().splitlines(), *(str(each.grant) for each in denied if not each.expected)]


@pytest.mark.parametrize(
    ("linked", "backend"), [("static", "namespaces"), ("static", "landlock"), ("dynamic", "namespaces")]
)
def test_a_program_finds_its_own_file_and_its_stack(asking: Path, linked: str, backend: str):
    path = asking / linked
    place = f"{Path('/bin').resolve()}/{linked}" if linked == "dynamic" else f"/bin/{linked}"
    size = str(path.stat().st_size)
    answers = [place, place[:3], "EINVAL", "EFAULT", "EFAULT", place, "ENOENT", size, "0", "0"]
    assert start(path, backend=backend) == [*answers, "--read /proc"]  # for that of process 1


ANEW = """
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int main(int count, char **arguments) {
    char own[4096] = {0};
    printf("%d\\n", getxattr("/proc/self/exe", "security.capability", 0, 0) < 0 && errno == EOPNOTSUPP);
    if (readlink("/proc/self/exe", own, sizeof own - 1) < 0) return 1;
    fflush(stdout);
    if (fork() == 0) {
        execl(own, arguments[0], (char *)0);
        _exit(0);
    }
    return wait(0) < 0 || (count > 1 && listen(0, 1));  /* a server's files are granted one by one */
}
"""


def test_who_starts_itself_anew_is_told_by_its_name_outside(tmp_path: Path):
    """As programs of PyInstaller do, which first ask what capabilities their file has, and end where none can say.

    By the name that it has inside, which nobody has outside, it seemed to search a PATH and to do without.
    """
    path = tmp_path / "anew"
    subprocess.run(["gcc", "-x", "c", "-o", path, "-"], input=ANEW, text=True, check=True)
    (asked, *told) = start(path)
    assert asked == "1"
    assert f"--exec {path}" in told


@pytest.mark.parametrize("folders", [(), ("--read", "/usr/share")], ids=["files", "folders"])
def test_each_program_finds_its_own_file(asking: Path, folders: tuple[str, ...]):
    """Not the one that started it; also where whole folders are granted, and after more look-ups than are named."""
    others = [str(asking / name) for name in ("static", "dynamic")]
    granted = [word for each in others for word in ("--exec", each)]
    many = MAX_OF_A_WALKER + 1 if folders else 0
    command = [sys.executable, "-m", "binsafe", "run", *granted, *folders, "/bin/sh", "-c"]
    script = f"{others[0]} {many}; {others[1]} 0"
    ran = subprocess.run([*command, script], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ran.stdout.splitlines(), ran.stderr) == (others, "")


@pytest.mark.parametrize(
    "path", ["/proc/self/exe", "/proc/thread-self/status", "/proc/mounts", "/dev/fd/0", "/dev/stdin"]
)
def test_what_is_another_file_for_each_process_is_not_granted_by_itself(path: str):
    with pytest.raises(NotEnforceable, match="another file for each process") as refused:
        check_present(path)
    assert "--read /proc" in refused.value.hint


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_such_a_grant_is_refused_before_the_start(asking: Path, backend: str):
    with pytest.raises(NotEnforceable, match="another file for each process"):
        start(asking / "static", backend=backend, read=("/proc/self/exe",))
