"""Limits and variables as they are handed to the stage."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.model import Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.sandbox import Order
from binsafe.sandbox.linux.layout import Layout
from binsafe.sandbox.linux.planning import environment_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@pytest.mark.parametrize(
    ("program", "named", "path"),
    [
        ("/usr/lib/postgresql/15/bin/postgres", "", ":/usr/lib/postgresql/15/bin"),
        ("/usr/sbin/nginx", "", ""),
        ("/usr/lib/postgresql/15/bin/postgres", "/mine", "/mine"),
    ],
)
def test_a_program_finds_itself_by_its_name_unless_somebody_said_where_to_look(program: str, named: str, path: str):
    artifact = PolicyArtifact(name="x", sha256="0" * 64, system="linux", arch="x86_64")
    grants = (Grant(kind="environment", object="PATH", access=named, reason="test"),) if named else ()
    order = Order(policy=Policy(artifact=artifact, baseline="x", grants=grants), program=0, on_violation=print)
    found = environment_of(order, Layout(program=program))["PATH"]
    assert found == (path if named else f"{order.environment()['PATH']}{path}")


COUNTING = """
#include <stdio.h>
#include <sys/inotify.h>
int main(void) {
    int made = 0;
    while (inotify_init1(0) >= 0) made++;
    return printf("%d", made) < 0;
}
"""

DUMPING = """
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    struct rlimit none = {0, 0}, more = {8, 8}, had = {7, 7}, now;
    getrlimit(RLIMIT_CORE, &now);
    now.rlim_cur = 0; /* as GnuPG does, which ends where it cannot */
    printf("%d", setrlimit(RLIMIT_CORE, &now) || syscall(SYS_setrlimit, RLIMIT_CORE, &now));
    printf(" %d", setrlimit(RLIMIT_CORE, &none) || syscall(SYS_setrlimit, RLIMIT_CORE, &none));
    printf(" %d", setrlimit(RLIMIT_CORE, &more) == 0 || errno != EPERM);
    getrlimit(RLIMIT_CORE, &had);
    return printf(" %lu %lu", (long)had.rlim_cur, (long)had.rlim_max) < 0;
}
"""

GIVING_UP = """
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    struct __user_cap_header_struct own = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}}, some[2] = {{1 << CAP_CHOWN, 1 << CAP_CHOWN, 0}};
    return syscall(SYS_capset, &own, none) != 0 || syscall(SYS_capset, &own, some) == 0;
}
"""


CROWDING = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *end(void *x) { return x; }
static void *stay(void *x) { pause(); return x; }
int main(int argc, char **argv) {
    pthread_t thread;
    int made = 0;
    for (int left = 600; left; left--)
        if (pthread_create(&thread, 0, end, 0) || pthread_join(thread, 0)) return 1;
    for (int left = argc > 1 ? atoi(argv[1]) : 0; left; left--) made += pthread_create(&thread, 0, stay, 0) == 0;
    printf("%d", made);
    return 0;
}
"""

FILLING = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    static char block[1 << 20];
    int file = open("/tmp/file", O_CREAT | O_WRONLY, 0600), written = 0;
    for (int left = atoi(argv[1]); left; left--) written += write(file, block, sizeof block) == sizeof block;
    return printf("%d", written) < 0;
}
"""


def run_inside(
    folder: Path, source: str, backend: str = "namespaces", arguments: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Compile a program and run it in the sandbox."""
    program = folder / "program"
    subprocess.run(
        ["gcc", "-static", "-pthread", "-x", "c", "-", "-o", str(program)], input=source, text=True, check=True
    )
    command = [sys.executable, "-m", "binsafe", "run", "--yes", "--backend", backend, str(program), *arguments]
    return subprocess.run(command, check=False, capture_output=True)


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_no_core_dump_leaves_by_a_pipe_either(tmp_path: Path, backend: str):
    """There a limit of 1 stops them, and one of 0 does not: who wants none is told that it is so."""
    assert run_inside(tmp_path, DUMPING, backend).stdout == b"0 0 0 1 1"


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_who_has_no_capabilities_may_give_them_up_and_take_none(tmp_path: Path):
    done = run_inside(tmp_path, GIVING_UP)
    assert (done.returncode, done.stderr.count(b"capset denied")) == (0, 1), done.stderr


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_its_user_can_still_watch_files(tmp_path: Path):
    """What a program watches with is counted for its user, whom the kernel gives 128 as a rule."""
    made = int(run_inside(tmp_path, COUNTING).stdout)
    assert 0 < made <= int(Path("/proc/sys/fs/inotify/max_user_instances").read_text()) // 2


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_who_has_as_many_threads_as_there_may_be_is_told_to_its_user(tmp_path: Path):
    """The program was told, and made of it what it could: cannot fork, out of memory, a trace of its stack."""
    done = run_inside(tmp_path, CROWDING, arguments=("400",))
    assert done.stdout == b"253"  # beside itself, init, and who started that
    grant = b"not in the policy; add --baseline FILE, with nproc: 512 among its limits\n"
    assert done.stderr.count(b"limit nproc (more than 256 processes and threads at once) denied: " + grant) == 1
    done = run_inside(tmp_path, CROWDING, arguments=("253",))
    assert (done.stdout, done.stderr) == (b"253", b"")


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_whose_own_folder_is_full_is_told_to_its_user(tmp_path: Path):
    done = run_inside(tmp_path, FILLING, arguments=("65",))
    assert done.stdout == b"64"
    assert b"write /tmp (full: 64 MiB or 65,536 files) denied: not in the policy; add --scratch DIR\n" in done.stderr
    done = run_inside(tmp_path, FILLING, arguments=("60",))
    assert (done.stdout, done.stderr) == (b"60", b"")
