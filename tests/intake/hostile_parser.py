"""A parser that has been taken over, where a parser runs: what it tries, by name, and what comes of it, as JSON.

Run as ``hostile_parser.py FOLDER PORT``: a folder with a file ``secret``, and a port of this host that somebody listens
on. Each attempt has a child of its own, as each file has. It says "done" where it got what it wanted.
"""

import ctypes
import json
import mmap
import os
import platform
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from binsafe.intake import confining
from binsafe.intake.child import Broken, ConfinedChild
from binsafe.syscalls.tables import numbers

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])
CALLS = numbers({"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()])
LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getpid()
SECRET = os.open(FOLDER / "secret", os.O_RDONLY)
WATCHED = ctypes.create_string_buffer(b"the parent's", 16)


def call(name: str, *arguments: object) -> int:
    """A system call past all of Python's and the C library's own sense."""
    result: int = LIBC.syscall(ctypes.c_long(CALLS[name]), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return result


def word(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def write_a_file() -> object:
    return (FOLDER / "new").write_text("x")


def overwrite_a_file() -> object:
    return os.open(FOLDER / "secret", os.O_WRONLY | os.O_TRUNC)


def create_by_openat2() -> object:
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o600, 0)
    return call("openat2", word(-100), os.fsencode(FOLDER / "new"), how, word(24))


def change_memory_to_code() -> object:
    area = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return call("mprotect", ctypes.c_void_p(address), word(4096), word(5))


def new_code() -> object:
    return mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def memory_and_exec() -> object:
    descriptor = os.memfd_create("x")
    os.write(descriptor, Path("/bin/true").read_bytes())
    return os.execve(descriptor, ["true"], {})


def write_parents_memory() -> object:
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(ctypes.create_string_buffer(b"the child's")), 11)
    remote = (ctypes.c_uint64 * 2)(ctypes.addressof(WATCHED), 11)
    return call("process_vm_writev", word(PARENT), local, word(1), remote, word(1), word(0))


def send_a_datagram() -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT))


def a_thread() -> object:
    thread = threading.Thread(target=int)
    thread.start()
    return thread.join()


