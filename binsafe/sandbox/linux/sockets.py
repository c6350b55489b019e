"""The program's sockets, seen from outside: what an address says, what a socket is, and how another takes its place."""

import contextlib
import errno
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from binsafe import kernel
from binsafe.model.violation import UNGRANTABLE
from binsafe.sandbox.linux.notifications import Call, Listener

LOOPBACK: Final = "127.0.0.1"
ONLY_TCP: Final = f"{UNGRANTABLE}TCP over IPv4 and IPv6 is all that is ever granted"
MAX_ADDRESS: Final = 128
MAX_DESCRIPTORS: Final = 4096
"""Descriptors of the program that are looked at when one of its sockets is replaced, and places where it is watched."""

_SOCKADDR_IN: Final = struct.Struct("!2x H 4s")
_SOCKADDR_IN6: Final = struct.Struct("!2x H 4x 16s")
_MAPPED: Final = "::ffff:"
_PIDFD_THREAD: Final = os.O_EXCL
"""linux/pidfd.h"""

_COPIED: Final = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 6)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_DEFER_ACCEPT", 9)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_CORK", 3)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", 18)),
)
"""Options that a program may have set before bind or connect."""

_STRUCTURES: Final = ((socket.SO_LINGER, 8), (socket.SO_RCVTIMEO, 16), (socket.SO_SNDTIMEO, 16))
"""... of the socket itself, that are no numbers, and how long they are."""


class Refused(Exception):
    """A call is denied; ``expected`` marks probes that ordinary programs make and take no for an answer."""

    def __init__(self, number: int, object_: str, *, expected: bool = False, grant: str | None = None) -> None:
        super().__init__(object_)
        self.errno = number
        self.object = object_
        self.expected = expected
        self.grant = grant


class Address(NamedTuple):
    """An internet address as the program wrote it."""

    family: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def plain_host(self) -> str:
        """The host, that of an IPv4-mapped IPv6 address in IPv4's form."""
        return self.host.removeprefix(_MAPPED) if "." in self.host else self.host


def read_address(listener: Listener, call: Call) -> Address:
    """The ``struct sockaddr`` in the second and third argument of a call."""
    pointer, length = call.arguments[1], call.arguments[2] & 0xFFFF_FFFF
    return parse_address(listener.read(call, pointer, min(length, MAX_ADDRESS)))


def parse_address(raw: bytes) -> Address:
    """A ``struct sockaddr`` as the program wrote it; anything but a whole IPv4 or IPv6 address is refused."""
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_INET and len(raw) >= _SOCKADDR_IN.size:
        port, host = _SOCKADDR_IN.unpack_from(raw)
        return Address(family, socket.inet_ntop(family, host), port)
    if family == socket.AF_INET6 and len(raw) >= _SOCKADDR_IN6.size:
        port, host = _SOCKADDR_IN6.unpack_from(raw)
        return Address(family, socket.inet_ntop(family, host), port)
    if family == socket.AF_UNIX:
        raise Refused(errno.EPERM, f"unix {_unix_name(raw[2:])}", grant=ONLY_TCP)
    name = next((each.name for each in socket.AddressFamily if each.value == family), str(family))
    raise Refused(errno.EPERM, f"an address of family {name}", grant=ONLY_TCP)


def _unix_name(raw: bytes) -> str:
    abstract = raw[:1] == b"\0"
    name = raw[1:] if abstract else raw.split(b"\0", 1)[0]
    return ("@" if abstract else "") + name.rstrip(b"\0").decode("utf-8", "backslashreplace")


