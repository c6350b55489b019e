"""What a program opens by name and has already: its mappings, its own open files. There is no /proc to find them in.

Nothing is given that it could not have: a duplicate of its own descriptor, or what its own memory is made of.
"""

import os
import re
import socket
import struct
from collections.abc import Callable
from typing import Final

from binsafe import kernel
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.sockets import open_thread

_MAPS: Final = "/proc/self/maps"
"""Where glibc's pthread_getattr_np(3) learns how far the first thread's stack goes: collectors of garbage scan it, and
end the program where they cannot know (libgc, JavaScriptCore)."""

_STREAMS: Final = {
    "/dev/stdin": 0,
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    **{f"/proc/self/fd/{number}": number for number in range(3)},
}
"""Other numbers under /proc are asked for by who wants the file opened anew, with other rights."""
_NUMBERED: Final = re.compile(r"/dev/fd/(\d{1,7})")
"""bash's <(...)."""

_KIND: Final = 0xF
"""The other bits of a socket's type are flags (linux/net.h)."""

Give = Callable[[Listener, Call, int], None]
"""Answers a call with a descriptor; the flags are those of open(2)."""


def find(path: str, *, loaded: bool) -> Give | None:
    """What gives the file of that name, if it is one of these. Only what is ``loaded`` needs its mappings."""
    if path == _MAPS:
        return _give_maps if loaded else None
    match = _NUMBERED.fullmatch(path)
    number = int(match[1]) if match else _STREAMS.get(path)
    return None if number is None else lambda listener, call, flags: _give_own(listener, call, flags, number)


def as_messages(arguments: tuple[int, ...]) -> tuple[int, ...] | None:
    """The arguments of a socketpair(2) for datagrams with the other kind that keeps messages apart; else None."""
    family, kind, *rest = arguments
    if family != socket.AF_UNIX or kind & _KIND != socket.SOCK_DGRAM:
        return None
    return family, kind ^ socket.SOCK_DGRAM ^ socket.SOCK_SEQPACKET, *rest


def give_pair(listener: Listener, call: Call) -> None:
    """Two sockets that are connected with each other, by messages, in place of a pair that takes datagrams (socat).

    One of those would send to any unix socket that the program can name, by an address that lies in memory. Of these
    neither can; what differs otherwise is that one notices when the other is closed.
    """
    kind = call.arguments[1]
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with pair[0], pair[1]:
        for end in pair:
            os.set_blocking(end.fileno(), not kind & socket.SOCK_NONBLOCK)
        close_on_exec = bool(kind & socket.SOCK_CLOEXEC)
        numbers = [listener.add_descriptor(call, end.fileno(), close_on_exec=close_on_exec) for end in pair]
    listener.write(call, call.arguments[3], struct.pack("=2i", *numbers))
    listener.finish(call)


def _give_maps(listener: Listener, call: Call, flags: int) -> None:
    descriptor = os.open(f"/proc/{call.pid}/maps", os.O_RDONLY | os.O_CLOEXEC)
    _give(listener, call, flags, descriptor)


def _give_own(listener: Listener, call: Call, flags: int, number: int) -> None:
    """Servers log to /dev/stderr. As dup(2) does, where the kernel's own link would open a file once more."""
    pidfd = open_thread(call.pid)
    try:
        listener.check(call)
        descriptor = kernel.pidfd_getfd(pidfd, number)
    finally:
        os.close(pidfd)
    _give(listener, call, flags, descriptor)


def _give(listener: Listener, call: Call, flags: int, descriptor: int) -> None:
    try:
        listener.check(call)
        listener.give_descriptor(call, descriptor, close_on_exec=bool(flags & os.O_CLOEXEC))
    finally:
        os.close(descriptor)