def a_thread_by_clone() -> object:
    return call("clone", word(0x10F00), word(0), word(0), word(0), word(0))


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write a file": write_a_file,
    "overwrite a file": overwrite_a_file,
    "create by openat2": create_by_openat2,
    "read a file": (FOLDER / "secret").read_text,
    "read the user's keys": lambda: list(Path("~/.ssh").expanduser().iterdir()),
    "read /etc/passwd": lambda: Path("/etc/passwd").read_text(),
    "open for a path alone": lambda: os.open("/", os.O_PATH),
    "write the library cache": lambda: (FOLDER / "cache").write_bytes(b"x"),
    "read a descriptor of its parent's": lambda: os.pread(SECRET, 10, 0),
    "list descriptors": lambda: os.listdir("/proc/self/fd"),
    "remove a file": (FOLDER / "secret").unlink,
    "rename a file": lambda: (FOLDER / "secret").rename(FOLDER / "moved"),
    "make a folder": (FOLDER / "made").mkdir,
    "make a link": lambda: (FOLDER / "link").symlink_to("/etc/shadow"),
    "make a hard link": lambda: (FOLDER / "hard").hardlink_to(FOLDER / "secret"),
    "change a mode": lambda: (FOLDER / "secret").chmod(0o4755),
    "cut a file": lambda: os.truncate(FOLDER / "secret", 0),
    "make a FIFO": lambda: os.mkfifo(FOLDER / "fifo"),
    "set an attribute": lambda: os.setxattr(FOLDER / "secret", "user.x", b"x"),
    "change the folder": lambda: os.chdir(FOLDER),
    "change the root": lambda: os.chroot(FOLDER),
    "stat a file": (FOLDER / "secret").stat,
    "connect": lambda: socket.socket().connect(("127.0.0.1", PORT)),
    "connect with what it has": lambda: call("connect", word(0), bytes(16), word(16)),
    "send a datagram": send_a_datagram,
    "bind": lambda: socket.create_server(("127.0.0.1", 0)),
    "a unix socket": lambda: socket.socket(socket.AF_UNIX),
    "a pair of sockets": socket.socketpair,
    "a netlink socket": lambda: socket.socket(16, socket.SOCK_RAW, 0),
    "execve": lambda: os.execv("/bin/true", ["true"]),
    "memfd and exec": memory_and_exec,
    "fork": os.fork,
    "fork by clone": lambda: call("clone", word(signal.SIGCHLD), word(0), word(0), word(0), word(0)),
    "fork by clone3": lambda: call("clone3", (ctypes.c_uint64 * 8)(), word(64)),
    "a thread": a_thread,
    "a thread by clone": a_thread_by_clone,
    "a new user namespace": lambda: call("unshare", word(0x1000_0000)),
    "trace its parent": lambda: call("ptrace", word(16), word(PARENT), word(0), word(0)),
    "signal its parent": lambda: os.kill(PARENT, signal.SIGTERM),
    "signal all": lambda: os.kill(-1, signal.SIGTERM),
    "signal by tgkill": lambda: call("tgkill", word(PARENT), word(PARENT), word(signal.SIGTERM)),
    "signal by pidfd": lambda: os.pidfd_open(PARENT),
    "write its parent's memory": write_parents_memory,
    "open its parent's memory": lambda: os.open(f"/proc/{PARENT}/mem", os.O_RDWR),
    "its parent's limits": lambda: call("prlimit64", word(PARENT), word(7), word(0), (ctypes.c_uint64 * 2)()),
    "its own limits": lambda: call("setrlimit", word(0), (ctypes.c_uint64 * 2)(2**64 - 1, 2**64 - 1)),
    "outlive its parent": lambda: call("prctl", word(1), word(0), word(0), word(0), word(0)),
    "be dumped": lambda: call("prctl", word(4), word(1), word(0), word(0), word(0)),
    "another filter": lambda: call("seccomp", word(1), word(0), word(0)),
    "io_uring": lambda: call("io_uring_setup", word(8), (ctypes.c_uint64 * 16)()),
    "keys": lambda: call("keyctl", word(0), word(-3), word(1)),
    "bpf": lambda: call("bpf", word(0), (ctypes.c_uint64 * 16)(), word(128)),
    "perf events": lambda: call("perf_event_open", (ctypes.c_uint64 * 16)(), word(0), word(-1), word(-1), word(0)),
    "userfaultfd": lambda: call("userfaultfd", word(0)),
    "a signal for who owns it": lambda: call("fcntl", word(0), word(8), word(PARENT)),
    "shared memory": lambda: call("shmget", word(0), word(4096), word(0o1600)),
    "a message queue": lambda: call("msgget", word(0), word(0o1600)),
    "mount": lambda: call("mount", b"x", os.fsencode(FOLDER), b"tmpfs", word(0), word(0)),
    "new code": new_code,
    "memory that becomes code": change_memory_to_code,
    "memory that becomes code by a key": lambda: call("pkey_mprotect", word(0), word(4096), word(4), word(-1)),
    "another user": lambda: os.setuid(65534),
    "a longer file of last words": lambda: [os.write(2, b"x" * (1 << 16)) for _ in range(3)],
    "compute": lambda: None,
}


LANDLOCK = (
    *("write a file", "overwrite a file", "create by openat2", "read a file", "read /etc/passwd", "list descriptors"),
    *("remove a file", "rename a file", "make a folder", "make a link", "make a hard link", "cut a file"),
    *("make a FIFO", "execve", "connect", "bind", "stat a file"),
)
"""What Landlock alone has to refuse, but for the last."""


def tried(attempt: Callable[[], object]) -> str:
    """What came of it."""

    def work(_: socket.socket) -> bytes:
        try:
            attempt()
        except OSError as error:
            return f"errno {error.errno}".encode()
        except BaseException as error:  # noqa: BLE001 - a thread that cannot be had, a module that cannot be loaded
            return type(error).__name__.encode()
        return b"done"

    with ConfinedChild(work) as child:
        try:
            return child.hear(1 << 20).payload.decode()
        except Broken as broken:
            status = broken.ending.status
            return signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"


if __name__ == "__main__":
    os.dup2(os.memfd_create("said"), 2)  # as `Worker` has it
    if sys.argv[3:]:
        confining._seccomp = lambda *, is_folder: not is_folder
    attempts = LANDLOCK if sys.argv[3:] else ATTEMPTS
    outcomes = {name: tried(ATTEMPTS[name]) for name in attempts}
    print(json.dumps({"outcomes": outcomes, "memory": WATCHED.value.decode()}))
