"""Namespaces for one traced program: no network but loopback, its own name server, and nothing left running.

The caller starts this process with ``unshare``; what is left to do inside is here.
"""

import contextlib
import fcntl
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

UNSHARE = ("unshare", "--net", "--pid", "--ipc", "--uts", "--mount", "--fork", "--kill-child", "--mount-proc")
_TRUSTED = ("/usr/local/share/ca-certificates", "/etc/ssl/certs")
"""Where caddy, as root, has the system trust its own authority."""
_SIOCSIFFLAGS, _UP = 0x8914, 0x1
_A_RECORD, _NOT_FOUND = b"\0\x01", b"\x81\x83"


def settle(*, plain: bool) -> None:
    """Bring loopback up and make this process the name server: names below ``.test`` and localhost exist, no others.

    ``plain``: users come from files alone. Static programs crash in libnss_systemd, which is not in a sandbox.
    """
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    files = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"}
    if plain:
        files["nsswitch.conf"] = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"
    for name, text in files.items():
        with tempfile.NamedTemporaryFile("w", suffix=name, delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, str(Path("/etc", name).resolve())], check=True)
        Path(file.name).unlink()
    for folder in filter(Path.is_dir, map(Path, _TRUSTED)):
        _replace(folder)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=_serve, args=(server,), daemon=True).start()


def _replace(folder: Path) -> None:
    """Mount a copy of a folder over it, which goes with the namespace."""
    with tempfile.TemporaryDirectory() as copy:
        subprocess.run(["cp", "-a", f"{folder}/.", copy], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "copy", folder], check=True)
        subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)


def _serve(server: socket.socket) -> None:
    while True:
        with contextlib.suppress(ValueError):
            query, client = server.recvfrom(512)
            server.sendto(_answer(query), client)


def _answer(query: bytes) -> bytes:
    """RFC 1035: the question again, and one A record of 127.0.0.1 if the name is one of ours."""
    end = query.index(b"\0", 12)
    question, name, kind = query[12 : end + 5], query[12:end], query[end + 1 : end + 3]
    if not name.endswith((b"\x04test", b"localhost")):
        return query[:2] + _NOT_FOUND + b"\0\x01\0\0\0\0\0\0" + question
    if kind != _A_RECORD:
        return query[:2] + b"\x81\x80\0\x01\0\0\0\0\0\0" + question
    record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x01"
    return query[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + question + record
