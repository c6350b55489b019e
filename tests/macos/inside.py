"""What a program can do under a profile: ``python inside.py PROFILE`` confines itself and tries. Prints JSON.

sandbox_init(3) takes the same text as sandbox-exec, so nothing of Python's has to be granted: it is loaded before.
"""

import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GRANTED, OTHER = int(os.environ.get("GRANTED_PORT", "0")), int(os.environ.get("OTHER_PORT", "0"))
_CTL_KERN, _KERN_PROCARGS2 = 1, 49
_ALL_PIDS = 1
LIBRARY = ctypes.CDLL(None, use_errno=True)


def confine(profile: str) -> None:
    """Give up what the profile does not allow."""
    message = ctypes.c_char_p()
    if LIBRARY.sandbox_init(profile.encode(), ctypes.c_uint64(0), ctypes.byref(message)) != 0:
        raise SystemExit(f"sandbox_init: {(message.value or b'').decode('utf-8', 'replace')}")


def checked(result: int) -> int:
    """The result of a function of C, or its error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def environment_of(pid: int) -> int:
    """Bytes of the arguments and environment of a process."""
    name = (ctypes.c_int * 3)(_CTL_KERN, _KERN_PROCARGS2, pid)
    value, size = ctypes.create_string_buffer(1 << 18), ctypes.c_size_t(1 << 18)
    checked(LIBRARY.sysctl(name, 3, value, ctypes.byref(size), None, ctypes.c_size_t(0)))
    return size.value


def processes() -> int:
    """Processes that can be listed."""
    pids = (ctypes.c_int * 65_536)()
    size = checked(LIBRARY.proc_listpids(_ALL_PIDS, 0, pids, ctypes.sizeof(pids)))
    return sum(1 for pid in pids[: size // 4] if pid not in (0, os.getpid()))


def bound(port: int, host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        if kind == socket.SOCK_STREAM:
            server.listen()
    return True


def connected(family: int, address: object) -> bool:
    with socket.socket(family) as client:
        client.settimeout(2)
        client.connect(address)  # type: ignore[arg-type]
    return True


def sent() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        return client.sendto(b"x", ("127.0.0.1", 9))


def forked() -> bool:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    return True


def terminal() -> bool:
    if not os.isatty(1):
        raise PermissionError("not a terminal to us")
    return True


ALLOWED: dict[str, Callable[[], Any]] = {
    "bind a granted port": lambda: bound(GRANTED),
    "look at the link /tmp": lambda: os.readlink("/tmp"),
    "find the time zone": lambda: (os.readlink("/etc/localtime"), Path("/etc/localtime").read_bytes()[:4] == b"TZif"),
    "uname": lambda: os.uname().machine,
    "processors": lambda: os.sysconf("SC_NPROCESSORS_ONLN"),
    "random numbers": lambda: len(os.read(os.open("/dev/urandom", os.O_RDONLY), 4)),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "local time": lambda: time.strftime("%z"),
    "its terminal": terminal,
}
DENIED: dict[str, Callable[[], Any]] = {
    "read the environment of another process": lambda: environment_of(os.getppid()),
    "list processes": lambda: processes() or checked(-1),
    "signal another process": lambda: os.kill(os.getppid(), 0),
    "fork": forked,
    "read a file": lambda: Path("/etc/passwd").read_bytes(),
    "list a home": lambda: os.listdir("/Users"),
    "write a file": lambda: Path("/private/tmp/binsafe-escape").write_text("x"),
    "bind another port": lambda: bound(OTHER),
    "bind a granted port of UDP": lambda: bound(GRANTED, kind=socket.SOCK_DGRAM),
    "connect": lambda: connected(socket.AF_INET, ("127.0.0.1", OTHER)),
    "connect to the resolver": lambda: connected(socket.AF_UNIX, "/private/var/run/mDNSResponder"),
    "send a datagram": sent,
    "execute": lambda: os.execv("/usr/bin/true", ["true"]),
}
TOLD: dict[str, Callable[[], Any]] = {"bind a granted port on all addresses": lambda: bound(GRANTED, "0.0.0.0")}
"""Sources disagree: only told."""


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return f"failed: {error}"


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    confine(text)
    said = {name: outcome(attempt) for tries in (ALLOWED, TOLD, DENIED) for name, attempt in tries.items()}
    print(json.dumps(said), file=sys.stderr)
