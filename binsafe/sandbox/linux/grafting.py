"""Bind grafting: the program lives in an empty network namespace, its granted listeners in ours.

When it calls bind(), a socket is made here, bound to loopback and the port that was asked for, and put in place of the
program's own. Its listen() and accept() then work on a port that clients outside reach directly: there is no relay in
the data path. A socket that was never grafted can reach nothing at all.

    asked for                       bound to
    127.0.0.1, 0.0.0.0              127.0.0.1
    ::, ::ffff:127.0.0.1            ::ffff:127.0.0.1    (dual-stack: what clients of 127.0.0.1 reach)
    ::1, or :: with IPV6_V6ONLY     ::1
"""

import errno
import os
import socket
from typing import Final, NamedTuple

from binsafe.model.violation import UNGRANTABLE
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.sockets import LOOPBACK, Address, Original, Refused, original, read_address

_WILDCARDS: Final = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - what is asked for, not given
_MAPPED: Final = f"::ffff:{LOOPBACK}"
_MAPPED_ANY: Final = "::ffff:0.0.0.0"


_PRIVILEGED: Final = (
    f"{UNGRANTABLE}this machine keeps low ports for root (sysctl net.ipv4.ip_unprivileged_port_start): let it serve on "
    "one above 1023"
)
_NO_PORT: Final = f"{UNGRANTABLE}a port is granted by its number, which bind names"
MAX_BACKLOG: Final = 0x7FFF_FFFF
"""The kernel takes an int and cuts it to net.core.somaxconn."""


class Graft(NamedTuple):
    """A listener-to-be that was handed over: its port and the inode by which it is known in /proc/net/tcp."""

    port: int
    inode: int


def graft(listener: Listener, call: Call, ports: frozenset[int]) -> Graft:
    """Carry out a bind() that waits: raises :class:`Refused` when it is not granted, OSError when the host says no."""
    address = read_address(listener, call)
    with original(listener, call) as own:
        if own.is_bound:
            raise Refused(errno.EINVAL, "a socket that is bound already", expected=True)
        host = host_address(address, own.socket)
        if address.port not in ports:
            if address.port == 0:  # a probe for an address family, or a program that lets the kernel choose
                raise Refused(errno.EADDRNOTAVAIL, str(address), expected=True, grant="--ports :0")
            raise Refused(errno.EPERM, str(address), grant=f"--ports :{address.port}")
        with own.make_replacement() as replacement:
            try:
                replacement.bind((host, address.port))
            except PermissionError as error:
                raise Refused(errno.EACCES, str(address), grant=_PRIVILEGED) from error
            port = replacement.getsockname()[1]
            inode = os.fstat(replacement.fileno()).st_ino
            own.install(listener, call, replacement)
    return Graft(port, inode)


def listen(listener: Listener, call: Call, ports: frozenset[int]) -> None:
    """Carry out a listen() that waits, on a socket that was grafted; raises as :func:`graft`.

    For programs that may hold another socket of our network namespace: all that share it, and those that may connect
    out. A connection that is given up and then listens gets a port of the kernel's choice, on every address.

    Done here, because the program could put another socket under the number in the meantime; and looked at again
    afterwards, because a connection that was given up may have lost its port and still tell it.
    """
    with original(listener, call) as own:
        if _is_granted(own, ports):
            own.socket.listen(min(call.arguments[1] & 0xFFFF_FFFF, MAX_BACKLOG))
            if _is_granted(own, ports):
                return
            own.socket.shutdown(socket.SHUT_RDWR)
    raise Refused(errno.EPERM, "a socket that was not bound", grant=_NO_PORT)


def _is_granted(own: Original, ports: frozenset[int]) -> bool:
    """Whether it has the address that a graft gets; a connection's own port may be a granted one by chance."""
    host, port = own.socket.getsockname()[:2]
    return port in ports and host in (LOOPBACK, _MAPPED, "::1")


def host_address(address: Address, own: socket.socket) -> str:
    """The loopback address that stands for what was asked, in the form of the socket's own family."""
    if own.family == address.family == socket.AF_INET:
        if address.host in (LOOPBACK, _WILDCARDS[socket.AF_INET]):
            return LOOPBACK
    elif own.family == address.family == socket.AF_INET6:
        only_v6 = own.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        if address.host == "::1" or (only_v6 and address.host == "::"):
            return "::1"
        if not only_v6 and address.host in ("::", _MAPPED, _MAPPED_ANY):
            return _MAPPED
    expected = address.port == 0  # Go asks for [::1]:0 to see whether there is IPv6
    number = errno.EADDRNOTAVAIL if own.family == address.family else errno.EINVAL
    raise Refused(number, str(address), expected=expected, grant=f"--ports :{address.port}")
