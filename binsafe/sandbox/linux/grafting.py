"""Bind grafting: the program lives in an empty network namespace, its granted listeners in ours.

When it calls bind(), a socket is made here, bound to exactly 127.0.0.1 and the port that was asked for, and put in
place of the program's own. Its listen() and accept() then work on a port that clients outside reach directly: there is
no relay in the data path. A socket that was never grafted can reach nothing at all.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from binsafe.sandbox.linux import kernel
from binsafe.sandbox.linux.notifications import Call, Listener

_LOOPBACK: Final = "127.0.0.1"
_WILDCARD: Final = "0.0.0.0"  # noqa: S104 - what the program asks for; it gets loopback
_SOCKADDR_IN: Final = struct.Struct("!2x H 4s")
_SOCKADDR_IN6: Final = struct.Struct("!2x H 4x 16s")
_MAX_ADDRESS: Final = 128
_PIDFD_THREAD: Final = os.O_EXCL
"""linux/pidfd.h"""
_COPIED: Final = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)
"""Options that a server may have set before bind; IPV6_V6ONLY is decided by the address."""


class Refused(Exception):
    """The bind is denied; ``expected`` marks probes that ordinary programs make and take no for an answer."""

    def __init__(self, number: int, object_: str, *, expected: bool = False, grant: str | None = None) -> None:
        super().__init__(object_)
        self.errno = number
        self.object = object_
        self.expected = expected
        self.grant = grant


class Address(NamedTuple):
    """What the program asked to be bound to."""

    family: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Graft(NamedTuple):
    """A listener-to-be that was handed over: its port and the inode by which it is known in /proc/net/tcp."""

    port: int
    inode: int


def parse_address(raw: bytes) -> Address:
    """A ``struct sockaddr`` as the program wrote it; anything but a whole IPv4 or IPv6 address is refused."""
    family = int.from_bytes(raw[:2], "little" if os.uname().machine != "s390x" else "big")
    if family == socket.AF_INET and len(raw) >= _SOCKADDR_IN.size:
        port, host = _SOCKADDR_IN.unpack_from(raw)
        return Address(family, socket.inet_ntop(family, host), port)
    if family == socket.AF_INET6 and len(raw) >= _SOCKADDR_IN6.size:
        port, host = _SOCKADDR_IN6.unpack_from(raw)
        return Address(family, socket.inet_ntop(family, host), port)
    raise Refused(errno.EACCES, f"address family {family}")


def graft(listener: Listener, call: Call, ports: frozenset[int]) -> Graft:
    """Carry out a bind() that waits: raises :class:`Refused` when it is not granted, OSError when the host says no."""
    descriptor, pointer, length = call.arguments[0] & 0xFFFF_FFFF, call.arguments[1], call.arguments[2]
    address = parse_address(listener.read(call, pointer, min(length, _MAX_ADDRESS)))
    with _duplicate(listener, call, descriptor) as original:
        host = _host_address(address, original)
        if address.port not in ports:
            if address.port == 0:  # a probe for an address family, or a program that lets the kernel choose
                raise Refused(errno.EADDRNOTAVAIL, str(address), expected=True, grant="--ports :0")
            raise Refused(errno.EPERM, str(address), grant=f"--ports :{address.port}")
        with socket.socket(original.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as replacement:
            _copy_options(original, replacement)
            replacement.bind((host, address.port))
            inode = os.fstat(replacement.fileno()).st_ino
            close_on_exec = _is_close_on_exec(call.pid, descriptor)
            listener.replace_descriptor(call, descriptor, replacement.fileno(), close_on_exec=close_on_exec)
    return Graft(address.port, inode)


@contextlib.contextmanager
def _duplicate(listener: Listener, call: Call, descriptor: int) -> Iterator[socket.socket]:
    """Our own duplicate of the program's socket, if that is what the descriptor is: an unbound TCP one."""
    try:
        pidfd = _open_thread(call.pid)
    except OSError as error:
        raise Refused(error.errno or errno.ESRCH, "a process that has gone") from error
    try:
        listener.check(call)
        ours = kernel.pidfd_getfd(pidfd, descriptor)
    except OSError as error:
        raise Refused(errno.EBADF, f"descriptor {descriptor}") from error
    finally:
        os.close(pidfd)
    try:
        original = socket.socket(fileno=ours)
    except OSError as error:
        os.close(ours)
        raise Refused(errno.ENOTSOCK, f"descriptor {descriptor}") from error
    with original:
        if original.family not in (socket.AF_INET, socket.AF_INET6) or original.type != socket.SOCK_STREAM:
            raise Refused(errno.EACCES, "a socket that is not TCP")
        if original.proto != socket.IPPROTO_TCP:
            raise Refused(errno.EACCES, f"protocol {original.proto}")
        if original.getsockname()[1] != 0:
            raise Refused(errno.EINVAL, "a socket that is bound already", expected=True)
        yield original


def _open_thread(thread: int) -> int:
    """A pidfd of the calling thread itself, which may have a descriptor table of its own; of its process before 6.9."""
    try:
        return os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.pidfd_open(_process_of(thread))


def _process_of(thread: int) -> int:
    """The process that a thread belongs to: pidfd_open takes only those (before Linux 6.9)."""
    with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Tgid:"))


def _host_address(address: Address, original: socket.socket) -> str:
    """The loopback address that stands for what was asked: 127.0.0.1, in the form of the socket's own family."""
    if original.family == socket.AF_INET and address.family == socket.AF_INET:
        if address.host in (_LOOPBACK, _WILDCARD):
            return _LOOPBACK
    elif original.family == socket.AF_INET6 and address.family == socket.AF_INET6:
        only_v6 = original.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        if not only_v6 and address.host in ("::", f"::ffff:{_LOOPBACK}"):
            return f"::ffff:{_LOOPBACK}"
    expected = address.port == 0  # Go asks for [::1]:0 to see whether there is IPv6
    raise Refused(errno.EADDRNOTAVAIL, str(address), expected=expected)


def _copy_options(original: socket.socket, replacement: socket.socket) -> None:
    """Let the new socket behave as the program prepared its own: options and blocking mode."""
    for level, option in _COPIED:
        if value := original.getsockopt(level, option):
            replacement.setsockopt(level, option, value)
    if original.family == socket.AF_INET6:
        only_v6 = original.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        replacement.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
    flags = fcntl.fcntl(original.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(replacement.fileno(), fcntl.F_SETFL, flags)


def _is_close_on_exec(thread: int, descriptor: int) -> bool:
    """Whether the program's own descriptor closes at execve (a flag of the descriptor, not of the socket)."""
    with open(f"/proc/{thread}/fdinfo/{descriptor}", encoding="ascii") as stream:
        flags = next(int(line.split()[1], 8) for line in stream if line.startswith("flags:"))
    return bool(flags & os.O_CLOEXEC)