class Original:
    """The program's own socket behind ``descriptor``: our duplicate of it, and a handle on its thread."""

    def __init__(self, thread: int, descriptor: int, pidfd: int, duplicate: socket.socket) -> None:
        self.thread = thread
        self.descriptor = descriptor
        self.pidfd = pidfd
        self.socket = duplicate
        self.inode = os.fstat(duplicate.fileno()).st_ino

    @property
    def port(self) -> int:
        """Its own port; 0 while it has none."""
        return int(self.socket.getsockname()[1])

    @property
    def is_bound(self) -> bool:
        """Whether it has a port."""
        return self.port != 0

    @property
    def is_blocking(self) -> bool:
        """Whether the program itself waits on it: a flag of the open file, unknown to Python's own notion."""
        return os.get_blocking(self.socket.fileno())

    @property
    def state(self) -> int:
        """Its state as in net/tcp_states.h, the first byte of ``struct tcp_info``."""
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    def make_replacement(self) -> socket.socket:
        """A socket of ours with the same family, options and blocking mode."""
        replacement = socket.socket(self.socket.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            for level, option in _COPIED:
                if value := self.socket.getsockopt(level, option):
                    replacement.setsockopt(level, option, value)
            for option, size in _STRUCTURES:
                replacement.setsockopt(
                    socket.SOL_SOCKET, option, self.socket.getsockopt(socket.SOL_SOCKET, option, size)
                )
            if self.socket.family == socket.AF_INET6:
                only_v6 = self.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                replacement.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
            fcntl.fcntl(replacement.fileno(), fcntl.F_SETFL, fcntl.fcntl(self.socket.fileno(), fcntl.F_GETFL))
        except BaseException:
            replacement.close()
            raise
        return replacement

    def install(self, listener: Listener, call: Call, replacement: socket.socket) -> None:
        """Put a socket in the place of this one, under every number that it has, and in the epolls that watch it."""
        numbers, registrations = self.places()
        for number in numbers:
            close_on_exec = self._is_close_on_exec(number)
            listener.replace_descriptor(call, number, replacement.fileno(), close_on_exec=close_on_exec)
        self.socket.close()  # while anybody has it open, the helper included, epolls tell of it that it hangs up
        if registrations:
            helper = threading.Thread(target=_register, args=(self.pidfd, replacement.fileno(), registrations))
            helper.start()
            helper.join()

    def places(self) -> tuple[set[int], list[tuple[int, int, int, int]]]:
        """The numbers that it has, and where epolls watch those: (epoll, number, events, data)."""
        numbers = {self.descriptor}
        watched = []
        for number in self._descriptors():
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{self.thread}/fd/{number}")
                if target == f"socket:[{self.inode}]":
                    numbers.add(number)
                elif target == "anon_inode:[eventpoll]":
                    watched.append(number)
        found = (entry for number in watched for entry in self._registrations(number, numbers))
        return numbers, list(islice(found, MAX_DESCRIPTORS))

    def _descriptors(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(f"/proc/{self.thread}/fd")[:MAX_DESCRIPTORS]]
        except OSError:
            return []

    def _registrations(self, epoll: int, numbers: set[int]) -> Iterator[tuple[int, int, int, int]]:
        """Each of our numbers that an epoll descriptor watches (proc(5), fdinfo)."""
        with open(f"/proc/{self.thread}/fdinfo/{epoll}", encoding="ascii") as stream:
            for line in stream:
                words = line.split()
                if words[:1] == ["tfd:"] and int(words[1]) in numbers:
                    yield epoll, int(words[1]), int(words[3], 16), int(words[5], 16)

    def _is_close_on_exec(self, number: int) -> bool:
        """Whether the program's own descriptor closes at execve (a flag of the descriptor, not of the socket)."""
        with open(f"/proc/{self.thread}/fdinfo/{number}", encoding="ascii") as stream:
            flags = next(int(line.split()[1], 8) for line in stream if line.startswith("flags:"))
        return bool(flags & os.O_CLOEXEC)


def _register(pidfd: int, replacement: int, registrations: list[tuple[int, int, int, int]]) -> None:
    """Watch the replacement as the original was watched. In a thread whose descriptor table is its own.

    epoll knows what it watches by file *and number*, and the number is the caller's: so the replacement must have the
    program's number here, where that number may be something of ours.
    """
    with contextlib.suppress(OSError):
        kernel.unshare(kernel.CLONE_FILES)
        above = 1 + max(number for _, number, _, _ in registrations)
        source = fcntl.fcntl(replacement, fcntl.F_DUPFD_CLOEXEC, above)
        epolls = {
            epoll: fcntl.fcntl(kernel.pidfd_getfd(pidfd, epoll), fcntl.F_DUPFD_CLOEXEC, above)
            for epoll in {epoll for epoll, _, _, _ in registrations}
        }
        for epoll, number, events, data in registrations:
            os.dup2(source, number, inheritable=False)
            kernel.epoll_add(epolls[epoll], number, events, data)


@contextlib.contextmanager
def original(listener: Listener, call: Call) -> Iterator[Original]:
    """The socket in a call's first argument, if that is what it is: a TCP one of the internet families."""
    descriptor = call.arguments[0] & 0xFFFF_FFFF
    try:
        pidfd = open_thread(call.pid)
    except OSError as error:
        raise Refused(error.errno or errno.ESRCH, "a process that has gone") from error
    try:
        try:
            listener.check(call)
            ours = kernel.pidfd_getfd(pidfd, descriptor)
        except OSError as error:
            raise Refused(errno.EBADF, f"descriptor {descriptor}", expected=True) from error
        try:
            duplicate = socket.socket(fileno=ours)
        except OSError as error:
            os.close(ours)
            raise Refused(errno.ENOTSOCK, f"descriptor {descriptor}", expected=True) from error
        with duplicate:
            if duplicate.family not in (socket.AF_INET, socket.AF_INET6) or duplicate.type != socket.SOCK_STREAM:
                raise Refused(errno.EACCES, "a socket that is not TCP", grant=ONLY_TCP)
            if duplicate.proto != socket.IPPROTO_TCP:
                raise Refused(errno.EACCES, f"protocol {duplicate.proto}", grant=ONLY_TCP)
            yield Original(call.pid, descriptor, pidfd, duplicate)
    finally:
        os.close(pidfd)


def open_thread(thread: int) -> int:
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
