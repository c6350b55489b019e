"""The targets of the hostile server, outside: without a sandbox each attempt succeeds on them, if its user may."""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PORTS = 30


class Targets(NamedTuple):
    """What the attempts are told of the outside, as NAME=VALUE, and how to see what became of it."""

    told: dict[str, Any]
    inherited: int
    scratch: Path
    arrived: Callable[[], list[str]]


@contextlib.contextmanager
def targets() -> Iterator[Targets]:
    """Listeners of every kind, files that everybody may read or write, and a process of our own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o777)
        for name in ("secret", "writable", "removable"):
            (folder / name).write_text("content")
            (folder / name).chmod(0o666)
        before = sorted((path.name, path.stat().st_mtime_ns, path.stat().st_mode) for path in folder.iterdir())
        sockets = {name: stack.enter_context(made) for name, made in _sockets(folder).items()}
        victim = subprocess.Popen(["sleep", "600"])
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        told = {
            **{name: each.getsockname()[1] for name, each in sockets.items() if each.family != socket.AF_UNIX},
            "own": _own_address(),
            "socket": folder / "stream",
            "abstract": f"stream{folder.name}",
            "datagrams": f"datagrams{folder.name}",
            "secret": folder / "secret",
            "writable": folder / "writable",
            "drop": folder,
            "users": "/etc/passwd",
            "tmp": "/tmp",
            "victim": victim.pid,
            "hostname": socket.gethostname(),
            "other": free_ports(1)[0],
            "is-root": int(os.geteuid() == 0),
        }
        shared = Path(f"/dev/shm/binsafe-{folder.name}")
        shared.write_text("content")
        stack.callback(shared.unlink)
        told["shared"] = f"/{shared.name}"
        inherited = os.open(folder / "secret", os.O_RDONLY)
        stack.callback(os.close, inherited)

        def arrived() -> list[str]:
            """What of all that was reached or changed."""
            reached = [name for name, each in sockets.items() if name != "reusable" and _has_arrived(each)]
            after = sorted(
                (path.name, path.stat().st_mtime_ns, path.stat().st_mode)
                for path in folder.iterdir()
                if not path.is_socket()
            )
            return [
                *reached,
                *(["files"] if after != before else []),
                *(["victim"] if victim.poll() is not None else []),
            ]

        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        scratch.chmod(0o777)
        yield Targets(told, inherited, scratch, arrived)


def _own_address() -> object:
    """Another address of this machine's than 127.0.0.1, if its name has one; a machine may have no name."""
    try:
        return socket.getaddrinfo(socket.gethostname(), 1, socket.AF_INET)[0][4][0]
    except socket.gaierror:
        return "127.0.0.2"


def _sockets(folder: Path) -> dict[str, socket.socket]:
    made = {
        "tcp": socket.create_server(("127.0.0.1", 0)),
        "tcp6": socket.create_server(("::1", 0), family=socket.AF_INET6),
        "any": socket.create_server(("0.0.0.0", 0)),
        "reusable": socket.create_server(("127.0.0.1", 0), reuse_port=True),
        "udp": socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "stream": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "abstract": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "datagrams": socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    }
    made["udp"].bind(("::", 0))
    made["stream"].bind(str(folder / "stream"))
    (folder / "stream").chmod(0o777)
    made["abstract"].bind(f"\0stream{folder.name}")
    made["datagrams"].bind(f"\0datagrams{folder.name}")
    for name in ("stream", "abstract"):
        made[name].listen()
    for each in made.values():
        each.setblocking(False)
    return made


def _has_arrived(listener: socket.socket) -> bool:
    """Whether there is the byte that the attempts send; others on this machine try ports that were free a while ago."""
    with contextlib.suppress(BlockingIOError):
        if listener.type != socket.SOCK_STREAM:
            return listener.recv(1) == b"x"
        while True:
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.setblocking(False)
                got = connection.recv(1)
                if got == b"x":
                    return True
    return False


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


def ports_beside(targets: Targets) -> list[int]:
    """Ports to be granted; the one that is not to be is free as well, and no attempt on it may be on one of these."""
    found = free_ports(PORTS + 3)
    return [port for port in found if port != targets.told["other"]][: PORTS + 2]
